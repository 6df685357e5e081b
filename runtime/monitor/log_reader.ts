/**
 * Reads a container's log back, for `logs`: from the beginning or the last lines, to its end or on and on.
 * It knows the rotated `.1` and a rotation that happens while it reads.
 */

import { readUpTo } from "../archive/read_up_to.ts";
import { UnsupportedError } from "../errors.ts";
import { type LineParser, type LogRecord, parseJsonLine, parseK8sLine, parseLogTime } from "./log_record.ts";
import type { LogPlan } from "./plan.ts";

export interface LogQuery {
  /** Only the last so many lines of output. */
  tail?: number;
  /** Nanoseconds since 1970; records of that time are included. */
  since?: bigint;
  until?: bigint;
  /** Goes on until `ended` settles, and then to the end of what was written. */
  follow?: boolean;
  /** For `follow`: the container's end. */
  ended?: Promise<unknown>;
  signal?: AbortSignal;
}

const CHUNK_BYTES = 1024 * 1024;
/** The first look for the last lines; four times as much at each further one. */
const TAIL_BYTES = 64 * 1024;
const NEWLINE = 10;

const PARSERS: Partial<Record<LogPlan["driver"], LineParser>> = {
  "k8s-file": parseK8sLine,
  "json-file": parseJsonLine,
};

/**
 * Gives the records in order, many at a time. A log that was never written gives none.
 *
 * @throws {UnsupportedError} where the log driver keeps nothing
 */
export async function* readLog(
  log: Pick<LogPlan, "driver" | "path">,
  query: LogQuery = {},
): AsyncGenerator<LogRecord[]> {
  const parse = PARSERS[log.driver];
  if (parse === undefined) {
    throw new UnsupportedError(`read logs: the log driver ${log.driver} keeps none`);
  }
  const select = selector(query);
  // The watch begins before the first read: nothing that is written in between is missed.
  using changes = query.follow ? new Changes(log.path, query.ended, query.signal) : undefined;
  let file = await openFile(log.path);
  try {
    // Without `follow` a container that writes faster than this reads would never let it end.
    const limit = query.follow ? Infinity : (await file?.stat())?.size ?? 0;
    if (query.tail !== undefined) {
      const { records, position } = await readTail(log.path, file, query.tail, parse);
      yield records.filter(select);
      await file?.seek(position, Deno.SeekMode.Start);
    } else {
      const old = await openFile(`${log.path}.1`);
      if (old !== undefined) {
        using _ = old;
        // A rotation between the two opens would have given the same file twice.
        if (file !== undefined && await isSameFile(old, file)) await old.seek(0, Deno.SeekMode.End);
        for await (const records of readRecords(old, new LineSplitter(parse), query.signal)) {
          yield records.filter(select);
        }
      }
    }
    let splitter = new LineSplitter(parse);
    if (changes === undefined) {
      if (file === undefined || query.tail !== undefined) return;
      for await (const records of readRecords(file, splitter, query.signal, limit)) {
        yield records.filter(select);
      }
      return;
    }
    for (;;) {
      const isLast = changes.isOver;
      if (file !== undefined) {
        for await (const records of readRecords(file, splitter, query.signal)) yield records.filter(select);
      }
      const next = await openNext(log.path, file);
      if (next !== undefined) {
        // The old file is complete, for it was renamed first: what came after the last read is still to read.
        if (file !== undefined) {
          for await (const records of readRecords(file, splitter, query.signal)) yield records.filter(select);
          file.close();
        }
        file = next;
        splitter = new LineSplitter(parse);
        continue;
      }
      if (isLast) return;
      await changes.next();
    }
  } finally {
    file?.close();
  }
}

/** Everything from the file's position to its end, or up to `limit` bytes. */
async function* readRecords(
  file: Deno.FsFile,
  splitter: LineSplitter,
  signal: AbortSignal | undefined,
  limit = Infinity,
): AsyncGenerator<LogRecord[]> {
  for (let left = limit; left > 0;) {
    signal?.throwIfAborted();
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, left));
    const count = await file.read(chunk);
    if (count === null) return;
    left -= count;
    yield splitter.feed(chunk.subarray(0, count));
  }
}

/** Takes whole lines out of a file that is read in any pieces. */
class LineSplitter {
  #held: Uint8Array[] = [];
  constructor(readonly parse: LineParser) {}

  feed(bytes: Uint8Array): LogRecord[] {
    const records: LogRecord[] = [];
    let at = 0;
    for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, at)) {
      const record = this.parse(this.#join(bytes.subarray(at, end + 1)));
      if (record !== undefined) records.push(record);
      at = end + 1;
    }
    if (at < bytes.length) this.#held.push(bytes.subarray(at));
    return records;
  }

  #join(last: Uint8Array): Uint8Array {
    if (this.#held.length === 0) return last;
    const parts = [...this.#held, last];
    const line = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      line.set(part, at);
      at += part.length;
    }
    this.#held = [];
    return line;
  }
}

