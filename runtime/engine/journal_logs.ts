/** `logs` of a container whose lines are in the journal. */

import type { Observed } from "../container/state.ts";
import { readJournal } from "../monitor/journal_reader.ts";
import { readLoss } from "../monitor/journal_loss.ts";
import type { LogQuery } from "../monitor/log_reader.ts";
import { type LogRecord, parseLogTime } from "../monitor/log_record.ts";
import { observe } from "./containers.ts";
import type { Engine } from "./engine.ts";

/** So long after a container's end its last lines may still be on their way. */
const RECENT_NS = 10_000_000_000n;
/** Before any run: nothing more is to come. */
const OVER = -1n;

export function journalReader(
  engine: Engine,
  { row, status }: Observed,
  warn: ((text: string) => void) | undefined,
): (query: LogQuery) => AsyncGenerator<LogRecord[]> {
  const subject = {
    id: row.id,
    uid: journalUid(),
    startedAt: parseLogTime(status.startedAt),
    isRecent: status.status === "exited" && isRecent(status.finishedAt),
  };
  return async function* (query) {
    const ended = query.ended?.then(() => lastStart(engine, row.id));
    yield* readJournal(subject, { ...query, ended });
    const lost = readLoss(engine.containerDir(row.id));
    if (lost > 0) {
      warn?.(`${lost} lines of container "${row.name}" are missing: the journal did not take them`);
    }
  };
}

/** Of a container that still runs nothing more is waited for: the time that was asked for is over. */
async function lastStart(engine: Engine, id: string): Promise<bigint | undefined> {
  try {
    const { status } = await observe(engine, id);
    return status.status === "exited" ? parseLogTime(status.startedAt) : OVER;
  } catch {
    return undefined; // removed with its end
  }
}

function isRecent(time: string): boolean {
  const at = parseLogTime(time);
  return at !== undefined && BigInt(Date.now()) * 1_000_000n - at < RECENT_NS;
}

/** journald sees the user of the machine, who is somebody else in a container: then it is not looked at. */
function journalUid(): number | undefined {
  const isInitial =
    Deno.readTextFileSync("/proc/self/uid_map").trim().split(/\s+/).join(" ") === "0 0 4294967295";
  return isInitial ? Deno.uid() ?? undefined : undefined;
}
