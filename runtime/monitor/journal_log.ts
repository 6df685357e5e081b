/**
 * The log driver `journald`: every line of output is an entry of the journal, with the fields of podman's conmon.
 *
 * A journal that does not keep up makes the container wait, as a full pipe does; one that takes nothing for a second is
 * not waited for any more: what it misses is counted, in its own next entry and in `lost.json`, which `logs` reads.
 *
 * ```
 *  taking ──full──▶ waiting (the output is held) ──nothing taken for 1 s──▶ refusing (entries are counted)
 *     ▲◀──taken again──┘                                                        │
 *     └──────────────────────── takes one again ────────────────────────────────┘
 * ```
 *
 * After a run's last line comes an entry that is no line: so `logs` knows that it has all of them.
 *
 * @see https://systemd.io/JOURNAL_NATIVE_PROTOCOL/
 */

import {
  F_ADD_SEALS,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
} from "../../ffi/constants/fcntl.ts";
import { MFD_ALLOW_SEALING, MFD_CLOEXEC } from "../../ffi/constants/memfd.ts";
import { EPOLLOUT, POLLOUT } from "../../ffi/constants/poll.ts";
import {
  AF_UNIX,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SO_SNDBUF,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_SOCKET,
} from "../../ffi/constants/socket.ts";
import { sendTo } from "../../ffi/datagram.ts";
import { EAGAIN, EMSGSIZE, ENOBUFS, isErrno } from "../../ffi/errno.ts";
import { close, fcntl, Fd, memfd_create, writeAll } from "../../ffi/file.ts";
import { setOption } from "../../ffi/inet.ts";
import { pollBlocking } from "../../ffi/poll.ts";
import { connectUnix, sendWithFds, socket } from "../../ffi/socket.ts";
import { encodeFields } from "../spec/journal.ts";
import { JournalLine } from "./journal_line.ts";
import { addLoss } from "./journal_loss.ts";
import type { LogFlow, LogWriter, OutputStream } from "./log_writer.ts";
import type { Timer } from "./loop.ts";
import type { JournalPlan } from "./plan.ts";
import { wholeCharacters } from "./whole_characters.ts";

export const JOURNAL_SOCKET = "/run/systemd/journal/socket";

const NEWLINE = 10;
/** So long a journal may take nothing. */
const PATIENCE_MS = 1_000;
/** However much is left when the container ends. */
const LONGEST_END_MS = 10_000;
/** Between two attempts to reach a journal that is not there. */
const RECONNECT_MS = 1_000;
/** Between two writes of what is missing: a flood must not keep the disk busy. */
const RECORD_MS = 1_000;
/** As libsystemd asks for; the kernel gives what it allows. */
const SEND_BUFFER_BYTES = 8 * 1024 * 1024;
const SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
const NOTHING = new Uint8Array(0);

