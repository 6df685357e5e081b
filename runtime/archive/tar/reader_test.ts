import fc from "fast-check";
import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { bytesOf, byteStringOf } from "../byte_string.ts";
import { TarError, TarReader } from "../tar.ts";
import { archiveOf, type Bytes, chunked, join, type Member, rawHeader, readArchive } from "./testing.ts";
import { formatPax, type PaxRecord } from "./pax.ts";

const END = new Uint8Array(1024);
const whole = (bytes: Bytes) => chunked(bytes, [bytes.length]);
const padded = (text: string): Bytes =>
  join([bytesOf(text), new Uint8Array((512 - text.length % 512) % 512)]);

/** A pax header `x` (or `g`) with these records. */
function pax(records: PaxRecord[], type = "x"): Bytes {
  const data = formatPax(records);
  return join([
    rawHeader({
      0: "PaxHeader",
      124: data.length.toString(8).padStart(11, "0"),
      156: type,
      257: "ustar\x0000",
    }),
    padded(String.fromCharCode(...data)),
  ]);
}

function file(name: string, content: string, fields: Record<number, string> = {}): Bytes {
  const size = content.length.toString(8).padStart(11, "0");
  return join([rawHeader({ 0: name, 124: size, 257: "ustar\x0000", ...fields }), padded(content)]);
}

const read = (...pieces: Bytes[]) => readArchive(whole(join([...pieces, END])));
const only = (...pieces: Bytes[]) => {
  const found = read(...pieces);
  assertEquals(found.length, 1);
  return found[0]!;
};
const text = (data: Bytes) => new TextDecoder().decode(data);

Deno.test("an archive that was written is read back the same, however it is cut", () => {
  const name = fc.stringMatching(/^[a-zé/ ]{1,300}$/).map((one) => byteStringOf(one)).filter((one) =>
    one.replace(/\/+$/, "") !== ""
  );
  const id = fc.oneof(fc.nat(0o7777777), fc.nat(2 ** 31 - 1), fc.constant(4294967294));
  const member: fc.Arbitrary<Member> = fc.record({
    name,
    type: fc.constantFrom("file" as const, "directory" as const, "symlink" as const, "fifo" as const),
    linkname: fc.oneof(fc.constant("target"), name),
    mode: fc.nat(0o7777),
    uid: id,
    gid: id,
    mtime: fc.integer({ min: -3e9, max: 3e10 }),
    mtimeNs: fc.nat(999_999_999),
    xattrs: fc.option(
      fc.uint8Array({ minLength: 1, maxLength: 600 }).map((value) =>
        new Map([["security.capability", value as Bytes]])
      ),
      { nil: undefined },
    ),
    data: fc.uint8Array({ maxLength: 3000 }).map((data) => data as Bytes),
  }).map((one) => one.type === "file" ? { ...one, linkname: "" } : { ...one, data: new Uint8Array() });
  fc.assert(
    fc.property(
      fc.array(member, { maxLength: 5 }),
      fc.array(fc.integer({ min: 1, max: 1500 }), { minLength: 1, maxLength: 4 }),
      (members, sizes) => {
        const found = readArchive(chunked(archiveOf(...members), sizes));
        assertEquals(
          found.map(({ entry, data }) => [
            entry.name,
            entry.linkname,
            entry.type,
            entry.mode,
            entry.uid,
            entry.gid,
            entry.mtime,
            entry.mtimeNs,
            [...entry.xattrs ?? []],
            data,
          ]),
          members.map((one) => [
            one.name,
            one.linkname,
            one.type,
            one.mode,
            one.uid,
            one.gid,
            one.mtime,
            one.mtimeNs,
            [...one.xattrs ?? []],
            new Uint8Array(one.data as Bytes),
          ]),
        );
      },
    ),
    { numRuns: 150 },
  );
});

Deno.test("bytes that are no archive give a TarError and nothing else", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 4000 }),
      fc.integer({ min: 1, max: 999 }),
      (junk, size) => {
        try {
          readArchive(chunked(junk as Bytes, [size]));
        } catch (error) {
          if (!(error instanceof TarError)) throw error;
        }
      },
    ),
  );
});

Deno.test("an archive with bytes changed gives its members or a TarError, and stops", () => {
  const good = archiveOf(
    { name: "a", type: "file", data: "hello" },
    { name: "d/".repeat(80), type: "directory", mtimeNs: 5 },
    { name: "s", type: "file", size: 9000, sparse: [{ offset: 4096, length: 5 }], data: "hello" },
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 8 }), (changes) => {
      const bad = good.slice();
      for (const [at, value] of changes) bad[at] = value;
      try {
        const reader = new TarReader(whole(bad));
        while (reader.next() !== null) while (reader.read() !== null);
      } catch (error) {
        if (!(error instanceof TarError)) throw error;
      }
    }),
  );
});

