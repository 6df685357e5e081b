import { strictEqual as assertEquals } from "node:assert";
import { inspectLock, takeLock, tryLock } from "./locks.ts";

Deno.test("a held lock is seen, and is free after its holder has gone", () => {
  const path = Deno.makeTempFileSync();
  const held = tryLock(path)!;
  assertEquals(tryLock(path), null);
  assertEquals(inspectLock(path, () => 1).state, "held");
  held[Symbol.dispose]();
  const asked = inspectLock(path, () => 1);
  assertEquals(asked.state, "free");
  assertEquals(asked.value, 1);
  Deno.removeSync(path);
});

Deno.test("asking a lock does not take it away from another asker", () => {
  const path = Deno.makeTempFileSync();
  const inner = inspectLock(path, () => inspectLock(path, () => true)).value;
  assertEquals(inner?.state, "free");
  Deno.removeSync(path);
});

Deno.test("while a lock is asked nobody can take it", () => {
  const path = Deno.makeTempFileSync();
  assertEquals(inspectLock(path, () => tryLock(path)).value, null);
  Deno.removeSync(path);
});

Deno.test("a missing lock file is missing, and is not made by asking", () => {
  assertEquals(inspectLock("/nonexistent/lock", () => 1).state, "missing");
});

Deno.test("waiting for a lock ends when its holder lets go", async () => {
  const path = Deno.makeTempFileSync();
  const held = tryLock(path)!;
  const waiting = takeLock(path);
  held[Symbol.dispose]();
  using taken = await waiting;
  assertEquals(taken?.path, path);
  Deno.removeSync(path);
});

Deno.test("waiting for a lock gives up after its time", async () => {
  const path = Deno.makeTempFileSync();
  using _held = tryLock(path)!;
  assertEquals(await takeLock(path, { timeoutMs: 5 }), null);
  Deno.removeSync(path);
});
