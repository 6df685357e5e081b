import { deepStrictEqual as assertEquals } from "node:assert";
import { byteString } from "../byte_string.ts";
import { type GoHeader, goHeader } from "./go_header.ts";
import { BLOCK } from "./header.ts";
import { parsePax } from "./pax.ts";

const FILE: GoHeader = {
  ...{ typeflag: "0", name: "f", linkname: "", mode: 0o644, uid: 0, gid: 0, size: 1, mtime: 5 },
  ...{ uname: "", gname: "", devmajor: 0, devminor: 0 },
};

// Go's allowedFormats notes each field that is too long, and which of the formats could say it by other means
Deno.test("a long name is split where the block says all, and a record where there are others", () => {
  const name = `${"d".repeat(60)}/${"e".repeat(60)}`;
  const split = goHeader({ ...FILE, name })!;
  assertEquals(split.length, BLOCK);
  assertEquals([byteString(split, 0, 60), byteString(split, 345, 405)], ["e".repeat(60), "d".repeat(60)]);
  for (
    const [more, record] of [
      [{ xattrs: new Map([["user.a", new Uint8Array([1])]]) }, ["SCHILY.xattr.user.a", "\x01"]],
      [{ uid: 8 ** 7 }, ["uid", "2097152"]],
    ] as const
  ) {
    const whole = goHeader({ ...FILE, name, ...more })!;
    const length = parseInt(byteString(whole, 124, 135), 8);
    const records = parsePax(whole.subarray(BLOCK, BLOCK + length));
    assertEquals(records, [["path", name], record].toSorted(([one], [other]) => one! < other! ? -1 : 1));
    // in the block behind them it is cut, and nothing stands before it
    const block = whole.subarray(-BLOCK);
    assertEquals([byteString(block, 0, 100), block[345]], [name.slice(0, 100), 0]);
  }
});