Deno.test("a v7 name with a slash at its end is a folder", () => {
  const { entry } = only(rawHeader({ 0: "old/", 156: "\0" }));
  assertEquals([entry.type, entry.name], ["directory", "old/"]);
});

Deno.test("a ustar prefix comes before the name", () => {
  assertEquals(only(file("name", "", { 345: "some/where" })).entry.name, "some/where/name");
});

Deno.test("GNU bytes at the place of the prefix are no name", () => {
  const { entry } = only(rawHeader({ 0: "name", 257: "ustar  \0", 345: "00000000000\0" }));
  assertEquals(entry.name, "name");
});

Deno.test("GNU long names and link names replace the short ones", () => {
  const long = (type: string, name: string) =>
    file("././@LongLink", `${name}\0`, { 156: type, 257: "ustar  \0" });
  const name = "n".repeat(300), link = "l".repeat(300);
  const { entry } = only(
    long("L", name),
    long("K", link),
    rawHeader({ 0: "nnn", 156: "2", 257: "ustar  \0" }),
  );
  assertEquals([entry.type, entry.name, entry.linkname], ["symlink", name, link]);
});

Deno.test("pax records override name, link, ids, size and times", () => {
  const { entry, data } = only(
    pax([["path", "p"], ["uid", "3000000000"], ["gid", "4"], ["mtime", "-1.5"], ["atime", "2.000000001"], [
      "size",
      "3",
    ]]),
    join([rawHeader({ 0: "x", 257: "ustar\x0000" }), padded("abc")]),
  );
  assertEquals(
    [entry.name, entry.uid, entry.gid, entry.mtime, entry.mtimeNs, entry.atime, entry.atimeNs, text(data)],
    ["p", 3000000000, 4, -2, 500_000_000, 2, 1, "abc"],
  );
});

Deno.test("global pax records hold for all that follow, and local ones win", () => {
  const found = read(
    pax([["uid", "7"], ["gid", "8"]], "g"),
    file("a", ""),
    pax([["uid", "9"]]),
    file("b", ""),
    pax([["gid", "10"]], "g"),
    file("c", ""),
  );
  assertEquals(found.map(({ entry }) => [entry.uid, entry.gid]), [[7, 8], [9, 8], [7, 10]]);
});

Deno.test("extended attributes keep every byte", () => {
  const value = String.fromCharCode(...Array.from({ length: 256 }, (_, index) => index));
  const { entry } = only(
    pax([["SCHILY.xattr.user.all", value], ["SCHILY.xattr.user.empty", ""], [
      "LIBARCHIVE.xattr.user.%c3%a9",
      btoa("\0\xff"),
    ]]),
    file("a", ""),
  );
  assertEquals([...entry.xattrs!], [
    ["user.all", bytesOf(value)],
    ["user.empty", new Uint8Array()],
    ["user.\xc3\xa9", new Uint8Array([0, 255])],
  ]);
});

Deno.test("base-256 numbers hold large ids, sizes and times before 1970", () => {
  const number = (bytes: number[], width: number) =>
    String.fromCharCode(0x80, ...new Array(width - 1 - bytes.length).fill(0), ...bytes);
  const { entry } = only(rawHeader({
    0: "big",
    108: number([0xb2, 0xd0, 0x5e, 0], 8),
    136: "\xff".repeat(11) + "\xfe",
    257: "ustar  \0",
  }));
  assertEquals([entry.uid, entry.mtime], [3000000000, -2]);
});

Deno.test("device numbers are read", () => {
  const { entry } = only(file("null", "", { 156: "3", 329: "0000001\0", 337: "0000003\0" }));
  assertEquals([entry.type, entry.devmajor, entry.devminor], ["char", 1, 3]);
});

Deno.test("links, folders and devices have no data, whatever their size says", () => {
  const found = read(
    rawHeader({ 0: "l", 124: "00000001000\0", 156: "1", 157: "target" }),
    file("after", "x"),
  );
  assertEquals(found.map(({ entry }) => [entry.name, entry.size]), [["l", 0], ["after", 1]]);
});

Deno.test("an old GNU sparse file has its runs in header and extension", () => {
  const octal = (value: number) => value.toString(8).padStart(11, "0") + "\0";
  const run = (offset: number, length: number) => octal(offset) + octal(length);
  const extension = new Uint8Array(512);
  extension.set(bytesOf(run(5000, 1) + run(6000, 0)), 0);
  const runs = run(0, 1) + run(1000, 1) + run(2000, 1) + run(3000, 1);
  const { entry, data } = only(
    rawHeader({
      0: "s",
      124: octal(5),
      156: "S",
      257: "ustar  \0",
      386: runs,
      482: "\x01",
      483: octal(6000),
    }),
    extension,
    padded("abcde"),
  );
  assertEquals([entry.size, entry.sparse!.length], [6000, 6]);
  assertEquals([0, 1000, 2000, 3000, 5000].map((at) => String.fromCharCode(data[at]!)).join(""), "abcde");
});

