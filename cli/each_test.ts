import { deepStrictEqual as assertEquals } from "node:assert";
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
    return Promise.resolve();
  };
  assertEquals(await forEach(["a", "missing", "b"], act, judge), 1);
  assertEquals(await forEach(["missing", "busy"], act, judge), 125);
  assertEquals(done, ["a", "b"]);
});
