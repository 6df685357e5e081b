import { deepStrictEqual as equal } from "node:assert/strict";
import { ConnectionTable, type TableEntry } from "./tcp_table.ts";

/** How often entries were compared with what is looked for. */
let compared = 0;

class Entry implements TableEntry {
  readonly g0 = 0xfd00 << 16;
  readonly g1 = 0;
  readonly g2 = 0;
  readonly g3 = 0x100;
  chain: TableEntry | undefined;
  place: TableEntry["place"];
  readonly #ports = 1;
  constructor(readonly p0: number, readonly p1: number, readonly p2: number, readonly p3: number) {}
  get ports(): number {
    compared++;
    return this.#ports;
  }
}

const COUNT = 4096;

for (
  const [what, address] of Object.entries({
    "a sum of the words that stays the same": (index: number) => [0, 0, index, Math.imul(index, 11) ^ 77],
    "an exclusive or that stays the same": (index: number) => [0, index, 0, index],
    "the highest bits alone": (index: number) => [index << 20, index << 20, 0, 0],
    "one network": (index: number) => [0x20010db8, 0, 0, index],
  })
) {
  Deno.test(`addresses chosen for one chain are spread: ${what}`, () => {
    const table = new ConnectionTable<Entry>();
    const entries = Array.from({ length: COUNT }, (_, index) => {
      const [p0, p1, p2, p3] = address(index) as [number, number, number, number];
      return new Entry(p0 | 0, p1 | 0, p2 | 0, p3 | 0);
    });
    for (const entry of entries) table.add(entry);
    compared = 0;
    for (const entry of entries) equal(table.find(entry), entry);
    // some are read twice, for the hash and in chains of two and three; all in one chain are half of COUNT each
    equal(compared < COUNT * 64, true, `${compared} comparisons`);
    for (const entry of entries) table.delete(entry);
    equal(table.size, 0);
  });
}
