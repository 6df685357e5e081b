/** Pairs between two clients of this process, over the loopback; the loop is turned beside the clients. */

import { assert, assertEquals } from "../../../tests/assertions.ts";
import { MSG_OOB, SO_OOBINLINE } from "../../../ffi/constants/inet.ts";
import { F_GETPIPE_SZ, F_SETPIPE_SZ } from "../../../ffi/constants/fcntl.ts";
import { RLIMIT_NOFILE } from "../../../ffi/constants/resource.ts";
import {
  AF_INET,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SHUT_WR,
  SO_RCVBUF,
  SO_SNDBUF,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
} from "../../../ffi/constants/socket.ts";
import { EAGAIN, ECONNRESET, EPIPE } from "../../../ffi/errno.ts";
import {
  acceptFrom,
  bindTo,
  closeSocket,
  connectTo,
  getsockname,
  Memory,
  openSocket,
  recvInto,
  resetSocket,
  sendFrom,
  setOption,
  shutdownSocket,
  SocketAddress,
} from "../../../ffi/inet.ts";
import { fcntl } from "../../../ffi/file.ts";
import { getrlimit, setrlimit } from "../../../ffi/process.ts";
import { listen } from "../../../ffi/socket.ts";
import { mustParse } from "./addresses.ts";
import { clock, Host } from "./host.ts";
import { type Pipe, Pipes, SplicedPair } from "./spliced_pair.ts";
import { isAtMark } from "./tcp_host_stream.ts";

const STREAM = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
const END = "end", NOTHING = "nothing";

const buffer = new Memory(1 << 20);

/** Bytes, what there is instead, or an errno. */
type Received = Uint8Array<ArrayBuffer> | typeof END | typeof NOTHING | number;

/** The other end of one of a pair's sockets. */
class Client {
  constructor(public fd: number) {}

  /** The bytes that were taken, or a negated errno. */
  send(bytes: Uint8Array, flags = 0): number {
    const part = bytes.subarray(0, buffer.bytes.length);
    buffer.bytes.set(part);
    return sendFrom(this.fd, buffer.pointer, part.length, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
  }

  receive(most = buffer.bytes.length): Received {
    const count = recvInto(this.fd, buffer.pointer, most, MSG_DONTWAIT);
    if (count > 0) return buffer.bytes.slice(0, count);
    return count === 0 ? END : count === -EAGAIN ? NOTHING : -count;
  }

  /** FIN. */
  finish(): void {
    shutdownSocket(this.fd, SHUT_WR);
  }

  reset(): void {
    resetSocket(this.fd);
    this.fd = -1;
  }

  close(): void {
    if (this.fd !== -1) closeSocket(this.fd);
    this.fd = -1;
  }
}

function limitBuffers(fd: number, bytes: number): void {
  setOption(fd, SOL_SOCKET, SO_RCVBUF, bytes);
  setOption(fd, SOL_SOCKET, SO_SNDBUF, bytes);
}

/** Two ends of a TCP connection, non-blocking. */
function connection(bufferBytes?: number): [near: number, far: Client] {
  const listener = openSocket(AF_INET, STREAM, 0);
  const near = openSocket(AF_INET, STREAM, 0);
  for (const fd of [listener, near]) {
    setOption(fd, SOL_SOCKET, SO_OOBINLINE, 1);
    if (bufferBytes !== undefined) limitBuffers(fd, bufferBytes);
  }
  const address = new SocketAddress().set(mustParse("127.0.0.1"), 0);
  assertEquals(bindTo(listener, address), 0);
  listen(listener, 1);
  connectTo(near, getsockname(listener));
  const far = acceptFrom(listener, address, SOCK_NONBLOCK | SOCK_CLOEXEC);
  closeSocket(listener);
  assert(far >= 0, "no connection");
  return [near, new Client(far)];
}

class Rig {
  readonly faults: unknown[] = [];
  readonly host = new Host((error) => this.faults.push(error));
  readonly pipes: Pipes;
  readonly #clients: Client[] = [];

  constructor(pipes = new Pipes()) {
    this.pipes = pipes;
  }

  pair(bufferBytes?: number): { guest: Client; host: Client; pair: SplicedPair; ended: () => number } {
    const [guestNear, guest] = connection(bufferBytes);
    const [hostNear, host] = connection(bufferBytes);
    let count = 0;
    const pair = new SplicedPair(this, guestNear, hostNear, () => count++);
    pair.start();
    this.#clients.push(guest, host);
    return { guest, host, pair, ended: () => count };
  }

