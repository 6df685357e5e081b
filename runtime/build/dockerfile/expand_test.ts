import fc from "fast-check";
import { assertEquals, assertIncludes, messageOf } from "../../../tests/assertions.ts";
import { BuildError } from "../../errors.ts";
import { expandForDisplay, expandHeredoc, expandWord, expandWords, type Lookup } from "./expand.ts";

const SET: Record<string, string> = { PWD: "/home", SHELL: "bash", KOREAN: "한국어", NULL: "" };
const lookup: Lookup = (name) => Object.hasOwn(SET, name) ? SET[name] : undefined;
const from = (values: Record<string, string>): Lookup => (name) =>
  Object.hasOwn(values, name) ? values[name] : undefined;

/** Undefined: an error. `he` stands for other letters too. */
const WORDS: [raw: string, text: string | undefined][] = [
  ["hello", "hello"],
  ["he'll'o", "hello"],
  ["he'llo", undefined],
  ["he\\'llo", "he'llo"],
  ["he\\\\'llo", undefined],
  ["abc\\tdef", "abctdef"],
  ['"abc\\tdef"', "abc\\tdef"],
  ['"abc\\\\tdef"', "abc\\tdef"],
  ["'abc\\tdef'", "abc\\tdef"],
  ["hello\\", "hello"],
  ["hello\\\\", "hello\\"],
  ['"hello', undefined],
  ['"hello\\"', undefined],
  ['"hel\'lo"', "hel'lo"],
  ["'hello", undefined],
  ["'hello\\'", "hello\\"],
  ["'hello\\there'", "hello\\there"],
  ["'hello\\\\there'", "hello\\\\there"],
  ["\"''\"", "''"],
  ["$.", "$."],
  ["he$1x", "hex"],
  ["he$123x", "hex"],
  ["he$.x", "he$.x"],
  ["he$pwd.", "he."],
  ["he$PWD", "he/home"],
  ["he\\$PWD", "he$PWD"],
  ["he\\\\$PWD", "he\\/home"],
  ['"he\\$PWD"', "he$PWD"],
  ['"he\\\\$PWD"', "he\\/home"],
  ["\\${}", "${}"],
  ["he\\${}xx", "he${}xx"],
  ["${}", undefined],
  ["he${}xx", undefined],
  ["he${hi}", "he"],
  ["he${hi}xx", "hexx"],
  ["he${PWD}", "he/home"],
  ["he${.}", undefined],
  ["he${XXX:-000}xx", "he000xx"],
  ["he${XXX-000}xx", "he000xx"],
  ["he${PWD:-000}xx", "he/homexx"],
  ["he${PWD-000}xx", "he/homexx"],
  ["he${NULL:-000}xx", "he000xx"],
  ["he${NULL-000}xx", "hexx"],
  ["he${XXX:-$PWD}xx", "he/homexx"],
  ["he${XXX:-${PWD:-yyy}}xx", "he/homexx"],
  ["he${XXX:-${YYY:-yyy}}xx", "heyyyxx"],
  ["he${XXX:YYY}", undefined],
  ["he${XXX:+${PWD}}xx", "hexx"],
  ["he${PWD:+${XXX}}xx", "hexx"],
  ["he${PWD:+${SHELL}}xx", "hebashxx"],
  ["he${XXX:+000}xx", "hexx"],
  ["he${PWD:+000}xx", "he000xx"],
  ["he${NULL:+000}xx", "hexx"],
  ["he${NULL+000}xx", "he000xx"],
  ["'he${XX}'", "he${XX}"],
  ['"he${PWD}"', "he/home"],
  ["\"he'$PWD'\"", "he'/home'"],
  ["'$PWD'", "$PWD"],
  ["'\\$PWD'", "\\$PWD"],
  ["'\"hello\"'", '"hello"'],
  ["he${PWD", undefined],
  ["he${PWD:=000}xx", undefined],
  ["he${PWD:+${PWD}:}xx", "he/home:xx"],
  ["he${XXX:-\\$PWD:}xx", "he$PWD:xx"],
  ["he${XXX:-\\${PWD}z}xx", "he${PWDz}xx"],
  ["he${XXX:-'a}b'}xx", "hea}bxx"],
  ['he${XXX:-"a $PWD"}xx', "hea /homexx"],
  ["he$KOREAN", "he한국어"],
  ["${{aaa}", undefined],
  ["${aaa}}", "}"],
  ["${aaa", undefined],
  ["${{aaa:-bbb}", undefined],
  ["${aaa:-bbb}}", "bbb}"],
  ["${aaa:-bbb", undefined],
  ["${aaa:-${bbb:-ccc}}", "ccc"],
  ["${aaa:-bbb ${foo}", undefined],
  ["${aaa:-bbb {foo}", "bbb {foo"],
  ["${:}", undefined],
  ["${:-bbb}", undefined],
  ["${:+bbb}", undefined],
  ["${@}x$#y", "xy"],
  ["${PWD^^}", undefined],
  ["${PWD:#x}", undefined],
  ["a<<b <c", "a<<b <c"],
];

