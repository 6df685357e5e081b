import { assertEquals, assertIncludes, messageOf } from "../../../tests/assertions.ts";
import type { Instruction, Stage } from "./ast.ts";
import { cutFlags } from "./flags.ts";
import { parseDockerfile } from "./parse.ts";
import { parseStringArray, splitWords } from "./words.ts";

/** Of the only stage, without what all instructions have. */
function only(text: string): Record<string, unknown> {
  const stage = parseDockerfile(`FROM scratch\n${text}`, "Dockerfile").stages[0]!;
  assertEquals(stage.instructions.length, 1);
  return bare(stage.instructions[0]!);
}

function bare(instruction: Instruction): Record<string, unknown> {
  const { original: _original, location: _location, comments: _comments, ...rest } = instruction;
  return JSON.parse(JSON.stringify(rest));
}

function stagesOf(text: string): Stage[] {
  return parseDockerfile(text, "Dockerfile").stages;
}

const INSTRUCTIONS: [text: string, parsed: Record<string, unknown>][] = [
  ["ARG a b=1 c= d=\"x y\" e='$b'", {
    keyword: "ARG",
    args: [
      { name: "a" },
      { name: "b", value: "1" },
      { name: "c", value: "" },
      { name: "d", value: '"x y"' },
      { name: "e", value: "'$b'" },
    ],
  }],
  ["ENV a=1 b=\"x y\" c=x\\ y d='it''s' e=", {
    keyword: "ENV",
    isLegacy: false,
    pairs: [{ key: "a", value: "1" }, { key: "b", value: '"x y"' }, { key: "c", value: "x\\ y" }, {
      key: "d",
      value: "'it''s'",
    }, { key: "e", value: "" }],
  }],
  ["ENV PATH\t /a:$PATH  b=c ", {
    keyword: "ENV",
    isLegacy: true,
    pairs: [{ key: "PATH", value: "/a:$PATH  b=c" }],
  }],
  ['LABEL "com.x y"="a" b=c=d', {
    keyword: "LABEL",
    isLegacy: false,
    pairs: [{ key: '"com.x y"', value: '"a"' }, { key: "b", value: "c=d" }],
  }],
  ["LABEL maintainer Tianon Gravi <x@y> (@z)", {
    keyword: "LABEL",
    isLegacy: true,
    pairs: [{ key: "maintainer", value: "Tianon Gravi <x@y> (@z)" }],
  }],
  ["MAINTAINER A B <a@b>", { keyword: "MAINTAINER", author: "A B <a@b>" }],
  ["maintainer a", { keyword: "MAINTAINER", author: "a" }],
  ["RUN apt-get update && x", run("apt-get update && x")],
  ["RUN", run("")],
  ['RUN ["a", "b c"]', { ...run(""), command: { form: "exec", argv: ["a", "b c"] } }],
  ['RUN [ "a",\t"b" ] ', { ...run(""), command: { form: "exec", argv: ["a", "b"] } }],
  ["RUN []", { ...run(""), command: { form: "exec", argv: [] } }],
  ["RUN ['a']", run("['a']")],
  ['RUN ["a"', run('["a"')],
  ['RUN ["a"] b', run('["a"] b')],
  ["RUN [ -f x ] && y", run("[ -f x ] && y")],
  [
    'RUN --mount=type=cache,target=/c,RO --mount=type=bind,from=b,src=x,\\"dst=/a,b\\" --network=none --security=insecure make --x',
    {
      ...run("make --x"),
      mounts: [
        {
          text: "type=cache,target=/c,RO",
          fields: [{ key: "type", value: "cache" }, { key: "target", value: "/c" }, {
            key: "ro",
            value: "true",
          }],
        },
        {
          text: 'type=bind,from=b,src=x,"dst=/a,b"',
          fields: [
            { key: "type", value: "bind" },
            { key: "from", value: "b" },
            { key: "src", value: "x" },
            { key: "dst", value: "/a,b" },
          ],
        },
      ],
      network: "none",
      security: "insecure",
    },
  ],
  ["CMD", { keyword: "CMD", command: { form: "shell", text: "" } }],
  ["CMD []", { keyword: "CMD", command: { form: "exec", argv: [] } }],
  ['CMD echo "$x"', { keyword: "CMD", command: { form: "shell", text: 'echo "$x"' } }],
  ['ENTRYPOINT ["/x","\\u0041\\n"]', {
    keyword: "ENTRYPOINT",
    command: { form: "exec", argv: ["/x", "A\n"] },
  }],
  ["ENTRYPOINT exec top -b", { keyword: "ENTRYPOINT", command: { form: "shell", text: "exec top -b" } }],
  ['SHELL ["powershell", "-command"]', { keyword: "SHELL", argv: ["powershell", "-command"] }],
  ["EXPOSE 80/tcp  443 $p 53/udp", { keyword: "EXPOSE", words: ["$p", "443", "53/udp", "80/tcp"] }],
  ["VOLUME /a /b", { keyword: "VOLUME", words: ["/a", "/b"] }],
  ['VOLUME ["/a b", " /c "]', { keyword: "VOLUME", words: ["/a b", "/c"] }],
  ["WORKDIR /a b\\ c", { keyword: "WORKDIR", words: ["/a b\\ c"] }],
  ["USER ${u:-x}:$g", { keyword: "USER", words: ["${u:-x}:$g"] }],
  ["STOPSIGNAL SIGRTMIN+3", { keyword: "STOPSIGNAL", words: ["SIGRTMIN+3"] }],
  ["HEALTHCHECK NONE", { keyword: "HEALTHCHECK", check: { kind: "none" } }],
  [
    "HEALTHCHECK --interval=5s --timeout=1m30s --start-period=0s --start-interval=1ms --retries=3 cmd curl x || exit 1",
    {
      keyword: "HEALTHCHECK",
      check: {
        kind: "command",
        command: { form: "shell", text: "curl x || exit 1" },
        interval: 5e9,
        timeout: 90e9,
        startPeriod: 0,
        startInterval: 1e6,
        retries: 3,
      },
    },
  ],
  ['HEALTHCHECK CMD [ "a", "b" ]', {
    keyword: "HEALTHCHECK",
    check: { kind: "command", command: { form: "exec", argv: ["a", "b"] } },
  }],
  ["COPY a b /c/", copy({ sources: paths("a", "b"), destination: "/c/" })],
  ['COPY ["a b", "/c d/"]', copy({ sources: paths("a b"), destination: "/c d/" })],
  ["COPY [a b] c", copy({ sources: paths("[a", "b]"), destination: "c" })],
  [
    'COPY --from=0 --chown=1:$g --chmod=u+x --link=false --parents --exclude=*.md --exclude="a b" . .',
    copy({
      sources: paths("."),
      destination: ".",
      flags: { from: "0", chown: "1:$g", chmod: "u+x", link: false, parents: true, exclude: ["*.md", "a b"] },
    }),
  ],
  [
    "COPY --link -- --x /y",
    copy({ sources: paths("--x"), destination: "/y", flags: { link: true, exclude: [] } }),
  ],
  ["ADD --checksum=sha256:ab --keep-git-dir --unpack=true --chown=ü https://a/b /c", {
    ...copy({ sources: paths("https://a/b"), destination: "/c" }),
    keyword: "ADD",
    flags: { exclude: [], checksum: "sha256:ab", keepGitDir: true, unpack: true, chown: "ü" },
  }],
  ["ONBUILD  run x  y", {
    keyword: "ONBUILD",
    expression: "run x  y",
    instruction: {
      original: "run x  y",
      location: { startLine: 2, endLine: 2 },
      comments: [],
      ...run("x  y"),
    },
  }],
];

