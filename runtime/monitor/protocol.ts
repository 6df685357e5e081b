/**
 * The stream protocol between a monitor and its clients, over the socket in the runtime folder.
 *
 * ```
 *  0        1                          5
 *  ┌────────┬──────────────────────────┬───────────────────┐
 *  │ type   │ length, u32 big-endian   │ payload           │
 *  └────────┴──────────────────────────┴───────────────────┘
 *
 *  client                                         monitor
 *    │ HELLO {version, op, …} ───────────────────▶  │
 *    │ ◀─────────────────────── OK {version, …}     │   or ERROR {message, …}, and the end
 *    │ STDIN, STDIN_EOF, RESIZE, SIGNAL, DETACH ─▶  │   op attach only
 *    │ ◀──────────────────────── STDOUT, STDERR     │   op attach only
 *    │ ◀──────────────────────────── EXIT {…}       │   ops attach, wait and stop; then the end
 * ```
 *
 * STDIN, STDOUT and STDERR carry bytes of a stream: where a frame of theirs ends means nothing. The other
 * payloads are JSON objects of at most 64 KiB. A monitor outlives upgrades of skiff, so whoever reads a frame
 * ignores members that it does not know, and a newer client asks for nothing that `OK.version` lacks.
 */

import { SkiffError } from "../errors.ts";
import type { PublishedPort } from "../network/plan.ts";
import type { ExitRecord, SetupFailure } from "./plan.ts";

export const FRAME = {
  HELLO: 0x01,
  STDIN: 0x02,
  STDIN_EOF: 0x03,
  RESIZE: 0x04,
  SIGNAL: 0x05,
  DETACH: 0x06,
  OK: 0x81,
  STDOUT: 0x82,
  STDERR: 0x83,
  EXIT: 0x84,
  ERROR: 0x85,
} as const;

export type FrameType = (typeof FRAME)[keyof typeof FRAME];

export const FRAME_HEADER_BYTES = 5;
/** The largest JSON payload. */
export const CONTROL_LIMIT_BYTES = 64 * 1024;
/** The largest payload of a stream frame. */
export const STREAM_LIMIT_BYTES = 16 * 1024 * 1024;

export interface WindowSize {
  rows: number;
  cols: number;
}

/** The first frame of a client: what it wants. */
export type Hello =
  & { version: number }
  & (
    | { op: "attach"; stdin: boolean; stdout: boolean; stderr: boolean; size?: WindowSize }
    | { op: "start" }
    | { op: "wait" }
    | { op: "signal"; signal: number }
    /** `keep`: a container of `--rm` stays, since it is to be started again. */
    | { op: "stop"; signal?: number; timeoutSeconds?: number; keep?: boolean }
    | { op: "resize"; size: WindowSize }
    | { op: "status" }
    | { op: "health" }
    /** What `update` has changed comes with the frame, as supervision_change.ts tells. */
    | { op: "supervise" }
    /** The sockets of `add` come with the frame (SCM_RIGHTS), as held_ports.ts tells. */
    | { op: "ports"; add: PublishedPort[]; remove: PublishedPort[] }
  );

/** What ERROR carries: a failure of the set-up, or the plain refusal of a request. */
export interface ErrorPayload {
  message: string;
  /** Present where the container's program could not be started. */
  failure?: SetupFailure;
}

/** The payload of each JSON frame that a monitor sends, but for OK, which depends on the request. */
export interface ServerPayloads {
  exit: ExitRecord;
  error: ErrorPayload;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const STREAMS: ReadonlySet<number> = new Set([FRAME.STDIN, FRAME.STDOUT, FRAME.STDERR]);
const KNOWN: ReadonlySet<number> = new Set(Object.values(FRAME));

/** The five bytes before a payload of `length` bytes. */
export function frameHeader(type: FrameType, length: number): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(FRAME_HEADER_BYTES);
  writeFrameHeader(header, type, length);
  return header;
}

/** Writes the five bytes into `target`, for who sends the payload from another buffer. */
export function writeFrameHeader(target: Uint8Array, type: FrameType, length: number): void {
  target[0] = type;
  target[1] = length >>> 24;
  target[2] = length >>> 16;
  target[3] = length >>> 8;
  target[4] = length;
}

/** A whole frame. */
export function encodeFrame(type: FrameType, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(FRAME_HEADER_BYTES + payload.length);
  writeFrameHeader(frame, type, payload.length);
  frame.set(payload, FRAME_HEADER_BYTES);
  return frame;
}

/** A frame with a JSON object. */
export function encodeJsonFrame(type: FrameType, value: unknown): Uint8Array<ArrayBuffer> {
  return encodeFrame(type, encoder.encode(JSON.stringify(value)));
}

/**
 * The object in a JSON payload.
 *
 * @throws {SkiffError} when it is no JSON object.
 */
export function decodeJson(payload: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(payload));
  } catch {
    throw new SkiffError("read frame: the payload is not JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new SkiffError("read frame: the payload is not a JSON object");
  }
  return value as Record<string, unknown>;
}

/**
 * Checks a HELLO: a client of the same user is trusted, a broken one must not upset the monitor.
 *
 * @throws {SkiffError} naming what is wrong.
 */
