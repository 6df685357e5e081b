import { assertEquals, assertIncludes, messageOf } from "../../../tests/assertions.ts";
import { isGitAddress, parseGitAddress } from "./git_address.ts";

Deno.test("what names a repository, and what is a folder or a file of a web server", () => {
  const yes = [
    "https://h/r.git",
    "https://u:p@h/o/r.git#b:d",
    "https://h/r.git?ref=v1&subdir=/d",
    "git://h/r",
    "ssh://git@h/r",
    "git@h:o/r",
    "me@h.example:/srv/r.git",
  ];
  const no = [
    "https://h/r",
    "https://h/r.git/",
    "https://h/r.git.bar",
    "http://h/r.git:#b",
    "h/o/r.git",
    "github.com/o/r",
    "./.git",
    ".git",
  ];
  assertEquals([...yes, ...no].filter(isGitAddress), yes);
});

Deno.test("an address says the branch, tag or commit and the folder, in its fragment or its query", () => {
  const cases: [text: string, address: ReturnType<typeof parseGitAddress>][] = [
    ["https://h/r.git", { remote: "https://h/r.git" }],
    ["https://h/r.git#v1", { remote: "https://h/r.git", ref: "v1" }],
    ["https://h/r.git#v1:a/b", { remote: "https://h/r.git", ref: "v1", subdir: "a/b" }],
    ["https://h/r.git#:a", { remote: "https://h/r.git", subdir: "a" }],
    ["https://h/r.git#", { remote: "https://h/r.git" }],
    ["git@h:o/r.git#refs/pull/1/head", { remote: "git@h:o/r.git", ref: "refs/pull/1/head" }],
    ["ssh://git@h:22/r.git#x", { remote: "ssh://git@h:22/r.git", ref: "x" }],
    ["github.com/o/r#main", { remote: "https://github.com/o/r", ref: "main" }],
    ["https://h/r.git?branch=b&subdir=s", { remote: "https://h/r.git", ref: "refs/heads/b", subdir: "s" }],
    ["https://h/r.git?tag=t&commit=abcdef0", {
      remote: "https://h/r.git",
      ref: "refs/tags/t",
      checksum: "abcdef0",
    }],
    ["https://h/r.git?checksum=abcdef0&keep-git-dir=&submodules=false", {
      remote: "https://h/r.git",
      ref: "abcdef0",
      checksum: "abcdef0",
      keepGitDir: true,
      submodules: false,
    }],
  ];
  for (const [text, address] of cases) assertEquals(parseGitAddress(text), address);
});

Deno.test("an address that would be an option, a refspec or something else again is refused", async () => {
  for (
    const text of [
      "--upload-pack=x",
      "https://h/r.git#-f",
      "https://h/r.git#a b",
      "https://h/r.git?ref=a:b",
      "https://h/r.git?ref=+refs/*",
      "https://h/r.git?commit=zz",
      "https://h/r.git?other=1",
      "https://h/r.git?submodules=some",
    ]
  ) {
    assertIncludes(await messageOf(() => parseGitAddress(text)), "use git address");
  }
});
