/**
 * A guest of the user-mode stack without a container: a network namespace of its own with the TUN interface, in which
 * forked children run. The stack runs in the test itself; so what it does depends on nothing but what is sent.
 */

import { CLONE_NEWNET, CLONE_NEWUSER } from "../ffi/constants/sched.ts";
import { AF_INET, AF_INET6, AF_UNIX, SOCK_CLOEXEC, SOCK_STREAM } from "../ffi/constants/socket.ts";
import { SIGKILL } from "../ffi/constants/signal.ts";
import { close, read } from "../ffi/file.ts";
import { forkChild, prepareFork } from "../ffi/fork.ts";
import {
  acceptFrom,
  bindTo,
  connectTo,
  getsockname,
  Memory,
  openSocket,
  recvInto,
  sendFrom,
  SocketAddress,
} from "../ffi/inet.ts";
import { openFamilies } from "../ffi/libc.ts";
import { NetlinkSocket } from "../ffi/netlink.ts";
import { setLink } from "../ffi/rtnetlink.ts";
import { setns, unshare } from "../ffi/namespaces.ts";
import { kill, pidfd_open, waitpidBlocking } from "../ffi/process.ts";
import { listen, receiveWithFds, sendWithFds, shutdown, socketpair } from "../ffi/socket.ts";
import { EventLoop } from "../runtime/monitor/loop.ts";
import { openTun } from "../runtime/network/tun.ts";
import type { StackPlan } from "../runtime/network/plan.ts";
import { mustParse } from "../runtime/network/stack/addresses.ts";
import * as datagrams from "../runtime/network/stack/datagrams.ts";
import { Stack, type StackOptions } from "../runtime/network/stack/stack.ts";

export const MB = 1 << 20;
/** Of the host. */
export const LOOPBACK = { ipv4: "127.0.0.1", ipv6: "::1" };
export const GUEST = { ipv4: "10.0.2.100", ipv6: "fd00::100" };
export const GATEWAY = { ipv4: "10.0.2.2", ipv6: "fd00::2" };

export function stackPlan(mtu: number): StackPlan {
  return {
    mtu,
    guests: [{ address: GUEST.ipv4, prefix: 32 }, { address: GUEST.ipv6, prefix: 128 }],
    networks: [{ address: "10.0.2.0", prefix: 24 }, { address: "fd00::", prefix: 64 }],
    gateways: [GATEWAY.ipv4, GATEWAY.ipv6],
    nameservers: ["10.0.2.3", "fd00::3"],
    allowHostLoopback: true,
    dns: { resolvConf: "/etc/resolv.conf" },
  };
}

/** Why there can be no guest here, or undefined. */
export function whyNoGuest(): string | undefined {
  prepareFork();
  openFamilies("namespaces", "socket", "process", "poll", "inet");
  const pid = forkChild(() => {
    unshare(CLONE_NEWUSER | CLONE_NEWNET);
    close(openTun(tunPlan(1500)));
    return 0;
  });
  return waitpidBlocking(pid).status === 0 ? undefined : "a network namespace with /dev/net/tun";
}

let looked: { missing: string | undefined } | undefined;

/** A test that needs a guest. */
export function stackTest(name: string, test: () => void): void {
  const { missing } = looked ??= { missing: whyNoGuest() };
  Deno.test({ name: missing ? `${name} [needs ${missing}]` : name, ignore: missing !== undefined, fn: test });
}

function tunPlan(mtu: number) {
  return {
    ...{ name: "eth0", mtu, queueLength: 10_000 },
    addresses: [{ address: GUEST.ipv4, prefix: 24 }, { address: GUEST.ipv6, prefix: 64 }],
    gateways: [GATEWAY.ipv4, GATEWAY.ipv6],
  };
}

/** A child's process and what it is to end with. */
interface Child {
  pid: number;
  pidfd: number;
  what: string;
}

export class StackRig implements Disposable {
  readonly stack: Stack;
  readonly faults: unknown[] = [];
  readonly loop = new EventLoop();
  readonly #holder: number;
  /** Of a process in the guest, for nsenter. */
  get holderPid(): number {
    return this.#holder;
  }
  readonly #control: number;
  readonly #children: Child[] = [];

