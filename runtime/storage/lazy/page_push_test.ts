import { deepStrictEqual as assertEquals } from "node:assert";
import type { LazyContent } from "./handler.ts";
import { PagePush } from "./page_push.ts";
import type { LazyNode } from "./tree.ts";

const KIB = 1 << 10, MIB = 1 << 20, READ = 128 * KIB;

/** @param here up to where the file's content is here */
function pushOf(size: number, here = size) {
  const node = { id: 7, attributes: { size } } as LazyNode;
  const content: Pick<LazyContent, "copyHere"> = {
    copyHere: (_, offset, into) => (into.fill(offset / MIB), offset + into.length <= here),
  };
  const sent: [offset: number, length: number, first: number][] = [];
  let finish = () => {};
  const push = new PagePush(content as LazyContent, (bytes) => {
    const content = new Uint8Array(bytes);
    return {
      content,
      send(nodeid, offset, length) {
        assertEquals(nodeid, node.id);
        sent.push([offset, length, content[0]!]);
        return new Promise<void>((resolve) => finish = resolve);
      },
    };
  }, (error) => {
    throw error;
  });
  return {
    sent,
    read: (offset: number) => push.wasRead(node, offset, Math.min(size, offset + READ)),
    async finish() {
      finish();
      await new Promise((resolve) => setTimeout(resolve));
    },
  };
}

Deno.test("of a file that is read in its order the kernel gets most before it asks", async () => {
  const { sent, read, finish } = pushOf(2 * MIB + 300 * KIB);
  read(0);
  assertEquals(sent, []);
  read(READ);
  assertEquals(sent, [[512 * KIB, 512 * KIB, 0]]);
  // asked for meanwhile
  read(2 * READ);
  read(3 * READ);
  await finish();
  read(MIB);
  assertEquals(sent[1], [MIB + 384 * KIB, MIB - 384 * KIB, 1]);
  await finish();
  // too little is left
  read(2 * MIB);
  assertEquals(sent.length, 2);
});

Deno.test("one push is under way at a time", () => {
  const { sent, read } = pushOf(8 * MIB);
  read(0);
  read(READ);
  read(MIB);
  assertEquals(sent.length, 1);
});

Deno.test("who reads here and there is only given what he asks for", () => {
  const { sent, read } = pushOf(64 * MIB);
  for (const at of [0, 5, 3, 60, 4, 30]) read(at * MIB);
  assertEquals(sent, []);
});

Deno.test("what is not here is not pushed", () => {
  const { sent, read } = pushOf(8 * MIB, MIB - 1);
  read(0);
  read(READ);
  assertEquals(sent, []);
});

Deno.test("a disk that fails is told of, and stops nobody", () => {
  const told: unknown[] = [];
  const failure = new Error("input/output error");
  const content = {
    copyHere() {
      throw failure;
    },
  };
  const message = { content: new Uint8Array(MIB), send: () => Promise.resolve() };
  const push = new PagePush(content as unknown as LazyContent, () => message, (error) => told.push(error));
  const node = { id: 7, attributes: { size: 8 * MIB } } as LazyNode;
  push.wasRead(node, 0, READ);
  push.wasRead(node, READ, 2 * READ);
  assertEquals(told, [failure]);
});
