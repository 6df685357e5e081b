import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { type Arity, defineCommand, type Flags } from "./command.ts";
import { parseLine } from "./parser.ts";
import { checkArity, fillDefaults } from "./values.ts";

Deno.test("what is not given is false, its default, an empty list or undefined", () => {
  const flags = {
    rm: { kind: "bool", help: "" },
    proxy: { kind: "bool", default: true, help: "" },
    env: { kind: "array", help: "" },
    cap: { kind: "list", help: "" },
    name: { kind: "string", default: "shown only", help: "" },
    time: { kind: "int", help: "" },
  } as const satisfies Flags;
  const none = { rm: false, proxy: true, env: [], cap: [], name: undefined, time: undefined };
  assertEquals(fillDefaults(flags, parseLine([], flags, "x")), none);
  assertEquals(fillDefaults(flags, parseLine(["--proxy=false", "--time=0"], flags, "x")), {
    ...none,
    proxy: false,
    time: 0,
  });
});

const ARITIES: [Arity, count: number, message: string][] = [
  [{ max: 0 }, 1, "`skiff x` takes no arguments"],
  [{ min: 1 }, 0, "requires at least 1 arg(s), only received 0"],
  [{ min: 1, max: 1 }, 2, "accepts 1 arg(s), received 2"],
  [{ max: 1 }, 2, "accepts at most 1 arg(s), received 2"],
  [{ min: 1, message: "specify one" }, 0, "specify one"],
];
for (const [arity, count, message] of ARITIES) {
  Deno.test(`${count} argument(s) where ${JSON.stringify(arity)} is asked for: ${message}`, () => {
    const command = defineCommand({
      usage: "",
      examples: [],
      flags: {},
      arity,
      run: () => Promise.resolve(),
    });
    throws(() => checkArity(command, Array(count).fill("a"), "skiff x"), { message });
  });
}
