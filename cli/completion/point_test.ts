import { deepStrictEqual as assertEquals } from "node:assert";
import { argumentWord, findPoint } from "./point.ts";

/** A point in short: its kind, what is named, what is typed. */
async function at(line: string): Promise<string> {
  const point = await findPoint(line.split(" "));
  switch (point?.kind) {
    case undefined:
      return "nothing";
    case "verb":
      return `verb ${point.typed} of ${
        point.names.some(({ name }) => name === "version") ? "all" : point.names[0]!.name
      }`;
    case "flag":
      return `flag ${point.typed}`;
    case "value":
      return `value of ${point.name} ${point.lead}|${point.typed}`;
    case "argument":
      return `${point.word} after ${point.before.join(",")}: ${point.typed}`;
  }
}

const LINES: [line: string, point: string][] = [
  ["", "verb  of all"],
  ["ru", "verb ru of all"],
  ["--log-level ", "value of log-level |"],
  ["--log-level debug st", "verb st of all"],
  ["--log-level=debug st", "verb st of all"],
  ["--lo", "flag --lo"],
  ["container st", "verb st of attach"],
  ["container nosuch x", "nothing"],
  ["nosuch x", "nothing"],
  ["stop ", "CONTAINER after : "],
  ["stop a b", "CONTAINER after a: b"],
  ["stop --time ", "value of time |"],
  ["stop --timeout ", "value of time |"],
  ["stop -at ", "value of time |"],
  ["stop -t5 w", "CONTAINER after : w"],
  ["stop --time=5 -- -w", "CONTAINER after : -w"],
  ["run --network=ho", "value of network --network=|ho"],
  ["run --pull ", "IMAGE after : "],
  ["run --rm -it de", "IMAGE after : de"],
  ["run --rm debian --rm", "COMMAND after debian: --rm"],
  ["run debian ls -l x", "ARG after debian,ls,-l: x"],
  ["container ls --fil", "flag --fil"],
  ["tag a b", "NAME after a: b"],
  ["completion ", "bash|zsh|fish after : "],
  ["info ", "nothing"],
  ["cp web:/x ", "CONTAINER:DEST_PATH after web:/x: "],
  ["volume rm ", "VOLUME@SNAPSHOT after : "],
];
for (const [line, point] of LINES) {
  Deno.test(`at the end of "skiff ${line}" stands ${point}`, async () => assertEquals(await at(line), point));
}

Deno.test("the usage tells what an argument is", () => {
  const usage = "[options] IMAGE [COMMAND [ARG...]]";
  assertEquals([0, 1, 2, 7].map((index) => argumentWord({ usage }, index)), [
    "IMAGE",
    "COMMAND",
    "ARG",
    "ARG",
  ]);
  assertEquals(argumentWord({ usage: "IMAGE" }, 1), undefined);
  assertEquals(argumentWord({ usage: "[options] [CONTAINER:]PATH -" }, 0), "CONTAINER:PATH");
});
