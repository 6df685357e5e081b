/**
 * Requests to a running slirp4netns: one connection each, a JSON object there and one back.
 *
 * @see slirp4netns(1), API socket
 */

import { AF_UNIX, SHUT_WR, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from "../../ffi/constants/socket.ts";
import { EAGAIN, isErrno } from "../../ffi/errno.ts";
import { close, read, writeAll } from "../../ffi/file.ts";
import { connectUnix, shutdown, socket } from "../../ffi/socket.ts";
import { HostError } from "../errors.ts";
import type { NetworkLoop } from "./monitor_network.ts";
import type { SlirpForward } from "./plan.ts";

type Done = (error?: unknown) => void;

/** It answers at once, however busy the machine: one that takes so long hangs. */
const ANSWER_WITHIN_MS = 30_000;

/** A port that is to be forwarded, or not any more. */
export interface ForwardStep {
  kind: "add" | "remove";
  forward: SlirpForward;
}

export class SlirpForwards {
  readonly #loop: NetworkLoop;
  readonly #socketPath: string;
  /** What it calls them. */
  readonly #ids = new Map<string, number>();
  /** End the requests that wait for an answer. */
  readonly #waiting = new Set<(answer: Answer) => void>();
  #isOver = false;

  constructor(loop: NetworkLoop, socketPath: string) {
    this.#loop = loop;
    this.#socketPath = socketPath;
  }

  /** Makes all steps, one after the other, or none of them; `done` is called once. */
  perform(steps: readonly ForwardStep[], done: Done): void {
    this.#performFrom(steps, [], done);
  }

  /** Refuses what waits for an answer, and all that is asked for later. */
  end(): void {
    this.#isOver = true;
    for (const settle of [...this.#waiting]) settle(IS_OVER);
  }

  #performFrom([step, ...rest]: readonly ForwardStep[], undo: readonly ForwardStep[], done: Done): void {
    if (step === undefined) return done();
    const { kind, forward } = step;
    this.#perform(step, (error) => {
      const opposite: ForwardStep = { kind: kind === "add" ? "remove" : "add", forward };
      if (error === undefined) return this.#performFrom(rest, [opposite, ...undo], done);
      this.#performAnyway(undo, () => done(error));
    });
  }

  #performAnyway([step, ...rest]: readonly ForwardStep[], done: () => void): void {
    if (step === undefined) return done();
    this.#perform(step, () => this.#performAnyway(rest, done));
  }

  #perform({ kind, forward }: ForwardStep, done: Done): void {
    const key = JSON.stringify(forward);
    const request = kind === "add"
      ? { execute: "add_hostfwd", arguments: forward }
      : { execute: "remove_hostfwd", arguments: { id: this.#ids.get(key) } };
    this.#request(request, (answer) => {
      if (answer.refusal !== undefined) {
        const { host_addr, host_port, proto } = forward;
        const what = `publish port ${host_addr}:${host_port}/${proto}`;
        return done(new HostError(`${what}: slirp4netns: ${answer.refusal}`));
      }
      if (kind === "add") this.#ids.set(key, answer.id);
      else this.#ids.delete(key);
      done();
    });
  }

  #request(request: Record<string, unknown>, done: (answer: Answer) => void): void {
    if (this.#isOver) return done(IS_OVER);
    // one that hangs accepts no more: to wait for it would hold up all else
    const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK);
    try {
      connectUnix(fd, this.#socketPath);
      writeAll(fd, new TextEncoder().encode(JSON.stringify(request)));
      shutdown(fd, SHUT_WR);
    } catch (error) {
      close(fd);
      return done({ refusal: (error as Error).message });
    }
    const loop = this.#loop;
    const settle = (answer: Answer) => {
      this.#waiting.delete(settle);
      loop.cancel(timer);
      loop.unwatch(fd);
      close(fd);
      done(answer);
    };
    const timer = loop.after(ANSWER_WITHIN_MS, () => settle({ refusal: "it does not answer" }));
    this.#waiting.add(settle);
    let text = "";
    loop.watch(fd, () => {
      const piece = readPiece(fd);
      if (piece === "") return settle(parseAnswer(text));
      text += piece ?? "";
    });
  }
}

/** "" at the end, also where slirp4netns has ended; undefined where there is nothing yet. */
function readPiece(fd: number): string | undefined {
  const bytes = new Uint8Array(4096);
  try {
    return new TextDecoder().decode(bytes.subarray(0, read(fd, bytes)));
  } catch (error) {
    return isErrno(error, EAGAIN) ? undefined : "";
  }
}

type Answer = { refusal: string } | { refusal?: undefined; id: number };

const IS_OVER: Answer = { refusal: "it has ended" };

/** `{"return":{"id":1}}`, `{"error":{"desc":"…"}}`. */
export function parseAnswer(text: string): Answer {
  try {
    const { error, return: result } = JSON.parse(text);
    return result === undefined ? { refusal: String(error?.desc ?? text) } : { id: Number(result.id) };
  } catch {
    return { refusal: text === "" ? "no answer" : text.slice(0, 200) };
  }
}
