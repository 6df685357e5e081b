/**
 * Kills a FUSE server that has not answered while the writer of its notices waits for the asker's lock: prints how that
 * ends as JSON. Runs as root of a user namespace, in a mount namespace of its own; with `control` the writer has the
 * server's own descriptor.
 *
 * ```
 *  asker ── MKDIR, with the folder's lock ──▶ server, which is killed
 *                                               └─ notice ──▶ writer, which waits for the lock
 * ```
 */

import { AT_FDCWD, O_CLOEXEC, O_PATH } from "../ffi/constants/fcntl.ts";
import { MNT_DETACH, MNT_FORCE, MOVE_MOUNT_F_EMPTY_PATH } from "../ffi/constants/mount.ts";
import { SIGKILL, WNOHANG } from "../ffi/constants/signal.ts";
import { S_IFDIR } from "../ffi/constants/stat.ts";
import { ENOENT, SyscallError } from "../ffi/errno.ts";
import { close, closeAllExcept, Fd, mkdirat, open } from "../ffi/file.ts";
import { forkChild } from "../ffi/fork.ts";
import { filesystemType, move_mount, umount2 } from "../ffi/mount.ts";
import { pollBlocking } from "../ffi/poll.ts";
import { kill, waitpid, waitpidBlocking } from "../ffi/process.ts";
import { newFuseMount, openFuse, openFuseTwin } from "../runtime/fuse/mount.ts";
import { Notices } from "../runtime/fuse/notices.ts";
import { NO_ATTRIBUTES } from "../runtime/fuse/reply.ts";
import { serveBlocking, Session } from "../runtime/fuse/session.ts";
import { waitFor } from "./harness.ts";

const isControl = Deno.args[0] === "control";
const VALIDITY = { entryMs: 1000, attrMs: 1000 };
const NAME = new TextEncoder().encode("new");

const target = Deno.makeTempDirSync({ prefix: "skiff-fuse-end-" });
const fuse = openFuse();
{
  using made = new Fd(newFuseMount(fuse, { source: "test", subtype: "skiff", rootMode: S_IFDIR }));
  move_mount(made.number, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
}
const twin = openFuseTwin(fuse);
const server = forkChild(serve);
close(fuse);
close(twin);
const asker = forkChild(ask);

const writer = await waitFor(
  "the writer waits",
  () => childrenOf(server).find((pid) => stateOf(pid) === "D"),
);
kill(server, SIGKILL);
waitpidBlocking(server);
let asked: number | undefined, later: number | undefined;
try {
  await waitFor("the asker is answered", () => {
    asked = waitpid(asker, WNOHANG)?.status;
    return asked !== undefined;
  }, isControl ? 5000 : undefined);
  await waitFor("the writer is gone", () => stateOf(writer) === undefined || stateOf(writer) === "Z");
  later = errnoOf(() => filesystemType(openPath()));
} catch (error) {
  if (!isControl) throw error;
} finally {
  // what would wait for ever ends by force
  umount2(target, asked === undefined ? MNT_FORCE | MNT_DETACH : MNT_DETACH);
  Deno.removeSync(target);
}
console.log(JSON.stringify({ asked: asked ?? null, later: later ?? null }));

function serve(): number {
  closeAllExcept([fuse, twin]);
  const notices = new Notices(isControl ? fuse : twin, () => {});
  close(twin);
  const session: Session = new Session(fuse, {
    getattr(_request, reply) {
      reply.attributes({ ...NO_ATTRIBUTES, ino: 1, nlink: 2, mode: S_IFDIR | 0o777 }, VALIDITY);
      return 0;
    },
    lookup: () => ENOENT,
    mkdir() {
      notices.tell(session.entryNotice(1, NAME));
      notices.send();
      for (;;) pollBlocking(-1, 0, -1);
    },
  }, { wanted: 0 });
  serveBlocking(session, fuse);
  return 0;
}

function ask(): number {
  closeAllExcept([]);
  return errnoOf(() => mkdirat(AT_FDCWD, `${target}/new`, 0o777));
}

/** It stays open as long as this process. */
function openPath(): number {
  return open(target, O_PATH | O_CLOEXEC);
}

/** 0 where it succeeds. */
function errnoOf(call: () => unknown): number {
  try {
    call();
    return 0;
  } catch (error) {
    if (error instanceof SyscallError) return error.errno;
    throw error;
  }
}

function childrenOf(pid: number): number[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).filter((child) =>
    child > 0 && statOf(child)?.[1] === String(pid)
  );
}

function stateOf(pid: number): string | undefined {
  return statOf(pid)?.[0];
}

/** The state, the parent and so on; undefined where the process is gone. @see proc_pid_stat(5) */
function statOf(pid: number): string[] | undefined {
  try {
    const text = Deno.readTextFileSync(`/proc/${pid}/stat`);
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch (error) {
    // ESRCH: it has ended meanwhile
    if (error instanceof Deno.errors.NotFound || /os error 3\)/.test(String(error))) return undefined;
    throw error;
  }
}
