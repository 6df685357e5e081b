import fc from "fast-check";
import { createHash } from "node:crypto";
import {
  digestAlgorithm,
  digestHex,
  digestOf,
  isDigest,
  lendHash,
  parseDigest,
  verifyBytes,
} from "./digest.ts";
import { InvalidArgumentError, VerificationError } from "../errors.ts";
import { deepStrictEqual as assertEquals, rejects, throws } from "node:assert";

const A64 = "a".repeat(64);

Deno.test("a sha256 and a sha512 digest are taken apart", () => {
  const d = parseDigest(`sha256:${A64}`);
  assertEquals([digestAlgorithm(d), digestHex(d)], ["sha256", A64]);
  assertEquals(digestAlgorithm(parseDigest(`sha512:${A64}${A64}`)), "sha512");
});

Deno.test("a lent hash gives the same digests", async () => {
  const contents = [new Uint8Array(), new TextEncoder().encode("abc"), new Uint8Array((1 << 20) + 1)];
  const digests = () =>
    Promise.all(contents.flatMap((bytes) => [digestOf(bytes), digestOf(bytes, "sha512")]));
  const own = await digests();
  let lent = 0;
  lendHash((algorithm) => (lent++, createHash(algorithm)));
  try {
    assertEquals(await digests(), own);
    assertEquals(lent, 4); // what is large goes to another thread
  } finally {
    lendHash(undefined);
  }
});

Deno.test("malformed digests are refused with the reason", () => {
  const cases: [unknown, string][] = [
    ["sha256:../../etc/passwd", 'parse digest "sha256:../../etc/passwd": it needs 64 hexadecimal digits'],
    [
      `sha256:${"../".repeat(21)}x`,
      `parse digest "sha256:${"../".repeat(21)}x": it needs lower-case hexadecimal digits`,
    ],
    [
      `sha256:${"A".repeat(64)}`,
      `parse digest "sha256:${"A".repeat(64)}": it needs lower-case hexadecimal digits`,
    ],
    ["sha256:abc", 'parse digest "sha256:abc": it needs 64 hexadecimal digits'],
    [
      `md5:${"a".repeat(32)}`,
      `parse digest "md5:${"a".repeat(32)}": its algorithm is neither sha256 nor sha512`,
    ],
    [`__proto__:${A64}`, `parse digest "__proto__:${A64}": its algorithm is neither sha256 nor sha512`],
    [`sha256:${A64}\n`, `parse digest "sha256:${A64}\\n": it needs 64 hexadecimal digits`],
    [A64, `parse digest "${A64}": it has no algorithm`],
    ["", 'parse digest "": it has no algorithm'],
    [7, "parse digest 7: it is no text"],
  ];
  for (const [text, message] of cases) throws(() => parseDigest(text), new InvalidArgumentError(message));
});

Deno.test("whatever is accepted is safe as a file name", () => {
  fc.assert(fc.property(fc.string(), (text) => !isDigest(text) || /^[0-9a-f]+$/.test(digestHex(text))));
  const nearly = fc.tuple(
    fc.constantFrom("sha256:", "sha512:", "sha1:"),
    fc.stringMatching(/^[0-9a-fA-F./]{60,130}$/),
  );
  fc.assert(fc.property(nearly, ([a, hex]) => {
    const ok = /^[0-9a-f]+$/.test(hex) &&
      ((a === "sha256:" && hex.length === 64) || (a === "sha512:" && hex.length === 128));
    return isDigest(a + hex) === ok;
  }));
});

Deno.test("bytes are compared with their digest and size", async () => {
  const bytes = new TextEncoder().encode("hello");
  const d = await digestOf(bytes);
  assertEquals(d as string, "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
  await verifyBytes("the text", bytes, d, 5);
  await rejects(
    () => verifyBytes("the text", bytes, d, 6),
    new VerificationError("verify the text: it has 5 bytes instead of 6"),
  );
  const other = new TextEncoder().encode("Hello");
  await rejects(
    () => verifyBytes("the text", other, d),
    new VerificationError(
      "verify the text: its digest is sha256:185f8db32271fe25f561a6fc938b2e264306ec304eda518007d1764826381969, " +
        "not sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    ),
  );
});
