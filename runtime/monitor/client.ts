/**
 * The client's side of the socket, for the command line and for programs: one connection a request. All is
 * async and takes an AbortSignal; the terminal's modes and the process's signals are the caller's.
 */

import { ConflictError, SkiffError } from "../errors.ts";
import type { ExitRecord, SetupFailure } from "./plan.ts";
import { PROTOCOL_VERSION } from "./plan.ts";
import {
  decodeJson,
  encodeJsonFrame,
  type ErrorPayload,
  FRAME,
  FrameDecoder,
  type FrameType,
  type Hello,
  type WindowSize,
} from "./protocol.ts";

/** `Omit` that keeps the members of a union apart. */
type WithoutVersion<T> = T extends unknown ? Omit<T, "version"> : never;
export type Request = WithoutVersion<Hello>;

/** The program could not be started: what `failure` says decides the exit code. */
export class StartError extends SkiffError {
  override name = "StartError";
  constructor(message: string, readonly failure: SetupFailure) {
    super(message);
  }
}

/** A frame of the monitor, with a payload that is valid until the next read. */
export interface Received {
  type: FrameType;
  payload: Uint8Array;
}

const READ_BYTES = 256 * 1024;

/** A connection that has said HELLO. */
export class MonitorConnection implements Disposable {
  readonly #decoder = new FrameDecoder();
  readonly #buffer = new Uint8Array(READ_BYTES);
  #sending: Promise<void> = Promise.resolve();
  #isClosed = false;
  readonly #abort: () => void;

  private constructor(readonly conn: Deno.UnixConn, readonly signal: AbortSignal | undefined) {
    this.#abort = () => this.close();
    signal?.addEventListener("abort", this.#abort, { once: true });
  }

  /** @throws {ConflictError} where no monitor listens */
  static async open(socketPath: string, request: Request, signal?: AbortSignal): Promise<MonitorConnection> {
    signal?.throwIfAborted();
    let conn: Deno.UnixConn;
    try {
      conn = await connect(socketPath, signal);
    } catch (error) {
      const isAbsent = error instanceof Deno.errors.NotFound ||
        error instanceof Deno.errors.ConnectionRefused;
      if (isAbsent) throw new ConflictError("connect to the monitor: the container is not running");
      throw new SkiffError(`connect to the monitor: ${(error as Error).message}`, { cause: error });
    }
    const connection = new MonitorConnection(conn, signal);
    await connection.send(encodeJsonFrame(FRAME.HELLO, { version: PROTOCOL_VERSION, ...request }));
    return connection;
  }

  /** Sends a frame after those before it. A monitor that has ended takes none; reading tells how it ended. */
  send(frame: Uint8Array): Promise<void> {
    this.#sending = this.#sending.then(async () => {
      for (let at = 0; at < frame.length;) at += await this.conn.write(frame.subarray(at));
    }).catch((error) => {
      if (!this.#isClosed && !isGone(error)) throw error;
    });
    return this.#sending;
  }

  /**
   * What arrived, at least one piece; undefined at the end of the connection. Streams come in pieces.
   *
   * @throws the signal's reason when it is aborted
   */
  async receive(): Promise<Received[] | undefined> {
    const received: Received[] = [];
    while (received.length === 0) {
      let count: number | null;
      try {
        count = await this.conn.read(this.#buffer);
      } catch (error) {
        this.signal?.throwIfAborted();
        if (this.#isClosed || isGone(error)) return undefined;
        throw new SkiffError(`read from the monitor: ${(error as Error).message}`, { cause: error });
      }
      if (count === null) return undefined;
      this.#decoder.feed(this.#buffer.subarray(0, count), {
        stream: (type, payload) => received.push({ type, payload }),
        control: (type, payload) => received.push({ type, payload }),
      });
    }
    return received;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.signal?.removeEventListener("abort", this.#abort);
    this.conn.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** A monitor that has many clients to accept refuses more for a moment (EAGAIN). @see connect(2) */
async function connect(path: string, signal: AbortSignal | undefined): Promise<Deno.UnixConn> {
  for (let pauseMs = 1;; pauseMs *= 2) {
    try {
      return await Deno.connect({ transport: "unix", path });
    } catch (error) {
      if (!(error instanceof Deno.errors.WouldBlock) || pauseMs > 1000) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    signal?.throwIfAborted();
  }
}

/** Asks, and gives what OK carries. @throws {SkiffError} with the monitor's refusal */
export async function requestMonitor(
  socketPath: string,
  request: Request,
  signal?: AbortSignal,
): Promise<Record<string, unknown>> {
  using connection = await MonitorConnection.open(socketPath, request, signal);
  return await expectFrame(connection, FRAME.OK);
}

/** Waits for the end. @throws {StartError} where the program never ran */
export async function waitForExit(socketPath: string, signal?: AbortSignal): Promise<ExitRecord> {
  using connection = await MonitorConnection.open(socketPath, { op: "wait" }, signal);
  return await expectFrame(connection, FRAME.EXIT) as unknown as ExitRecord;
}

/** Asks the program to stop, and waits for its end. */
export async function stopAndWait(
  socketPath: string,
  options: { signal?: number; timeoutSeconds?: number; keep?: boolean },
  signal?: AbortSignal,
): Promise<ExitRecord> {
  using connection = await MonitorConnection.open(socketPath, { op: "stop", ...options }, signal);
  return await expectFrame(connection, FRAME.EXIT) as unknown as ExitRecord;
}

export function sendSignal(socketPath: string, number: number, signal?: AbortSignal): Promise<unknown> {
  return requestMonitor(socketPath, { op: "signal", signal: number }, signal);
}

export function resizeTerminal(socketPath: string, size: WindowSize, signal?: AbortSignal): Promise<unknown> {
  return requestMonitor(socketPath, { op: "resize", size }, signal);
}

/** The payload of the first frame of this type. EXIT is an answer to whoever waits for something else, too. */
async function expectFrame(
  connection: MonitorConnection,
  type: typeof FRAME.OK | typeof FRAME.EXIT,
): Promise<Record<string, unknown>> {
  for (let frames = await connection.receive(); frames !== undefined; frames = await connection.receive()) {
    for (const frame of frames) {
      if (frame.type === FRAME.ERROR) throw errorOf(frame.payload);
      if (frame.type === type) return decodeJson(frame.payload);
      if (frame.type === FRAME.EXIT) throw new ConflictError("ask the monitor: the container has ended");
    }
  }
  throw new ConflictError("ask the monitor: it ended without an answer");
}

/** The error that an ERROR frame stands for. */
export function errorOf(payload: Uint8Array): SkiffError {
  const { message, failure } = decodeJson(payload) as unknown as ErrorPayload;
  return failure === undefined ? new SkiffError(message) : new StartError(message, failure);
}

function isGone(error: unknown): boolean {
  return error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted;
}
