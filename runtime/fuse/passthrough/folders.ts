/** OPENDIR, READDIR, READDIRPLUS. */

import { EBADF, errno, ESTALE } from "../../../ffi/errno.ts";
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_RDONLY } from "../../../ffi/constants/fcntl.ts";
import { FOPEN_CACHE_DIR, FOPEN_KEEP_CACHE } from "../constants.ts";
import type { Handler } from "../handler.ts";
import type { Reply } from "../reply.ts";
import { IN, type Request } from "../request.ts";
import { descriptorPath, type Name, rare } from "./calls.ts";
import type { Listings } from "./listings.ts";
import { textOf } from "./names.ts";
import type { FileNode } from "./nodes.ts";
import type { Tree } from "./tree.ts";

/** An open folder, with what was read of it and not told yet. */
interface OpenFolder {
  node: FileNode;
  fd: number;
  /** By who lists folders ahead. */
  isAhead: boolean;
  /** struct linux_dirent64, from `at` to `end`; none where others have been read since. */
  read: DataView<ArrayBuffer> | undefined;
  at: number;
  end: number;
  /** Where the entry at `at` was said to begin. */
  offset: bigint;
}

const ENTRIES_BYTES = 32768;
/** So many folders have entries at once: open ones there may be as many as descriptors. */
const MAX_READ = 64;
const MAX_SPARE = 4;
const SEEK_SET = 0;
/** Offset of the name in struct linux_dirent64. @see getdents(2) */
const NAME_AT = 19;

/** `listings` is told of what those do who list folders ahead, by their pids. */
export function folderOperations(
  tree: Tree,
  listings: Listings,
  listers: ReadonlySet<number>,
): Handler {
  const { calls, nodes, facts, validity } = tree;
  const folders = new Map<number, OpenFolder>();
  /** Those with entries, the one read least recently first. */
  const read = new Set<OpenFolder>();
  /** Memory of folders that were closed. */
  const spare: DataView<ArrayBuffer>[] = [];

  /** Makes room for entries of the folder from `offset` on. */
  const seek = (folder: OpenFolder, offset: bigint): boolean => {
    if (Number(rare.lseek(folder.fd, offset, SEEK_SET)) === -1) return false;
    folder.at = folder.end = 0;
    folder.offset = offset;
    if (folder.read !== undefined) return true;
    const [oldest] = read.size < MAX_READ ? [] : read;
    folder.read = oldest?.read ?? spare.pop() ?? new DataView(new ArrayBuffer(ENTRIES_BYTES));
    if (oldest !== undefined) {
      oldest.read = undefined;
      read.delete(oldest);
    }
    return true;
  };

  /** Tells entries until the answer is full or there is no more. */
  const list = (
    request: Request,
    reply: Reply,
    tell: (folder: OpenFolder, view: DataView<ArrayBuffer>, name: Name, end: number) => boolean,
  ) => {
    const folder = folders.get(request.u64(IN.read.fh));
    if (folder === undefined) return EBADF;
    const offset = request.exactU64(IN.read.offset);
    if ((offset !== folder.offset || folder.read === undefined) && !seek(folder, offset)) return errno();
    read.delete(folder);
    read.add(folder);
    const view = folder.read!;
    const entries = new Uint8Array(view.buffer);
    const limit = Math.min(request.u32(IN.read.size), reply.data.length);
    for (;;) {
      if (folder.at === folder.end) {
        const length = calls.getdents64(folder.fd, entries, ENTRIES_BYTES);
        if (length === -1) return reply.length > 0 ? 0 : errno();
        if (length === 0) return 0;
        folder.at = 0;
        folder.end = length;
      }
      const { at } = folder;
      const name = entries.subarray(at + NAME_AT, entries.indexOf(0, at + NAME_AT) + 1);
      if (!tell(folder, view, name, limit)) return 0;
      folder.offset = view.getBigUint64(at + 8, true);
      folder.at += view.getUint16(at + 16, true);
    }
  };

  return {
    opendir(request, reply) {
      const node = nodes.get(request.nodeid);
      if (node === undefined) return ESTALE;
      const path = nodes.pathOf(node);
      if (path < 0) return -path;
      const fd = rare.openat(AT_FDCWD, descriptorPath(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
      if (fd === -1) return errno();
      const isAhead = listers.has(request.pid);
      if (isAhead) listings.opened(node);
      folders.set(fd, { node, fd, isAhead, read: undefined, at: 0, end: 0, offset: 0n });
      reply.open(fd, FOPEN_CACHE_DIR | FOPEN_KEEP_CACHE);
      return 0;
    },
    readdir(request, reply) {
      const opened = folders.get(request.u64(IN.read.fh));
      if (opened?.isAhead) listings.read(opened.node);
      return list(request, reply, ({ at }, view, name, limit) => {
        const ino = view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
        const next = view.getBigUint64(at + 8, true);
        return reply.dirent(name.subarray(0, -1), ino, next, view.getUint8(at + 18), limit);
      });
    },
    readdirplus(request, reply) {
      const opened = folders.get(request.u64(IN.read.fh));
      if (opened !== undefined) tree.watches.watch(opened.node, opened.fd);
      const held = opened?.isAhead ? listings.read(opened.node) : undefined;
      return list(request, reply, ({ node: parent, fd, at }, view, name, limit) => {
        const bare = name.subarray(0, -1);
        if (!reply.hasRoomForPlus(bare.length, limit)) return false;
        const next = view.getBigUint64(at + 8, true);
        const type = view.getUint8(at + 18);
        const isDots = bare[0] === 46 && (bare.length === 1 || bare.length === 2 && bare[1] === 46);
        const text = textOf(name);
        // what the kernel knows is told by its name alone, as are the folder itself and the one above
        if (isDots || held?.has(text) || tree.watches.isBelieved(parent, text) || !facts.ofEntry(fd, name)) {
          facts.attributes.ino = view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
          reply.direntPlus(bare, next, type, 0, 0, facts.attributes, validity);
        } else {
          const node = nodes.remember(parent, text);
          const known = tree.entryValidity(parent, text, node);
          reply.direntPlus(bare, next, type, node.id, 0, tree.attributes, known);
        }
        return true;
      });
    },
    releasedir(request) {
      const fd = request.u64(IN.release.fh);
      const folder = folders.get(fd);
      if (folder === undefined) return EBADF;
      folders.delete(fd);
      read.delete(folder);
      if (folder.read !== undefined && spare.length < MAX_SPARE) spare.push(folder.read);
      if (folder.isAhead) listings.closed(folder.node);
      calls.close(fd);
      return 0;
    },
    fsyncdir(request) {
      const fd = request.u64(IN.fsync.fh);
      if (!folders.has(fd)) return EBADF;
      return rare.fsync(fd) === -1 ? errno() : 0;
    },
  };
}
