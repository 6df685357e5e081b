import { strictEqual as assertEquals } from "node:assert";
import { loadArchiveHash, SMALL_ARCHIVE_BYTES } from "./layer_hash.ts";

Deno.test("small and large archives are hashed alike, in pieces of any length", async () => {
  const wanted = new Uint8Array(300_000).map((_, at) => at * 7 + (at >> 8));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", wanted)).toHex();
  for (const size of [0, SMALL_ARCHIVE_BYTES, SMALL_ARCHIVE_BYTES + 1, Infinity]) {
    const hash = (await loadArchiveHash(size))();
    for (let at = 0, length = 0; at < wanted.length; at += length++) {
      hash.update(wanted.slice(at, at + length));
    }
    assertEquals(hash.finish(), digest);
  }
});
