import { assertEquals, assertIncludes, messageOf } from "../../tests/assertions.ts";
import { serverOf, withServerAddress } from "./nfs_server.ts";

const volume = (device: string, ...options: string[]) => ({ type: "nfs", device, options });

Deno.test("the server of an NFS volume is that of addr=, or of the device", () => {
  assertEquals(serverOf(volume("192.0.2.1:/export")), "192.0.2.1");
  assertEquals(serverOf(volume("files.example:/a:/b")), "files.example");
  assertEquals(serverOf(volume("[2001:db8::1]:/export")), "2001:db8::1");
  assertEquals(serverOf(volume(":/export", "rw", "addr=192.0.2.1")), "192.0.2.1");
  assertEquals(serverOf(volume("files.example:/export", "addr=192.0.2.1")), "192.0.2.1");
});

Deno.test("an NFS volume without a server is refused", async () => {
  for (const device of ["nfs", "/export", "files.example", "a]:/x", ":/export"]) {
    assertIncludes(await messageOf(() => serverOf(volume(device))), 'create volume of type "nfs": ');
  }
});

Deno.test("the kernel is told the address of an NFS server, and of others what they are", async () => {
  const told = await withServerAddress(volume("localhost:/export", "soft"));
  assertEquals(told.options.map((word) => word.replace("::1", "127.0.0.1")), ["soft", "addr=127.0.0.1"]);
  const other = { type: "cifs", device: "//server/share", options: ["addr=server"] };
  assertEquals(await withServerAddress(other), other);
});
