/**
 * What init and its monitor say to each other, over one SOCK_SEQPACKET pair: a message a packet.
 *
 * ```
 *   init                                  monitor
 *    U  my user namespace is made ────────▶ writes uid_map and gid_map
 *    ◀─────────────────────────── M  mapped
 *    P  pid of init, in 10 digits ────────▶ only where a namespace made an extra fork needful
 *    N  its TUN interface's descriptor, or its
 *       network namespace's ─────────────────▶ serves it
 *    W  its network namespace and a netlink socket of it ▶ for who puts interfaces there
 *    C  console (with the master) ────────▶ keeps it
 *    H  all is mounted ────────────────────▶ runs the hooks of this machine, where there are some
 *    ◀─────────────────────────── K  they have run
 *    ◀─────────────────────────── L  the plan, in a memfd, with the standard streams; only to an init that
 *    ◀─────────────────────────── T  was forked ahead of it; and: the root filesystem is mounted
 *    R  ready, and the name of the mount namespace where processes may outlive init ──────▶ waits
 *    ◀─────────────────────────── G  go
 *    F  JSON of a SetupFailure ───────────▶ the container never ran
 *    4 bytes: errno of execve ────────────▶ the program could not be executed
 *    end of the socket ───────────────────▶ the program runs
 * ```
 */

import { ECONNRESET, errnoText, isErrno, SyscallError } from "../../ffi/errno.ts";
import { close, Fd, lseek, memfd_create, readAll, writeAll } from "../../ffi/file.ts";
import { MFD_CLOEXEC } from "../../ffi/constants/memfd.ts";
import { receiveWithFds, send, sendWithFds, socketpair } from "../../ffi/socket.ts";
import { AF_UNIX, SOCK_CLOEXEC, SOCK_SEQPACKET } from "../../ffi/constants/socket.ts";
import { SkiffError } from "../errors.ts";
import type { InitPlan, SetupFailure } from "../monitor/plan.ts";
import type { InitStdio } from "./stdio.ts";

/** From init. */
export type InitMessage =
  | { kind: "map-ids" }
  | { kind: "forked"; pid: number }
  | { kind: "network"; descriptor: number }
  | { kind: "namespace"; netns: number; netlink: number }
  | { kind: "console"; master: number }
  | { kind: "hooks" }
  | { kind: "ready"; mountNamespace?: string }
  | { kind: "failure"; failure: SetupFailure }
  | { kind: "executed" }
  /** Init has gone without reading what it was told last: it has executed nothing. */
  | { kind: "died" };

/** Whether nothing comes after it. */
export function isLastWord({ kind }: InitMessage): boolean {
  return kind === "executed" || kind === "failure" || kind === "died";
}

/** Both ends, close-on-exec: init's own end is kept open past its last execve by the stub's descriptor 3. */
export function openControl(): [monitor: number, init: number] {
  return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC);
}

const PACKET_BYTES = 16384;
const PLAN_LIMIT_BYTES = 64 * 1024 * 1024;

/** What an init that was forked ahead gets later. */
export interface SentPlan {
  plan: InitPlan;
  rootTarget: string;
  stdio: InitStdio;
  isPrivileged: boolean;
  windowSize?: { rows: number; cols: number };
}

/** Waits for a packet of init. `program` names what was to be executed, for the failure's text. */
export function receiveFromInit(control: number, program: string): InitMessage {
  const buffer = new Uint8Array(PACKET_BYTES);
  let packet: ReturnType<typeof receiveWithFds>;
  try {
    packet = receiveWithFds(control, buffer, 2);
  } catch (error) {
    if (isErrno(error, ECONNRESET)) return { kind: "died" };
    throw error;
  }
  const { length, fds } = packet;
  if (length === 0) return { kind: "executed" };
  const kind = String.fromCharCode(buffer[0]!);
  if (length === 4) {
    const errno = new DataView(buffer.buffer).getInt32(0, true);
    const message = `${program}: ${errnoText(errno)}`;
    return {
      kind: "failure",
      failure: { stage: "execute", errno, syscall: "execve", path: program, message },
    };
  }
  if (kind === "U") return { kind: "map-ids" };
  if (kind === "P") {
    return { kind: "forked", pid: Number(new TextDecoder().decode(buffer.subarray(1, length))) };
  }
  if (kind === "N" && fds.length === 1) return { kind: "network", descriptor: fds[0]! };
  if (kind === "W" && fds.length === 2) return { kind: "namespace", netns: fds[0]!, netlink: fds[1]! };
  if (kind === "C" && fds.length === 1) return { kind: "console", master: fds[0]! };
  for (const fd of fds) close(fd);
  if (kind === "H") return { kind: "hooks" };
  if (kind === "R") {
    return {
      kind: "ready",
      mountNamespace: new TextDecoder().decode(buffer.subarray(1, length)) || undefined,
    };
  }
  const text = kind === "F" ? new TextDecoder().decode(buffer.subarray(1, length)) : "";
  return { kind: "failure", failure: readFailure(text) };
}

