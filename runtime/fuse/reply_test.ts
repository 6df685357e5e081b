import fc from "fast-check";
import { type Attributes, OUT_HEADER_BYTES, Reply } from "./reply.ts";
import { assertEquals } from "../../tests/assertions.ts";

const FACTS: Attributes = {
  ino: 2 ** 40 + 5,
  size: 2 ** 33 + 1,
  blocks: 16,
  atime: -1,
  mtime: 2 ** 32 + 2,
  ctime: 3,
  atimensec: 4,
  mtimensec: 5,
  ctimensec: 999999999,
  mode: 0o100644,
  nlink: 2,
  uid: 4294967294,
  gid: 1001,
  rdev: 0x80000103,
  blksize: 4096,
};

Deno.test("an entry is laid out as struct fuse_entry_out", () => {
  const reply = new Reply(4096);
  reply.entry(77, 3, FACTS, { entryMs: 1500, attrMs: 250 });
  assertEquals(reply.finish(9n, 0), OUT_HEADER_BYTES + 128);
  const view = new DataView(reply.buffer.buffer);
  const u64 = (at: number) => view.getBigUint64(at, true);
  const u32 = (at: number) => view.getUint32(at, true);
  assertEquals([u32(0), view.getInt32(4, true), u64(8)], [144, 0, 9n]);
  assertEquals([u64(16), u64(24)], [77n, 3n]);
  assertEquals([u64(32), u64(40), u32(48), u32(52)], [1n, 0n, 500_000_000, 250_000_000]);
  assertEquals([u64(56), u64(64), u64(72)], [2n ** 40n + 5n, 2n ** 33n + 1n, 16n]);
  assertEquals([view.getBigInt64(80, true), u64(88), u64(96)], [-1n, 2n ** 32n + 2n, 3n]);
  assertEquals([u32(104), u32(108), u32(112)], [4, 5, 999999999]);
  assertEquals([u32(116), u32(120), u32(124), u32(128)], [0o100644, 2, 4294967294, 1001]);
  assertEquals([u32(132), u32(136)], [0x80000103, 4096]);
});

Deno.test("an error has no body, whatever was appended before", () => {
  const reply = new Reply(4096);
  reply.attributes(FACTS, { entryMs: 0, attrMs: 0 });
  assertEquals(reply.finish(1n, 2), OUT_HEADER_BYTES);
  const view = new DataView(reply.buffer.buffer);
  assertEquals([view.getUint32(0, true), view.getInt32(4, true)], [16, -2]);
});

Deno.test("a listing holds what has room, aligned, and nothing of an earlier answer", () => {
  const name = fc.uint8Array({ minLength: 1, maxLength: 255, min: 1 });
  fc.assert(fc.property(fc.array(name, { maxLength: 40 }), fc.nat(4096), (names, limit) => {
    const reply = new Reply(8192);
    reply.data.fill(0xff);
    let told = 0;
    while (told < names.length && reply.dirent(names[told]!, told + 1, BigInt(told + 100), 8, limit)) told++;
    if (reply.length > limit) return false;
    const view = new DataView(reply.data.buffer, reply.data.byteOffset);
    let at = 0;
    for (let index = 0; index < told; index++) {
      const length = view.getUint32(at + 16, true);
      if (Number(view.getBigUint64(at, true)) !== index + 1 || length !== names[index]!.length) return false;
      if (Number(view.getBigUint64(at + 8, true)) !== index + 100) return false;
      const shown = reply.data.subarray(at + 24, at + 24 + length);
      if (!shown.every((byte, place) => byte === names[index]![place])) return false;
      const end = at + 24 + length;
      at = (end + 7) & ~7;
      if (reply.data.subarray(end, at).some((byte) => byte !== 0)) return false;
    }
    return at === reply.length;
  }));
});

Deno.test("room for an entry with attributes is what it takes", () => {
  const reply = new Reply(8192);
  const name = new Uint8Array(13).fill(65);
  const size = 128 + 24 + 16;
  assertEquals([reply.hasRoomForPlus(13, size), reply.hasRoomForPlus(13, size - 1)], [true, false]);
  reply.direntPlus(name, 5n, 8, 2, 0, FACTS, { entryMs: 1000, attrMs: 1000 });
  assertEquals(reply.length, size);
});