function expanded(raw: string, values: Lookup, escape = "\\"): string | undefined {
  try {
    return expandWord(raw, values, escape).text;
  } catch (error) {
    if (error instanceof BuildError) return undefined;
    throw error;
  }
}

Deno.test("words mean what BuildKit's shell takes them for", () => {
  for (const [raw, text] of WORDS) {
    assertEquals({ raw, text: expanded(raw, lookup) }, { raw, text });
    const [other, otherText] = [raw.replaceAll("he", "안녕"), text?.replaceAll("he", "안녕")];
    if (!/\$(\{|\w*)?he/.test(raw)) {
      assertEquals({ raw: other, text: expanded(other, lookup) }, { raw: other, text: otherText });
    }
  }
});

Deno.test("with a backtick to escape, backslashes are letters", () => {
  const cases: [string, string | undefined][] = [
    ["C:\\dir\\$SHELL", "C:\\dir\\bash"],
    ["a`$SHELL", "a$SHELL"],
    ['"a`"b`$SHELL``"', 'a"b$SHELL`'],
    ['"a`b"', "a`b"],
    ["a`", "a"],
    ["`${SHELL}", "${SHELL}"],
    ["it`'s", "it's"],
    ["it\\'s", undefined],
  ];
  for (const [raw, text] of cases) {
    assertEquals({ raw, text: expanded(raw, lookup, "`") }, { raw, text });
  }
});

/** [raw, variables, text, used, unset] */
const MODIFIERS: [string, Record<string, string>, string | undefined, string?, string?][] = [
  ["x", { A: "a" }, "x"],
  ["x ${NONE}", { A: "a" }, "x ", "", "NONE"],
  ["x ${A}", { A: "y" }, "x y", "A"],
  ["${A-aaa} ${B-bbb} ${C-ccc}", { A: "xxx", B: "" }, "xxx  ccc", "A B", "C"],
  ["${A:-aaa} ${B:-bbb} ${C:-ccc}", { A: "xxx", B: "" }, "xxx bbb ccc", "A B", "C"],
  ["${A:-}", { A: "xxx" }, "xxx", "A"],
  ["${A:-}", {}, "", "", "A"],
  ["${A+aaa} ${B+bbb} ${C+ccc}", { A: "xxx", B: "" }, "aaa bbb ", "A B", "C"],
  ["${A:+aaa} ${B:+bbb} ${C:+ccc}", { A: "xxx", B: "" }, "aaa  ", "A B", "C"],
  ["${A?aaa}", { A: "xxx" }, "xxx", "A"],
  ["${B?bbb}", { B: "" }, "", "B"],
  ["${C?ccc}", {}, undefined],
  ["${A:?aaa}", { A: "xxx" }, "xxx", "A"],
  ["${B:?bbb}", { B: "" }, undefined],
  ["${C:?}", {}, undefined],
  ["${A=aaa}", { A: "xxx" }, undefined],
  ["${A=:aaa}", { A: "xxx" }, undefined],
  ["${A=}", {}, undefined],
  ["${A#()[]{\\}^$.\\*\\?|\\\\}", { A: "()[]{}^$.*?|\\x" }, "x", "A"],
  ["${A%%\\**}", { A: "xx**" }, "xx", "A"],
  ["${A#*x*y}", { A: "xxyy" }, "y", "A"],
  ["${A#*}", { A: "xxyy" }, "xxyy", "A"],
  ["${A##*}", { A: "xxyy" }, "", "A"],
  ["${A#$B}", { A: "xxyy", B: "x" }, "xyy", "A B"],
  ["${A#$B}", { A: "xxyy", B: "" }, "xxyy", "A B"],
  ["${A#}", { A: "xxyy" }, "xxyy", "A"],
  ["${A##*x}", { A: "xxyy" }, "yy", "A"],
  ["${A##}", { A: "xxyy" }, "xxyy", "A"],
  ["${A#?\\?}", { A: "???y" }, "?y", "A"],
  ["${C:-.}${A%x}${C:-.}", { A: "xxyy" }, ".xxyy.", "A", "C"],
  ["${A%%\\**\\*}", { A: "a***yy*" }, "a", "A"],
  ["${A%}", { A: "xxyy" }, "xxyy", "A"],
  ["${A%%$B}", { A: "xxyy", B: "" }, "xxyy", "A B"],
  ["${A%.*}", { A: "a.tar.gz" }, "a.tar", "A"],
  ["${A%%.*}", { A: "a.tar.gz" }, "a", "A"],
  ["${A#*.}", { A: "a.tar.gz" }, "tar.gz", "A"],
  ["${A##*.}", { A: "a.tar.gz" }, "gz", "A"],
  ["${A%/*} ${A##*/}", { A: "/usr/lib/x.so" }, "/usr/lib x.so", "A"],
  ["${A#\\x}", { A: "x" }, undefined],
  ["${A/$B/.} - ${A//$B/.}", { A: "/foo*/*/*.txt", B: "\\*/" }, "/foo.*/*.txt - /foo..*.txt", "A B"],
  ["${A/$B/} - ${A//$B/}", { A: "/tmp/tmp/bar.txt", B: "/tmp" }, "/tmp/bar.txt - /bar.txt", "A B"],
  [
    "${A/$B/$C} - ${A//$B/$C}",
    { A: "/a/foo/b/c.txt", B: "/?/", C: "/" },
    "/foo/b/c.txt - /foo/c.txt",
    "A B C",
  ],
  ["${A/$B/$C}", { A: "http://google.de", B: "http://", C: "https://" }, "https://google.de", "A B C"],
  ["${A//\\//\\/}", { A: "/tmp/foo.txt" }, "\\/tmp\\/foo.txt", "A"],
  ["${A//-/_}", { A: "a-b-c" }, "a_b_c", "A"],
  ["${A//?/x}", { A: "äöü" }, "xxx", "A"],
  ["${A//a*b/x}", { A: "zaabbz a b\nab" }, "zx\nx", "A"],
  ["${A/$B/ww}", { A: "xxyy", B: "" }, "wwxxyy", "A B"],
  ["${A//$B/w}", { A: "xy", B: "" }, "wxwyw", "A B"],
  ["${A//*/w}", { A: "xy" }, "w", "A"],
  ["${A//ww}", { A: "xxyy" }, undefined],
  ["${A//}", { A: "xxyy" }, undefined],
  ["${A///}", { A: "xxyy" }, "xxyy", "A"],
  ["${A///}", {}, "", "", "A"],
  [
    "x-${V}.${OS}-${ARCH}${VARIANT:+-${VARIANT}}.tar.gz",
    { V: "v1.2.3", OS: "linux", ARCH: "arm", VARIANT: "v7" },
    "x-v1.2.3.linux-arm-v7.tar.gz",
    "ARCH OS V VARIANT",
  ],
  [
    "x-${V}.${OS}-${ARCH}${VARIANT:+-${VARIANT}}.tar.gz",
    { V: "v1.2.3", OS: "linux", ARCH: "amd64" },
    "x-v1.2.3.linux-amd64.tar.gz",
    "ARCH OS V",
    "VARIANT",
  ],
];

Deno.test("modifiers of substitutions, and which variables they ask for", () => {
  for (const [raw, values, text, used = "", unset = ""] of MODIFIERS) {
    if (text === undefined) {
      assertEquals({ raw, text: expanded(raw, from(values)) }, { raw, text });
      continue;
    }
    const found = expandWord(raw, from(values));
    const names = (set: Set<string>) => [...set].sort().join(" ");
    assertEquals(
      { raw, text: found.text, used: names(found.used), unset: names(found.unset) },
      { raw, text, used, unset },
    );
  }
});

Deno.test("a word that cannot be expanded is quoted in the message", async () => {
  const cases: [string, string][] = [
    ['"a', 'failed to process "\\"a": unexpected end of statement while looking for matching double-quote'],
    ["'a", 'failed to process "\'a": unexpected end of statement while looking for matching single-quote'],
    ["${A", 'failed to process "${A": unsupported modifier (\ufffd) in substitution'],
    ["${A:-", "failed to process \"${A:-\": syntax error: missing '}'"],
    ["${A/x", "failed to process \"${A/x\": syntax error: missing '/' in ${}"],
    ["${A/x/y", "failed to process \"${A/x/y\": syntax error: missing '}'"],
    ["${}", 'failed to process "${}": syntax error: bad substitution'],
    ["${A:x}", 'failed to process "${A:x}": unsupported modifier (:x) in substitution'],
    ["${A!}", 'failed to process "${A!}": unsupported modifier (!) in substitution'],
    ["${A?}", 'failed to process "${A?}": A: is not allowed to be unset'],
    ["${B:?}", 'failed to process "${B:?}": B: is not allowed to be empty'],
    ["${A:?set $B it}", 'failed to process "${A:?set $B it}": A: set  it'],
    ["${B#a\\}", "failed to process \"${B#a\\\\}\": syntax error: missing '}'"],
    [
      "${B#a\\z}",
      "failed to process \"${B#a\\\\z}\": invalid pattern (a\\z) in substitution: invalid escape '\\z'",
    ],
  ];
  for (const [raw, message] of cases) {
    assertEquals(await messageOf(() => expandWord(raw, from({ B: "" }))), message);
  }
});

Deno.test("words are split after their variables are replaced, but not within quotes", () => {
  const values = from({ hi: "hi", space: "abc  def", leading: "  ab c", trailing: "ab c   " });
  const cases: [string, string[]][] = [
    ["hello", ["hello"]],
    ["hello${none}bye", ["hellobye"]],
    ["hello${hi}bye", ["hellohibye"]],
    ["hello${space}bye", ["helloabc", "defbye"]],
    ['hello"${space}"bye', ["helloabc  defbye"]],
    ['hello "${space}"bye', ["hello", "abc  defbye"]],
    ["hello${leading}def", ["hello", "ab", "cdef"]],
    ['hello"${leading}" def', ["hello  ab c", "def"]],
    ['hello"${leading}"', ["hello  ab c"]],
    ["hello${leading}", ["hello", "ab", "c"]],
    ["hello${trailing}", ["helloab", "c"]],
    ["hello${trailing}d", ["helloab", "c", "d"]],
    ['hello"${trailing}"d', ["helloab c   d"]],
    ['hel"lo${trailing}"', ["helloab c   "]],
    ['hello" there  "', ["hello there  "]],
    ["hello there     ", ["hello", "there"]],
    ["hello\\ there", ["hello there"]],
    ['hello\\" there', ['hello"', "there"]],
    ['""', []],
    ["$none", []],
    ["a<< b c", ["a<< b", "c"]],
  ];
  for (const [raw, words] of cases) {
    assertEquals({ raw, words: expandWords(raw, values).words }, { raw, words });
  }
});

Deno.test("heredocs keep their quotes; a shown command keeps all but known variables", () => {
  assertEquals(
    expandHeredoc('"$SHELL" it\'s \\$SHELL ${PWD%home} `x`\n', lookup).text,
    '"bash" it\'s $SHELL / `x`\n',
  );
  assertEquals(
    expandForDisplay(`echo "$SHELL" '$SHELL' $none \${none:-x} \\$SHELL`, lookup),
    `echo "bash" '$SHELL' $none \${none:-x} \\$SHELL`,
  );
  assertEquals(expandForDisplay("echo it's ${x^^}", lookup), "echo it's ${x^^}");
});

Deno.test("hostile words end soon, with an error", async () => {
  const nested = "${a:-".repeat(200) + "}".repeat(200);
  assertIncludes(await messageOf(() => expandWord(nested, lookup)), "nested too deeply");
  const long = from({ A: "a".repeat(1 << 16) });
  assertIncludes(await messageOf(() => expandWord("$A".repeat(20), long)), "longer than 1048576");
  assertIncludes(await messageOf(() => expandWord("${A//?/$A}", long)), "longer than 1048576");
  const stars = "*a".repeat(50) + "b";
  assertEquals(expandWord(`\${A##${stars}}`, long).text.length, 1 << 16);
  assertEquals(expandWord(`\${A//${stars}/}`, long).text.length, 1 << 16);
});

const WORD = fc.array(
  fc.constantFrom(..."aA$${}:-+?#%/*\\'\"<` \n`é", "${A", "${A:-", "${A/"),
  { maxLength: 30 },
).map((parts) => parts.join(""));

Deno.test("expanding throws nothing but a BuildError; a quoted word is itself", () => {
  fc.assert(
    fc.property(WORD, fc.constantFrom("\\", "`"), (raw, escape) => {
      expanded(raw, from({ A: "a*\\b" }), escape);
      try {
        expandHeredoc(raw, from({ A: "x" }));
      } catch (error) {
        if (!(error instanceof BuildError)) throw error;
      }
      const plain = raw.replaceAll("'", "");
      assertEquals(expandWord(`'${plain}'`, lookup, escape).text, plain);
    }),
    { numRuns: 500 },
  );
});
