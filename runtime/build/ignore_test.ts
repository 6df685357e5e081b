import { compilePatterns, parseIgnore } from "./ignore.ts";
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
  for (const pattern of ["[", "a[b", "a\\"]) {
    assertIncludes(await messageOf(() => compilePatterns([pattern])), "syntax error in pattern");
  }
});
