/** The library from a program of its own: no V8 flag, nothing but `deno run -A`. */

import { assertEquals, hostTest } from "./harness.ts";
import { readableSources } from "./sources.ts";

const ROOT = new URL("..", import.meta.url).pathname;

/** The first TypeScript example of the README. */
function readmeExample(): string {
  const readme = Deno.readTextFileSync(`${ROOT}README.md`);
  const example = /^## As a library\n.*?^```ts\n(.*?)^```$/ms.exec(readme)?.[1];
  if (!example) throw new Error("the README has no example of the library");
  return example;
}

/** What the comments behind `console.log` promise. */
function promisedOutput(example: string): string[] {
  return Array.from(example.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm), ([, text]) => text!);
}

hostTest("the README's example of the library does what its comments say", {}, async (host) => {
  const example = readmeExample();
  const { root, deno } = await readableSources();
  const file = `${host.home}/example.ts`;
  await Deno.writeTextFile(file, example.replace('"./mod.ts"', JSON.stringify(`${root}mod.ts`)));
  await host.own(file);
  const { code, stdout, stderr } = await host.program(
    [deno, "run", "-A", "--no-lock", "--no-config", file],
    { env: { SKIFF_BINARY: host.binary } },
  );
  assertEquals(
    { code, lines: stdout.trim().split("\n") },
    { code: 0, lines: promisedOutput(example) },
    stderr,
  );
});

hostTest("errors reach a program with their type and exit code", {}, async (host) => {
  const { root, deno } = await readableSources();
  const file = `${host.home}/errors.ts`;
  await Deno.writeTextFile(
    file,
    `import { CommandNotFoundError, NotFoundError, Skiff } from ${JSON.stringify(`${root}mod.ts`)};
     using skiff = new Skiff();
     const tell = (error: unknown) => console.log(
       error instanceof CommandNotFoundError, error instanceof NotFoundError, (error as { exitCode: number }).exitCode);
     await skiff.run({ image: "host", command: ["no-such-program"] }).catch(tell);
     await skiff.run({ image: "no/such/image", command: ["true"], pull: "never" }).catch(tell);
     await skiff.container("none").catch(tell);
     console.log((await skiff.list({ all: true })).length);`,
  );
  await host.own(file);
  const { stdout, stderr } = await host.program(
    [deno, "run", "-A", "--no-lock", "--no-config", file],
    { env: { SKIFF_BINARY: host.binary } },
  );
  assertEquals(stdout, "true false 127\nfalse true 125\nfalse true 125\n0\n", stderr);
});
