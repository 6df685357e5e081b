/**
 * Reads a container's lines back from the journal, through journalctl(1): what is there, and with `follow` what comes.
 *
 * What a run has written is complete when the entry after its last line is there (see journal_log.ts): journald takes its
 * time, and the container may have ended before.
 */

import { SkiffError, UnsupportedError } from "../errors.ts";
import { ExportParser, type JournalEntry } from "../spec/journal.ts";
import type { LogQuery } from "./log_reader.ts";
import type { LogRecord } from "./log_record.ts";

export interface JournalSubject {
  /** The container's. */
  id: string;
  /** Whose entries count: anybody may write others that look alike. Absent where journald knows him by another number. */
  uid?: number;
  /** Its last run, in nanoseconds since 1970. */
  startedAt?: bigint;
  /** That has ended just now. */
  isRecent?: boolean;
}

export interface JournalQuery extends LogQuery {
  /** Gives when the last run has begun. */
  ended?: Promise<bigint | undefined>;
}

/** So long after the end of a run its last entry may still come. */
const LAST_ENTRY_MS = 2_000;
const FIELDS =
  "MESSAGE,PRIORITY,CONTAINER_PARTIAL_MESSAGE,CONTAINER_ID_FULL,SKIFF_EVENT,_SOURCE_REALTIME_TIMESTAMP";
const NEWLINE = 10;
const decoder = new TextDecoder();

/** The records in order, many at a time. @throws {SkiffError} with what journalctl says */
export async function* readJournal(
  subject: JournalSubject,
  query: JournalQuery,
): AsyncGenerator<LogRecord[]> {
  const { startedAt, isRecent } = subject;
  using last = new LastEntry();
  const reading = new Reading(subject, query, last);
  if (query.tail === undefined) yield* reading.take([]);
  else yield await reading.takeTail(query.tail);
  if (!query.follow && !(isRecent && query.until === undefined)) return;
  last.await(query.follow ? query.ended : undefined, startedAt);
  yield* reading.follow();
}

