import fc from "fast-check";
import { assertEquals, assertIncludes, messageOf } from "../../../tests/assertions.ts";
import { BuildError } from "../../errors.ts";
import { sourceExcerpt } from "../../spec/source_excerpt.ts";
import { parseDockerfile } from "./parse.ts";

/** Below `FROM scratch`, so that the fault is on line 2; undefined: the message has no line. */
const ERRORS: [text: string, message: string][] = [
  ["FOO bar", "unknown instruction: FOO (did you mean FROM?)"],
  ["FROBNICATE bar", "unknown instruction: FROBNICATE"],
  ["frmo bar", "unknown instruction: frmo (did you mean from?)"],
  ["RNU x", "unknown instruction: RNU (did you mean RUN?)"],
  ["Copi x", "unknown instruction: Copi (did you mean copy?)"],
  ["MAINTAINER", "MAINTAINER requires exactly one argument"],
  ["WORKDIR", "WORKDIR requires exactly one argument"],
  ["USER", "USER requires exactly one argument"],
  ["STOPSIGNAL", "STOPSIGNAL requires exactly one argument"],
  ["ENV", "ENV requires at least one argument"],
  ["LABEL", "LABEL requires at least one argument"],
  ["ONBUILD", "ONBUILD requires at least one argument"],
  ["HEALTHCHECK", "HEALTHCHECK requires at least one argument"],
  ["EXPOSE", "EXPOSE requires at least one argument"],
  ["VOLUME", "VOLUME requires at least one argument"],
  ["ARG", "ARG requires at least one argument"],
  ["ARG --x", "ARG requires at least one argument"],
  ["SHELL", "SHELL requires at least one argument"],
  ["SHELL []", "SHELL requires at least one argument"],
  ["SHELL bash -c", "SHELL requires the arguments to be in JSON form"],
  [
    "ADD a",
    "ADD requires at least two arguments, but only one was provided. Destination could not be determined",
  ],
  [
    "COPY\t\n\t\tquux \\\n      bar",
    "COPY requires at least two arguments, but only one was provided. Destination could not be determined",
  ],
  ["COPY /foo <<EOF\nEOF", "COPY cannot accept a heredoc as a destination"],
  ["ENV =x", "ENV names can not be blank"],
  ["LABEL =x", "LABEL names can not be blank"],
  ["ARG =x", "ARG names can not be blank"],
  ['VOLUME [""]', "VOLUME specified can not be an empty string"],
  ["ONBUILD FROM scratch", "FROM isn't allowed as an ONBUILD trigger"],
  ["ONBUILD maintainer x", "MAINTAINER isn't allowed as an ONBUILD trigger"],
  ["ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"],
  ["ONBUILD FROBNICATE x", "unknown instruction: FROBNICATE"],
  [
    "ONBUILD COPY a",
    "COPY requires at least two arguments, but only one was provided. Destination could not be determined",
  ],
  ["MAINTAINER --boo joe@example.com", "unknown flag: --boo"],
  ["COPY --form=x a b", "unknown flag: --form (did you mean from?)"],
  ["COPY --from a b", "missing a value on flag: --from"],
  ["COPY --from=a --from=b a b", "duplicate flag specified: --from"],
  ["COPY --link=maybe a b", "expecting boolean value for flag --link, not: maybe"],
  ["COPY --link= a b", "missing a value on flag: --link"],
  ["COPY --link --link a b", "duplicate flag specified: --link"],
  ["ADD --from=x a b", "unknown flag: --from"],
  ["RUN --mounts=x y", "unknown flag: --mounts (did you mean mount?)"],
  ["RUN --network=bridge y", 'invalid network mode "bridge"'],
  ["RUN --security=no y", 'security "no" is not valid'],
  [
    "RUN --mount=type=bind,from=$x y",
    "'from' doesn't support variable expansion, define alias stage instead",
  ],
  ["RUN --mount=type=bind,target y", "invalid field 'target' must be a key=value pair"],
  ["ENV --x a=b", "unknown flag: --x"],
  ["HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"],
  ["HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"],
  ["HEALTHCHECK EXEC x", 'Unknown type "EXEC" in HEALTHCHECK (try CMD)'],
  ["HEALTHCHECK --interval=50ns CMD x", 'Interval "interval" cannot be less than 1ms'],
  ["HEALTHCHECK --timeout=x CMD x", 'time: invalid duration "x"'],
  ["HEALTHCHECK --retries=x CMD x", 'strconv.ParseInt: parsing "x": invalid syntax'],
  ["HEALTHCHECK --retries=-1 CMD x", "--retries cannot be negative (-1)"],
  ["HEALTHCHECK --retries=99999999999 CMD x", 'strconv.ParseInt: parsing "99999999999": value out of range'],
  ["FROM", "FROM requires either one or three arguments"],
  ["FROM a b", "FROM requires either one or three arguments"],
  ["FROM a by b", "FROM requires either one or three arguments"],
  ["FROM a as 1b", 'invalid name for build stage: "1b", name can\'t start with a number or contain symbols'],
  [
    "FROM a as b@c",
    'invalid name for build stage: "b@c", name can\'t start with a number or contain symbols',
  ],
  ["FROM --platfrom=x a", "unknown flag: --platfrom (did you mean platform?)"],
];