export function parseHello(payload: Uint8Array): Hello {
  const value = decodeJson(payload);
  const { version, op } = value;
  if (!isCount(version) || version < 1) throw new SkiffError("read hello: the version is missing");
  switch (op) {
    case "attach":
      return {
        version,
        op,
        stdin: value.stdin === true,
        stdout: value.stdout !== false,
        stderr: value.stderr !== false,
        ...(value.size === undefined ? {} : { size: parseWindowSize(value.size) }),
      };
    case "start":
    case "wait":
    case "status":
    case "health":
    case "supervise":
      return { version, op };
    case "ports":
      return { version, op, add: parsePorts(value.add), remove: parsePorts(value.remove) };
    case "signal":
      return { version, op, signal: parseSignal(value.signal) };
    case "stop":
      return {
        version,
        op,
        ...(value.signal === undefined ? {} : { signal: parseSignal(value.signal) }),
        ...(value.timeoutSeconds === undefined ? {} : { timeoutSeconds: parseTimeout(value.timeoutSeconds) }),
        ...(value.keep === true ? { keep: true } : {}),
      };
    case "resize":
      return { version, op, size: parseWindowSize(value.size) };
    default:
      throw new SkiffError(`read hello: unknown operation ${JSON.stringify(op)?.slice(0, 40)}`);
  }
}

/** Checks the payload of RESIZE. @see struct winsize in ioctl_tty(2): unsigned short */
export function parseWindowSize(value: unknown): WindowSize {
  const { rows, cols } = (value ?? {}) as Record<string, unknown>;
  if (!isCount(rows) || !isCount(cols) || rows > 0xffff || cols > 0xffff) {
    throw new SkiffError("read frame: a window size is two numbers up to 65535");
  }
  return { rows, cols };
}

/** Checks the number of a signal. @see signal(7), real-time signals end at 64 */
export function parseSignal(value: unknown): number {
  if (!isCount(value) || value < 1 || value > 64) {
    throw new SkiffError("read frame: a signal is a number from 1 to 64");
  }
  return value;
}

function parsePorts(value: unknown): PublishedPort[] {
  if (!Array.isArray(value)) throw new SkiffError("read hello: published ports are a list");
  return value.map((one) => {
    const { protocol, hostAddress, hostPort, containerPort } = (one ?? {}) as Record<string, unknown>;
    const isProtocol = protocol === "tcp" || protocol === "udp" || protocol === "sctp";
    if (isProtocol && typeof hostAddress === "string" && isPort(hostPort) && isPort(containerPort)) {
      return { protocol, hostAddress, hostPort, containerPort };
    }
    throw new SkiffError(
      "read hello: a published port has a protocol, an address and two numbers up to 65535",
    );
  });
}

function isPort(value: unknown): value is number {
  return isCount(value) && value >= 1 && value <= 65535;
}

const MAX_TIMEOUT_SECONDS = 0x7fffffff;

function parseTimeout(value: unknown): number {
  if (value === -1 || (typeof value === "number" && value >= 0 && value <= MAX_TIMEOUT_SECONDS)) return value;
  throw new SkiffError("read frame: a timeout is a number of seconds, or -1");
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0;
}

/** Takes frames apart. Gets every piece of a stream frame as it arrives, and JSON frames as a whole. */
export interface FrameSink {
  /** `bytes` is a view into the reader's buffer: it is valid during the call. */
  stream(type: FrameType, bytes: Uint8Array): void;
  control(type: FrameType, payload: Uint8Array): void;
}

/**
 * Finds frames in bytes that come in any pieces. It keeps at most one JSON payload (64 KiB), whatever a
 * hostile peer sends.
 */
export class FrameDecoder {
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES);
  #headerLength = 0;
  #type: FrameType = FRAME.OK;
  /** Bytes of the payload still to come. */
  #left = 0;
  /** The payload of a JSON frame so far; undefined within a stream frame. */
  #payload: Uint8Array | undefined;
  #inPayload = false;

  /** @throws {SkiffError} on an unknown type or a length beyond the limit; the connection is then useless. */
  feed(bytes: Uint8Array, sink: FrameSink): void {
    let position = 0;
    while (position < bytes.length) {
      if (!this.#inPayload) {
        while (this.#headerLength < FRAME_HEADER_BYTES && position < bytes.length) {
          this.#header[this.#headerLength++] = bytes[position++]!;
        }
        if (this.#headerLength < FRAME_HEADER_BYTES) return;
        this.#begin();
        if (this.#left > 0) continue;
        this.#end(sink);
        continue;
      }
      const count = Math.min(this.#left, bytes.length - position);
      const piece = bytes.subarray(position, position + count);
      if (this.#payload === undefined) sink.stream(this.#type, piece);
      else this.#payload.set(piece, this.#payload.length - this.#left);
      position += count;
      this.#left -= count;
      if (this.#left === 0) this.#end(sink);
    }
  }

  /** Whether the bytes so far end between two frames. */
  get isAtBoundary(): boolean {
    return !this.#inPayload && this.#headerLength === 0;
  }

  #begin(): void {
    const type = this.#header[0]!;
    const length = (this.#header[1]! * 0x1000000) + (this.#header[2]! << 16) + (this.#header[3]! << 8) +
      this.#header[4]!;
    if (!KNOWN.has(type)) throw new SkiffError(`read frame: unknown type ${type}`);
    const isStream = STREAMS.has(type);
    const limit = isStream ? STREAM_LIMIT_BYTES : CONTROL_LIMIT_BYTES;
    if (length > limit) throw new SkiffError(`read frame: ${length} bytes are more than ${limit}`);
    this.#type = type as FrameType;
    this.#left = length;
    this.#payload = isStream ? undefined : new Uint8Array(length);
    this.#inPayload = true;
  }

  #end(sink: FrameSink): void {
    const payload = this.#payload;
    this.#headerLength = 0;
    this.#inPayload = false;
    this.#payload = undefined;
    if (payload !== undefined) sink.control(this.#type, payload);
  }
}
