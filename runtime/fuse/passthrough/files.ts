/** OPEN, CREATE, READ, WRITE and what else is done with open files. */

import { EBADF, EEXIST, EINVAL, EIO, ENOENT, EOPNOTSUPP, errno, ESTALE } from "../../../ffi/errno.ts";
import {
  AT_FDCWD,
  F_GETFL,
  O_APPEND,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_NOCTTY,
  O_NONBLOCK,
  O_TMPFILE,
  O_TRUNC,
  O_WRONLY,
} from "../../../ffi/constants/fcntl.ts";
import { S_IFREG } from "../../../ffi/constants/stat.ts";
import {
  FOPEN_DIRECT_IO,
  FOPEN_KEEP_CACHE,
  FUSE_OPEN_KILL_SUIDGID,
  FUSE_WRITE_CACHE,
  FUSE_WRITE_KILL_SUIDGID,
} from "../constants.ts";
import type { Handler } from "../handler.ts";
import { IN } from "../request.ts";
import { descriptorPath, rare } from "./calls.ts";
import { nameOf, textOf } from "./names.ts";
import type { FileNode } from "./nodes.ts";
import type { SplicedReads } from "./spliced_read.ts";
import type { Tree } from "./tree.ts";
import { isReadUncached, noteRead } from "./uncached_reads.ts";

const O_ACCMODE = 3;
const O_SYNC = 0o4010000;
/** Of the asker's flags what counts for the file itself; O_DIRECT would ask for aligned memory, O_NOATIME for ownership. */
const PASSED_FLAGS = O_ACCMODE | O_APPEND | O_TRUNC | O_SYNC;
/** What stands there by now is never waited for, and becomes no terminal of ours. */
const SAFE_FLAGS = O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

const SEEK_DATA = 3, SEEK_HOLE = 4;