/** Those of the text itself: they come before the others, wherever these stand. */
const TEXT_ERRORS: [text: string, message: string, startLine: number, endLine: number][] = [
  ["", "file with no instructions", 1, 1],
  ["# only\n\n# comments", "file with no instructions", 3, 3],
  ["RUN x", "no build stage in current context", 1, 1],
  ["ARG a\n\nENV a=b\nFROM x", "no build stage in current context", 3, 3],
  ["ARG a", "dockerfile contains no stages to build", 1, 1],
  ["FROM a\nFOO\nRUN <<EOF\nx\n", "unterminated heredoc", 3, 4],
  ["FROM a\nRUN <<A <<B\nA\n", "unterminated heredoc", 2, 3],
  ["FROM a\nENV a", "ENV must have two arguments", 2, 2],
  ["FROM a\nENV a=b c", 'Syntax error - can\'t find = in "c". Must be of the form: name=value', 2, 2],
  ["FROM a\nCMD \\\n[1]", "when using JSON array syntax, arrays must be comprised of strings only", 2, 3],
  ["# escape=x\nFROM a", "invalid escape token 'x' does not match ` or \\", 1, 1],
  ["# escape=`\n# escape=\\\nFROM a", "only one escape parser directive can be used", 2, 2],
  ["# syntax=a\n# Syntax=b\nFROM a", "only one syntax parser directive can be used", 2, 2],
  ["# check=skip\nFROM a", 'invalid check option "skip"', 1, 1],
  ["# check=skip=a;foo=b\nFROM a", 'invalid check option "foo"', 1, 1],
  ["# check=error=yes\nFROM a", 'failed to parse check option "error=yes"', 1, 1],
  [`FROM a\nLABEL test=${"a".repeat(65536)}`, "dockerfile line greater than max allowed size of 65535", 2, 2],
  [`FROM a\nLABEL test=${"ä".repeat(32768)}`, "dockerfile line greater than max allowed size of 65535", 2, 2],
];

Deno.test("faults are told as BuildKit tells them, with their place", async () => {
  for (const [text, message] of ERRORS) {
    const whole = `FROM scratch\n${text}`;
    // What stands in a line of its own below COPY is another instruction.
    const line = "dockerfile parse error on line 2: ";
    assertEquals(await messageOf(() => parseDockerfile(whole, "Dockerfile")), line + message);
  }
  for (const [text, message, startLine, endLine] of TEXT_ERRORS) {
    try {
      parseDockerfile(text, "Df");
      throw new Error(`accepted: ${text}`);
    } catch (error) {
      if (!(error instanceof BuildError)) throw error;
      assertEquals([error.message, error.exitCode, error.source?.fileName, error.source?.location], [
        message,
        1,
        "Df",
        { startLine, endLine },
      ]);
    }
  }
  assertIncludes(
    await messageOf(() => parseDockerfile(new Uint8Array((16 << 20) + 1), "Dockerfile")),
    "exceeds maximum allowed size",
  );
});

Deno.test("an excerpt shows the lines at fault and some round them", () => {
  const lines = "a\nb\nc\nd\ne\nf\ng\n".split("\n");
  const show = (startLine: number, endLine: number) =>
    sourceExcerpt({ fileName: "Df", lines, location: { startLine, endLine } });
  const rule = "--------------------\n";
  assertEquals(
    show(4, 4),
    `Df:4\n${rule}   2 |     b\n   3 |     c\n   4 | >>> d\n   5 |     e\n   6 |     f\n${rule}`,
  );
  assertEquals(show(1, 1), `Df:1\n${rule}   1 | >>> a\n   2 |     b\n   3 |     c\n${rule}`);
  assertEquals(
    show(6, 7),
    `Df:6\n${rule}   5 |     e\n   6 | >>> f\n   7 | >>> g\n   8 |\n${rule}`,
  );
  assertEquals(show(9, 9), "");
});

const PIECE = fc.constantFrom(
  "FROM a",
  "FROM a AS b",
  "RUN ",
  "COPY ",
  "ENV ",
  "ONBUILD ",
  "HEALTHCHECK CMD ",
  "ARG x",
  "LABEL a=b",
  "<<EOF",
  "<<-'E'",
  "EOF",
  "E",
  "--mount=",
  "--from=x",
  '["a"]',
  "[",
  "$x",
  "${x:-y}",
  "'",
  '"',
  "\\",
  "`",
  "\n",
  "\n",
  "\r\n",
  " ",
  "\t",
  "#",
  "# escape=`\n",
  "\u0085",
  "\ufeff",
  "\0",
  "💥",
  "\ud800",
  "a b",
);

Deno.test("hostile text ends in a Dockerfile or a BuildError, soon", () => {
  const check = (source: string | Uint8Array) => {
    try {
      parseDockerfile(source, "Dockerfile");
    } catch (error) {
      if (!(error instanceof BuildError)) throw error;
      if (error.source) sourceExcerpt(error.source);
    }
  };
  fc.assert(
    fc.property(fc.array(PIECE, { maxLength: 40 }), (pieces) => check(`FROM a\n${pieces.join("")}`)),
    { numRuns: 1000 },
  );
  fc.assert(fc.property(fc.string({ unit: "binary" }), check), { numRuns: 300 });
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), check), { numRuns: 300 });
  const long = " ".repeat(65000);
  for (
    const text of [
      `# syntax=${long}x`,
      `RUN ${long}x`,
      `RUN ${"\r".repeat(60000)}x`,
      `ENV ${"a=b ".repeat(16000)}`,
      `COPY ${"<<".repeat(30000)} /x`,
      `RUN ${"[".repeat(60000)}`,
      `RUN ${"[".repeat(30000)}${"]".repeat(30000)}`,
      `RUN ${'"'.repeat(60000)}<<EOF`,
      `RUN ${"${a".repeat(20000)}<<EOF`,
      `ONBUILD ${"ONBUILD ".repeat(8000)}`,
      `RUN a \\\n${" \\\n".repeat(100000)}`,
      `RUN ${"\\".repeat(60000)}`,
    ]
  ) {
    check(`FROM a\n${text}`);
    check(text);
  }
});
