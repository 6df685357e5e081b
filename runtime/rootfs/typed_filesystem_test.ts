import { assertEquals } from "../../tests/assertions.ts";
import { versionsToTry } from "./typed_filesystem.ts";

Deno.test("an NFS server is asked for one version after the other, unless one is named", () => {
  const added = (type: string, ...data: string[]) => versionsToTry(type, data).map((words) => words.join());
  assertEquals(added("nfs", "addr=192.0.2.1"), ["vers=4.2", "vers=4.1", "vers=4.0", "vers=3"]);
  assertEquals(added("nfs4"), ["vers=4.2", "vers=4.1", "vers=4.0"]);
  for (const word of ["vers=3", "nfsvers=4", "minorversion=1", "v4.2"]) {
    assertEquals(added("nfs", "soft", word), [""]);
  }
  assertEquals(added("tmpfs", "size=1m"), [""]);
});