/** `released` is told of each open file that nobody has any more, and of its node; `sessionFlags` gives what both sides can. */
export function fileOperations(
  tree: Tree,
  spliced: SplicedReads,
  sessionFlags: () => number,
  released: (fh: number, node: FileNode) => void,
): Handler {
  const { calls, files, nodes, facts } = tree;
  const offsets = new BigInt64Array(2);
  const offsetIn = Deno.UnsafePointer.of(offsets.subarray(0, 1));
  const offsetOut = Deno.UnsafePointer.of(offsets.subarray(1, 2));

  const keep = (node: FileNode, fd: number): number => {
    files.set(fd, node);
    (node.handles ??= []).push(fd);
    return fd;
  };
  const isFile = (fd: number) => files.has(fd);
  /** Those that are read past the kernel's cache. */
  const uncached = new Set<number>();

  return {
    open(request, reply) {
      const node = nodes.get(request.nodeid);
      if (node === undefined) return ESTALE;
      const flags = request.u32(IN.open.flags);
      const fd = openNode(tree, node, flags & PASSED_FLAGS);
      if (fd < 0) return -fd;
      const isUncached = isReadUncached(node, flags, facts.attributes, sessionFlags());
      if (tree.isPrivileged && request.u32(IN.open.openFlags) & FUSE_OPEN_KILL_SUIDGID) tree.dropSetId(fd);
      if (isUncached) uncached.add(fd);
      reply.open(keep(node, fd), isUncached ? FOPEN_DIRECT_IO | FOPEN_KEEP_CACHE : FOPEN_KEEP_CACHE);
      return 0;
    },
    create(request, reply) {
      const folder = tree.folder(request.nodeid);
      if (folder < 0) return -folder;
      const name = request.name(IN.create.end);
      const flags = request.u32(IN.create.flags);
      const mode = request.u32(IN.create.mode) & 0o7777;
      const wanted = flags & PASSED_FLAGS | SAFE_FLAGS;
      const make = () => calls.openEntry(folder, name, wanted | O_CREAT | O_EXCL, mode);
      const fd = tree.asAsker(request, make);
      // somebody else has made it meanwhile: the kernel asks whether the asker may open that
      if (fd < 0) return fd === -EEXIST && !(flags & O_EXCL) ? ESTALE : -fd;
      if (!facts.ofDescriptor(fd)) {
        calls.close(fd);
        return EIO;
      }
      const node = tree.tellEntry(nodes.get(request.nodeid), textOf(name), reply);
      reply.open(keep(node, fd), FOPEN_KEEP_CACHE);
      return 0;
    },
    tmpfile(request, reply) {
      const folder = tree.folder(request.nodeid);
      if (folder < 0) return -folder;
      const flags = request.u32(IN.create.flags) & (O_ACCMODE | O_APPEND | O_EXCL) | O_TMPFILE | O_CLOEXEC;
      const mode = request.u32(IN.create.mode) & 0o7777;
      const path = descriptorPath(folder);
      const fd = tree.asAsker(request, () => rare.openat(AT_FDCWD, path, flags, mode));
      if (fd < 0) return -fd;
      if (!facts.ofDescriptor(fd)) {
        calls.close(fd);
        return EIO;
      }
      const node = nodes.remember(undefined, undefined);
      reply.entry(node.id, 0, tree.attributes, tree.validity);
      reply.open(keep(node, fd), FOPEN_KEEP_CACHE);
      return 0;
    },
    read(request, reply) {
      const fd = request.u64(IN.read.fh);
      const node = files.get(fd);
      if (node === undefined) return EBADF;
      const size = request.u32(IN.read.size);
      if (size > reply.data.length) return EINVAL;
      const isUncached = uncached.has(fd);
      if (spliced.suits(size)) {
        const result = spliced.answer(reply, request.unique, fd, request.exactU64(IN.read.offset), size);
        if (result !== undefined) {
          if (isUncached) noteRead(node, size, reply.length);
          return result;
        }
        reply.length = 0;
      }
      const length = calls.pread(fd, reply.data, size, request.exactU64(IN.read.offset));
      if (length === -1) return errno();
      reply.length = length;
      if (isUncached) noteRead(node, size, length);
      return 0;
    },
    write(request, reply) {
      const fd = request.u64(IN.write.fh);
      const node = files.get(fd);
      if (node === undefined) return EBADF;
      const size = request.u32(IN.write.size);
      const data = request.data(IN.write.end, size);
      const flags = request.u32(IN.write.writeFlags);
      const offset = request.exactU64(IN.write.offset);
      const written = flags & FUSE_WRITE_CACHE
        ? writePages(fd, data, size, offset)
        : calls.pwrite(fd, data, size, offset);
      if (written === -1) return errno();
      if (tree.isPrivileged && flags & FUSE_WRITE_KILL_SUIDGID) tree.dropSetId(fd);
      reply.size(written);
      return 0;
    },
    release(request) {
      const fd = request.u64(IN.release.fh);
      const node = files.get(fd);
      if (node === undefined) return EBADF;
      files.delete(fd);
      node.handles = node.handles!.length === 1 ? undefined : node.handles!.filter((other) => other !== fd);
      calls.close(fd);
      uncached.delete(fd);
      released(fd, node);
      return 0;
    },
    fsync(request) {
      const fd = request.u64(IN.fsync.fh);
      if (!isFile(fd)) return EBADF;
      return rare.fsync(fd) === -1 ? errno() : 0;
    },
    fallocate(request) {
      const fd = request.u64(IN.fallocate.fh);
      if (!isFile(fd)) return EBADF;
      const { offset, length, mode } = IN.fallocate;
      const result = rare.fallocate(
        fd,
        request.u32(mode),
        request.exactU64(offset),
        request.exactU64(length),
      );
      return result === -1 ? errno() : 0;
    },
    lseek(request, reply) {
      const fd = request.u64(IN.lseek.fh);
      if (!isFile(fd)) return EBADF;
      const whence = request.u32(IN.lseek.whence);
      if (whence !== SEEK_DATA && whence !== SEEK_HOLE) return EINVAL;
      const offset = Number(rare.lseek(fd, request.exactU64(IN.lseek.offset), whence));
      if (offset === -1) return errno();
      reply.u64(offset);
      return 0;
    },
    copy_file_range(request, reply) {
      const [from, to] = [request.u64(IN.copyFileRange.fhIn), request.u64(IN.copyFileRange.fhOut)];
      if (!isFile(from) || !isFile(to)) return EBADF;
      offsets[0] = request.exactU64(IN.copyFileRange.offIn);
      offsets[1] = request.exactU64(IN.copyFileRange.offOut);
      const length = Math.min(request.u64(IN.copyFileRange.len), MAX_COPY_BYTES);
      const copied = rare.copy_file_range(from, offsetIn, to, offsetOut, length, 0);
      if (copied === -1) return errno();
      // whose rights the asker's are is not told here
      if (tree.isPrivileged) tree.dropSetId(to);
      reply.size(copied);
      return 0;
    },
  };

  /** In their place, though `fd` may be one that appends whatever the offset (pwrite(2), BUGS). -1: see errno. */
  function writePages(fd: number, data: Uint8Array<ArrayBuffer>, size: number, offset: bigint): number {
    if (!(rare.fcntl(fd, F_GETFL, 0) & O_APPEND)) return calls.pwrite(fd, data, size, offset);
    const own = rare.openat(AT_FDCWD, descriptorPath(fd), O_WRONLY | SAFE_FLAGS, 0);
    if (own === -1) return -1;
    const written = calls.pwrite(own, data, size, offset);
    calls.close(own);
    return written;
  }
}

/** So long nobody else is served. */
const MAX_COPY_BYTES = 64 << 20;

/** Opens the node's file and no other, of which the tree's facts are then; -errno. */
export function openNode(tree: Tree, node: FileNode, flags: number): number {
  if (node.type !== S_IFREG) return -EOPNOTSUPP;
  const { calls, nodes } = tree;
  const { parent, name } = node;
  const path = node.pathFd !== -1 ? node.pathFd : node.handles?.[0];
  let fd: number;
  if (path !== undefined || parent === undefined || name === undefined) {
    if (path === undefined) return -ESTALE;
    fd = rare.openat(AT_FDCWD, descriptorPath(path), flags | SAFE_FLAGS, 0);
    if (fd !== -1 && tree.facts.ofDescriptor(fd)) return fd;
    const code = errno();
    if (fd !== -1) calls.close(fd);
    return -code;
  }
  const folder = nodes.pathOf(parent);
  if (folder < 0) return folder;
  // cut short only once it is known to be this file
  fd = calls.openEntry(folder, nameOf(name), flags & ~O_TRUNC | SAFE_FLAGS);
  if (fd === -1) {
    const code = errno();
    return code === ENOENT ? -ESTALE : -code;
  }
  if (!nodes.isOf(node, fd)) {
    calls.close(fd);
    return -ESTALE;
  }
  if ((flags & O_TRUNC) === 0 || rare.ftruncate(fd, 0n) === 0) return fd;
  const code = errno();
  calls.close(fd);
  return -code;
}
