/** Answers the kernel's requests about lazy layers: everything from memory but reads of what is not here yet. */

import { bytesOf } from "../../archive/byte_string.ts";
import { EINTR, EINVAL, EIO, ENOENT, ERANGE } from "../../../ffi/errno.ts";
import { DEFERRED, type Handler } from "../../fuse/handler.ts";
import type { Reply } from "../../fuse/reply.ts";
import { IN, type Request } from "../../fuse/request.ts";
import { type LazyNode, nameOf } from "./tree.ts";

/** Nothing of a layer ever changes. */
const VALIDITY = { entryMs: 86_400_000, attrMs: 86_400_000 };
const ENODATA = 61, ENOTDIR = 20;

/** The content of files. */
export interface LazyContent {
  /** Reads what is here into `into`, whose length is within the file; undefined where a part is not here. */
  readHere(node: LazyNode, offset: number, into: Uint8Array<ArrayBuffer>): boolean;
  /** The same, where nobody has asked for it. */
  copyHere(node: LazyNode, offset: number, into: Uint8Array<ArrayBuffer>): boolean;
  /** Gets what is missing. */
  fetch(node: LazyNode, offset: number, length: number): Promise<void>;
}

export interface LateAnswers {
  answer(unique: bigint, errno: number, fill?: (reply: Reply) => void): boolean;
}

export function lazyHandler(
  nodes: readonly LazyNode[],
  content: LazyContent,
  late: () => LateAnswers,
  onError: (error: unknown) => void,
  /** Told after the answer. */
  wasRead: (node: LazyNode, offset: number, end: number) => void = () => {},
): Handler {
  const waiting = new Set<bigint>();
  const listings = new Map<number, [string, LazyNode][]>();
  const at = (request: Request) => nodes[request.nodeid];

  const listing = (node: LazyNode) => {
    let entries = listings.get(node.id);
    if (entries === undefined) {
      entries = [[".", node], ["..", nodes[node.parent]!], ...node.children!];
      listings.set(node.id, entries);
    }
    return entries;
  };
  const give = (request: Request, reply: Reply, value: Uint8Array) => {
    const size = request.u32(IN.getxattr.size);
    if (size === 0) reply.size(value.length);
    else if (size < value.length) return ERANGE;
    else reply.bytes(value);
    return 0;
  };
  return {
    lookup(request, reply) {
      const node = at(request);
      if (node?.children === undefined) return ENOTDIR;
      const child = node.children.get(nameOf(request.name(0)));
      // an absence is remembered as well
      if (child === undefined) reply.entry(0, 0, node.attributes, VALIDITY);
      else reply.entry(child.id, 1, child.attributes, VALIDITY);
      return 0;
    },
    getattr(request, reply) {
      const node = at(request);
      if (node === undefined) return ENOENT;
      reply.attributes(node.attributes, VALIDITY);
      return 0;
    },
    readlink(request, reply) {
      const target = at(request)?.target;
      if (target === undefined) return EINVAL;
      reply.bytes(target);
      return 0;
    },
    readdir(request, reply) {
      const node = at(request);
      if (node?.children === undefined) return ENOTDIR;
      const entries = listing(node);
      const limit = Math.min(request.u32(IN.read.size), reply.data.length);
      for (let next = request.u64(IN.read.offset); next < entries.length; next++) {
        const [name, { id, attributes }] = entries[next]!;
        if (!reply.dirent(bytesOf(name), id, BigInt(next + 1), attributes.mode >>> 12 & 15, limit)) break;
      }
      return 0;
    },
    getxattr(request, reply) {
      const name = nameOf(request.cstring(IN.getxattr.end));
      const value = at(request)?.xattrs?.get(name);
      return value === undefined ? ENODATA : give(request, reply, value);
    },
    listxattr(request, reply) {
      const names = [...at(request)?.xattrs?.keys() ?? []];
      return give(request, reply, bytesOf(names.map((name) => `${name}\0`).join("")));
    },
    statfs(_, reply) {
      reply.statfs({
        blocks: 0,
        bfree: 0,
        bavail: 0,
        files: nodes.length,
        ffree: 0,
        bsize: 4096,
        namelen: 255,
        frsize: 4096,
      });
      return 0;
    },
    read(request, reply) {
      const node = at(request);
      if (node === undefined) return ENOENT;
      const offset = request.u64(IN.read.offset);
      const wanted = Math.min(request.u32(IN.read.size), reply.data.length);
      const length = Math.max(0, Math.min(wanted, node.attributes.size - offset));
      if (length === 0) return 0;
      if (content.readHere(node, offset, reply.data.subarray(0, length))) {
        reply.length = length;
        queueMicrotask(() => wasRead(node, offset, offset + length));
        return 0;
      }
      const { unique } = request;
      waiting.add(unique);
      content.fetch(node, offset, length).then(
        () => {
          if (!waiting.delete(unique)) return;
          let isHere = false;
          const fill = (reply: Reply) => {
            isHere = content.readHere(node, offset, reply.data.subarray(0, length));
            if (isHere) reply.length = length;
          };
          const reply = late();
          reply.answer(unique, 0, (body) => {
            fill(body);
            if (!isHere) throw new Error("what was fetched is not there");
          });
          wasRead(node, offset, offset + length);
        },
      ).catch((error) => {
        onError(error);
        waiting.delete(unique);
        late().answer(unique, EIO);
      }).catch(onError);
      return DEFERRED;
    },
    interrupt(unique) {
      // who was killed must not wait for a registry; what is fetched for him is of use to the next
      if (waiting.delete(unique)) late().answer(unique, EINTR);
    },
  };
}