Deno.test("pax sparse formats 0.0, 0.1 and 1.0 mean the same", () => {
  const stored = "abcXY";
  const v00 = pax([
    ["GNU.sparse.size", "5000"],
    ["GNU.sparse.numblocks", "2"],
    ["GNU.sparse.offset", "10"],
    ["GNU.sparse.numbytes", "3"],
    ["GNU.sparse.offset", "4000"],
    ["GNU.sparse.numbytes", "2"],
  ]);
  const v01 = pax([["GNU.sparse.size", "5000"], ["GNU.sparse.map", "10,3,4000,2"], ["GNU.sparse.name", "s"]]);
  const v10 = pax([
    ["GNU.sparse.major", "1"],
    ["GNU.sparse.minor", "0"],
    ["GNU.sparse.name", "s"],
    ["GNU.sparse.realsize", "5000"],
  ]);
  const map = "2\n10\n3\n4000\n2\n".padEnd(512, "\0");
  for (const pieces of [[v00, file("s", stored)], [v01, file("x", stored)], [v10, file("x", map + stored)]]) {
    const { entry, data } = only(...pieces);
    assertEquals([entry.name, entry.size], ["s", 5000]);
    assertEquals([text(data.slice(10, 13)), text(data.slice(4000, 4002))], ["abc", "XY"]);
    assertEquals(data.filter((byte) => byte !== 0).length, 5);
  }
});

Deno.test("only zeros may follow the end, and all is read", () => {
  assertEquals(read(file("a", "x"), END, new Uint8Array(10_000)).length, 1);
  throws(
    () => read(file("a", ""), END, bytesOf("hidden")),
    new TarError("data after the end of the archive"),
  );
});

Deno.test("an archive that stops behind a member is whole", () => {
  assertEquals(readArchive(whole(file("a", "x"))).length, 1);
  assertEquals(readArchive(whole(new Uint8Array())).length, 0);
});

const REFUSED: Record<string, [Bytes[], string]> = {
  "a wrong checksum": [[rawHeader({ 0: "a", 148: "0000001\0" })], "bad header checksum"],
  "letters in a number": [[rawHeader({ 0: "a", 124: "0000000000x\0" })], "bad size in header"],
  "a negative size": [[rawHeader({ 0: "a", 124: "\xff".repeat(12) })], "negative size in header"],
  "a size past safe integers": [
    [rawHeader({ 0: "a", 124: "\x80\0\0\0\x7f" + "\xff".repeat(7) })],
    "size in header is out of range",
  ],
  "a pax record longer than its header": [
    [file("x", "99 path=a\n", { 156: "x" }), file("a", "")],
    "bad pax record length",
  ],
  "a pax record without line end": [
    [file("x", "9 path=ab", { 156: "x" }), file("a", "")],
    "pax record without line end",
  ],
  "a NUL in a pax path": [[pax([["path", "a\0b"]]), file("a", "")], "NUL in pax path"],
  "a negative pax size": [[pax([["size", "-1"]]), file("a", "")], "bad pax size"],
  "a pax time that is none": [[pax([["mtime", "1e9"]]), file("a", "")], "bad pax time"],
  "an extended header without member": [
    [pax([["path", "a"]])],
    "truncated archive: an extended header without its member",
  ],
  "a giant extended header": [
    [rawHeader({ 0: "x", 124: "00010000000\0", 156: "x" })],
    "extended header of 2097152 bytes is too large",
  ],
  "sparse runs that overlap": [
    [pax([["GNU.sparse.size", "99"], ["GNU.sparse.map", "5,2,6,1"]]), file("s", "abc")],
    "runs of a sparse file overlap",
  ],
  "a sparse run past the end": [
    [pax([["GNU.sparse.size", "5"], ["GNU.sparse.map", "4,3"]]), file("s", "abc")],
    "a run of a sparse file lies past its end",
  ],
  "sparse runs of more than is stored": [
    [pax([["GNU.sparse.size", "99"], ["GNU.sparse.map", "0,50"]]), file("s", "abc")],
    "runs of a sparse file do not add up to its data",
  ],
  "a sparse map without end": [
    [
      pax([["GNU.sparse.major", "1"], ["GNU.sparse.minor", "0"], ["GNU.sparse.realsize", "9"]]),
      file("s", "999999999"),
    ],
    "sparse map larger than its member",
  ],
};
for (const [what, [pieces, message]] of Object.entries(REFUSED)) {
  Deno.test(`refused: ${what}`, () => {
    throws(() => read(...pieces), new TarError(message));
  });
}

Deno.test("an archive cut off anywhere within a member is truncated", () => {
  const good = join([pax([["path", "a"]]), file("x", "hello")]);
  for (const length of [1, 511, 513, 700, 1025, 1500, 1537, good.length - 1]) {
    throws(() => readArchive(whole(good.slice(0, length))), TarError, `cut at ${length}`);
  }
});
