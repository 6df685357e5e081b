import fc from "fast-check";
import { compileIgnore, compilePatterns, parseIgnore } from "./ignore.ts";
import { compilePattern } from "./ignore_pattern.ts";
import { assertEquals, assertIncludes, messageOf } from "../../tests/assertions.ts";

// Of moby/patternmatcher's own table, and Docker's documentation.
const CASES: [patterns: string[], path: string, matches: boolean][] = [
  [["**"], "file", true],
  [["**/"], "file", true],
  [["**"], "dir/file", true],
  [["**/**"], "dir/file", true],
  [["dir/**"], "dir/file", true],
  [["dir/**"], "dir/dir2/file", true],
  [["dir/**"], "dir", false],
  [["**/dir"], "dir", true],
  [["**/dir"], "dir/file", true],
  [["**/dir2/*"], "dir/dir2/file", true],
  [["**/dir2/**"], "dir/dir2/dir2/file", true],
  [["**file"], "file", true],
  [["**file"], "dir/file", true],
  [["**/file"], "dir/dir/file", true],
  [["**/file*"], "dir/dir/file.txt", true],
  [["**/file*txt"], "dir/dir/file.txt", true],
  [["a**/*.txt"], "a/file.txt", true],
  [["a**/*.txt"], "a/dir/dir/file.txt", true],
  [["a**/*/*.txt"], "a/dir/file.txt", true],
  [["a/*.txt"], "a/dir/file.txt", false],
  [["a.txt"], "a.txt", true],
  [["a.txt"], "b/a.txt", false],
  [["a.txt"], "aXtxt", false],
  [["/a.txt"], "a.txt", false],
  [["*"], "dir/file", true],
  [["dir"], "dir/deep/file", true],
  [["dir/"], "dir/file", true],
  [["./dir/../x"], "x", true],
  [["*/temp*"], "somedir/temporary.txt", true],
  [["*/temp*"], "temporary.txt", false],
  [["temp?"], "tempa", true],
  [["temp?"], "temp", false],
  [["[a-c]x"], "bx", true],
  [["[^a-c]x"], "bx", false],
  [["a\\*b"], "a*b", true],
  [["a\\*b"], "axb", false],
  [["*.md", "!README.md"], "README.md", false],
  [["*.md", "!README.md"], "other.md", true],
  [["*.md", "!README*.md", "README-secret.md"], "README-secret.md", true],
  [["dir", "!dir/keep"], "dir/keep", false],
  [["dir", "!dir/keep"], "dir/keep/below", false],
  [["dir", "!dir/keep"], "dir/other", true],
  [["é?"], "éa", true],
  [["**/"], "dir/file/", true],
  [["**/**"], "dir/file/", true],
  [["dir/**"], "dir/dir2/file/", true],
  [["**/dir2/*"], "dir/dir2/file/", true],
  [["**file"], "dir/dir/file", true],
  [["**file"], "dirfile", true],
  [["**/file"], "dirfile", false],
  [["**/file*.txt*"], "dir/dir/file.txt", true],
  [["**/**/*.txt"], "dir/dir/file.txt", true],
  [["**/**/*.txt2"], "dir/dir/file.txt", false],
  [["**/*.txt"], "file.txt", true],
  [["**/**/*.txt"], "file.txt", true],
  [["a**/*.txt"], "a/dir/file.txt", true],
  [["a/*.txt"], "a/file.txt", true],
  [["a/*.txt**"], "a/file.txt", true],
  [["a[b-d]e"], "ae", false],
  [["a[b-d]e"], "ace", true],
  [["a[b-d]e"], "aae", false],
  [["a[^b-d]e"], "aze", true],
  [[".*"], ".foo", true],
  [[".*"], "foo", false],
  [["abc.def"], "abcdef", false],
  [["abc.def"], "abc.def", true],
  [["abc.def"], "abcZdef", false],
  [["abc?def"], "abcZdef", true],
  [["abc?def"], "abcdef", false],
  [["**/foo/bar"], "foo/bar", true],
  [["**/foo/bar"], "dir/dir2/foo/bar", true],
  [["abc/**"], "abc/def/ghi", true],
  [["**/.foo"], ".foo", true],
  [["**/.foo"], "bar.foo", false],
  [["a(b)c/def"], "a(b)c/def", true],
  [["a(b)c/def"], "a(b)c/xyz", false],
  [["a.|)$(}+{bc"], "a.|)$(}+{bc", true],
  [
    ["dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl"],
    "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl",
    true,
  ],
  [["dist/*.whl"], "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl", true],
  [["a\\\\"], "a\\", true],
  [["**", "!util/docker/web"], "util/docker/web/foo", false],
  [["**", "!util/docker/web", "util/docker/web/foo"], "util/docker/web/foo", true],
  [["**", "!dist/*.whl"], "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl", false],
  [["!fileutils.go", "*.go"], "fileutils.go", true],
  [["*.go", "!fileutils.go"], "fileutils.go", false],
  [["docs", "!docs/README.md"], "docs/README.md", false],
  [["docs/", "!docs/README.md"], "docs/README.md", false],
  [["docs/*", "!docs/README.md"], "docs/README.md", false],
  [["docs", "  !docs/README.md  "], "docs/README.md", false],
  [["*.go"], ".", false],
  [[], "any/path/there", false],
  [["A"], "a", false],
  // Go's own table of filepath.Match.
  [["*c"], "abc", true],
  [["a*"], "ab/c", true],
  [["a*/b"], "abc/b", true],
  [["a*/b"], "a/c/b", false],
  [["a*b*c*d*e*/f"], "axbxcxdxe/f", true],
  [["a*b*c*d*e*/f"], "axbxcxdxexxx/f", true],
  [["a*b*c*d*e*/f"], "axbxcxdxe/xxx/f", false],
  [["a*b*c*d*e*/f"], "axbxcxdxexxx/fff", false],
  [["a*b?c*x"], "abxbbxdbxebxczzx", true],
  [["a*b?c*x"], "abxbbxdbxebxczzy", false],
  [["ab[e-g]"], "abc", false],
  [["ab[^e-g]"], "abc", true],
  [["a?b"], "a☺b", true],
  [["a[^a]b"], "a☺b", true],
  [["a???b"], "a☺b", false],
  [["[a-ζ]*"], "α", true],
  [["*[a-ζ]"], "A", false],
  [["a?b"], "a/b", false],
  [["a*b"], "a/b", false],
  [["[\\]a]"], "]", true],
  [["[\\-]"], "-", true],
  [["[x\\-]"], "x", true],
  [["[x\\-]"], "z", false],
  [["[\\-x]"], "-", true],
  [["[\\-x]"], "a", false],
  [["*x"], "xxx", true],
];

