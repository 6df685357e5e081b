/** Rules and words of pflag; the messages were recorded from podman 4.3.1. */

import { deepStrictEqual as assertEquals, throws } from "node:assert";
import fc from "fast-check";
import type { Flags } from "./command.ts";
import { parseLine } from "./parser.ts";

const FLAGS: Flags = {
  rm: { kind: "bool", help: "" },
  interactive: { kind: "bool", short: "i", help: "" },
  tty: { kind: "bool", short: "t", help: "" },
  detach: { kind: "bool", short: "d", help: "" },
  "sig-proxy": { kind: "bool", default: true, help: "" },
  env: { kind: "array", short: "e", help: "" },
  "cap-add": { kind: "list", help: "" },
  name: { kind: "string", help: "" },
  network: { kind: "string", aliases: ["net"], help: "" },
  pull: { kind: "string", bare: "always", choices: ["always", "never"], help: "" },
  time: { kind: "uint", short: "T", help: "" },
  last: { kind: "int", short: "n", help: "" },
  sort: { kind: "string", choices: ["id", "names"], help: "" },
  restart: { kind: "string", only: ["no", ""], help: "" },
};

function parse(line: string, optionsFirst = true): unknown[] {
  const { values, args } = parseLine(line === "" ? [] : line.split(" "), FLAGS, "skiff run", optionsFirst);
  return [Object.fromEntries(values), args];
}

const UNDERSTOOD: [line: string, values: Record<string, unknown>, args: string[]][] = [
  ["", {}, []],
  ["--rm x", { rm: true }, ["x"]],
  ["--rm=false x", { rm: false }, ["x"]],
  ["--rm=T --rm=0 x", { rm: false }, ["x"]],
  ["--rm false", { rm: true }, ["false"]],
  ["-t=false x", { tty: false }, ["x"]],
  ["-itd x", { interactive: true, tty: true, detach: true }, ["x"]],
  ["-it=false x", { interactive: true, tty: false }, ["x"]],
  ["-eFOO=1 x", { env: ["FOO=1"] }, ["x"]],
  ["-e=FOO=1 x", { env: ["FOO=1"] }, ["x"]],
  ["-e FOO=1 -eBAR --env BAZ= --env=Q=1,2", { env: ["FOO=1", "BAR", "BAZ=", "Q=1,2"] }, []],
  ["-ite A x", { interactive: true, tty: true, env: ["A"] }, ["x"]],
  ["-e --rm x", { env: ["--rm"] }, ["x"]],
  ["--cap-add a,b --cap-add=c", { "cap-add": ["a", "b", "c"] }, []],
  ["--cap-add=", { "cap-add": [] }, []],
  ["--net host", { network: "host" }, []],
  ["--name a --name b", { name: "b" }, []],
  ["--name= x", { name: "" }, ["x"]],
  ["--pull x", { pull: "always" }, ["x"]],
  ["--pull=never x", { pull: "never" }, ["x"]],
  ["--pull never x", { pull: "never" }, ["x"]],
  ["-T5 -T=6 --time 7", { time: 7 }, []],
  ["--time=0x10", { time: 16 }, []],
  ["-n-1", { last: -1 }, []],
  ["--last 010", { last: 8 }, []],
  ["--sort=id", { sort: "id" }, []],
  ["--restart=no", { restart: "no" }, []],
  ["x --rm -i -- y", {}, ["x", "--rm", "-i", "--", "y"]],
  ["--rm -- --name y", { rm: true }, ["--name", "y"]],
  ["- --rm", {}, ["-", "--rm"]],
];

for (const [line, values, args] of UNDERSTOOD) {
  Deno.test(`understands "${line}"`, () => assertEquals(parse(line), [values, args]));
}

Deno.test("options may follow arguments where the command says so", () => {
  assertEquals(parse("a --rm b -i -- -t", false), [{ rm: true, interactive: true }, ["a", "b", "-t"]]);
});

Deno.test("a quoted comma does not split a list", () => {
  assertEquals(parse('--cap-add="a,b",c,"d""e"'), [{ "cap-add": ["a,b", "c", 'd"e'] }, []]);
});

const PARSE_BOOL = (text: string) => `strconv.ParseBool: parsing "${text}": invalid syntax`;

