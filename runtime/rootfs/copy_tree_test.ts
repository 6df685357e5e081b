import { assertEquals } from "../../tests/assertions.ts";
import { Fd, fstat, lstat, mknodat, open, readdir, utimensat } from "../../ffi/file.ts";
import { lgetxattr, llistxattr, lsetxattr } from "../../ffi/xattr.ts";
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_DIRECTORY,
  O_RDONLY,
} from "../../ffi/constants/fcntl.ts";
import { S_IFBLK, S_IFCHR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK } from "../../ffi/constants/stat.ts";
import { copyTree, isEmptyFolder } from "./copy_tree.ts";

const isRoot = Deno.uid() === 0;

function withFolders(test: (from: string, to: string) => void): () => void {
  return () => {
    const folder = Deno.makeTempDirSync({ prefix: "skiff-copy-" });
    try {
      Deno.mkdirSync(`${folder}/from`);
      Deno.mkdirSync(`${folder}/to`);
      test(`${folder}/from`, `${folder}/to`);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  };
}

function copy(from: string, to: string): void {
  using source = new Fd(open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  using target = new Fd(open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  copyTree(source.number, target.number);
}

/** Everything about a tree that a program could see, by path. */
function describe(top: string): Record<string, unknown> {
  const entries: Record<string, unknown> = {};
  const firstNames = new Map<string, string>();
  const visit = (path: string) => {
    const full = `${top}${path}`;
    const { mode, uid, gid, size, rdevMajor, rdevMinor, nlink, ino, mtimeSec, mtimeNsec } = lstat(full);
    const kind = mode & S_IFMT;
    const xattrs = llistxattr(full).map((
      name,
    ) => [new TextDecoder().decode(name), [...lgetxattr(full, name)!]]);
    const isFile = kind === S_IFREG;
    if (isFile && !firstNames.has(String(ino))) firstNames.set(String(ino), path);
    entries[path] = {
      ...{ mode, uid, gid, device: [rdevMajor, rdevMinor], mtimeSec, mtimeNsec, xattrs },
      ...(isFile &&
        { size, nlink, sameAs: firstNames.get(String(ino)), content: Deno.readTextFileSync(full) }),
      ...(Deno.lstatSync(full).isSymlink && { link: Deno.readLinkSync(full) }),
    };
    if (!Deno.lstatSync(full).isDirectory) return;
    for (const { name } of [...Deno.readDirSync(full)].toSorted((a, b) => a.name < b.name ? -1 : 1)) {
      visit(`${path}/${name}`);
    }
  };
  visit("");
  return entries;
}

function makeTree(from: string): void {
  const bytes = (text: string) => new TextEncoder().encode(text);
  Deno.mkdirSync(`${from}/folder/below`, { recursive: true });
  Deno.writeTextFileSync(`${from}/folder/file`, "content\n".repeat(50_000));
  Deno.writeTextFileSync(`${from}/empty`, "");
  Deno.linkSync(`${from}/folder/file`, `${from}/folder/below/same`);
  Deno.linkSync(`${from}/folder/file`, `${from}/z-same`);
  Deno.symlinkSync("../nowhere", `${from}/folder/link`);
  Deno.writeTextFileSync(`${from}/program`, "#!/bin/sh\n");
  lsetxattr(`${from}/program`, "user.note", bytes("a\0b"));
  lsetxattr(`${from}/folder`, "user.note", bytes(""));
  mknodat(AT_FDCWD, `${from}/fifo`, S_IFIFO | 0o640);
  mknodat(AT_FDCWD, `${from}/socket`, S_IFSOCK | 0o600);
  const at = (sec: number, nsec: number) => ({ sec, nsec });
  utimensat(AT_FDCWD, `${from}/empty`, at(1, 2), at(3, 999_999_999), AT_SYMLINK_NOFOLLOW);
  utimensat(AT_FDCWD, `${from}/folder/link`, at(10, 0), at(20, 5), AT_SYMLINK_NOFOLLOW);
  utimensat(AT_FDCWD, `${from}/folder/below`, at(30, 0), at(40, 7), AT_SYMLINK_NOFOLLOW);
}

Deno.test(
  "a copy has the content, modes, times, links and attributes of what was copied",
  withFolders((from, to) => {
    makeTree(from);
    Deno.chmodSync(`${from}/program`, 0o711);
    Deno.chmodSync(`${from}/folder`, 0o1777);
    Deno.chmodSync(from, 0o750);
    copy(from, to);
    assertEquals(describe(to), describe(from));
  }),
);

Deno.test({
  name: "as root, owners, setuid bits, capabilities and devices are copied as well",
  ignore: !isRoot,
  fn: withFolders((from, to) => {
    makeTree(from);
    Deno.chownSync(`${from}/folder`, 12345, 54321);
    Deno.chownSync(`${from}/program`, 33, 33);
    Deno.chmodSync(`${from}/program`, 0o6755);
    // VFS_CAP_REVISION_2, cap_net_bind_service permitted and effective. @see capabilities(7)
    const capability = new Uint8Array([1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    lsetxattr(`${from}/program`, "security.capability", capability);
    mknodat(AT_FDCWD, `${from}/null`, S_IFCHR | 0o666, 1, 3);
    mknodat(AT_FDCWD, `${from}/disk`, S_IFBLK | 0o660, 259, 70000);
    copy(from, to);
    assertEquals(describe(to), describe(from));
  }),
});

Deno.test({
  name: "overlay's own marks are left behind",
  ignore: !isRoot,
  fn: withFolders((from, to) => {
    const yes = new TextEncoder().encode("y");
    for (const name of ["user.overlay.opaque", "trusted.overlay.opaque", "user.kept"]) {
      lsetxattr(from, name, yes);
    }
    copy(from, to);
    assertEquals(llistxattr(to).map((name) => new TextDecoder().decode(name)), ["user.kept"]);
  }),
});

Deno.test(
  "what is already there stays",
  withFolders((from, to) => {
    Deno.writeTextFileSync(`${from}/file`, "from");
    Deno.symlinkSync("from", `${from}/link`);
    Deno.writeTextFileSync(`${to}/file`, "to");
    Deno.symlinkSync("to", `${to}/link`);
    copy(from, to);
    assertEquals([Deno.readTextFileSync(`${to}/file`), Deno.readLinkSync(`${to}/link`)], ["to", "to"]);
  }),
);

Deno.test(
  "a folder is empty until something is in it, and a name need not be UTF-8",
  withFolders((from, to) => {
    using fd = new Fd(open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    assertEquals(isEmptyFolder(fd.number), true);
    mknodat(fd.number, new Uint8Array([0xff, 0xfe]), S_IFIFO | 0o600);
    assertEquals(isEmptyFolder(fd.number), false);
    copy(from, to);
    using copied = new Fd(open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    assertEquals(readdir(copied.number).map(({ name }) => [...name]), [[0xff, 0xfe]]);
    assertEquals(fstat(copied.number).nlink, 2);
  }),
);