Deno.test("paths are matched as moby's patternmatcher matches them", () => {
  for (const [patterns, path, matches] of CASES) {
    const found = compilePatterns(patterns).matches(path);
    assertEquals({ patterns, path, matches: found }, { patterns, path, matches });
  }
});

Deno.test("a .dockerignore is read line by line: comments, blanks, slashes in front, exceptions", () => {
  const text =
    "\ufeff# comment\n  node_modules  \n\n/rooted\n!/kept/../here\n ! spaced\n #not-a-comment\r\n./a//b/\n/\n";
  assertEquals(parseIgnore(text), [
    "node_modules",
    "rooted",
    "!here",
    "!spaced",
    "#not-a-comment",
    "a/b",
    "/",
  ]);
});

Deno.test("a pattern with a fault in it is refused", async () => {
  assertIncludes(await messageOf(() => compilePatterns(["!"])), 'illegal exclusion pattern: "!"');
  for (const pattern of [..."[]a] [-] [x-] [-x] \\ [a-b-c] [ [^ [^bc a[ a[b a\\".split(" ")]) {
    assertIncludes(await messageOf(() => compilePatterns([pattern])), "syntax error in pattern");
  }
});

Deno.test("a folder is entered where something below may be taken back", () => {
  const decide = compileIgnore("deep\nlogs\n!deep/*/keep.txt\n!**/x/*.md\n");
  assertEquals(decide("deep", true), "look");
  assertEquals(decide("deep/a", true), "look");
  assertEquals(decide("deep/a/keep.txt", false), "kept");
  assertEquals(decide("deep/a/other.txt", false), "ignored");
  assertEquals(decide("src", true), "kept");
  const only = compileIgnore(["*", "!src/main", "!doc/*.md"]);
  assertEquals(only("src", true), "look");
  assertEquals(only("src/main", true), "kept");
  assertEquals(only("src/main/a/b", false), "kept");
  assertEquals(only("src/test", true), "ignored");
  assertEquals(only("doc", true), "look");
  assertEquals(only("doc/a", true), "ignored");
  assertEquals(only("node_modules", true), "ignored");
});

Deno.test("patterns of many wildcards match what their regular expression does, and do not take for ever", () => {
  const word = (maxLength: number, ...chars: string[]) =>
    fc.array(fc.constantFrom(...chars), { maxLength }).map((c) => c.join(""));
  const pieces = fc.array(word(2, "a", "b", "?", "/"), { minLength: 5, maxLength: 7 });
  fc.assert(fc.property(pieces, word(10, "a", "b", "/"), (pieces, path) => {
    const pattern = pieces.map((piece) => piece || "a").join("*");
    const source = pattern.replaceAll("?", "[^/]").replaceAll("*", "[^/]*");
    assertEquals(compilePattern(pattern)(path), new RegExp(`^${source}$`).test(path), `${pattern} ${path}`);
    const deep = pieces.map((piece) => piece.replaceAll("/", "") || "a").join("/**/");
    const deepSource = deep.replaceAll("?", "[^/]").replaceAll("/**/", "/(?:.*/)?");
    assertEquals(compilePattern(deep)(path), new RegExp(`^${deepSource}$`).test(path), `${deep} ${path}`);
  }));
  const hostile = compilePatterns(["*a".repeat(60) + "b", "**/*a".repeat(30) + "/b"]);
  assertEquals(hostile.matches("a".repeat(255)), false);
  assertEquals(hostile.matches("a/".repeat(500) + "c"), false);
});
