import { SOCK_NONBLOCK, SOCK_STREAM } from "../../ffi/constants/socket.ts";
import { AF_UNIX } from "../../ffi/constants/socket.ts";
import { close, read } from "../../ffi/file.ts";
import { socketpair } from "../../ffi/socket.ts";
import { assert, assertEquals } from "../../tests/assertions.ts";
import { MEMORY_LIMIT_BYTES, OutboundQueue } from "./outbound_queue.ts";

/** Bytes of a position: a loss or a swap anywhere shows. */
function pattern(at: number, length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, index) => ((at + index) * 2654435761) >>> 24);
}

/** Reads what the socket holds and compares; gives the new position. */
function take(fd: number, at: number): number {
  const buffer = new Uint8Array(64 * 1024);
  const count = read(fd, buffer);
  const expected = pattern(at, count);
  assert(
    buffer.subarray(0, count).every((byte, index) => byte === expected[index]),
    `wrong byte after ${at}`,
  );
  return at + count;
}

Deno.test("a stalled client falls behind into a bounded file and gets every byte it was promised", () => {
  const folder = Deno.makeTempDirSync({ prefix: "skiff-queue-" });
  const [own, client] = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK);
  const limit = 3_000_000;
  const queue = new OutboundQueue(own, folder, limit);
  let [sent, got] = [0, 0];
  const chunk = 100_003;
  while (queue.push(pattern(sent, chunk))) sent += chunk;
  assert(
    sent > MEMORY_LIMIT_BYTES + limit / 2 && queue.backlogBytes <= MEMORY_LIMIT_BYTES + limit,
    `${sent}`,
  );
  assertEquals([...Deno.readDirSync(folder)], []);

  // Half is read, and the ring takes more past its end.
  for (const half = sent / 2; got < half; got = take(client, got)) queue.flush();
  for (let more = 0; more < 10 && queue.push(pattern(sent, chunk)); more++) sent += chunk;
  const last = pattern(sent, 5);
  queue.pushLast(last);
  sent += last.length;
  while (got < sent) {
    queue.flush();
    got = take(client, got);
  }
  assertEquals([queue.flush(), queue.backlogBytes], [true, 0]);
  queue.dispose();
  close(own);
  close(client);
  Deno.removeSync(folder);
});

Deno.test("without a disk the memory's share is kept, and the last words", () => {
  const [own, client] = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK);
  const queue = new OutboundQueue(own, "/nowhere");
  let [sent, got] = [0, 0];
  while (queue.push(pattern(sent, 50_000))) sent += 50_000;
  assert(queue.backlogBytes <= MEMORY_LIMIT_BYTES);
  queue.pushLast(pattern(sent, 9));
  sent += 9;
  while (got < sent) {
    queue.flush();
    got = take(client, got);
  }
  assertEquals(queue.backlogBytes, 0);
  close(own);
  close(client);
});
