import { assertEquals } from "../../tests/assertions.ts";
import { filesystemOf, findMaskedProc, parseMountTable } from "./mount_table.ts";

const TABLE = parseMountTable(String.raw`21 1 254:0 / / rw,relatime - ext4 /dev/vda rw
22 21 0:20 / /proc rw,nosuid shared:12 - proc proc rw
23 22 0:30 / /proc/sys/fs/binfmt_misc rw - binfmt_misc binfmt_misc rw
24 21 0:31 / /home rw,relatime shared:3 master:2 - nfs4 server:/home rw,vers=4.2
25 24 0:32 / /home/al\040ice rw - tmpfs tmpfs ro,size=1g
26 21 0:33 / /homework ro - xfs /dev/vdb rw
`);

Deno.test("a path lies on the file system of the longest mount point above it", () => {
  const typeOf = (path: string) => filesystemOf(path, TABLE)?.type;
  assertEquals(typeOf("/home/bob/.local"), "nfs4");
  assertEquals(typeOf("/home"), "nfs4");
  assertEquals(typeOf("/home/al ice/x"), "tmpfs");
  assertEquals(typeOf("/homework/x"), "xfs");
  assertEquals(typeOf("/homes"), "ext4");
});

Deno.test("a mount is read-only by itself or with its whole file system", () => {
  const readOnly = TABLE.filter((one) => one.isReadOnly).map((one) => one.point);
  assertEquals(readOnly, ["/home/al ice", "/homework"]);
});

Deno.test("binfmt_misc hides nothing of /proc, a mask does", () => {
  assertEquals(findMaskedProc(TABLE), undefined);
  const mask = { point: "/proc/kcore", type: "tmpfs", isReadOnly: false };
  assertEquals(findMaskedProc([...TABLE, mask]), "/proc/kcore");
});