  constructor(mtu: number, options: Partial<StackOptions> = {}, { loopback = true } = {}) {
    const [ours, theirs] = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC);
    this.#holder = forkChild(() => {
      close(ours);
      unshare(CLONE_NEWUSER | CLONE_NEWNET);
      const tun = openTun(tunPlan(mtu));
      using netlink = new NetlinkSocket();
      if (loopback) netlink.perform([setLink("lo", { up: true })]);
      sendWithFds(theirs, new Uint8Array(1), [tun]);
      close(tun);
      read(theirs, new Uint8Array(1));
      return 0;
    });
    close(theirs);
    this.#control = ours;
    const { fds } = receiveWithFds(ours, new Uint8Array(1), 1);
    this.stack = new Stack({
      tun: fds[0]!,
      plan: stackPlan(mtu),
      loadDatagrams: () => datagrams,
      onFault: (error) => this.faults.push(error),
      ...options,
    });
    this.loop.watch(this.stack.fd, () => this.stack.work());
  }

  /** Runs `task` in a process of the guest; `what` names it where it fails. */
  inGuest(what: string, task: () => number): void {
    const holder = pidfd_open(this.#holder);
    this.onHost(what, () => {
      setns(holder, CLONE_NEWUSER | CLONE_NEWNET);
      return task();
    });
    close(holder);
  }

  /** Runs `task` in a process of the host. */
  onHost(what: string, task: () => number): void {
    const pid = forkChild(task, (error) => {
      Deno.stderr.writeSync(new TextEncoder().encode(`${what}: ${(error as Error).stack}\n`));
    });
    this.#children.push({ pid, pidfd: pidfd_open(pid), what });
  }

  /** Serves the guest until every child has ended; each must end with status 0. */
  finish(limitMs = 120_000): void {
    const failed: string[] = [];
    let left = this.#children.length;
    const timer = this.loop.after(limitMs, () => {
      failed.push(`not ended after ${limitMs} ms: ${this.#children.map(({ what }) => what).join(", ")}`);
      for (const { pid } of this.#children) kill(pid, SIGKILL);
      this.loop.stop();
    });
    for (const child of [...this.#children]) {
      this.loop.watch(child.pidfd, () => {
        this.loop.unwatch(child.pidfd);
        close(child.pidfd);
        const { status } = waitpidBlocking(child.pid);
        this.#children.splice(this.#children.indexOf(child), 1);
        if (status !== 0) failed.push(`${child.what}: status ${status}`);
        if (--left === 0) this.loop.stop();
      });
    }
    this.loop.runBlocking();
    this.loop.cancel(timer);
    if (failed.length > 0) throw new Error(failed.join("\n"));
    if (this.faults.length > 0) throw this.faults[0];
  }

  [Symbol.dispose](): void {
    for (const { pid } of this.#children) {
      kill(pid, SIGKILL);
      waitpidBlocking(pid);
    }
    this.stack.dispose();
    this.end();
  }

  /** The guest's end, where the stack has ended already. */
  end(): void {
    close(this.#control);
    waitpidBlocking(this.#holder);
    this.loop.dispose();
  }
}

/** Blocking sockets, for children. */
export function listenOn(address: string): { fd: number; port: number } {
  const fd = must(openSocket(address.includes(":") ? AF_INET6 : AF_INET, SOCK_STREAM, 0));
  must(bindTo(fd, new SocketAddress().set(mustParse(address), 0)));
  listen(fd, 128);
  return { fd, port: getsockname(fd).port };
}

export function listenOnPort(address: string, port: number): number {
  const fd = must(openSocket(address.includes(":") ? AF_INET6 : AF_INET, SOCK_STREAM, 0));
  must(bindTo(fd, new SocketAddress().set(mustParse(address), port)));
  listen(fd, 128);
  return fd;
}

export function connectFrom(address: string, port: number): number {
  const fd = must(openSocket(address.includes(":") ? AF_INET6 : AF_INET, SOCK_STREAM, 0));
  must(connectTo(fd, new SocketAddress().set(mustParse(address), port)));
  return fd;
}

export function acceptOne(listener: number, client = new SocketAddress()): number {
  return must(acceptFrom(listener, client, 0));
}

export function must(result: number): number {
  if (result < 0) throw new Error(`errno ${-result}`);
  return result;
}

/** Sends `count` bytes that follow from `seed`, then ends its direction. */
export function sendPattern(fd: number, seed: number, count: number, chunk = 100_003): void {
  const memory = new Memory(chunk);
  const pattern = new Pattern(seed);
  for (let left = count; left > 0;) {
    const length = Math.min(chunk, left);
    pattern.fill(memory.bytes, length);
    for (let at = 0; at < length;) {
      at += must(sendFrom(fd, Deno.UnsafePointer.offset(memory.pointer!, at), length - at, 0));
    }
    left -= length;
  }
  shutdown(fd, 1);
}

/** Reads to the end, and compares each byte; throws at the first that is wrong. */
export function expectPattern(
  fd: number,
  seed: number,
  count: number,
  chunk = 65_536,
  pause = () => {},
): void {
  const memory = new Memory(chunk);
  const wanted = new Uint8Array(chunk);
  const pattern = new Pattern(seed);
  let total = 0;
  for (;;) {
    const length = must(recvInto(fd, memory.pointer, chunk, 0));
    if (length === 0) break;
    pattern.fill(wanted, length);
    for (let at = 0; at < length; at++) {
      if (memory.bytes[at] !== wanted[at]) throw new Error(`byte ${total + at} is wrong`);
    }
    total += length;
    pause();
  }
  if (total !== count) throw new Error(`${total} bytes came instead of ${count}`);
}

/** Bytes that do not repeat within any window (xorshift). */
class Pattern {
  #state: number;
  #word = 0;
  #left = 0;
  constructor(seed: number) {
    this.#state = seed | 1;
  }
  fill(bytes: Uint8Array, length: number): void {
    for (let at = 0; at < length; at++) {
      if (this.#left === 0) {
        this.#state ^= this.#state << 13;
        this.#state ^= this.#state >>> 17;
        this.#state ^= this.#state << 5;
        this.#word = this.#state;
        this.#left = 4;
      }
      bytes[at] = this.#word & 255;
      this.#word >>>= 8;
      this.#left--;
    }
  }
}
