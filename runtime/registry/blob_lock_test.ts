import { deepStrictEqual as assertEquals, rejects } from "node:assert";
import type { Digest } from "../spec/digest.ts";
import { lockBlob } from "./blob_lock.ts";

const DIGEST = `sha256:${"a".repeat(64)}` as Digest;

Deno.test("one holder at a time, and no file is left", async () => {
  const folder = await Deno.makeTempDir();
  try {
    let holders = 0, most = 0, waits = 0;
    await Promise.all(Array.from({ length: 8 }, async () => {
      using _lock = await lockBlob(folder, DIGEST, { onWait: () => waits++ });
      most = Math.max(most, ++holders);
      // the first of them until all have come
      while (waits < 7) await new Promise((resolve) => setTimeout(resolve, 1));
      holders--;
    }));
    assertEquals([most, waits], [1, 7]);
    assertEquals([...Deno.readDirSync(folder)], []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("waiting ends with an abort", async () => {
  const folder = await Deno.makeTempDir();
  try {
    using _held = await lockBlob(folder, DIGEST);
    const stop = new AbortController();
    const waiting = lockBlob(folder, DIGEST, {
      signal: stop.signal,
      onWait: () => stop.abort(new Error("enough")),
    });
    await rejects(waiting, new Error("enough"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
