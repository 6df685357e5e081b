/** `logs`: what a container has written, and writes. */

import { type LogQuery, readLog } from "../monitor/log_reader.ts";
import type { LogRecord } from "../monitor/log_record.ts";
import { loadConfig, observe } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { wait } from "./wait.ts";

export type { LogRecord } from "../monitor/log_record.ts";
export type LogsOptions = Omit<LogQuery, "ended">;

/**
 * The records in order, many at a time. With `follow` until the container has ended.
 *
 * @throws {UnsupportedError} where the container keeps no log
 */
export async function* logs(
  engine: Engine,
  text: string,
  options: LogsOptions = {},
): AsyncGenerator<LogRecord[]> {
  const { row, status } = await observe(engine, text);
  const { log } = loadConfig(engine, row.id);
  if (!options.follow) {
    yield* readLog(log, options);
    return;
  }
  const ended = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, ended.signal]) : ended.signal;
  const end = status.status === "exited" ? Promise.resolve() : wait(engine, row.id, { signal });
  try {
    // a container that vanishes has ended as well
    yield* readLog(log, { ...options, ended: end.then(() => {}, () => {}) });
  } finally {
    ended.abort();
  }
}
