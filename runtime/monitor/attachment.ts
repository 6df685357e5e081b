/** An attached client: copies between the caller's streams and a program under a monitor. */

import { ConflictError } from "../errors.ts";
import { errorOf, MonitorConnection } from "./client.ts";
import { DetachScanner } from "./detach_keys.ts";
import type { ExitRecord } from "./plan.ts";
import { decodeJson, encodeFrame, encodeJsonFrame, FRAME, type WindowSize } from "./protocol.ts";

/** Takes output. `bytes` may be used until the result settles; the next output waits for it. */
export type OutputSink = (bytes: Uint8Array) => void | Promise<void>;

export interface AttachOptions {
  /** Read until its end, or the program's; `Deno.stdin` fits. Absent: no input is given. */
  stdin?: { read(buffer: Uint8Array): Promise<number | null> };
  /** Absent: the stream is not sent at all. */
  stdout?: OutputSink;
  stderr?: OutputSink;
  /** As parseDetachKeys gives them; only looked for in input. */
  detachKeys?: Uint8Array;
  /** Of the caller's terminal. */
  size?: WindowSize;
  /** Detaches: the program goes on. */
  signal?: AbortSignal;
}

export type AttachOutcome = { kind: "exited"; record: ExitRecord } | { kind: "detached" };

const STDIN_BYTES = 64 * 1024;

export class Attachment {
  /**
   * Settles when the program has ended and all its output was taken, or the caller has detached.
   *
   * Rejects with a StartError where the program never ran, with what a sink threw, and with a ConflictError
   * where the monitor died.
   */
  readonly outcome: Promise<AttachOutcome>;
  readonly #connection: MonitorConnection;
  readonly #options: AttachOptions;
  #isDetached = false;

  private constructor(connection: MonitorConnection, options: AttachOptions) {
    this.#connection = connection;
    this.#options = options;
    this.outcome = this.#copyOutput();
    // Who does not await the outcome at once is no reason to end the process.
    this.outcome.catch(() => {});
  }

  /** Attaches; a program that waits for its first client starts. @throws {ConflictError} where none listens */
  static async open(socketPath: string, options: AttachOptions): Promise<Attachment> {
    const connection = await MonitorConnection.open(socketPath, {
      op: "attach",
      stdin: options.stdin !== undefined,
      stdout: options.stdout !== undefined,
      stderr: options.stderr !== undefined,
      ...(options.size === undefined ? {} : { size: options.size }),
    }, options.signal);
    return new Attachment(connection, options);
  }

  resize(size: WindowSize): Promise<void> {
    return this.#connection.send(encodeJsonFrame(FRAME.RESIZE, size));
  }

  /** Passes a signal on to the program, after the input before it. */
  sendSignal(signal: number): Promise<void> {
    return this.#connection.send(encodeJsonFrame(FRAME.SIGNAL, { signal }));
  }

  /** Leaves the program alone; `outcome` becomes `detached`. */
  async detach(): Promise<void> {
    this.#isDetached = true;
    await this.#connection.send(encodeFrame(FRAME.DETACH, new Uint8Array(0)));
    this.#connection.close();
  }

  async #copyOutput(): Promise<AttachOutcome> {
    const { stdout, stderr, stdin } = this.#options;
    try {
      for (;;) {
        const frames = await this.#connection.receive();
        if (frames === undefined) {
          if (this.#isDetached) return { kind: "detached" };
          throw new ConflictError("attach: the monitor has ended");
        }
        for (const { type, payload } of frames) {
          if (type === FRAME.STDOUT) await stdout?.(payload);
          else if (type === FRAME.STDERR) await stderr?.(payload);
          else if (type === FRAME.OK && stdin !== undefined) this.#copyInput(stdin);
          else if (type === FRAME.ERROR) throw errorOf(payload);
          else if (type === FRAME.EXIT) {
            return { kind: "exited", record: decodeJson(payload) as unknown as ExitRecord };
          }
        }
      }
    } finally {
      this.#connection.close();
    }
  }

  /** A read of a terminal cannot be taken back: it may outlast the attachment, and its input is then lost. */
  async #copyInput(stdin: NonNullable<AttachOptions["stdin"]>): Promise<void> {
    const scanner = new DetachScanner(this.#options.detachKeys ?? new Uint8Array(0));
    const buffer = new Uint8Array(STDIN_BYTES);
    try {
      for (;;) {
        const count = await stdin.read(buffer);
        if (count === null) break;
        const { bytes, detach } = scanner.scan(buffer.subarray(0, count));
        if (bytes.length > 0) await this.#connection.send(encodeFrame(FRAME.STDIN, bytes));
        if (detach) return await this.detach();
      }
    } catch {
      // Input that cannot be read has ended.
    }
    await this.#connection.send(encodeFrame(FRAME.STDIN_EOF, new Uint8Array(0)));
  }
}
