import { deepStrictEqual as equal } from "node:assert/strict";
import { AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from "../../../ffi/constants/socket.ts";
import { receiveFrom } from "../../../ffi/datagram.ts";
import { closeSocket, SocketAddress } from "../../../ffi/inet.ts";
import { socketpair } from "../../../ffi/socket.ts";
import { SlotPool } from "./slots.ts";
import { Budget } from "./tcp_host_stream.ts";
import { Receiver } from "./tcp_receiver.ts";

/** A receiver whose host reads only in `read`. */
class Rig {
  readonly budget = new Budget(6 << 20);
  readonly pool = new SlotPool(8);
  readonly receiver = new Receiver(this.budget, this.pool);
  readonly slot = this.pool.take();
  readonly #ends = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC);
  sequence = 1000;

  constructor() {
    this.receiver.start(this.sequence);
    this.receiver.advertise(7);
  }

  /** The byte `value` at that number. */
  take(sequence: number, value: number): void {
    this.slot.bytes[100] = value;
    this.receiver.take(this.#ends[0], this.slot, sequence, 100, 1);
    this.receiver.advertise(7);
  }

  read(): number[] {
    const all: number[] = [];
    const buffer = new Uint8Array(65_536);
    for (;;) {
      const count = receiveFrom(this.#ends[1], buffer, new SocketAddress());
      if (count <= 0) {
        if (this.receiver.isFlushed) return all;
        this.receiver.flush(this.#ends[0]);
      }
      for (let at = 0; at < count; at++) all.push(buffer[at]!);
    }
  }

  [Symbol.dispose](): void {
    this.receiver.dispose();
    for (const fd of this.#ends) closeSocket(fd);
    equal(this.budget.used, 0);
  }
}

Deno.test("single bytes for a host that reads nothing cost no more memory than is counted", () => {
  using rig = new Rig();
  const memory = () => Deno.memoryUsage().heapUsed + Deno.memoryUsage().external;
  let count = 0;
  while (rig.receiver.isFlushed) rig.take(rig.sequence + count, count++ & 255);
  const before = memory();
  for (const end = count + 300_000; count < end; count++) rig.take(rig.sequence + count, count & 255);
  equal(rig.receiver.queuedBytes > 290_000, true);
  const grown = memory() - before;
  equal(grown < 30 << 20, true, `${grown} bytes for ${rig.receiver.queuedBytes}`);
  equal(rig.budget.used < 2 * rig.receiver.queuedBytes, true);
  const all = rig.read();
  equal([all.length, all.every((byte, index) => byte === (index & 255))], [count, true]);
});

Deno.test("single bytes out of order count for what they cost", () => {
  using rig = new Rig();
  for (let index = 0; index < 64; index++) rig.take(rig.sequence + 1 + 2 * index, index);
  equal(rig.budget.used >= 64 * 200, true);
  for (let index = 0; index <= 64; index++) rig.take(rig.sequence + 2 * index, 255);
  equal(rig.read(), [...Array.from({ length: 64 }, (_, index) => [255, index]).flat(), 255]);
  equal(rig.budget.used, 0);
});
