/**
 * Health checks of a container that runs: when, what they come to, and `health.json` in its folder, which inspect and
 * ps show.
 *
 * ```
 *  starting ─a check succeeds─▶ healthy ◀─────────────────────┐
 *      └─ `retries` fail in a row, ─▶ unhealthy ─ one succeeds ┘
 *         those of the start period, and of a startup check, not counted
 * ```
 *
 * @see podman-run(1), --health-cmd; Docker's HEALTHCHECK
 */

import { EAGAIN, ESRCH, isErrno } from "../../ffi/errno.ts";
import { close, read } from "../../ffi/file.ts";
import { pidfd_send_signal } from "../../ffi/process.ts";
import { SIGKILL } from "../../ffi/constants/signal.ts";
import { type CheckResult, forkCheck, parseResult, type RunningCheck } from "./health_check.ts";
import type { HealthRecord } from "./health_record.ts";
import { writeHealth } from "./health_record.ts";
import { nowText } from "./log_clock.ts";
import { writeRecord } from "./records.ts";
import type { EventLoop, Timer } from "./loop.ts";
import type { HealthPlan, StateRecord } from "./plan.ts";

/** As podman keeps them. */
const USUAL_LOG = { destination: "local", maxCount: 5, maxSize: 500 };

export interface HealthHooks {
  /** After each check. */
  checked(record: HealthRecord, result: CheckResult): void;
  /** Each check that fails while it is unhealthy. */
  unhealthy(): void;
  /** The startup check has failed too often. */
  startupFailed(): void;
}

export class HealthWatch {
  readonly #record: HealthRecord = { Status: "starting", FailingStreak: 0, Log: [] };
  #startedMs = performance.now();
  /** Until the startup check has succeeded: how often in a row, and how often it has failed. */
  #startup: { succeeded: number; failed: number } | undefined;
  #timer: Timer | undefined;
  #running: (RunningCheck & { startedAt: string; text: string }) | undefined;
  #buffer = new Uint8Array(4096);

  constructor(
    readonly loop: EventLoop,
    public plan: HealthPlan,
    readonly containerDir: string,
    readonly state: Pick<StateRecord, "initPid" | "initStartTime">,
    readonly hooks: HealthHooks,
  ) {
    if (plan.startup) this.#startup = { succeeded: 0, failed: 0 };
    this.#write();
    this.#schedule();
  }

  /** Runs a check now, unless one runs: its result is told to `hooks.checked`. */
  check(): void {
    if (this.#running) return;
    this.loop.cancel(this.#timer);
    const { initPid, initStartTime } = this.state;
    const { exec, timeoutMs } = this.#current;
    let check: RunningCheck;
    try {
      check = forkCheck({ ...exec, initPid, initStartTime }, timeoutMs, this.#log.maxSize);
    } catch (error) {
      this.#take({ exitCode: 125, output: (error as Error).message }, nowText());
      return this.#schedule();
    }
    const running = { ...check, startedAt: nowText(), text: "", decoder: new TextDecoder() };
    this.#running = running;
    this.loop.watch(check.result, () => {
      if (this.#read(running)) return;
      this.#forget(running);
      this.#take(parseResult(running.text), running.startedAt);
      this.#schedule();
    });
  }

  /**
   * `update`: what it has come to so far stays, the time to the next check begins again. A startup check that is new
   * begins only where the container is not known to have started.
   */
  change(plan: HealthPlan): void {
    const isStarting = this.#startup !== undefined || this.#record.Status === "starting";
    this.plan = plan;
    if (!plan.startup) this.#startup = undefined;
    else if (isStarting) this.#startup ??= { succeeded: 0, failed: 0 };
    this.loop.cancel(this.#timer);
    // one that runs is followed by the next in the new time
    if (!this.#running) this.#schedule();
  }

  /** The container has ended. */
  stop(): void {
    this.loop.cancel(this.#timer);
    if (!this.#running) return;
    try {
      pidfd_send_signal(this.#running.pidfd, SIGKILL);
    } catch (error) {
      // it ended with what it checked, and was reaped with that
      if (!isErrno(error, ESRCH)) throw error;
    }
    this.#forget(this.#running);
  }

  #forget({ result, pidfd }: RunningCheck): void {
    this.loop.unwatch(result);
    for (const fd of [result, pidfd]) close(fd);
    this.#running = undefined;
  }

  get #log() {
    return this.plan.log ?? USUAL_LOG;
  }

  /** What is checked now. */
  get #current() {
    return this.#startup ? this.plan.startup! : this.plan;
  }

  get #isInStartPeriod(): boolean {
    return this.#record.Status === "starting" &&
      performance.now() - this.#startedMs < this.plan.startPeriodMs;
  }

  #schedule(): void {
    const { startIntervalMs } = this.plan;
    const { intervalMs } = this.#current;
    if (intervalMs === 0) return;
    const waitMs = !this.#startup && this.#isInStartPeriod
      ? Math.min(intervalMs, startIntervalMs)
      : intervalMs;
    this.#timer = this.loop.after(waitMs, () => this.check());
  }

  /** Whether there is more to come. */
  #read(running: { result: number; text: string; decoder: TextDecoder }): boolean {
    try {
      for (;;) {
        const count = read(running.result, this.#buffer);
        if (count === 0) return false;
        // a character may be cut in two by the end of the buffer
        running.text += running.decoder.decode(this.#buffer.subarray(0, count), { stream: true });
      }
    } catch (error) {
      if (isErrno(error, EAGAIN)) return true;
      throw error;
    }
  }

  #take(result: CheckResult, startedAt: string): void {
    const record = this.#record;
    const isEarly = this.#isInStartPeriod;
    let hasFailedToStart = false;
    if (this.#startup) hasFailedToStart = this.#takeStartup(result.exitCode === 0);
    else if (result.exitCode === 0) {
      record.Status = "healthy";
      record.FailingStreak = 0;
    } else if (!isEarly) {
      record.FailingStreak++;
      if (record.FailingStreak >= this.plan.retries) record.Status = "unhealthy";
    }
    record.Log.push({ Start: startedAt, End: nowText(), ExitCode: result.exitCode, Output: result.output });
    const { destination, maxCount } = this.#log;
    if (maxCount > 0) record.Log.splice(0, record.Log.length - maxCount);
    this.#write();
    if (destination.startsWith("/")) this.#copyTo(destination);
    this.hooks.checked(record, result);
    if (hasFailedToStart) return this.hooks.startupFailed();
    if (record.Status === "unhealthy") this.hooks.unhealthy();
  }

  /** Whether it has failed once too often. */
  #takeStartup(hasSucceeded: boolean): boolean {
    const { successes, retries } = this.plan.startup!;
    const startup = this.#startup!;
    startup.succeeded = hasSucceeded ? startup.succeeded + 1 : 0;
    if (!hasSucceeded) startup.failed++;
    if (startup.succeeded >= Math.max(1, successes)) {
      this.#startup = undefined;
      this.#startedMs = performance.now();
    }
    return retries > 0 && startup.failed >= retries;
  }

  /** A full disk is no reason to end the container: inspect shows what was written last. */
  #write(): void {
    try {
      writeHealth(this.containerDir, this.#record);
    } catch {
      // the next check tries again
    }
  }

  /** A folder that has gone since is the user's affair. */
  #copyTo(folder: string): void {
    const id = this.containerDir.slice(this.containerDir.lastIndexOf("/") + 1);
    try {
      writeRecord(`${folder}/${id}-healthcheck.log`, this.#record);
    } catch {
      // health.json has it
    }
  }
}
