/**
 * Health checks of a container that runs: when, what they come to, and `health.json` in its folder, which inspect and
 * ps show.
 *
 * ```
 *  starting ─a check succeeds─▶ healthy ◀─────────────────────┐
 *      └─ `retries` fail in a row, ─▶ unhealthy ─ one succeeds ┘
 *         those of the start period not counted
 * ```
 *
 * @see podman-run(1), --health-cmd; Docker's HEALTHCHECK
 */

import { EAGAIN, isErrno } from "../../ffi/errno.ts";
import { close, read } from "../../ffi/file.ts";
import { kill } from "../../ffi/process.ts";
import { SIGKILL } from "../../ffi/constants/signal.ts";
import { type CheckResult, forkCheck, parseResult, type RunningCheck } from "./health_check.ts";
import type { HealthRecord } from "./health_record.ts";
import { writeHealth } from "./health_record.ts";
import { nowText } from "./log_clock.ts";
import type { EventLoop, Timer } from "./loop.ts";
import type { HealthPlan, StateRecord } from "./plan.ts";

/** As many results as podman keeps. */
const LOG_ENTRIES = 5;

export interface HealthHooks {
  /** After each check. */
  checked(record: HealthRecord, result: CheckResult): void;
  /** Each check that fails while it is unhealthy. */
  unhealthy(): void;
}

export class HealthWatch {
  readonly #record: HealthRecord = { Status: "starting", FailingStreak: 0, Log: [] };
  readonly #startedMs = performance.now();
  #timer: Timer | undefined;
  #running: (RunningCheck & { startedAt: string; text: string }) | undefined;
  #buffer = new Uint8Array(4096);

  constructor(
    readonly loop: EventLoop,
    readonly plan: HealthPlan,
    readonly containerDir: string,
    readonly state: Pick<StateRecord, "initPid" | "initStartTime">,
    readonly hooks: HealthHooks,
  ) {
    writeHealth(containerDir, this.#record);
    this.#schedule();
  }

  /** Runs a check now, unless one runs: its result is told to `hooks.checked`. */
  check(): void {
    if (this.#running) return;
    this.loop.cancel(this.#timer);
    const { initPid, initStartTime } = this.state;
    const check = forkCheck({ ...this.plan.exec, initPid, initStartTime }, this.plan.timeoutMs);
    const running = { ...check, startedAt: nowText(), text: "" };
    this.#running = running;
    this.loop.watch(check.result, () => {
      if (this.#read(running)) return;
      this.loop.unwatch(running.result);
      close(running.result);
      this.#running = undefined;
      this.#take(parseResult(running.text), running.startedAt);
      this.#schedule();
    });
  }

  /** The container has ended. */
  stop(): void {
    this.loop.cancel(this.#timer);
    if (!this.#running) return;
    this.loop.unwatch(this.#running.result);
    close(this.#running.result);
    kill(this.#running.pid, SIGKILL);
    this.#running = undefined;
  }

  get #isInStartPeriod(): boolean {
    return this.#record.Status === "starting" &&
      performance.now() - this.#startedMs < this.plan.startPeriodMs;
  }

  #schedule(): void {
    const { intervalMs, startIntervalMs } = this.plan;
    if (intervalMs === 0) return;
    const waitMs = this.#isInStartPeriod ? Math.min(intervalMs, startIntervalMs) : intervalMs;
    this.#timer = this.loop.after(waitMs, () => this.check());
  }

  /** Whether there is more to come. */
  #read(running: { result: number; text: string }): boolean {
    try {
      for (;;) {
        const count = read(running.result, this.#buffer);
        if (count === 0) return false;
        running.text += new TextDecoder().decode(this.#buffer.subarray(0, count));
      }
    } catch (error) {
      if (isErrno(error, EAGAIN)) return true;
      throw error;
    }
  }

  #take(result: CheckResult, startedAt: string): void {
    const record = this.#record;
    const isEarly = this.#isInStartPeriod;
    if (result.exitCode === 0) {
      record.Status = "healthy";
      record.FailingStreak = 0;
    } else if (!isEarly) {
      record.FailingStreak++;
      if (record.FailingStreak >= this.plan.retries) record.Status = "unhealthy";
    }
    record.Log.push({ Start: startedAt, End: nowText(), ExitCode: result.exitCode, Output: result.output });
    record.Log.splice(0, record.Log.length - LOG_ENTRIES);
    writeHealth(this.containerDir, record);
    this.hooks.checked(record, result);
    if (record.Status === "unhealthy") this.hooks.unhealthy();
  }
}
