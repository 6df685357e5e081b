import * as file from "./file.ts";
import { EACCES, EAGAIN, ELOOP, ENOENT, EXDEV, isErrno } from "./errno.ts";
import { failure, replaceKernel } from "./libc.ts";
import {
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_SYMLINKS,
} from "./constants/fcntl.ts";
import { S_IFMT, S_IFREG } from "./constants/stat.ts";
import { receiveWithFds, sendWithFds, socketpair } from "./socket.ts";
import { posix_spawn } from "./spawn.ts";
import { waitpidBlocking } from "./process.ts";
import { AF_UNIX, SOCK_STREAM } from "./constants/socket.ts";
import { lgetxattr, llistxattr, lsetxattr } from "./xattr.ts";

function equal(actual: unknown, expected: unknown): void {
  const [a, b] = [Deno.inspect(actual), Deno.inspect(expected)];
  if (a !== b) throw new Error(`${a} is not ${b}`);
}

Deno.test("statx tells what Deno.lstat tells", () => {
  const path = Deno.makeTempFileSync();
  Deno.writeTextFileSync(path, "hello");
  Deno.chmodSync(path, 0o4751);
  const stat = file.lstat(path);
  const other = Deno.lstatSync(path);
  equal([stat.mode & 0o7777, stat.mode & S_IFMT, stat.size, stat.nlink], [0o4751, S_IFREG, 5, 1]);
  equal([stat.uid, stat.gid, Number(stat.ino)], [other.uid, other.gid, other.ino]);
  equal(stat.mtimeSec, Math.floor(other.mtime!.getTime() / 1000));
  Deno.removeSync(path);
});

Deno.test("a missing file is named with the call and the reason", () => {
  try {
    file.open("/nonexistent/file", O_RDONLY);
    throw new Error("opened");
  } catch (error) {
    if (!isErrno(error, ENOENT)) throw error;
    equal(error.message, "openat `/nonexistent/file`: No such file or directory");
  }
});

Deno.test("openat2 keeps absolute links and .. inside the root", () => {
  const dir = Deno.makeTempDirSync();
  Deno.symlinkSync("/etc", `${dir}/link`);
  Deno.mkdirSync(`${dir}/etc`);
  using root = new file.Fd(file.open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC));
  using inside = new file.Fd(file.openat2(root.number, "link/../../etc", O_PATH, RESOLVE_IN_ROOT));
  equal(file.fstat(inside.number).ino, file.lstat(`${dir}/etc`).ino);
  for (const [resolve, errno] of [[RESOLVE_BENEATH, EXDEV], [RESOLVE_NO_SYMLINKS, ELOOP]] as const) {
    try {
      file.openat2(root.number, "link", O_PATH, resolve);
      throw new Error("opened");
    } catch (error) {
      if (!isErrno(error, errno)) throw error;
    }
  }
  Deno.removeSync(dir, { recursive: true });
});

Deno.test("readdir gives every entry once", () => {
  const dir = Deno.makeTempDirSync();
  const names = Array.from({ length: 2000 }, (_, index) => `entry-${index}`);
  for (const name of names) Deno.writeTextFileSync(`${dir}/${name}`, "");
  using fd = new file.Fd(file.open(dir, O_RDONLY | O_DIRECTORY));
  const decoder = new TextDecoder();
  equal(file.readdir(fd.number).map((entry) => decoder.decode(entry.name)).sort(), names.sort());
  Deno.removeSync(dir, { recursive: true });
});

Deno.test("descriptors cross a socket", () => {
  const [a, b] = socketpair(AF_UNIX, SOCK_STREAM);
  const [reader, writer] = file.pipe2(O_CLOEXEC);
  sendWithFds(a, new Uint8Array([1]), [writer]);
  const received = receiveWithFds(b, new Uint8Array(8), 2);
  equal([received.length, received.fds.length], [1, 1]);
  file.writeAll(received.fds[0]!, new Uint8Array([42]));
  const buffer = new Uint8Array(1);
  equal(file.read(reader, buffer), 1);
  equal(buffer[0], 42);
  for (const fd of [a, b, reader, writer, received.fds[0]!]) file.close(fd);
});

Deno.test("of more descriptors than asked for none stays open", () => {
  const [a, b] = socketpair(AF_UNIX, SOCK_STREAM);
  const open = () => [...Deno.readDirSync("/proc/self/fd")].length;
  const before = open();
  for (const [sent, asked] of [[2, 1], [3, 1], [9, 2], [200, 8], [1, 0]] as const) {
    sendWithFds(a, new Uint8Array([1]), Array.from({ length: sent }, () => a));
    let told = "";
    try {
      receiveWithFds(b, new Uint8Array(8), asked);
    } catch (error) {
      told = (error as Error).message;
    }
    equal([told, open()], [`more than ${asked} descriptors were sent`, before]);
  }
  sendWithFds(a, new Uint8Array([1]), [a, a]);
  const { fds } = receiveWithFds(b, new Uint8Array(8), 2);
  equal(open(), before + 2);
  for (const fd of [a, b, ...fds]) file.close(fd);
});

Deno.test("posix_spawn passes arguments, environment and descriptors", () => {
  const [reader, writer] = file.pipe2(O_CLOEXEC);
  const pid = posix_spawn("/bin/sh", ["sh", "-c", 'echo "$0 $GREETING"; exit 3', "words with spaces"], [
    "GREETING=hi",
  ], {
    1: writer,
  });
  file.close(writer);
  equal(new TextDecoder().decode(file.readAll(reader, 100)), "words with spaces hi\n");
  equal(waitpidBlocking(pid).status, 3);
  file.close(reader);
});

Deno.test("posix_spawn of what is not executable throws EACCES", () => {
  try {
    posix_spawn("/etc/passwd", ["passwd"], []);
    throw new Error("spawned");
  } catch (error) {
    if (!isErrno(error, EACCES)) throw error;
  }
});

Deno.test("extended attributes keep binary values", () => {
  const path = Deno.makeTempFileSync();
  const value = new Uint8Array([0, 255, 10, 0]);
  lsetxattr(path, "user.binary", value);
  equal(lgetxattr(path, "user.binary"), value);
  equal(lgetxattr(path, "user.other"), undefined);
  equal(llistxattr(path).map((name) => new TextDecoder().decode(name)), ["user.binary"]);
  Deno.removeSync(path);
});

Deno.test("a file that goes while it is looked for again is not there", () => {
  const answers = [EAGAIN, ENOENT, EACCES, EACCES];
  replaceKernel((name, _args, make) => {
    if (name !== "openat2") return make();
    failure.last = answers.shift()!;
    return -1;
  });
  try {
    equal(file.tryOpenat2(-1, "passwd", O_RDONLY, RESOLVE_IN_ROOT), undefined);
    let refusal: unknown;
    try {
      file.tryOpenat2(-1, "passwd", O_RDONLY, RESOLVE_IN_ROOT);
    } catch (error) {
      refusal = error;
    }
    equal([isErrno(refusal, EACCES), answers], [true, []]);
  } finally {
    replaceKernel(undefined);
  }
});
