import { deepStrictEqual as assertEquals } from "node:assert";
import { changeEnv } from "./environment.ts";

Deno.test("variables are changed in place, added at the end, and removed", () => {
  const env = ["PATH=/bin", "A=1=2", "EMPTY="];
  const set = ["A=3", "NEW=x=y", "BARE"];
  assertEquals(changeEnv(env, { set, unset: ["EMPTY", "MISSING"] }), [
    "PATH=/bin",
    "A=3",
    "NEW=x=y",
    "BARE=",
  ]);
  assertEquals(changeEnv(env, { set: ["A=3"], unset: ["A"] }), ["PATH=/bin", "EMPTY="]);
});
