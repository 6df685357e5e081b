/** A program in a container, followed to its end by the program that started it. */

import { SkiffError } from "../../errors.ts";
import type { Attached, AttachOptions } from "../attach.ts";

/** How a program that ran to its end has ended. */
export interface RunResult {
  exitCode: number;
  /** Empty where a sink of the caller took it. */
  stdout: string;
  stderr: string;
}

/** Where the streams of a run go; without a sink the output is collected. */
export type Streams = Pick<AttachOptions, "stdin" | "stdout" | "stderr" | "signal">;

/** Runs attached to the end; output without a sink is collected. */
export async function collect(
  open: (options: AttachOptions) => Promise<Attached>,
  streams: Streams,
): Promise<RunResult> {
  const [stdout, stderr] = [new Collector(), new Collector()];
  const attached = await open({
    stdin: streams.stdin,
    stdout: streams.stdout ?? ((bytes) => stdout.add(bytes)),
    stderr: streams.stderr ?? ((bytes) => stderr.add(bytes)),
    signal: streams.signal,
  });
  const outcome = await attached.outcome;
  if (outcome.kind === "detached") throw new SkiffError("run: detached before the program has ended");
  return { exitCode: outcome.record.exitCode, stdout: stdout.text(), stderr: stderr.text() };
}

class Collector {
  readonly #decoder = new TextDecoder();
  #text = "";

  add(bytes: Uint8Array): void {
    this.#text += this.#decoder.decode(bytes, { stream: true });
  }

  text(): string {
    return this.#text + this.#decoder.decode();
  }
}
