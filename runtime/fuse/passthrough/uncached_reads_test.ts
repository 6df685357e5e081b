import { O_APPEND, O_TRUNC } from "../../../ffi/constants/fcntl.ts";
import { FUSE_ASYNC_READ, FUSE_DIRECT_IO_ALLOW_MMAP } from "../constants.ts";
import { NO_ATTRIBUTES } from "../reply.ts";
import { FileNode } from "./nodes.ts";
import { isReadUncached, noteRead } from "./uncached_reads.ts";
import { assertEquals } from "../../../tests/assertions.ts";

const SESSION = FUSE_ASYNC_READ + FUSE_DIRECT_IO_ALLOW_MMAP;
const LARGE = { ...NO_ATTRIBUTES, size: 1 << 30, mtime: 1000, mtimensec: 5 };
const newNode = () => new FileNode(2, 2, 2, 0, 0, 0, 0o100000, undefined, undefined);

Deno.test("a large file is read past the cache until it is kept, and again when it has changed", () => {
  const node = newNode();
  const open = (change = {}) => isReadUncached(node, 0, { ...LARGE, ...change }, SESSION);
  assertEquals([open(), open(), open()], [true, true, true]);
  node.readings!.isKept = true;
  assertEquals([open(), open({ mtimensec: 6 }), open({ mtimensec: 6 })], [false, true, true]);
});

Deno.test("a file that is read in small pieces is left to the cache the next time", () => {
  const node = newNode();
  const open = () => isReadUncached(node, 0, LARGE, SESSION);
  assertEquals(open(), true);
  noteRead(node, 262144, 262144);
  // the end of the file
  noteRead(node, 262144, 10);
  assertEquals([open(), node.readings!.bytes], [true, 262154]);
  noteRead(node, 4096, 4096);
  assertEquals(open(), false);
});

Deno.test("what is small, written, executed or could not be mapped is read by way of the cache", () => {
  const opened = (flags: number, change = {}, session = SESSION) =>
    isReadUncached(newNode(), flags, { ...LARGE, ...change }, session);
  const [O_WRONLY, O_RDWR, FMODE_EXEC] = [1, 2, 0o40];
  for (const flags of [O_WRONLY, O_RDWR, O_TRUNC, O_APPEND, FMODE_EXEC]) assertEquals(opened(flags), false);
  assertEquals(opened(0, { size: 65536 }), false);
  assertEquals(opened(0, {}, FUSE_ASYNC_READ), false);
  assertEquals(opened(0), true);
});