function run(text: string) {
  return { keyword: "RUN", command: { form: "shell", text }, heredocs: [], mounts: [], device: [] };
}

function copy(of: { sources: unknown; destination: string; flags?: unknown }) {
  return { keyword: "COPY", flags: { exclude: [] }, ...of };
}

function paths(...names: string[]) {
  return names.map((path) => ({ kind: "path", path }));
}

Deno.test("every instruction in its forms", () => {
  for (const [text, expected] of INSTRUCTIONS) {
    const parsed = only(text);
    assertEquals({ text, ...parsed }, { text, ...expected });
  }
});

Deno.test("lines: continuations, comments within, blanks behind the escape, both line ends, a byte order mark", () => {
  const cases: [text: string, original: string, lines: [number, number]][] = [
    ["RUN a \\\n    b", "RUN a     b", [2, 3]],
    ["RUN a \\  \t\n b", "RUN a  b", [2, 3]],
    ["RUN a \\\r\n  b\r\n", "RUN a   b", [2, 3]],
    ["RUN a \\\n# comment\n   # another\n  b", "RUN a   b", [2, 5]],
    ["RUN a \\\n\n  b \\\n  \t\n  c\n", "RUN a   b   c", [2, 6]],
    ["RUN a \\\\\nENV x=y", "RUN a \\\\", [2, 2]],
    ["RUN a\\\nb", "RUN ab", [2, 3]],
    ["RUN a \\", "RUN a", [2, 2]],
    ["\\\nRUN a", "RUN a", [2, 3]],
    ["  \t RUN\ta", "RUN\ta", [2, 2]],
    ["RUN\\\n a", "RUN a", [2, 3]],
  ];
  for (const [text, original, [startLine, endLine]] of cases) {
    const found = stagesOf(`\ufeffFROM a\n${text}`)[0]!.instructions[0]!;
    assertEquals([text, found.original, found.location], [text, original, { startLine, endLine }]);
  }
  const bytes = new TextEncoder().encode("\ufeff# escape=`\r\nFROM a\r\nRUN dir C:\\`\r\n  x\r\n");
  const parsed = parseDockerfile(bytes, "Dockerfile");
  assertEquals(parsed.lines[0], "# escape=`");
  assertEquals(parsed.stages[0]!.instructions[0]!.original, "RUN dir C:\\  x");
  const warned = parseDockerfile(
    "FROM a\nRUN x \\\n\n  y\nRUN x \\\n  # c\n  y\nRUN x \\\n\n\n y",
    "Dockerfile",
  );
  assertEquals(warned.emptyContinuations, [4, 11]);
});