/** Ends the following: with the last entry of the last run, or some time after its end. */
class LastEntry implements Disposable {
  readonly #stop = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #newest = -1n;
  #wanted: bigint | undefined;

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** The last entry of some run. */
  come(at: bigint): void {
    this.#newest = at;
    if (this.#wanted !== undefined && at >= this.#wanted) this.#stop.abort();
  }

  /** Begins to look for that of the last run when `ended` has settled. */
  await(ended: Promise<bigint | undefined> = Promise.resolve(undefined), startedAt = 0n): void {
    const end = (begun?: bigint) => {
      this.#wanted = begun ?? startedAt;
      if (this.#newest >= this.#wanted) this.#stop.abort();
      else this.#timer = setTimeout(() => this.#stop.abort(), LAST_ENTRY_MS);
    };
    ended.then(end, () => end());
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

class Reading {
  #cursor: string | undefined;

  constructor(readonly subject: JournalSubject, readonly query: LogQuery, readonly last: LastEntry) {}

  async *take(more: string[], stop?: AbortSignal): AsyncGenerator<LogRecord[]> {
    for await (const entries of this.#read(more, stop)) {
      const records = entries.flatMap((entry) => this.#recordOf(entry));
      if (records.length > 0) yield records;
    }
  }

  /** What comes after all that was taken. */
  async *follow(): AsyncGenerator<LogRecord[]> {
    yield* this.take(["--follow", "--no-tail"], this.last.signal);
    // what journalctl had not shown yet when it was ended
    yield* this.take([]);
  }

  /** The last so many lines, read from the end. */
  async takeTail(count: number): Promise<LogRecord[]> {
    const records: LogRecord[] = [];
    let newest: string | undefined;
    let lines = 0;
    const enough = new AbortController();
    for await (const entries of this.#read(["--reverse"], enough.signal)) {
      for (const entry of entries) {
        newest ??= text(entry, "__CURSOR");
        const [record] = this.#recordOf(entry);
        if (record === undefined || enough.signal.aborted) continue;
        if (record.endsLine || records.length === 0) lines++;
        if (lines > count) enough.abort();
        else records.push(record);
      }
      if (count === 0) enough.abort();
    }
    this.#cursor = newest ?? this.#cursor;
    return records.reverse();
  }

  async *#read(more: string[], stop?: AbortSignal): AsyncGenerator<JournalEntry[]> {
    const place = this.#cursor === undefined ? this.#since() : [`--after-cursor=${this.#cursor}`];
    const words = [...place, ...this.#until(), ...more, ...this.#matches()];
    for await (const entries of runJournalctl(words, [stop, this.query.signal])) {
      this.#cursor = text(entries.at(-1)!, "__CURSOR") ?? this.#cursor;
      yield entries;
    }
  }

  #since(): string[] {
    const { since } = this.query;
    return since === undefined ? [] : [`--since=@${since / 1_000_000_000n}`];
  }

  #until(): string[] {
    const { until } = this.query;
    return until === undefined ? [] : [`--until=@${until / 1_000_000_000n + 1n}`];
  }

  #matches(): string[] {
    const { id, uid } = this.subject;
    const own = uid === undefined ? [] : [`_UID=${uid}`];
    return [`CONTAINER_ID_FULL=${id}`, ...own, "+", `SKIFF_ID=${id}`, ...own];
  }

  /** None for an entry that is no line, or not of the time that is asked for. */
  #recordOf(entry: JournalEntry): LogRecord[] {
    const at = timeOf(entry, "__REALTIME_TIMESTAMP");
    if (!entry.has("CONTAINER_ID_FULL")) {
      if (text(entry, "SKIFF_EVENT") === "exited") {
        this.last.come(timeOf(entry, "_SOURCE_REALTIME_TIMESTAMP") || at);
      }
      return [];
    }
    const { since, until } = this.query;
    if ((since !== undefined && at < since) || (until !== undefined && at > until)) return [];
    const message = entry.get("MESSAGE") ?? new Uint8Array(0);
    const isPartial = entry.has("CONTAINER_PARTIAL_MESSAGE");
    return [{
      stream: text(entry, "PRIORITY") === "3" ? "stderr" : "stdout",
      time: timeText(at),
      bytes: isPartial || message.at(-1) === NEWLINE ? message : withNewline(message),
      endsLine: !isPartial,
    }];
  }
}

/** Runs it until its end or that of a signal. */
async function* runJournalctl(
  words: string[],
  signals: (AbortSignal | undefined)[],
): AsyncGenerator<JournalEntry[]> {
  const [stop, asked] = signals;
  asked?.throwIfAborted();
  if (stop?.aborted) return;
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command("journalctl", {
      args: ["--quiet", "--no-pager", "--output=export", `--output-fields=${FIELDS}`, ...words],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new UnsupportedError("read logs from the journal: journalctl is not installed", {
      cause,
      hint: "apt-get install systemd, or run containers with --log-driver k8s-file",
    });
  }
  const end = () => {
    try {
      child.kill("SIGTERM");
    } catch { /* it has ended by itself */ }
  };
  for (const signal of signals) signal?.addEventListener("abort", end, { once: true });
  const said = new Response(child.stderr).text();
  const parser = new ExportParser();
  let isWhole = false;
  try {
    for await (const bytes of child.stdout) {
      const entries = parser.feed(bytes);
      if (entries.length > 0) yield entries;
    }
    isWhole = true;
  } finally {
    for (const signal of signals) signal?.removeEventListener("abort", end);
    if (!isWhole) end();
    await child.status;
  }
  asked?.throwIfAborted();
  const { success } = await child.status;
  const error = (await said).trim();
  if (success || stop?.aborted || error === "") return;
  const isForbidden = error.includes("insufficient permissions");
  throw new SkiffError(`read logs from the journal: ${error.split("\n").at(-1)}`, {
    ...(isForbidden &&
      { hint: "only members of the group systemd-journal may read it: adm or systemd-journal" }),
  });
}

function text(entry: JournalEntry, name: string): string | undefined {
  const value = entry.get(name);
  return value && decoder.decode(value);
}

/** In nanoseconds; the journal counts microseconds. */
function timeOf(entry: JournalEntry, name: string): bigint {
  return BigInt(text(entry, name) ?? 0) * 1000n;
}

/** As the files have it. */
function timeText(nanoseconds: bigint): string {
  const fraction = String(nanoseconds % 1_000_000_000n).padStart(9, "0");
  return `${new Date(Number(nanoseconds / 1_000_000n)).toISOString().slice(0, 19)}.${fraction}+00:00`;
}

function withNewline(message: Uint8Array): Uint8Array {
  const whole = new Uint8Array(message.length + 1);
  whole.set(message);
  whole[message.length] = NEWLINE;
  return whole;
}