/** The last `count` lines of output, and where in `file` the reading goes on. */
async function readTail(
  path: string,
  file: Deno.FsFile | undefined,
  count: number,
  parse: LineParser,
): Promise<{ records: LogRecord[]; position: number }> {
  if (file === undefined) return { records: [], position: 0 };
  const { size } = await file.stat();
  const found = await lastRecords(file, size, count, parse);
  if (found.isWhole && countLines(found.records) < count) {
    const old = await openFile(`${path}.1`);
    if (old !== undefined) {
      using _ = old;
      const before = await lastRecords(old, (await old.stat()).size, count, parse);
      return { records: lastLines([...before.records, ...found.records], count), position: found.position };
    }
  }
  return { records: lastLines(found.records, count), position: found.position };
}

/** At least `count` lines from the end, if the file has as many. `position` is behind the last whole line. */
async function lastRecords(
  file: Deno.FsFile,
  size: number,
  count: number,
  parse: LineParser,
): Promise<{ records: LogRecord[]; position: number; isWhole: boolean }> {
  for (let window = TAIL_BYTES;; window *= 4) {
    const start = Math.max(0, size - window);
    await file.seek(start, Deno.SeekMode.Start);
    const bytes = await readUpTo(file, size - start);
    const end = bytes.lastIndexOf(NEWLINE) + 1;
    // Before the first newline there may be a part of a line only.
    const begin = start === 0 ? 0 : bytes.indexOf(NEWLINE) + 1;
    const records = end > begin ? new LineSplitter(parse).feed(bytes.subarray(begin, end)) : [];
    if (start === 0 || countLines(records) > count) {
      return { records, position: start + end, isWhole: start === 0 };
    }
  }
}

/** Lines of output; one that has not ended yet is one as well. */
function countLines(records: readonly LogRecord[]): number {
  const ended = records.reduce((sum, record) => sum + (record.endsLine ? 1 : 0), 0);
  return ended + (records.length > 0 && !records[records.length - 1]!.endsLine ? 1 : 0);
}

function lastLines(records: LogRecord[], count: number): LogRecord[] {
  let left = count;
  for (let index = records.length - 1; index >= 0; index--) {
    const isNewLine = records[index]!.endsLine || index === records.length - 1;
    if (isNewLine && left-- === 0) return records.slice(index + 1);
  }
  return records;
}

function selector({ since, until }: LogQuery): (record: LogRecord) => boolean {
  if (since === undefined && until === undefined) return () => true;
  return ({ time }) => {
    const at = parseLogTime(time);
    return at === undefined || ((since === undefined || at >= since) && (until === undefined || at <= until));
  };
}

async function openFile(path: string): Promise<Deno.FsFile | undefined> {
  try {
    return await Deno.open(path, { read: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** The file that has taken the place of `current`; undefined where it is still the same, or gone. */
async function openNext(path: string, current: Deno.FsFile | undefined): Promise<Deno.FsFile | undefined> {
  const next = await openFile(path);
  if (next === undefined || current === undefined) return next;
  if (!await isSameFile(next, current)) return next;
  next.close();
}

async function isSameFile(one: Deno.FsFile, other: Deno.FsFile): Promise<boolean> {
  const [a, b] = [await one.stat(), await other.stat()];
  return a.ino === b.ino && a.dev === b.dev;
}

/** Tells when the log's folder has changed, or the container has ended. @see inotify(7) */
class Changes implements Disposable {
  readonly #watcher: Deno.FsWatcher;
  #isPending = false;
  #wake: (() => void) | undefined;
  isOver = false;

  constructor(path: string, ended: Promise<unknown> | undefined, signal: AbortSignal | undefined) {
    this.#watcher = Deno.watchFs(path.slice(0, path.lastIndexOf("/")) || "/", { recursive: false });
    this.#listen();
    const end = () => {
      this.isOver = true;
      this.#notify();
    };
    ended?.then(end, end);
    signal?.addEventListener("abort", end, { once: true });
  }

  /** Resolves at the next change, at once where one has not been asked for yet. */
  async next(): Promise<void> {
    if (!this.#isPending && !this.isOver) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    this.#isPending = false;
  }

  [Symbol.dispose](): void {
    this.#watcher.close();
  }

  async #listen(): Promise<void> {
    for await (const event of this.#watcher) if (event.kind !== "access") this.#notify();
  }

  #notify(): void {
    this.#isPending = true;
    this.#wake?.();
    this.#wake = undefined;
  }
}
