/** LOOKUP, FORGET, GETATTR, SETATTR, READLINK, STATFS. */

import { EINVAL, ENOENT, EOVERFLOW, EPERM, errno, ESTALE } from "../../../ffi/errno.ts";
import { libc } from "../../../ffi/libc.ts";
import { AT_EMPTY_PATH, AT_FDCWD, O_NONBLOCK, O_WRONLY } from "../../../ffi/constants/fcntl.ts";
import { S_IFLNK, S_IFREG, UTIME_NOW, UTIME_OMIT } from "../../../ffi/constants/stat.ts";
import {
  FATTR_ATIME,
  FATTR_ATIME_NOW,
  FATTR_FH,
  FATTR_GID,
  FATTR_KILL_SUIDGID,
  FATTR_MODE,
  FATTR_MTIME,
  FATTR_MTIME_NOW,
  FATTR_SIZE,
  FATTR_UID,
  FUSE_GETATTR_FH,
} from "../constants.ts";
import { DEFERRED, type Handler } from "../handler.ts";
import type { Reply } from "../reply.ts";
import { IN, type Request } from "../request.ts";
import { descriptorPath, EMPTY, type Name, rare } from "./calls.ts";
import type { Listings } from "./listings.ts";
import { textOf } from "./names.ts";
import type { FileNode } from "./nodes.ts";
import { diskOwner } from "./owners.ts";
import { KEEP, type Tree } from "./tree.ts";

export function metadataOperations(tree: Tree, listings: Listings): Handler {
  const { nodes, facts, validity } = tree;
  const statfs = new Uint8Array(120);
  const statfsView = new DataView(statfs.buffer);
  return {
    lookup(request, reply) {
      const folder = tree.watchedFolder(request.nodeid);
      if (folder < 0) return -folder;
      const name = request.name(0);
      const text = textOf(name);
      const parent = nodes.get(request.nodeid)!;
      if (listings.holds(parent, text, request)) return DEFERRED;
      const code = lookUp(tree, { parent, folder, name, text }, reply);
      if (code === 0) listings.looked(parent, folder);
      return code < 0 ? 0 : code;
    },
    forget(id, count) {
      const node = nodes.forget(id, count);
      if (node !== undefined) tree.watches.forgot(node);
    },
    getattr(request, reply) {
      const node = nodes.get(request.nodeid);
      if (node === undefined) return ESTALE;
      const hasHandle = (request.u32(IN.getattr.flags) & FUSE_GETATTR_FH) !== 0;
      const fd = hasHandle ? request.u64(IN.getattr.fh) : -1;
      const code = tree.files.get(fd) === node ? (facts.ofDescriptor(fd) ? 0 : errno()) : tree.look(node);
      if (code !== 0) return code;
      reply.attributes(tree.attributes, tree.attributesValidity(node));
      return 0;
    },
    setattr(request, reply) {
      const node = nodes.get(request.nodeid);
      if (node === undefined) return ESTALE;
      const path = nodes.pathOf(node);
      if (path < 0) return -path;
      const code = change(tree, node, path, request);
      if (code !== 0) return code;
      if (!facts.ofDescriptor(path)) return errno();
      reply.attributes(tree.attributes, validity);
      return 0;
    },
    readlink(request, reply) {
      const node = nodes.get(request.nodeid);
      if (node === undefined) return ESTALE;
      const path = nodes.pathOf(node);
      if (path < 0) return -path;
      const length = rare.readlinkat(path, EMPTY, reply.data, 4096);
      if (length === -1) return errno();
      reply.length = length;
      return 0;
    },
    statfs(_request, reply) {
      if (libc("mount").fstatfs(tree.rootFd, statfs) === -1) return errno();
      const field = (index: number) => Number(statfsView.getBigInt64(index * 8, true));
      const [bsize, namelen, frsize] = [field(1), field(8), field(9)];
      const [blocks, bfree, bavail, files, ffree] = [2, 3, 4, 5, 6].map(field) as [
        number,
        number,
        number,
        number,
        number,
      ];
      reply.statfs({ blocks, bfree, bavail, files, ffree, bsize, namelen, frsize });
      return 0;
    },
  };
}

