import { equal } from "node:assert/strict";
import { SLOT_BYTES, SlotPool } from "./slots.ts";

Deno.test("memory of slots that nobody uses is given back, that of others stays", () => {
  const pool = new SlotPool(2);
  const [used, free, other] = [pool.take(), pool.take(), pool.take()];
  for (const slot of [used, free, other]) slot.bytes.fill(7);
  pool.give(free);
  pool.discard();
  // the first and the last page are others' as well
  const middle = SLOT_BYTES / 2;
  equal(free.bytes[middle], 0);
  equal(used.bytes.every((byte) => byte === 7) && other.bytes.every((byte) => byte === 7), true);
  equal(free.bytes[0] === 7 && free.bytes[SLOT_BYTES - 1] === 7, true);
  const again = pool.take();
  again.bytes.fill(8);
  equal(again === free && again.bytes[middle] === 8, true);
});