const REFUSED: [line: string, message: string][] = [
  ["--foo x", "unknown flag: --foo"],
  ["--foo=1 x", "unknown flag: --foo"],
  ["-Z x", "unknown shorthand flag: 'Z' in -Z"],
  ["-dZ x", "unknown shorthand flag: 'Z' in -Z"],
  ["-dZi x", "unknown shorthand flag: 'Z' in -Zi"],
  ["-t=", "unknown shorthand flag: '=' in -="],
  ["--name", "flag needs an argument: --name"],
  ["--net", "flag needs an argument: --net"],
  ["-e", "flag needs an argument: 'e' in -e"],
  ["-ie", "flag needs an argument: 'e' in -e"],
  ["--=x", "bad flag syntax: --=x"],
  ["---rm", "bad flag syntax: ---rm"],
  ["--rm=maybe x", `invalid argument "maybe" for "--rm" flag: ${PARSE_BOOL("maybe")}`],
  ["-t=q x", `invalid argument "q" for "-t, --tty" flag: ${PARSE_BOOL("q")}`],
  ["--help=x", `invalid argument "x" for "--help" flag: ${PARSE_BOOL("x")}`],
  [
    "--time=abc",
    'invalid argument "abc" for "-T, --time" flag: strconv.ParseUint: parsing "abc": invalid syntax',
  ],
  [
    "--time=-1",
    'invalid argument "-1" for "-T, --time" flag: strconv.ParseUint: parsing "-1": invalid syntax',
  ],
  ["--last=", 'invalid argument "" for "-n, --last" flag: strconv.ParseInt: parsing "": invalid syntax'],
  [
    "--last=9223372036854775808",
    'invalid argument "9223372036854775808" for "-n, --last" flag: ' +
    'strconv.ParseInt: parsing "9223372036854775808": value out of range',
  ],
  [
    "--sort foo",
    'invalid argument "foo" for "--sort" flag: "foo" is not a valid value.  Choose from: "id, names"',
  ],
  [
    '--cap-add a"b',
    'invalid argument "a\\"b" for "--cap-add" flag: parse error on line 1, column 2: bare " in non-quoted-field',
  ],
  [
    '--cap-add "a"b',
    'invalid argument "\\"a\\"b" for "--cap-add" flag: ' +
    'parse error on line 1, column 3: extraneous or missing " in quoted-field',
  ],
];

for (const [line, message] of REFUSED) {
  Deno.test(`refuses "${line}"`, () => {
    throws(() => parse(line), { message, hint: "See 'skiff run --help'", exitCode: 125 });
  });
}

Deno.test("a value that cannot be had yet is refused as such", () => {
  throws(() => parse("--restart always"), {
    name: "UnsupportedError",
    message: '--restart=always is not available yet: only "no" is',
  });
});

Deno.test("help ends the reading, and -h is help where no option has that letter", () => {
  assertEquals(parseLine(["--rm", "--help", "--foo"], FLAGS, "skiff run").help, true);
  assertEquals(parseLine(["-h"], FLAGS, "skiff run").help, true);
  assertEquals(parseLine(["--help=false"], FLAGS, "skiff run").help, false);
  const withHostname: Flags = { hostname: { kind: "string", short: "h", help: "" } };
  assertEquals(parseLine(["-h", "box"], withHostname, "skiff run").values.get("hostname"), "box");
});

Deno.test("what follows -- is never read as an option", () => {
  fc.assert(fc.property(fc.array(fc.string()), (words) => {
    assertEquals(parseLine(["--", ...words], FLAGS, "skiff run").args, words);
  }));
});

Deno.test("any value reaches an array option unchanged, in all four spellings", () => {
  fc.assert(fc.property(fc.string({ minLength: 1 }), (text) => {
    const words = ["--env", text, `--env=${text}`, "-e", text, `-e=${text}`];
    assertEquals(parseLine(words, FLAGS, "skiff run").values.get("env"), [text, text, text, text]);
  }));
});

Deno.test("a line either parses or is refused as an invalid argument", () => {
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom("--rm", "-it", "-e", "--time", "-T=3", "--", "-", "--pull=x", "x"),
  );
  fc.assert(fc.property(fc.array(word), fc.boolean(), (words, optionsFirst) => {
    try {
      parseLine(words, FLAGS, "skiff run", optionsFirst);
    } catch (error) {
      assertEquals((error as { exitCode: number }).exitCode, 125);
    }
  }));
});
