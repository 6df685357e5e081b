/** SYMLINK, MKNOD, MKDIR, UNLINK, RMDIR, RENAME, LINK: changes of folders. */

import { EPERM, errno, ESTALE } from "../../../ffi/errno.ts";
import { AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_FOLLOW } from "../../../ffi/constants/fcntl.ts";
import { RENAME_EXCHANGE, RENAME_WHITEOUT } from "../../../ffi/constants/fcntl.ts";
import { S_IFBLK, S_IFCHR, S_IFMT } from "../../../ffi/constants/stat.ts";
import type { Handler } from "../handler.ts";
import type { Reply } from "../reply.ts";
import { IN, type Request } from "../request.ts";
import { descriptorPath, type Name, rare } from "./calls.ts";
import { textOf } from "./names.ts";
import type { FileNode } from "./nodes.ts";
import { mayTakeAway } from "./sticky.ts";
import type { Tree } from "./tree.ts";

export function entryOperations(tree: Tree): Handler {
  const { nodes } = tree;
  /** Makes an entry of the asker's by `make`, and answers with it. */
  const create = (
    request: Request,
    reply: Reply,
    name: Name,
    make: (folder: number) => number,
  ): number => {
    const folder = tree.folder(request.nodeid);
    if (folder < 0) return -folder;
    const made = tree.asAsker(request, () => make(folder));
    return made < 0 ? -made : tree.answerEntry(request.nodeid, folder, name, reply);
  };
  const remove = (request: Request, flags: number): number => {
    const folder = tree.folder(request.nodeid);
    if (folder < 0) return -folder;
    const name = request.name(0);
    const refusal = mayTakeAway(tree, request, folder, name);
    if (refusal !== 0) return refusal;
    const node = pinEntry(tree, folder, name);
    if (rare.unlinkat(folder, name, flags) === 0) {
      tree.watches.removed(nodes.get(request.nodeid), textOf(name));
      return 0;
    }
    const code = errno();
    if (node !== undefined) nodes.unpin(node);
    return code;
  };
  return {
    symlink(request, reply) {
      const name = request.name(0);
      const target = request.cstring(name.length);
      return create(request, reply, name, (folder) => rare.symlinkat(target, folder, name));
    },
    mknod(request, reply) {
      const name = request.name(IN.mknod.end);
      const mode = request.u32(IN.mknod.mode);
      const type = mode & S_IFMT;
      if (type === S_IFCHR || type === S_IFBLK) return EPERM;
      return create(request, reply, name, (folder) => rare.mknodat(folder, name, mode, 0n));
    },
    mkdir(request, reply) {
      const name = request.name(IN.mkdir.end);
      const mode = request.u32(IN.mkdir.mode) & 0o7777;
      return create(request, reply, name, (folder) => rare.mkdirat(folder, name, mode));
    },
    unlink: (request) => remove(request, 0),
    rmdir: (request) => remove(request, AT_REMOVEDIR),
    rename: (request) => rename(tree, request, IN.rename.end, 0),
    rename2: (request) => rename(tree, request, IN.rename2.end, request.u32(IN.rename2.flags)),
    link(request, reply) {
      const node = nodes.get(request.u64(IN.link.oldnodeid));
      if (node === undefined) return ESTALE;
      const path = nodes.pathOf(node);
      if (path < 0) return -path;
      const folder = tree.folder(request.nodeid);
      if (folder < 0) return -folder;
      const name = request.name(IN.link.end);
      // by its descriptor: what stands at its name may be another file by now
      if (rare.linkat(AT_FDCWD, descriptorPath(path), folder, name, AT_SYMLINK_FOLLOW) === -1) return errno();
      return tree.answerEntry(request.nodeid, folder, name, reply);
    },
  };
}

/** What loses this name stays reachable for those who have it open. */
function pinEntry(tree: Tree, folder: number, name: Name): FileNode | undefined {
  if (!tree.facts.ofEntry(folder, name)) return;
  const node = tree.nodes.find();
  if (node !== undefined) tree.nodes.pin(node);
  return node;
}

function rename(tree: Tree, request: Request, namesAt: number, flags: number): number {
  const { nodes, facts } = tree;
  const parent = nodes.get(request.nodeid);
  const newParent = nodes.get(request.u64(IN.rename.newdir));
  if (parent === undefined || newParent === undefined) return ESTALE;
  const from = nodes.pathOf(parent);
  if (from < 0) return -from;
  const to = nodes.pathOf(newParent);
  if (to < 0) return -to;
  // a whiteout is a device
  if (flags & RENAME_WHITEOUT) return EPERM;
  const name = request.name(namesAt);
  const newName = request.name(namesAt + name.length);
  const refusal = mayTakeAway(tree, request, from, name) || mayTakeAway(tree, request, to, newName);
  if (refusal !== 0) return refusal;
  const lost = flags & RENAME_EXCHANGE ? undefined : pinEntry(tree, to, newName);
  if (rare.renameat2(from, name, to, newName, flags) === -1) {
    const code = errno();
    if (lost !== undefined) nodes.unpin(lost);
    return code;
  }
  const isExchange = (flags & RENAME_EXCHANGE) !== 0;
  tree.watches.renamed(parent, textOf(name), newParent, textOf(newName), isExchange);
  const place = (folder: number, parent: FileNode, name: Name) => {
    if (!facts.ofEntry(folder, name)) return;
    const node = nodes.find();
    if (node !== undefined) nodes.move(node, parent, textOf(name));
  };
  place(to, newParent, newName);
  if (isExchange) place(from, parent, name);
  return 0;
}
