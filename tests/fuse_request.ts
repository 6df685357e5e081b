/** Requests of FUSE as the kernel writes them. @see linux/fuse.h, struct fuse_in_header */
import { IN_HEADER_BYTES } from "../runtime/fuse/request.ts";

/** `extra` counts the 8 bytes of extensions at the end of the body. */
export function build(
  opcode: number,
  body: Uint8Array,
  { unique = 7n, nodeid = 1n, extra = 0 } = {},
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(IN_HEADER_BYTES + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint32(4, opcode, true);
  view.setBigUint64(8, unique, true);
  view.setBigUint64(16, nodeid, true);
  view.setUint32(24, 1000, true);
  view.setUint32(28, 1001, true);
  view.setUint32(32, 42, true);
  view.setUint16(36, extra, true);
  bytes.set(body, IN_HEADER_BYTES);
  return bytes;
}
