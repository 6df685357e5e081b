import { deepStrictEqual as assertEquals } from "node:assert";
import { parseDockerfile } from "../dockerfile/parse.ts";
import type { RunStep } from "../step.ts";
import { planBuild } from "./plan.ts";
import { argumentOf } from "./variables.ts";

Deno.test("an argument that is called as what every object has is not set by that", async () => {
  const names = ["toString", "constructor"];
  // control: who looks it up in the object itself finds what was never given
  assertEquals(typeof ({} as Record<string, unknown>)[names[0]!], "function");
  assertEquals(names.map((name) => argumentOf({}, name)), [undefined, undefined]);
  const declared = names.map((name) => `ARG ${name}\n`).join("");
  const plan = async (buildArgs: Record<string, string>) => {
    const graph = await planBuild({
      dockerfile: parseDockerfile(`${declared}FROM scratch\n${declared}RUN a\n`, "Dockerfile"),
      options: { buildArgs, contexts: {}, labels: {}, addHosts: [], allow: [] },
      resolveImage: () => Promise.reject(new Error("no image is asked for")),
    });
    return (graph.steps[0] as RunStep).env.slice(1);
  };
  assertEquals(await plan({}), []);
  assertEquals(await plan({ toString: "a" } as unknown as Record<string, string>), ["toString=a"]);
});
