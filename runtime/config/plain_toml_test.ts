import { deepStrictEqual as assertEquals } from "node:assert";
import fc from "fast-check";
import { parse as parseToml } from "smol-toml";
import { parsePlainToml } from "./plain_toml.ts";

Deno.test("files as distributions and users write them need no other parser", () => {
  const text = [
    'unqualified-search-registries = ["docker.io", "quay.io"] # these',
    "",
    "\t# a comment",
    "[aliases]",
    '  "busybox" = "docker.io/library/busybox"',
    "[[registry]]",
    'location = "127.0.0.1:5000"',
    "insecure = true",
    "[[registry]]",
    'location="b"',
  ].join("\n");
  assertEquals(parsePlainToml(text), JSON.parse(JSON.stringify(parseToml(text))));
});

Deno.test("what has more to it is left alone", () => {
  for (
    const text of [
      'a = "\\u0041"',
      "a = 1",
      "a = 'x'",
      "[a.b]",
      'a.b = "c"',
      "[[registry]]\n[[registry.mirror]]",
      'a = "1"\na = "2"',
      "[a]\n[a]",
      "[a]\n[[a]]",
      "[[a]]\n[a]",
      'a = ["b"]\n[[a]]',
      "a = []\n[[a]]",
      '__proto__ = "x"',
      "[constructor]",
      'a = "b"\r',
      "[[a]",
      'a = """',
      'a = ["b",]',
    ]
  ) assertEquals(parsePlainToml(text), undefined, text);
});

Deno.test("what it reads is what a parser of all of TOML reads", () => {
  const words = [
    "a",
    '"a b"',
    "=",
    '"x"',
    "true",
    "[",
    "]",
    "[[",
    "]]",
    ",",
    "#",
    " ",
    "\t",
    "b-1",
    '""',
    "\\",
    "'",
  ];
  const line = fc.array(fc.constantFrom(...words), { maxLength: 8 }).map((parts) => parts.join(""));
  fc.assert(
    fc.property(fc.array(line, { maxLength: 6 }), (lines) => {
      const text = lines.join("\n");
      const plain = parsePlainToml(text);
      if (plain !== undefined) assertEquals(plain, JSON.parse(JSON.stringify(parseToml(text))), text);
    }),
    { numRuns: 3000 },
  );
});
