/**
 * A kernel on paper: what a forked process does to become a container is gone through, and nothing happens. Every call
 * of libc.ts ends here; what only reads or concerns this process's own memory is made, all others are answered as a
 * kernel would that lets everything succeed, with descriptors that no kernel gives.
 *
 * For the rehearsal of a process that is kept as a file (runtime/frozen/freeze.ts), so that what is compiled and learnt on
 * the way to a container is in the file.
 */

import { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLLIN } from "./constants/poll.ts";
import { F_DUPFD, F_DUPFD_CLOEXEC, O_RDWR, O_WRONLY } from "./constants/fcntl.ts";
import { S_IFCHR, S_IFDIR, S_IFREG } from "./constants/stat.ts";
import { type KernelCall, replaceKernel } from "./libc.ts";
import { memoryAt } from "./memory.ts";

/** Descriptors on paper have numbers from here on; a real one below it is used as it is. */
const FIRST_DESCRIPTOR = 1000;
/** Of children on paper. */
const CHILD = 4242, HELPER = 4243;
/** The looks at what is ready that a process gets: more than a container's whole life takes. */
const WAITS = 30;

const PROC_SUPER_MAGIC = 0x9fa0n, SYSFS_MAGIC = 0x62656572n;
/** Their major and minor numbers. @see null(4), random(4), tty(4) */
const DEVICES: Record<string, [major: number, minor: number]> = {
  "/dev/null": [1, 3],
  "/dev/zero": [1, 5],
  "/dev/full": [1, 7],
  "/dev/random": [1, 8],
  "/dev/urandom": [1, 9],
  "/dev/tty": [5, 0],
};

/** The process on paper has ended, or has nothing more to wait for. */
class Ended extends Error {}

/**
 * Runs `body`, which may end its process, on paper; by Deno's own functions it changes nothing but what is below `folder`.
 * The first socket pairs that it makes are filled ahead: `inboxes` has what comes at the first end of each, packet by
 * packet, and then its end.
 *
 * Never throws: a rehearsal goes as far as it does.
 */
export function onPaper(folder: string, inboxes: readonly (readonly string[])[], body: () => void): void {
  using _files = onlyBelow(folder);
  replaceKernel(paperKernel(inboxes));
  try {
    body();
  } catch {
    // what is not on paper yet ends it as well
  } finally {
    replaceKernel(undefined);
  }
}

/** Deno's functions that change files, by how many paths they take first. */
const WRITERS: Record<string, 1 | 2> = {
  writeTextFileSync: 1,
  writeFileSync: 1,
  createSync: 1,
  mkdirSync: 1,
  removeSync: 1,
  truncateSync: 1,
  utimeSync: 1,
  chmodSync: 1,
  chownSync: 1,
  renameSync: 2,
  linkSync: 2,
  symlinkSync: 2,
  copyFileSync: 2,
};
type Writer = (...args: unknown[]) => unknown;

function onlyBelow(folder: string): Disposable {
  const deno = Deno as unknown as Record<string, Writer>;
  const { openSync } = Deno;
  const own: Record<string, unknown> = { openSync };
  for (const [name, paths] of Object.entries(WRITERS)) {
    const write = own[name] = deno[name]!;
    deno[name] = (...args) =>
      args.slice(0, paths).every((path) => isBelow(path, folder)) ? write(...args) : undefined;
  }
  Deno.openSync = (path, options) => {
    const changes = Object.keys(options ?? {}).some((key) => key !== "read");
    return changes && !isBelow(path, folder)
      ? openSync("/dev/null", { read: true, write: true })
      : openSync(path, options);
  };
  return { [Symbol.dispose]: () => void Object.assign(Deno, own) };
}

function isBelow(path: unknown, folder: string): boolean {
  return typeof path === "string" && path.startsWith(`${folder}/`) && !`${path}/`.includes("/../");
}

const viewAt = (address: number | bigint, length: number) => new DataView(memoryAt(address, length));
const textAt = (address: number | bigint) =>
  new Deno.UnsafePointerView(Deno.UnsafePointer.create(BigInt(address))!).getCString();

