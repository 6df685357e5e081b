import { deepStrictEqual as assertEquals } from "node:assert";
import { LOCK_EX, LOCK_NB, O_RDWR } from "../../ffi/constants/fcntl.ts";
import { Fd, flock, open } from "../../ffi/file.ts";
import { inspectLock, takeLock, tryLock } from "./locks.ts";

Deno.test("a held lock is seen, and is free after its holder has gone", () => {
  const path = Deno.makeTempFileSync();
  const held = tryLock(path)!;
  assertEquals(tryLock(path), null);
  assertEquals(inspectLock(path).state, "held");
  held[Symbol.dispose]();
  const asked = inspectLock(path);
  assertEquals(asked.state, "free");
  if (asked.state === "free") asked.lock[Symbol.dispose]();
  Deno.removeSync(path);
});

Deno.test("asking a lock does not take it away from another asker, but from a taker", () => {
  const path = Deno.makeTempFileSync();
  const asked = inspectLock(path);
  const again = inspectLock(path);
  assertEquals([asked.state, again.state], ["free", "free"]);
  assertEquals(tryLock(path), null);
  for (const one of [asked, again]) if (one.state === "free") one.lock[Symbol.dispose]();
  Deno.removeSync(path);
});

Deno.test("a lock taken with flock(2) is the same lock", () => {
  const path = Deno.makeTempFileSync();
  using fd = new Fd(open(path, O_RDWR));
  flock(fd.number, LOCK_EX | LOCK_NB);
  assertEquals(inspectLock(path).state, "held");
  Deno.removeSync(path);
});

Deno.test("a missing lock file is missing, and is not made by asking", () => {
  assertEquals(inspectLock("/nonexistent/lock").state, "missing");
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

Deno.test("a lock whose file was removed or replaced is not the current one", () => {
  const path = Deno.makeTempFileSync();
  using held = tryLock(path)!;
  assertEquals(held.isCurrent(), true);
  Deno.removeSync(path);
  assertEquals(held.isCurrent(), false);
  using other = tryLock(path)!;
  assertEquals([held.isCurrent(), other.isCurrent()], [false, true]);
  Deno.removeSync(path);
});