/** Connected, so that it can be waited for. @throws {SyscallError} where there is no journal */
export function connectJournal(): number {
  const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC);
  try {
    connectUnix(fd, JOURNAL_SOCKET);
    setOption(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_BYTES);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

interface Chunk {
  stream: OutputStream;
  bytes: Uint8Array<ArrayBuffer>;
}

export class JournalLogWriter implements LogWriter {
  readonly #lines: Record<OutputStream, JournalLine>;
  #socket = -1;
  #triedMs = -Infinity;
  /** What was read and is not in the journal yet; empty unless it is waited for. */
  #backlog: Chunk[] = [];
  #timer: Timer | undefined;
  #flow: LogFlow | undefined;
  #isRefusing = false;
  /** It was asked since the last read. */
  #wasAsked = false;
  /** Entries that are not told of in the journal yet, and not in the record. */
  #untold = 0;
  #unrecorded = 0;
  #recordedMs = -Infinity;

  constructor(readonly plan: JournalPlan) {
    this.#lines = {
      stdout: new JournalLine("stdout", plan.fields),
      stderr: new JournalLine("stderr", plan.fields),
    };
    this.#connect();
  }

  follow(flow: LogFlow): void {
    this.#flow = flow;
  }

  write(stream: OutputStream, bytes: Uint8Array<ArrayBuffer>): void {
    this.#wasAsked = false;
    if (this.#backlog.length > 0) {
      this.#backlog.push({ stream, bytes: bytes.slice() });
      return;
    }
    const taken = this.#format(stream, bytes);
    if (this.#unrecorded > 0 && performance.now() - this.#recordedMs > RECORD_MS) this.#record();
    if (taken === bytes.length) return;
    this.#backlog.push({ stream, bytes: bytes.slice(taken) });
    this.#await();
  }

  /** The container has ended: what is left is waited for, but not for long. */
  close(): void {
    this.#stopWaiting();
    this.#wasAsked = false;
    if (this.#isRefusing) this.#takesAgain();
    const end = performance.now() + LONGEST_END_MS;
    this.#persist(end, () => this.#clearBacklog());
    for (const line of [this.#lines.stdout, this.#lines.stderr]) {
      const { length } = line.text;
      if (length > 0) this.#persist(end, () => this.#giveLine(line, length, true));
    }
    const last = encodeFields(this.plan.end);
    this.#persist(end, () => this.#isRefusing || this.#send(last));
    this.#record();
    if (this.#socket !== -1) close(this.#socket);
    this.#socket = -1;
  }

  /** Gives how much of it is in the journal or held here; the rest is to come again. */
  #format(stream: OutputStream, bytes: Uint8Array<ArrayBuffer>): number {
    const line = this.#lines[stream];
    let at = 0;
    while (at < bytes.length) {
      const newline = bytes.indexOf(NEWLINE, at);
      const end = newline === -1 ? bytes.length : newline + 1;
      const count = Math.min(end - at, line.room);
      const isWhole = newline !== -1 && count === end - at;
      line.add(bytes.subarray(at, at + count));
      at += count;
      if (!isWhole && line.room > 0) break; // the rest of the line is to come
      const text = line.text;
      if (this.#giveLine(line, isWhole ? text.length : wholeCharacters(text), !isWhole)) continue;
      line.remove(count);
      return at - count;
    }
    return at;
  }

  #giveLine(line: JournalLine, count: number, isPartial: boolean): boolean {
    return line.give(count, isPartial, (entry) => this.#take(entry));
  }

  /** False where it is to be waited for. */
  #take(entry: Uint8Array<ArrayBuffer>): boolean {
    const isSent = (!this.#isRefusing || this.#takesAgain()) && this.#send(entry);
    if (isSent || !this.#isRefusing) return isSent;
    this.#untold++;
    this.#unrecorded++;
    return true;
  }

  /** Asked once in each read: does it take the word of what it has missed? */
  #takesAgain(): boolean {
    if (this.#wasAsked) return false;
    this.#wasAsked = true;
    const { fields, lost } = this.plan;
    const text =
      `${this.#untold} lines of the output of this container are missing: the journal did not take them`;
    const notice = encodeFields([
      ...lost,
      ["MESSAGE", text],
      ...fields.filter(([name]) => name === "CONTAINER_NAME"),
    ]);
    this.#isRefusing = !this.#send(notice);
    if (this.#isRefusing) return false;
    this.#untold = 0;
    return true;
  }

  /** False where it has no room. One that cannot be reached is not waited for: `#isRefusing` is true then. */
  #send(entry: Uint8Array<ArrayBuffer>): boolean {
    for (let attempt = 0; attempt < 2; attempt++) {
      if (this.#socket === -1 && !this.#connect()) break;
      const result = sendTo(this.#socket, entry, null, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (result >= 0) return true;
      if (result === -EAGAIN) return false;
      if (result === -EMSGSIZE || result === -ENOBUFS) return this.#sendFile(entry);
      // it was started anew
      this.#disconnect();
    }
    this.#isRefusing = true;
    return false;
  }

  /** What is too large for a datagram goes as a sealed file. */
  #sendFile(entry: Uint8Array<ArrayBuffer>): boolean {
    try {
      using file = new Fd(memfd_create("skiff-journal", MFD_CLOEXEC | MFD_ALLOW_SEALING));
      writeAll(file.number, entry);
      fcntl(file.number, F_ADD_SEALS, SEALS);
      sendWithFds(this.#socket, NOTHING, [file.number]);
      return true;
    } catch (error) {
      if (!isErrno(error, EAGAIN)) this.#isRefusing = true;
      return false;
    }
  }

  #connect(): boolean {
    const now = performance.now();
    if (now - this.#triedMs < RECONNECT_MS) return false;
    this.#triedMs = now;
    try {
      this.#socket = connectJournal();
      return true;
    } catch {
      return false;
    }
  }

  #disconnect(): void {
    this.#flow?.loop.unwatch(this.#socket);
    close(this.#socket);
    this.#socket = -1;
  }

  /** Nothing more is read of the container until the journal has room. */
  #await(): void {
    if (!this.#flow) return;
    this.#flow.hold(true);
    this.#watch();
  }

  #watch(): void {
    const { loop } = this.#flow!;
    loop.watch(this.#socket, () => this.#goOn(), EPOLLOUT);
    loop.cancel(this.#timer);
    this.#timer = loop.after(PATIENCE_MS, () => {
      this.#refuse();
      this.#clearBacklog();
      this.#record();
      this.#stopWaiting();
    });
  }

  #goOn(): void {
    const before = this.#backlogBytes();
    this.#wasAsked = false;
    if (this.#clearBacklog()) return this.#stopWaiting();
    if (this.#backlogBytes() < before) this.#watch();
    // by now it may be another socket
    else this.#flow!.loop.watch(this.#socket, () => this.#goOn(), EPOLLOUT);
  }

  #stopWaiting(): void {
    if (!this.#flow || !this.#timer) return;
    const { loop, hold } = this.#flow;
    loop.cancel(this.#timer);
    this.#timer = undefined;
    if (this.#socket !== -1) loop.unwatch(this.#socket);
    hold(false);
  }

  /** Whether nothing is left of it. */
  #clearBacklog(): boolean {
    for (let chunk = this.#backlog[0]; chunk; chunk = this.#backlog[0]) {
      const taken = this.#format(chunk.stream, chunk.bytes);
      if (taken < chunk.bytes.length) {
        chunk.bytes = chunk.bytes.subarray(taken);
        return false;
      }
      this.#backlog.shift();
    }
    return true;
  }

  #backlogBytes(): number {
    return this.#backlog.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  #refuse(): void {
    this.#isRefusing = true;
    this.#wasAsked = true;
  }

  /** Repeats `attempt` until it has succeeded, which it does as well where the journal is given up. */
  #persist(endMs: number, attempt: () => boolean): void {
    while (!attempt()) {
      const patienceMs = Math.ceil(Math.min(PATIENCE_MS, endMs - performance.now()));
      const hasRoom = patienceMs > 0 && this.#socket !== -1 &&
        pollBlocking(this.#socket, POLLOUT, patienceMs) !== 0;
      if (!hasRoom) this.#refuse();
    }
  }

  #record(): void {
    if (this.#unrecorded === 0) return;
    this.#recordedMs = performance.now();
    addLoss(this.plan.containerDir, this.#unrecorded);
    this.#unrecorded = 0;
  }
}