function paperKernel(inboxes: readonly (readonly string[])[]): KernelCall {
  let nextDescriptor = FIRST_DESCRIPTOR;
  let waits = 0;
  const waiting = [...inboxes];
  const children = [HELPER, CHILD];
  const inbox = new Map<number, string[]>();
  const paths = new Map<number, string>();
  const watched = new Map<number, number[]>();

  const opened = (path = "") => {
    paths.set(nextDescriptor, path);
    return nextDescriptor++;
  };
  const pair = (address: number | bigint) => {
    new Int32Array(memoryAt(address, 8)).set([nextDescriptor++, nextDescriptor++]);
    return 0;
  };
  /** The path of a descriptor where the one that is given is empty. */
  const pathOf = (directory: number, address: number | bigint) =>
    textAt(address) || (paths.get(directory) ?? "");

  return (name, args, make) => {
    const [first = 0, second = 0, third = 0, fourth = 0, fifth = 0] = args;
    const fd = Number(first);
    const isReal = fd > 2 && fd < FIRST_DESCRIPTOR;
    switch (name) {
      case "fork":
        return CHILD;
      case "_exit":
      case "execveat":
        throw new Ended();
      case "getppid": // as in a pid namespace of its own
        return 0;
      case "posix_spawn":
        new Int32Array(memoryAt(first, 4))[0] = HELPER;
        return 0;
      case "waitpid":
        return children.shift() ?? 0;
      case "openat": {
        const path = textAt(second);
        const changes = (Number(third) & (O_WRONLY | O_RDWR)) !== 0;
        return !changes && /^\/(?:proc\/self|etc)\//.test(path) ? make() : opened(path);
      }
      case "openat2":
      case "open_tree":
        return opened(pathOf(fd, second));
      case "fsopen":
      case "fsmount":
      case "pidfd_open":
      case "epoll_create1":
      case "signalfd4":
      case "socket":
      case "accept4":
        return opened();
      case "fcntl":
        return [F_DUPFD, F_DUPFD_CLOEXEC].includes(Number(second)) ? opened() : 0;
      case "pipe2":
        // who maps ids says that they are mapped
        inbox.set(nextDescriptor, [`\0${HELPER}\n`]);
        return pair(first);
      case "socketpair": {
        inbox.set(nextDescriptor, [...waiting.shift() ?? []]);
        return pair(fourth);
      }
      case "read": {
        if (isReal) return make();
        const bytes = new TextEncoder().encode(inbox.get(fd)?.shift() ?? "");
        if (bytes.length > 0) new Uint8Array(memoryAt(second, bytes.length)).set(bytes);
        return bytes.length;
      }
      case "pread":
      case "lseek":
      case "close":
        return isReal ? make() : 0;
      case "write":
      case "pwrite":
      case "send":
        return isReal ? make() : Number(third);
      case "sendmsg":
        return isReal ? make() : 1;
      case "recvmsg":
        return isReal ? make() : receive(second, inbox.get(fd)?.shift());
      case "statx": {
        describe(pathOf(fd, second), viewAt(fifth, 256));
        return 0;
      }
      case "fstatfs": {
        const type = paths.get(fd)?.startsWith("sys") ? SYSFS_MAGIC : PROC_SUPER_MAGIC;
        viewAt(second, 8).setBigUint64(0, type, true);
        return 0;
      }
      case "epoll_ctl": {
        const list = watched.get(fd) ?? [];
        if (second === EPOLL_CTL_ADD) list.push(Number(third));
        if (second === EPOLL_CTL_DEL) list.splice(list.indexOf(Number(third)), 1);
        watched.set(fd, list);
        return 0;
      }
      case "epoll_pwait": {
        const list = watched.get(fd) ?? [];
        if (list.length === 0 || waits++ === WAITS) throw new Ended();
        const event = viewAt(second, 12);
        event.setUint32(0, EPOLLIN, true);
        event.setBigUint64(4, BigInt(list[waits % list.length]!), true);
        return 1;
      }
      default:
        return MADE.has(name) ? make() : 0;
    }
  };
}

/** Calls that tell, or prepare what is in memory. */
const MADE: ReadonlySet<string> = new Set([
  "clock_gettime",
  "memfd_create",
  ...["getpid", "getuid", "geteuid", "getgid", "getegid"],
  ...["init", "destroy", "adddup2"].map((end) => `posix_spawn_file_actions_${end}`),
  ...["init", "destroy", "setflags", "setsigdefault", "setsigmask"].map((end) => `posix_spawnattr_${end}`),
]);

/** Puts a packet where a struct msghdr says; undefined is the end. @see recvmsg(2) */
function receive(header: number | bigint, packet: string | undefined): number {
  const view = viewAt(header, 56);
  view.setBigUint64(40, 0n, true); // msg_controllen
  const bytes = new TextEncoder().encode(packet ?? "");
  const vector = viewAt(view.getBigUint64(16, true), 16);
  if (vector.getBigUint64(8, true) < BigInt(bytes.length)) return 0;
  if (bytes.length > 0) new Uint8Array(memoryAt(vector.getBigUint64(0, true), bytes.length)).set(bytes);
  return bytes.length;
}

/** A struct statx: a device, a program, or a folder. @see statx(2) */
function describe(path: string, view: DataView): void {
  const device = DEVICES[path];
  const isProgram = path.endsWith(`/${PAPER_PROGRAM}`);
  view.setUint16(28, device ? S_IFCHR | 0o666 : isProgram ? S_IFREG | 0o755 : S_IFDIR | 0o755, true);
  view.setUint32(128, device?.[0] ?? 0, true);
  view.setUint32(132, device?.[1] ?? 0, true);
}

/** The one program that there is on paper. */
export const PAPER_PROGRAM = "true";