/** Answers with an entry of a folder that is open. 0, an errno, or -1 where there is none. */
export function lookUp(
  tree: Tree,
  { parent, folder, name, text }: { parent: FileNode; folder: number; name: Name; text: string },
  reply: Reply,
): number {
  const { facts, validity } = tree;
  if (facts.ofEntry(folder, name)) {
    tree.tellEntry(parent, text, reply);
    return 0;
  }
  const code = errno();
  if (code !== ENOENT) return code;
  // that it is not there is remembered as well, for a short time: nobody tells of what is made
  reply.entry(0, 0, facts.attributes, validity);
  return -1;
}

/** Performs what a SETATTR asks for on the file that `path` stands for. 0 or an errno. */
function change(tree: Tree, node: FileNode, path: number, request: Request): number {
  const valid = request.u32(IN.setattr.valid);
  if (valid & FATTR_MODE) {
    if (node.type === S_IFLNK) return EPERM;
    if (rare.fchmodat(AT_FDCWD, descriptorPath(path), request.u32(IN.setattr.mode) & 0o7777, 0) === -1) {
      return errno();
    }
  }
  if (valid & (FATTR_UID | FATTR_GID)) {
    const code = changeOwner(tree, path, request, valid);
    if (code !== 0) return code;
  }
  if (valid & FATTR_SIZE) {
    const size = request.exactU64(IN.setattr.size);
    const fd = valid & FATTR_FH ? request.u64(IN.setattr.fh) : -1;
    const code = fd !== -1 && tree.files.get(fd) === node
      ? truncate(fd, size)
      : truncatePath(node, path, size);
    if (code !== 0) return code;
    if (tree.isPrivileged && valid & FATTR_KILL_SUIDGID) tree.dropSetId(path);
  }
  return valid & (FATTR_ATIME | FATTR_MTIME) ? changeTimes(path, request, valid) : 0;
}

function changeOwner({ uids, gids }: Tree, path: number, request: Request, valid: number): number {
  const uid = valid & FATTR_UID ? diskOwner(uids, request.u32(IN.setattr.uid)) : KEEP;
  const gid = valid & FATTR_GID ? diskOwner(gids, request.u32(IN.setattr.gid)) : KEEP;
  if (uid === undefined || gid === undefined) return EOVERFLOW;
  return rare.fchownat(path, EMPTY, uid, gid, AT_EMPTY_PATH) === -1 ? errno() : 0;
}

function truncate(fd: number, size: bigint): number {
  return rare.ftruncate(fd, size) === -1 ? errno() : 0;
}

function truncatePath(node: FileNode, path: number, size: bigint): number {
  if (node.type !== S_IFREG) return EINVAL;
  const fd = rare.openat(AT_FDCWD, descriptorPath(path), O_WRONLY | O_NONBLOCK, 0);
  if (fd === -1) return errno();
  const code = truncate(fd, size);
  rare.close(fd);
  return code;
}

/** @see utimensat(2) */
function changeTimes(path: number, request: Request, valid: number): number {
  const times = new BigInt64Array(4);
  const set = (at: number, isGiven: number, isNow: number, seconds: number, nanoseconds: number) => {
    times[at] = isGiven && !isNow ? BigInt(request.i64(seconds)) : 0n;
    times[at + 1] = BigInt(!isGiven ? UTIME_OMIT : isNow ? UTIME_NOW : request.u32(nanoseconds));
  };
  set(0, valid & FATTR_ATIME, valid & FATTR_ATIME_NOW, IN.setattr.atime, IN.setattr.atimensec);
  set(2, valid & FATTR_MTIME, valid & FATTR_MTIME_NOW, IN.setattr.mtime, IN.setattr.mtimensec);
  const result = rare.utimensat(path, EMPTY, new Uint8Array(times.buffer), AT_EMPTY_PATH);
  return result === -1 ? errno() : 0;
}
