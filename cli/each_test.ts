import { deepStrictEqual as assertEquals } from "node:assert";
import { ReaderGoneError } from "./output/print.ts";
import { ConflictError, NotFoundError } from "../runtime/errors.ts";
import { forEach } from "./each.ts";

Deno.test("all are tried, a few at once, and the exit code is the highest", async () => {
  const done: number[] = [];
  let [running, most] = [0, 0];
  const code = await forEach(Array.from({ length: 40 }, (_, index) => index), async (target) => {
    most = Math.max(most, ++running);
    await Promise.resolve();
    running--;
    done.push(target);
    return undefined;
  });
  assertEquals([code, done.length, most], [0, 40, 8]);
});

Deno.test("a failure stops no other, and the command judges its exit code", async () => {
  const done: string[] = [];
  const judge = (error: unknown, standard: number) => error instanceof NotFoundError ? 1 : standard;
  const act = (target: string) => {
    if (target === "missing") return Promise.reject(new NotFoundError("container", target));
    if (target === "busy") return Promise.reject(new ConflictError("it is busy"));
    done.push(target);
    return Promise.resolve(undefined);
  };
  assertEquals(await forEach(["a", "missing", "b"], act, judge), 1);
  assertEquals(await forEach(["missing", "busy"], act, judge), 125);
  assertEquals(done, ["a", "b"]);
});

/** What is written to stdout while `action` runs, by a `write` of the test's own. */
async function withStdout(write: (text: string) => void, action: () => Promise<unknown>): Promise<void> {
  const { writeSync } = Deno.stdout;
  Deno.stdout.writeSync = (bytes) => {
    write(new TextDecoder().decode(bytes));
    return bytes.length;
  };
  try {
    await action();
  } finally {
    Deno.stdout.writeSync = writeSync;
  }
}

Deno.test("lines come in the order of the targets, whichever is done first", async () => {
  let text = "";
  const { promise, resolve } = Promise.withResolvers<string>();
  const act = (target: string) => {
    if (target === "slow") return promise;
    if (target === "none") return Promise.resolve(undefined);
    if (target === "last") resolve("slow");
    return Promise.resolve(target);
  };
  await withStdout((more) => text += more, () => forEach(["slow", "a", "none", "last"], act));
  assertEquals(text, "slow\na\nlast\n");
});

Deno.test("a reader that is gone stops none of the actions", async () => {
  const done: string[] = [];
  const gone = () => {
    throw new Deno.errors.BrokenPipe();
  };
  const act = (target: string) => {
    done.push(target);
    return Promise.resolve(target);
  };
  const targets = Array.from({ length: 20 }, (_, index) => String(index));
  await withStdout(gone, async () => {
    const error = await forEach(targets, act).catch((error) => error);
    assertEquals(error instanceof ReaderGoneError, true);
  });
  assertEquals(done.length, 20);
});
