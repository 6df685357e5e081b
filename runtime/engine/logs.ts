/** `logs`: what a container has written, and writes. */

import { type LogQuery, readLog } from "../monitor/log_reader.ts";
import type { LogRecord } from "../monitor/log_record.ts";
import { loadConfig, observe } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { wait } from "./wait.ts";

export type { LogRecord } from "../monitor/log_record.ts";

export interface LogsOptions extends Omit<LogQuery, "ended"> {
  /** Told where lines are missing that the log driver could not keep. */
  onWarning?: (text: string) => void;
}

/**
 * The records in order, many at a time. With `follow` until the container has ended, or the time of `until` has come.
 *
 * @throws {UnsupportedError} where the container keeps no log
 */
export async function* logs(
  engine: Engine,
  text: string,
  options: LogsOptions = {},
): AsyncGenerator<LogRecord[]> {
  const observed = await observe(engine, text);
  const { row, status } = observed;
  const { log } = loadConfig(engine, row.id);
  const read = log.driver === "journald"
    ? (await import("./journal_logs.ts")).journalReader(engine, observed, options.onWarning)
    : (query: LogQuery) => readLog(log, query);
  if (!options.follow) {
    yield* read(options);
    return;
  }
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  const ends: unknown[] = [status.status === "exited" ? undefined : wait(engine, row.id, { signal })];
  if (options.until !== undefined) ends.push(untilTime(options.until, signal));
  try {
    // a container that vanishes has ended as well
    yield* read({ ...options, ended: Promise.race(ends).then(() => {}, () => {}) });
  } finally {
    stop.abort();
  }
}

/** setTimeout(3) takes no more. */
const LONGEST_TIMER_MS = 0x7fffffff;

function untilTime(nanoseconds: bigint, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const leftMs = Number(nanoseconds / 1_000_000n) - Date.now();
    const timer = setTimeout(resolve, Math.min(LONGEST_TIMER_MS, Math.max(0, leftMs)));
    signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  });
}