  /** Turns the loop until it holds. */
  async until(holds: () => boolean, what: string): Promise<void> {
    for (const end = Date.now() + 30_000; Date.now() < end;) {
      this.host.work();
      if (holds()) return;
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    throw new Error(`${what}: it did not come to that; ${this.faults}`);
  }

  /** The next that comes, whatever it is. */
  async next(client: Client): Promise<Received> {
    let found: Received = NOTHING;
    await this.until(() => (found = client.receive()) !== NOTHING, "to receive something");
    return found;
  }

  /** What comes behind all bytes. */
  async outcome(client: Client): Promise<Received> {
    for (;;) {
      const found = await this.next(client);
      if (!(found instanceof Uint8Array)) return found;
    }
  }

  /** Turns the loop in vain for a while. */
  async idle(): Promise<void> {
    for (let count = 0; count < 20; count++) {
      this.host.work();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  dispose(): void {
    for (const client of this.#clients) client.close();
    this.pipes.dispose();
    this.host.dispose();
    assertEquals(this.faults, []);
  }
}

function openDescriptors(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

/** Runs `test`, behind which all descriptors are closed again that it made. */
async function withRig(test: (rig: Rig) => Promise<void>, pipes?: Pipes): Promise<void> {
  const before = openDescriptors();
  const rig = new Rig(pipes);
  try {
    await test(rig);
  } finally {
    rig.dispose();
  }
  assertEquals(openDescriptors(), before, "descriptors");
}

const data = (length: number, seed: number) => {
  const bytes = new Uint8Array(length);
  const words = new Uint32Array(bytes.buffer, 0, length >> 2);
  for (let index = 0, state = seed; index < words.length; index++) {
    words[index] = state = (Math.imul(state, 1664525) + 1013904223) | 0;
  }
  return bytes;
};

async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** Sends all, then a FIN; a step each time it is called. */
function sending(client: Client, bytes: Uint8Array): () => boolean {
  let at = 0;
  return () => {
    if (at > bytes.length) return true;
    const count = at < bytes.length ? client.send(bytes.subarray(at)) : 0;
    if (count > 0) at += count;
    if (at < bytes.length) return false;
    client.finish();
    at++;
    return true;
  };
}

/** Receives up to the end, no more than `each` bytes a step. */
function receiving(client: Client, length: number, each: number) {
  const bytes = new Uint8Array(length);
  let at = 0, outcome: string | number | undefined;
  const step = () => {
    if (outcome !== undefined) return true;
    const found = client.receive(each);
    if (found === NOTHING) return false;
    if (!(found instanceof Uint8Array)) {
      outcome = found;
      return true;
    }
    bytes.set(found, at);
    at += found.length;
    return false;
  };
  return { step, bytes, count: () => at, outcome: () => outcome };
}

Deno.test("what both ends send arrives whole and in order, both ways at once, with slow readers", async () => {
  await withRig(async (rig) => {
    const { guest, host, pair, ended } = rig.pair();
    const up = data(24 << 20, 1), down = data((16 << 20) + 4, 2);
    const steps = [sending(guest, up), sending(host, down)];
    const heard = receiving(host, up.length, 300_000), told = receiving(guest, down.length, 70_000);
    await rig.until(() => {
      const done = [...steps.map((step) => step()), heard.step(), told.step()];
      return done.every(Boolean);
    }, "both ends");
    assertEquals([heard.outcome(), told.outcome()], [END, END]);
    assertEquals([heard.count(), told.count()], [up.length, down.length]);
    assertEquals([await digest(heard.bytes), await digest(told.bytes)], [
      await digest(up),
      await digest(down),
    ]);
    assertEquals([pair.toHostBytes, pair.toGuestBytes], [up.length, down.length]);
    await rig.until(() => ended() === 1, "to be over");
  });
});

/** As there are where the user's pipes have reached their limit. @see pipe-user-pages-soft in pipe(7) */
class SmallPipes extends Pipes {
  override take(): Pipe | undefined {
    const pipe = super.take();
    if (pipe !== undefined) fcntl(pipe.writer, F_SETPIPE_SZ, 4096);
    return pipe;
  }
}

Deno.test("a pipe of a single page moves as well, in small pieces", async () => {
  await withRig(async (rig) => {
    const { guest, host, pair } = rig.pair();
    const bytes = data(2 << 20, 10);
    const step = sending(guest, bytes), heard = receiving(host, bytes.length, 100_000);
    await rig.until(() => [step(), heard.step()].every(Boolean), "the end");
    assertEquals([heard.outcome(), await digest(heard.bytes)], [END, await digest(bytes)]);
    pair.abort();
  }, new SmallPipes());
});

for (const first of ["guest", "host"] as const) {
  Deno.test(`an end of the ${first} leaves the other way open, until that ends as well`, async () => {
    await withRig(async (rig) => {
      const { ended, ...clients } = rig.pair();
      const [one, other] = first === "guest" ? [clients.guest, clients.host] : [clients.host, clients.guest];
      one.send(Uint8Array.of(1, 2));
      one.finish();
      assertEquals(await rig.next(other), Uint8Array.of(1, 2));
      assertEquals(await rig.next(other), END);
      await rig.idle();
      for (const byte of [3, 4]) {
        other.send(Uint8Array.of(byte));
        assertEquals(await rig.next(one), Uint8Array.of(byte));
      }
      assertEquals(ended(), 0);
      other.finish();
      assertEquals(await rig.next(one), END);
      await rig.until(() => ended() === 1, "to be over");
    });
  });

  Deno.test(`a reset of the ${first} is one for the other end, idle, behind an end, and with data under way`, async () => {
    await withRig(async (rig) => {
      for (const state of ["idle", "ended", "other ended", "full", "both full"] as const) {
        const { ended, ...clients } = rig.pair(state.endsWith("full") ? 32 << 10 : undefined);
        const [one, other] = first === "guest"
          ? [clients.guest, clients.host]
          : [clients.host, clients.guest];
        one.send(Uint8Array.of(9));
        assertEquals(await rig.next(other), Uint8Array.of(9));
        if (state === "ended") {
          one.finish();
          assertEquals(await rig.next(other), END);
        } else if (state === "other ended") {
          other.finish();
          assertEquals(await rig.next(one), END);
        } else if (state.endsWith("full")) {
          // until nothing moves any more: nobody reads
          const much = new Uint8Array(64 << 10);
          for (let taken = 1; taken > 0;) {
            taken = one.send(much);
            if (state === "both full") taken = Math.max(taken, other.send(much));
            await rig.idle();
          }
          assertEquals(ended(), 0);
        }
        one.reset();
        await rig.until(() => ended() === 1, `${state}: to be over`);
        // who has read the end is told when he sends
        if (state === "ended") await rig.until(() => other.send(Uint8Array.of(1)) === -EPIPE, state);
        else assertEquals(await rig.outcome(other), ECONNRESET, state);
      }
    });
  });
}

Deno.test("what nobody reads waits, in the pipe as well, and goes on from there", async () => {
  await withRig(async (rig) => {
    const { guest, host, pair, ended } = rig.pair(16 << 10);
    const bytes = data(4 << 20, 5);
    const step = sending(guest, bytes);
    const heard = receiving(host, bytes.length, 5000);
    for (let stops = 0; stops < 4; stops++) {
      const upTo = heard.count() + 200_000;
      await rig.until(() => {
        step();
        heard.step();
        return heard.count() >= upTo;
      }, "to go on");
      // until nothing moves any more
      for (let last = -1; last !== pair.toHostBytes; await rig.idle()) {
        last = pair.toHostBytes;
        step();
      }
      assert(pair.toHostBytes < bytes.length, "all of it went into the buffers");
    }
    await rig.until(() => {
      step();
      return heard.step();
    }, "the end");
    assertEquals(await digest(heard.bytes), await digest(bytes));
    host.finish();
    await rig.until(() => ended() === 1, "to be over");
  });
});

for (const from of ["guest", "host"] as const) {
  Deno.test(`an urgent byte of the ${from} stays in its place, and one`, async () => {
    await withRig(async (rig) => {
      const { ended, ...clients } = rig.pair(32 << 10);
      const [one, other] = from === "guest" ? [clients.guest, clients.host] : [clients.host, clients.guest];
      // between others, first, last, where nothing moves, and before the end
      for (const [before, after] of [[3, 4], [0, 5], [6, 0], [200_000, 100_000], [2, -1]] as const) {
        const [head, tail] = [data(before, 7), data(Math.max(0, after), 8)];
        const sent = new Uint8Array(before + 1 + tail.length);
        sent.set(head);
        sent[before] = 0xee;
        sent.set(tail, before + 1);
        const received = new Uint8Array(sent.length);
        const marks = new Set<number>();
        let at = 0, count = 0, outcome: unknown;
        await rig.until(() => {
          for (let taken = 1; taken > 0 && at < sent.length; at += Math.max(0, taken)) {
            const upTo = at < before ? before : at === before ? before + 1 : sent.length;
            taken = one.send(sent.subarray(at, upTo), at === before ? MSG_OOB : 0);
          }
          if (after === -1 && at === sent.length) one.finish();
          // recv(2) stops before the mark
          const isMarked = isAtMark(other.fd);
          const found = other.receive(isMarked ? 1 : 5000);
          if (found instanceof Uint8Array) {
            if (isMarked) marks.add(count);
            received.set(found, count);
            count += found.length;
          } else outcome = found;
          return count === sent.length && (after !== -1 || outcome === END);
        }, `${before} bytes, the urgent one, and ${after}`);
        assertEquals([...marks], [before], `the mark's place, before ${after}`);
        assertEquals(await digest(received), await digest(sent));
      }
      other.finish();
      assertEquals(await rig.next(one), END);
      await rig.until(() => ended() === 1, "to be over");
    });
  });
}

/** Counts the pipes; gives none while there are none. */
class CountedPipes extends Pipes {
  most = 0;
  count = 0;
  isShort = false;
  asked = 0;

  override take(): Pipe | undefined {
    this.asked++;
    if (this.isShort) return undefined;
    this.most = Math.max(this.most, ++this.count);
    return super.take();
  }

  override give(pipe: Pipe): void {
    this.count--;
    super.give(pipe);
  }
}

Deno.test("what is more than one turn moves is moved, though no event tells of it again", async () => {
  await withRig(async (rig) => {
    const { guest, host, pair } = rig.pair(4 << 20);
    const bytes = new Uint8Array(1 << 20);
    let sent = 0;
    for (let quiet = 0; quiet < 20;) {
      const taken = guest.send(bytes);
      if (taken > 0) sent += taken;
      else quiet++;
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    await rig.until(() => {
      host.receive();
      return pair.toHostBytes === sent;
    }, "all to be moved");
    pair.abort();
  });
});

Deno.test("a hundred pairs share the pipes of those that have something to move", async () => {
  const pipes = new CountedPipes();
  await withRig(async (rig) => {
    const before = openDescriptors();
    const pairs = Array.from({ length: 100 }, () => rig.pair());
    const bytes = data(300_000, 3);
    const steps = pairs.map(({ guest }) => sending(guest, bytes));
    const heard = pairs.map(({ host }) => receiving(host, bytes.length, 100_000));
    await rig.until(() => {
      const done = steps.map((step) => step());
      return [...done, ...heard.map(({ step }) => step())].every(Boolean);
    }, "all");
    const wanted = await digest(bytes);
    for (const one of heard) assertEquals(await digest(one.bytes), wanted);
    assertEquals(pipes.count, 0);
    // four sockets each, and what is kept for the next
    assert(openDescriptors() <= before + 4 * pairs.length + 2 * 4, "pipes were kept");
    assert(pipes.most < 100, `${pipes.most} pipes at once`);
    for (const { host } of pairs) host.finish();
    await rig.until(() => pairs.every(({ ended }) => ended() === 1), "to be over");
  }, pipes);
});

Deno.test("without descriptors for a pipe what there is to move waits for them", async () => {
  const pipes = new CountedPipes();
  await withRig(async (rig) => {
    const { guest, host, ended } = rig.pair();
    pipes.isShort = true;
    const bytes = data(1 << 20, 4);
    const step = sending(guest, bytes);
    const heard = receiving(host, bytes.length, 1 << 20);
    await rig.until(() => {
      step();
      return pipes.asked > 2;
    }, "to be asked again");
    assertEquals(host.receive(), NOTHING);
    pipes.isShort = false;
    // no event comes from the guest that would tell of what it sent before
    await rig.until(() => {
      step();
      return heard.step();
    }, "to go on");
    assertEquals(await digest(heard.bytes), await digest(bytes));
    host.finish();
    await rig.until(() => ended() === 1, "to be over");
  }, pipes);
});

Deno.test("there is no pipe where the process has no descriptors left", () => {
  const pipes = new Pipes();
  const limit = getrlimit(RLIMIT_NOFILE);
  // the lowest that is free, and with it all that are below it are taken
  const lowest = openSocket(AF_INET, STREAM, 0);
  closeSocket(lowest);
  try {
    setrlimit(RLIMIT_NOFILE, { ...limit, soft: lowest });
    assertEquals(pipes.take(), undefined);
  } finally {
    setrlimit(RLIMIT_NOFILE, limit);
  }
  const pipe = pipes.take();
  assert(pipe !== undefined, "none, though there are descriptors");
  pipes.give(pipe);
  assertEquals(pipes.take(), pipe);
  pipes.give(pipe);
  pipes.dispose();
});

Deno.test("readers that take nothing do not use up what all pipes of a user may hold", () => {
  const pipes = new Pipes();
  const taken = Array.from({ length: 100 }, () => pipes.take()!);
  const bytesOf = ({ writer }: Pipe) => fcntl(writer, F_GETPIPE_SZ, 0);
  const sizes = taken.map(bytesOf);
  assert(sizes.reduce((sum, size) => sum + size) < 16 << 20, `${sizes}`);
  for (const pipe of taken) pipes.give(pipe);
  pipes.dispose();
  const next = pipes.take()!;
  assertEquals(bytesOf(next), sizes[0]);
  pipes.close(next);
});

Deno.test("a few empty pipes are kept for what comes next", () => {
  const pipes = new Pipes();
  const before = openDescriptors();
  const taken = Array.from({ length: 6 }, () => pipes.take()!);
  assertEquals(openDescriptors(), before + 2 * 6);
  for (const pipe of taken) pipes.give(pipe);
  assertEquals(openDescriptors(), before + 2 * 4);
  pipes.dispose();
  assertEquals(openDescriptors(), before);
});

Deno.test("an aborted pair resets both ends, and ends once", async () => {
  await withRig(async (rig) => {
    for (const isBusy of [false, true]) {
      const { guest, host, pair, ended } = rig.pair(16 << 10);
      if (isBusy) {
        for (let taken = 1; taken > 0;) {
          taken = guest.send(new Uint8Array(100_000));
          await rig.idle();
        }
      }
      pair.abort();
      assertEquals(ended(), 1);
      pair.abort();
      await rig.idle();
      assertEquals(ended(), 1);
      for (const client of [guest, host]) {
        assertEquals(await rig.outcome(client), ECONNRESET);
      }
    }
  });
});

Deno.test("the guest's socket stays until its connection is over, or is reset in a minute", async () => {
  await withRig(async (rig) => {
    for (const isTaken of [true, false]) {
      const { guest, host, ended } = rig.pair(200 << 10);
      // more than it takes while nobody reads: the FIN has to wait behind it
      setOption(guest.fd, SOL_SOCKET, SO_RCVBUF, 4096);
      const before = openDescriptors();
      const bytes = data(90_000, 6);
      const step = sending(host, bytes);
      await rig.until(step, "the host's end");
      guest.finish();
      assertEquals(await rig.next(host), END);
      await rig.until(() => {
        rig.pipes.dispose();
        return openDescriptors() === before - 1;
      }, "the host's socket to be closed");
      await rig.idle();
      assertEquals(ended(), 0);
      if (isTaken) {
        setOption(guest.fd, SOL_SOCKET, SO_RCVBUF, 200 << 10);
        const told = receiving(guest, bytes.length, 1 << 20);
        await rig.until(() => told.step(), "the guest to read all");
        assertEquals([told.outcome(), await digest(told.bytes)], [END, await digest(bytes)]);
        await rig.until(() => ended() === 1, "to be over");
        continue;
      }
      const { nowMs } = clock;
      try {
        clock.nowMs = () => nowMs() + 59_000;
        await rig.idle();
        assertEquals(ended(), 0);
        clock.nowMs = () => nowMs() + 61_000;
        await rig.until(() => ended() === 1, "to be given up");
      } finally {
        clock.nowMs = nowMs;
      }
      assertEquals(await rig.outcome(guest), ECONNRESET);
    }
  });
});