Deno.test("parser directives stand above all else", () => {
  const directives = (text: string) => parseDockerfile(text, "Dockerfile").directives;
  const check = { skip: [], skipAll: false, error: false, experimental: [] };
  assertEquals(directives("# escape=`\n# SynTax = docker/dockerfile:1 // opts\nFROM a"), {
    syntax: "docker/dockerfile:1",
    escape: "`",
    check,
  });
  assertEquals(directives("#escape=`\n\nFROM a").escape, "`");
  for (
    const text of [
      "# a comment\n# escape=`\nFROM a",
      "\n# escape=`\nFROM a",
      "# x=y\n# escape=`\nFROM a",
      "FROM a\n# escape=`",
      "# \n# escape=`\nFROM a",
      "ARG a\n# escape=`\nFROM a",
    ]
  ) {
    assertEquals([text, directives(text).escape], [text, "\\"]);
  }
  assertEquals(directives("#!/usr/bin/env docker\n# syntax=x\nFROM a").syntax, "x");
  assertEquals(directives("#!/bin/sh\n\n# syntax=x\nFROM a").syntax, undefined);
  assertEquals(directives("# check=skip=JSONArgsRecommended, B;error=true\nFROM a").check, {
    ...check,
    skip: ["JSONArgsRecommended", ""],
  });
  assertEquals(directives("# check=skip=A,B;error=true;experimental=all\nFROM a").check, {
    skip: ["A", "B"],
    skipAll: false,
    error: true,
    experimental: ["all"],
  });
  assertEquals(directives("# check=skip=all\nFROM a").check, { ...check, skipAll: true });
});

Deno.test("stages: names in lower case, platforms, arguments before the first", () => {
  const parsed = parseDockerfile(
    "ARG V=3\n# a\nARG W\nFROM --platform=$BUILDPLATFORM alpine:${V} AS Build\nRUN a\nfrom build As two.x-y_z\nfrom scratch\n",
    "Dockerfile",
  );
  assertEquals(parsed.globalArgs.map((arg) => [arg.args, arg.comments]), [
    [[{ name: "V", value: "3" }], []],
    [[{ name: "W" }], ["a"]],
  ]);
  assertEquals(
    parsed.stages.map((
      { base, platform, name, instructions },
    ) => [base, platform, name, instructions.length]),
    [
      ["alpine:${V}", "$BUILDPLATFORM", "build", 1],
      ["build", undefined, "two.x-y_z", 0],
      ["scratch", undefined, undefined, 0],
    ],
  );
});

Deno.test("words, flags and JSON arrays are cut where BuildKit cuts them", async () => {
  const words: [string, string[]][] = [
    ["foo bar", ["foo", "bar"]],
    ["foo\\ bar", ["foo\\ bar"]],
    ["foo bar 'abc xyz'", ["foo", "bar", "'abc xyz'"]],
    ['föo bàr "âbc xÿz"', ["föo", "bàr", '"âbc xÿz"']],
    ['a="b\\" c" d', ['a="b\\" c"', "d"]],
    ["a='b\\' c", ["a='b\\'", "c"]],
    ["a\\", ["a"]],
    ['a "b', ["a", '"b']],
  ];
  for (const [text, expected] of words) assertEquals([text, splitWords(text, "\\")], [text, expected]);
  assertEquals(splitWords("a`\\ b` c", "`"), ["a`\\", "b` c"]);
  const flags: [string, string[], string][] = [
    ["a b", [], "a b"],
    ["--a --b=c d --e", ["--a", "--b=c"], "d --e"],
    ['--a="x y" z', ["--a=x y"], "z"],
    ["--a='x\\ y' z", ["--a=x y"], "z"],
    ["--a=x\\ y z", ["--a=x y"], "z"],
    ["--a -- --b c", ["--a"], " --b c"],
    ["-a b", [], "-a b"],
    ["--a", ["--a"], ""],
    ["--", [], ""],
  ];
  for (const [text, given, rest] of flags) assertEquals([text, ...cutFlags(text)], [text, given, rest]);
  const arrays: [string, string[] | undefined][] = [
    ["[]", []],
    ['[""]', [""]],
    ['\t[\t"a",\t"b"\t]\t', ["a", "b"]],
    ['["abc 123", "♥", "☃", "\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u0000"]', [
      "abc 123",
      "♥",
      "☃",
      '" \\ / \b \f \n \r \t \u0000',
    ]],
    ["[a]", undefined],
    ['["a"', undefined],
    ['["a",]', undefined],
    ['{"a": 1}', undefined],
    ["", undefined],
  ];
  for (const [text, array] of arrays) assertEquals([text, parseStringArray(text)], [text, array]);
  for (const item of ["42", "123.456", "{}", '{"c": "d"}', '["c"]', "true", "false", "null"]) {
    assertIncludes(await messageOf(() => parseStringArray(`["a",${item},"b"]`)), "strings only");
  }
});
