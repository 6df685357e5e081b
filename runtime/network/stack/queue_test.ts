import { deepStrictEqual as equal } from "node:assert/strict";
import { Queue } from "./queue.ts";

Deno.test("what goes into a queue comes out in its order, however full and long in use it is", () => {
  const queue = new Queue<number>();
  equal([queue.size, queue.shift()], [0, undefined]);
  const [got, wanted]: [number[], number[]] = [[], []];
  let next = 0;
  // it is never empty in between, and the places of what was taken are used again several times
  for (const [pushes, shifts] of [[3, 1], [1000, 600], [5, 300], [700, 700], [1, 0]] as const) {
    for (let count = 0; count < pushes; count++) queue.push(wanted[next] = next++);
    for (let count = 0; count < shifts; count++) got.push(queue.shift()!);
    equal(queue.size, wanted.length - got.length);
  }
  while (queue.size > 0) got.push(queue.shift()!);
  equal(got, wanted);
  queue.push(1);
  queue.push(2);
  queue.clear();
  equal([queue.size, queue.shift()], [0, undefined]);
});
