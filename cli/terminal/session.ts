/**
 * Joins the caller's terminal, streams and signals with a program in a container, for `run`, `start -a`,
 * `attach` and `exec`.
 */

import { parseDetachKeys } from "../../runtime/engine/attach.ts";
import type { Attached, AttachOptions, AttachOutcome } from "../../runtime/engine/attach.ts";
import { SkiffError } from "../../runtime/errors.ts";
import { parseSignal } from "../../runtime/spec/signal.ts";
import { printWarnings, ReaderGoneError } from "../output/print.ts";
import { RawMode, windowSize } from "./raw_mode.ts";

export interface SessionOptions {
  /** Whether the program has a terminal. */
  tty: boolean;
  /** `-i`: pass the caller's stdin on. */
  stdin: boolean;
  stdout?: boolean;
  stderr?: boolean;
  /** Text of `--detach-keys`; undefined: the default. */
  detachKeys?: string;
  sigProxy: boolean;
  /** Called when the reader of our stdout or stderr has gone. */
  onReaderGone?: () => Promise<unknown>;
}

/** Opens the attachment; its program may start with that. */
export type OpenAttachment = (options: AttachOptions) => Promise<Attached>;

/**
 * Passed on to the program where the caller's terminal is not raw. Not those that job control needs, and not
 * what the runtime uses itself (CHLD, PIPE, URG).
 */
const PROXIED = [
  ...["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCONT"],
  ...["SIGWINCH", "SIGIO", "SIGPWR"],
] as Deno.Signal[];

const DEFAULT_DETACH_KEYS = "ctrl-p,ctrl-q";

/** They would end us with the terminal still raw. */
const DEADLY = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM"] as Deno.Signal[];

/** Runs until the program ends or the caller detaches. The terminal is restored whatever happens. */
export async function joinSession(open: OpenAttachment, options: SessionOptions): Promise<AttachOutcome> {
  const detachKeys = parseDetachKeys(options.detachKeys ?? DEFAULT_DETACH_KEYS);
  if (options.tty && options.stdin && !Deno.stdin.isTerminal()) {
    printWarnings([
      "the input device is not a TTY: --tty and --interactive may not work together as expected",
    ]);
  }
  const isRaw = options.tty && options.stdin && Deno.stdin.isTerminal();
  using cleanup = new DisposableStack();
  if (isRaw) cleanup.use(new RawMode());
  const attachment = await open({
    stdin: options.stdin ? Deno.stdin : undefined,
    stdout: options.stdout === false ? undefined : sink("stdout", options.onReaderGone),
    stderr: options.stderr === false ? undefined : sink("stderr", options.onReaderGone),
    detachKeys: options.tty && options.stdin ? detachKeys : undefined,
    size: options.tty ? windowSize() : undefined,
  });
  if (options.tty && windowSize()) {
    listen(cleanup, "SIGWINCH", () => {
      const size = windowSize();
      if (size) attachment.resize(size);
    });
  }
  if (isRaw) { for (const signal of DEADLY) listen(cleanup, signal, () => attachment.detach()); }
  else if (options.sigProxy) {
    for (const signal of PROXIED) {
      if (signal === "SIGWINCH" && options.tty) continue;
      listen(cleanup, signal, () => attachment.sendSignal(parseSignal(signal)));
    }
  }
  return await attachment.outcome;
}

function listen(cleanup: DisposableStack, signal: Deno.Signal, action: () => void): void {
  Deno.addSignalListener(signal, action);
  cleanup.defer(() => Deno.removeSignalListener(signal, action));
}

/** Writes without blocking the event loop, so that a stalled reader keeps no signal away from the program. */
function sink(
  name: "stdout" | "stderr",
  onReaderGone?: () => Promise<unknown>,
): (bytes: Uint8Array) => Promise<void> {
  const stream = Deno[name];
  return async (bytes) => {
    try {
      for (let at = 0; at < bytes.length;) at += await stream.write(bytes.subarray(at));
    } catch (error) {
      if (!(error instanceof Deno.errors.BrokenPipe)) {
        throw new SkiffError(`write to ${name}: ${(error as Error).message}`, { cause: error });
      }
      await onReaderGone?.();
      throw new ReaderGoneError();
    }
  };
}

/** The exit code of a command whose program ended so; 0 after a detach. */
export function exitCodeOf(outcome: AttachOutcome): number {
  return outcome.kind === "exited" ? outcome.record.exitCode : 0;
}
