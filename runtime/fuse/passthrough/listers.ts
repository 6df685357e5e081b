/**
 * Processes that list folders through the mount, for the server, which would wait for its own answer. They are made when
 * there is something to list first, and end with it.
 *
 * ```
 *  server ── path ──▶ socket ──▶ one of them ── getdents64(2) ──▶ kernel ── READDIRPLUS ──▶ server
 * ```
 * Two: what the server has told one is taken up by the kernel while it tells the other.
 */

import { EAGAIN, errno } from "../../../ffi/errno.ts";
import { close, closeAllExcept, Fd } from "../../../ffi/file.ts";
import { forkChild } from "../../../ffi/fork.ts";
import { compileFunction, libc, SYSCALL } from "../../../ffi/libc.ts";
import { _exit, getpid, getppid, prctl } from "../../../ffi/process.ts";
import { setProcessTitle } from "../../../ffi/process_title.ts";
import { recv, socketpair } from "../../../ffi/socket.ts";
import {
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
} from "../../../ffi/constants/fcntl.ts";
import { PR_SET_PDEATHSIG } from "../../../ffi/constants/prctl.ts";
import { SIGKILL } from "../../../ffi/constants/signal.ts";
import {
  AF_UNIX,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SOCK_CLOEXEC,
  SOCK_SEQPACKET,
} from "../../../ffi/constants/socket.ts";
import { bytesOf } from "./names.ts";

type Path = Uint8Array<ArrayBuffer>;

const COUNT = 2;
/** PATH_MAX, with the NUL. */
const MAX_PATH_BYTES = 4096;
/** As much as the kernel asks for at once. */
const ENTRIES_BYTES = 128 << 10;
const MAX_ENTRIES_BYTES = 4 << 20;

export class Listers {
  /** By whom a request may be. */
  readonly pids = new Set<number>();
  readonly #root: number;
  #socket: number | undefined;
  #isBroken = false;

  /** `root` is a descriptor of the mount's, for them alone: this process must not use it. */
  constructor(root: number) {
    this.#root = root;
  }

  /** Has the folder at a path below the root listed; false where it cannot be now. */
  ask(path: string): boolean {
    if (this.#isBroken || path.length >= MAX_PATH_BYTES) return false;
    this.#socket ??= this.#start();
    const message = bytesOf(`${path}\0`);
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    if (libc("socket").send(this.#socket, message, message.length, flags) !== -1) return true;
    // else there is nobody any more
    this.#isBroken = errno() !== EAGAIN;
    return false;
  }

  #start(): number {
    const [ours, theirs] = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC);
    for (let one = 0; one < COUNT; one++) this.pids.add(forkLister(theirs, this.#root));
    close(theirs);
    return ours;
  }
}

function forkLister(socket: number, root: number): number {
  const parent = getpid();
  return forkChild(() => {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() !== parent) _exit(1);
    closeAllExcept([socket, root]);
    setProcessTitle("skiff: idmap lister");
    using end = new Fd(socket);
    const path = new Uint8Array(MAX_PATH_BYTES);
    const list = makeList(root);
    for (;;) {
      if (recv(end.number, path) === 0) return 0;
      list(path);
    }
  });
}

/** Gives who lists the folder at a path below `root`, and nothing else, whatever is there by now. */
function makeList(root: number): (path: Path) => void {
  const openat2 = compileFunction("file", "openat2");
  const getdents64 = compileFunction("file", "getdents64");
  const how = new BigUint64Array(3);
  how[0] = BigInt(O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  how[2] = BigInt(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
  const howBytes = new Uint8Array(how.buffer);
  const entries = new Uint8Array(ENTRIES_BYTES);
  return (path) => {
    const fd = openat2(SYSCALL.openat2, root, path, howBytes, 24n);
    // it is gone, or nobody's to read: then each name is looked up by itself
    if (fd === -1) return;
    using folder = new Fd(fd);
    for (let bytes = 0; bytes < MAX_ENTRIES_BYTES;) {
      const length = getdents64(folder.number, entries, ENTRIES_BYTES);
      if (length <= 0) return;
      bytes += length;
    }
  };
}
