/**
 * GETXATTR, SETXATTR, LISTXATTR, REMOVEXATTR: those of users (`user.…`).
 *
 * The others speak of owners (access lists, capabilities of files), which are not what they are on disk, or are the
 * host's (labels); the kernel would take them for the container's.
 *
 * @see xattr(7)
 */

import { ENODATA, EOPNOTSUPP, ERANGE, errno, ESTALE } from "../../../ffi/errno.ts";
import { libc } from "../../../ffi/libc.ts";
import { S_IFDIR, S_IFREG } from "../../../ffi/constants/stat.ts";
import type { Handler } from "../handler.ts";
import { IN, type Request } from "../request.ts";
import { descriptorPath, type Name } from "./calls.ts";
import type { Tree } from "./tree.ts";

const PREFIX = [...new TextEncoder().encode("user.")];
/** XATTR_SIZE_MAX and XATTR_LIST_MAX. */
const MAX_BYTES = 65536;

export function xattrOperations({ nodes }: Tree): Handler {
  const list = new Uint8Array(MAX_BYTES);

  /** The path of a file that can have such attributes; -errno, `none` where its type has none. */
  const pathOf = (request: Request, none: number): Name | number => {
    const node = nodes.get(request.nodeid);
    if (node === undefined) return -ESTALE;
    if (node.type !== S_IFREG && node.type !== S_IFDIR) return -none;
    const fd = nodes.pathOf(node);
    return fd < 0 ? fd : descriptorPath(fd);
  };

  return {
    getxattr(request, reply) {
      const name = request.cstring(IN.getxattr.end);
      if (!isUsers(name)) return ENODATA;
      const path = pathOf(request, ENODATA);
      if (typeof path === "number") return -path;
      const size = Math.min(request.u32(IN.getxattr.size), MAX_BYTES);
      const length = libc("xattr").getxattr(path, name, reply.data, size);
      if (length === -1) return errno();
      if (size === 0) reply.size(length);
      else reply.length = length;
      return 0;
    },
    setxattr(request) {
      const size = request.u32(IN.setxattr.size);
      const name = request.cstring(IN.setxattr.end);
      if (!isUsers(name)) return EOPNOTSUPP;
      const path = pathOf(request, EOPNOTSUPP);
      if (typeof path === "number") return -path;
      const value = request.data(IN.setxattr.end + name.length, size);
      const flags = request.u32(IN.setxattr.flags);
      return libc("xattr").setxattr(path, name, value, size, flags) === -1 ? errno() : 0;
    },
    listxattr(request, reply) {
      const size = request.u32(IN.getxattr.size);
      const path = pathOf(request, ENODATA);
      if (typeof path === "number") return path === -ENODATA ? (size === 0 ? (reply.size(0), 0) : 0) : -path;
      const length = libc("xattr").listxattr(path, list, MAX_BYTES);
      if (length === -1) return errno();
      let total = 0;
      for (let start = 0; start < length;) {
        const end = list.indexOf(0, start) + 1;
        if (isUsers(list.subarray(start, end))) {
          if (size > 0 && total + end - start > size) return ERANGE;
          if (size > 0) reply.data.set(list.subarray(start, end), total);
          total += end - start;
        }
        start = end;
      }
      if (size === 0) reply.size(total);
      else reply.length = total;
      return 0;
    },
    removexattr(request) {
      const name = request.cstring(0);
      if (!isUsers(name)) return ENODATA;
      const path = pathOf(request, ENODATA);
      if (typeof path === "number") return -path;
      return libc("xattr").removexattr(path, name) === -1 ? errno() : 0;
    },
  };
}

function isUsers(name: Uint8Array): boolean {
  return PREFIX.every((byte, index) => name[index] === byte);
}
