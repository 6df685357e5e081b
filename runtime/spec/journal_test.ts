import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { encodeFields, ExportParser, isFieldName } from "./journal.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("a field is text, or bytes behind their length where it has a newline", () => {
  assertEquals(text(encodeFields([["A", "b=c"], ["EMPTY", ""]])), "A=b=c\nEMPTY=\n");
  assertEquals(text(encodeFields([["A", "ü\n"]])), "A\n\x03\0\0\0\0\0\0\0ü\n\n");
});

Deno.test("what journald would drop is no name of a field", () => {
  const names = ["A", "A_1", "", "a", "_A", "1A", "Ä", "A".repeat(64), "A".repeat(65)];
  assertEquals(names.filter(isFieldName), ["A", "A_1", "A".repeat(64)]);
});

Deno.test("an export is read in whatever pieces it comes", () => {
  const entry = encodeFields([["__CURSOR", "s=1"], ["MESSAGE", "a\n\nB=c\n"], ["MESSAGE", "second"]]);
  const end = Uint8Array.of(10);
  const next = encodeFields([["__CURSOR", "s=2"], ["EMPTY", ""]]);
  const all = [...entry, ...end, ...end, ...next, ...end, ...encodeFields([["__CURSOR", "torn"]])];
  for (let size = 1; size <= all.length; size++) {
    const parser = new ExportParser();
    const entries = [];
    for (let at = 0; at < all.length; at += size) {
      entries.push(...parser.feed(Uint8Array.from(all.slice(at, at + size))));
    }
    assertEquals(entries.map((one) => [...one].map(([name, value]) => [name, text(value)])), [
      [["__CURSOR", "s=1"], ["MESSAGE", "a\n\nB=c\n"]],
      [["__CURSOR", "s=2"], ["EMPTY", ""]],
    ]);
  }
});

Deno.test("a length that cannot be is damage, not memory", () => {
  const huge = Uint8Array.from([...new TextEncoder().encode("M\n"), ...new Uint8Array(8).fill(255)]);
  throws(() => new ExportParser().feed(huge), RangeError);
  const cut = encodeFields([["M", "a\nb"]]);
  cut[cut.length - 1] = 65;
  throws(() => new ExportParser().feed(cut), RangeError);
});
