/**
 * One health check: a child of the monitor that runs the test in the container, and tells in one line of JSON how it
 * ended.
 *
 * ```
 *  monitor ── fork ──▶ check ── fork, joined ──▶ the test
 *     ◀── {exitCode, output} ──┘◀── output, end ──┘
 * ```
 */

import { O_CLOEXEC, O_RDONLY } from "../../ffi/constants/fcntl.ts";
import { SIGKILL } from "../../ffi/constants/signal.ts";
import { EAGAIN, isErrno } from "../../ffi/errno.ts";
import { close, closeAllExcept, open, pipe2, read, setNonblocking, writeAll } from "../../ffi/file.ts";
import { forkChild } from "../../ffi/fork.ts";
import { pidfd_open, pidfd_send_signal, waitpidBlocking } from "../../ffi/process.ts";
import { receiveExecMessage, spawnExec } from "../init/exec.ts";
import { isLastWord } from "../init/handshake.ts";
import { EventLoop } from "./loop.ts";
import type { ExecPlan } from "./plan.ts";

export interface CheckResult {
  /** -1 where it took too long. */
  exitCode: number;
  output: string;
}

export interface RunningCheck {
  pidfd: number;
  /** Readable when there is a result; ends with it. */
  result: number;
}

/** What is kept where there is to be no limit: the monitor holds it. */
const LARGEST_OUTPUT_BYTES = 1 << 20;
/** What a new pipe holds. @see pipe(7) */
const PIPE_BYTES = 64 * 1024;
const READS_AT_ONCE = 16;

/**
 * `outputLimit` in bytes, 0 for none.
 *
 * @throws {SyscallError} EAGAIN where the user's process limit is reached
 */
export function forkCheck(plan: ExecPlan, timeoutMs: number, outputLimit: number): RunningCheck {
  const [result, answer] = pipe2(O_CLOEXEC);
  try {
    const pid = forkChild(() => {
      closeAllExcept([answer]);
      const told = performCheck(plan, timeoutMs, outputLimit || LARGEST_OUTPUT_BYTES);
      writeAll(answer, new TextEncoder().encode(JSON.stringify(told)));
      return 0;
    });
    setNonblocking(result);
    return { pidfd: pidfd_open(pid), result };
  } catch (error) {
    close(result);
    throw error;
  } finally {
    close(answer);
  }
}

/** What a check that has told nothing came to. */
export function parseResult(text: string): CheckResult {
  try {
    const { exitCode, output } = JSON.parse(text);
    if (typeof exitCode === "number" && typeof output === "string") return { exitCode, output };
  } catch {
    // killed before it could tell
  }
  return { exitCode: 125, output: "the check ended without a result" };
}

function performCheck(plan: ExecPlan, timeoutMs: number, outputLimit: number): CheckResult {
  const nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const [output, stdout] = pipe2(O_CLOEXEC);
  setNonblocking(output);
  let handle: ReturnType<typeof spawnExec>;
  try {
    handle = spawnExec(plan, { stdin: nothing, stdout, stderr: stdout });
  } catch (error) {
    return { exitCode: 125, output: (error as Error).message };
  }
  close(stdout);
  const loop = new EventLoop();
  const taken = new OutputHead(outputLimit);
  let failure: string | undefined;
  let isLate = false;
  loop.watch(handle.control, () => {
    const message = receiveExecMessage(handle);
    if (message.kind === "failure") failure = message.failure.message;
    if (isLastWord(message)) loop.forget(handle.control);
  });
  loop.watch(output, () => {
    if (!taken.readFrom(output)) loop.unwatch(output);
  });
  loop.watch(handle.pidfd, () => loop.stop());
  loop.after(timeoutMs, () => {
    isLate = true;
    pidfd_send_signal(handle.pidfd, SIGKILL);
  });
  loop.runBlocking();
  taken.readFrom(output);
  const { status } = waitpidBlocking(handle.pid);
  if (isLate) return { exitCode: -1, output: `Health check exceeded timeout (${timeoutMs / 1000}s)` };
  return { exitCode: failure === undefined ? status : 125, output: failure ?? taken.text() };
}

/** The first bytes of a stream; what comes after is read and dropped. */
class OutputHead {
  readonly #kept: Uint8Array[] = [];
  #keptBytes = 0;
  readonly #buffer = new Uint8Array(PIPE_BYTES / READS_AT_ONCE);

  constructor(readonly limitBytes: number) {}

  /** Takes what a pipe can hold, or what is there; false at the end of the stream. A flood keeps nobody here. */
  readFrom(fd: number): boolean {
    for (let round = 0; round < READS_AT_ONCE; round++) {
      let count: number;
      try {
        count = read(fd, this.#buffer);
      } catch (error) {
        if (isErrno(error, EAGAIN)) return true;
        throw error;
      }
      if (count === 0) return false;
      const room = Math.min(count, this.limitBytes - this.#keptBytes);
      if (room === 0) continue;
      this.#kept.push(this.#buffer.slice(0, room));
      this.#keptBytes += room;
    }
    return true;
  }

  text(): string {
    const decoder = new TextDecoder();
    return this.#kept.map((bytes) => decoder.decode(bytes, { stream: true })).join("") + decoder.decode();
  }
}
