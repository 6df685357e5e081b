import { assertEquals } from "../../../tests/assertions.ts";
import { Lull } from "./lull.ts";

Deno.test("a lull is what follows much work, once for all of it", () => {
  const timers: (() => void)[] = [];
  let lulls = 0;
  const host = {
    after: (atMs: number, callback: () => void) => (timers.push(callback), { atMs, callback, index: -1 }),
  };
  const lull = new Lull(host, () => lulls++);
  const work = (rounds: number) => {
    for (let round = 0; round < rounds; round++) lull.worked();
  };
  work(100);
  assertEquals(timers.length, 0, "a little work");
  work(1000);
  assertEquals([timers.length, lulls], [1, 0], "much work");
  work(100);
  timers.shift()!();
  assertEquals([timers.length, lulls], [1, 0], "it goes on");
  work(10);
  timers.shift()!();
  assertEquals([timers.length, lulls], [0, 1], "little goes on");
  work(100);
  assertEquals([timers.length, lulls], [0, 1], "a little work again");
  work(1000);
  timers.shift()!();
  timers.shift()!();
  assertEquals([timers.length, lulls], [0, 2], "much work again, and none after it");
  lull.worked(1000);
  timers.shift()!();
  assertEquals([timers.length, lulls], [0, 3], "many connections that ended at once");
});