/**
 * A failure as it was sent. In an exec session a process of the container may have taken the socket from the
 * stub, by ptrace(2), so that nothing in it is trusted to be what it should be.
 */
function readFailure(text: string): SetupFailure {
  let sent: Partial<Record<keyof SetupFailure, unknown>> | null;
  try {
    sent = JSON.parse(text);
  } catch {
    sent = null;
  }
  const word = (key: keyof SetupFailure) => typeof sent?.[key] === "string" ? sent[key] : "";
  return {
    stage: word("stage"),
    errno: typeof sent?.errno === "number" ? sent.errno : 0,
    syscall: word("syscall"),
    path: word("path"),
    message: word("message") || "init sent a message that cannot be read",
  };
}

/** Init's side. */
export class MonitorLink {
  constructor(readonly control: number) {}

  /** Waits until the monitor has written the maps of the nested user namespace. */
  requestIdMaps(): void {
    this.#send("U");
    this.#expect("M");
  }

  /** At full width: `P713` would be 4 bytes, which is what an errno has. */
  reportPid(pid: number): void {
    this.#send(`P${String(pid).padStart(10, "0")}`);
  }

  sendNetwork(descriptor: number): void {
    sendWithFds(this.control, encode("N"), [descriptor]);
  }

  sendNamespace(netns: number, netlink: number): void {
    sendWithFds(this.control, encode("W"), [netns, netlink]);
  }

  sendConsole(master: number): void {
    sendWithFds(this.control, encode("C"), [master]);
  }

  /** Waits for the plan; undefined where there will be none. */
  receivePlan(): SentPlan | undefined {
    const buffer = new Uint8Array(1);
    const { length, fds: [text, ...stdio] } = receiveWithFds(this.control, buffer, 4);
    if (length === 0) return undefined;
    if (String.fromCharCode(buffer[0]!) !== "L" || text === undefined) {
      throw new SkiffError("the monitor sent an unknown message");
    }
    lseek(text, 0, 0);
    const plan = JSON.parse(new TextDecoder().decode(readAll(text, PLAN_LIMIT_BYTES)));
    close(text);
    const [stdin, stdout, stderr] = stdio;
    return { ...plan, stdio: stderr === undefined ? "terminal" : { stdin, stdout, stderr } };
  }

  /** Waits until the monitor has mounted the root filesystem. */
  waitForRoot(): void {
    this.#expect("T");
  }

  /** Waits until the monitor has run its hooks. */
  awaitHooks(): void {
    this.#send("H");
    this.#expect("K");
  }

  /** Waits until the container may start. */
  reportReady(mountNamespace = ""): void {
    this.#send(`R${mountNamespace}`);
    this.#expect("G");
  }

  reportFailure(failure: SetupFailure): void {
    const text = JSON.stringify({
      ...failure,
      message: failure.message.slice(0, 4000),
      path: failure.path.slice(0, 4000),
    });
    this.#send(`F${text}`);
  }

  #send(text: string): void {
    send(this.control, encode(text));
  }

  #expect(word: "M" | "G" | "T" | "K"): void {
    const buffer = new Uint8Array(8);
    const { length } = receiveWithFds(this.control, buffer, 0);
    if (length === 0) throw new SkiffError("the monitor has ended");
    if (String.fromCharCode(buffer[0]!) !== word) throw new SkiffError("the monitor sent an unknown message");
  }
}

const ANSWERS = { mapped: "M", go: "G", mounted: "T", hooked: "K" } as const;

/** The monitor's answers. */
export function answerInit(control: number, word: keyof typeof ANSWERS): void {
  send(control, encode(ANSWERS[word]));
}

/** Gives an init that was forked ahead of it the plan; the descriptors of `stdio` stay the caller's. */
export function sendPlan(control: number, { stdio, ...plan }: SentPlan): void {
  using text = new Fd(memfd_create("skiff-plan", MFD_CLOEXEC));
  writeAll(text.number, encode(JSON.stringify(plan)));
  const streams = stdio === "terminal" ? [] : [stdio.stdin, stdio.stdout, stdio.stderr];
  sendWithFds(control, encode("L"), [text.number, ...streams]);
}

/** An error of init as data, with the stage it happened in. */
export function describeSetupFailure(stage: string, error: unknown): SetupFailure {
  const message = error instanceof Error ? error.message : String(error);
  const call = error instanceof Error && error.cause instanceof SyscallError ? error.cause : error;
  return call instanceof SyscallError
    ? { stage, errno: call.errno, syscall: call.syscall, path: call.path ?? "", message }
    : { stage, errno: 0, syscall: "", path: "", message };
}

function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}
