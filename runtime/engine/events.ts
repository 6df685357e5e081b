/** `events`: what has happened and what happens, from the log that commands and monitors write. */

import { eventsPath } from "../state/events.ts";
import type { EngineEvent } from "../spec/event.ts";
import type { Engine } from "./engine.ts";

export type { EngineEvent, EventType } from "../spec/event.ts";

export interface EventsOptions {
  /** Milliseconds since 1970. With one of the two, what has been comes first. */
  sinceMs?: number;
  untilMs?: number;
  /** Go on with what happens until `untilMs`; otherwise only what has been. */
  follow?: boolean;
  /** Only these. */
  filter?: (event: EngineEvent) => boolean;
  signal?: AbortSignal;
}

/** The events in order, many at a time. */
export async function* events(engine: Engine, options: EventsOptions = {}): AsyncGenerator<EngineEvent[]> {
  const path = eventsPath(engine.folders);
  const folder = path.slice(0, path.lastIndexOf("/"));
  const { sinceMs, untilMs = Infinity, follow = false, filter = () => true } = options;
  Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
  // watched before the first look, so that nothing falls between
  using watch = follow ? new FolderWatch(folder, untilMs, options.signal) : undefined;
  using tail = new LogTail(path);
  const chosen = (lines: string[]) => parseEvents(lines, sinceMs, untilMs).filter(filter);
  if (!follow || sinceMs !== undefined || Number.isFinite(untilMs)) {
    yield chosen([...tail.before(), ...tail.next()]);
  } else tail.skip();
  if (!watch) return;
  while (Date.now() < untilMs && await watch.changed()) {
    const found = chosen(tail.next());
    if (found.length > 0) yield found;
  }
}

/** Lines begin with their time, so what is too old or too new is not even parsed. */
function parseEvents(lines: string[], sinceMs: number | undefined, untilMs: number): EngineEvent[] {
  const start = '{"time":"'.length;
  const since = sinceMs === undefined ? "" : isoText(sinceMs);
  const until = Number.isFinite(untilMs) ? isoText(untilMs) : "\uffff";
  return lines.flatMap((line) => {
    const time = line.slice(start, start + 30);
    if (time < since || time >= until) return [];
    try {
      return [JSON.parse(line) as EngineEvent];
    } catch {
      return []; // torn by a full disk
    }
  });
}

/** As long as the times of the log, so that they compare as text; what no log can hold is its first or last moment. */
function isoText(ms: number): string {
  const whole = Math.min(Math.max(Math.floor(ms), 0), 253402300799999);
  const nanoseconds = Math.min(999999, Math.max(0, Math.round((ms - whole) * 1e6)));
  return `${new Date(whole).toISOString().slice(0, -1)}${String(nanoseconds).padStart(6, "0")}Z`;
}

/** Whole lines as they are appended, across the moment when the log becomes the one before. */
class LogTail implements Disposable {
  #file: Deno.FsFile | undefined;
  #ino: number | null = null;
  #rest = "";
  #decoder = new TextDecoder();

  constructor(readonly path: string) {
    this.#open();
  }

  /** The lines of the log before this one. */
  before(): string[] {
    try {
      const path = `${this.path}.1`;
      return Deno.statSync(path).ino === this.#ino ? [] : linesOf(Deno.readTextFileSync(path));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  }

  /** Goes to the end. */
  skip(): void {
    this.#file?.seekSync(0, Deno.SeekMode.End);
  }

  next(): string[] {
    const lines = this.#read();
    if (this.#file && inodeOf(this.path) === this.#ino) return lines;
    // what was written to the old log since the look at it, then the new one
    lines.push(...this.#read());
    this.#file?.close();
    this.#file = undefined;
    this.#rest = "";
    this.#open();
    return [...lines, ...this.#read()];
  }

  [Symbol.dispose](): void {
    this.#file?.close();
  }

  #open(): void {
    try {
      this.#file = Deno.openSync(this.path);
      this.#ino = this.#file.statSync().ino;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  #read(): string[] {
    const buffer = new Uint8Array(256 * 1024);
    let text = this.#rest;
    for (let count = this.#file?.readSync(buffer); count; count = this.#file!.readSync(buffer)) {
      text += this.#decoder.decode(buffer.subarray(0, count), { stream: true });
    }
    const end = text.lastIndexOf("\n") + 1;
    this.#rest = text.slice(end);
    return linesOf(text.slice(0, end));
  }
}

function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

function inodeOf(path: string): number | null {
  try {
    return Deno.statSync(path).ino;
  } catch {
    return null;
  }
}

/** Tells when something in a folder has changed. @see inotify(7) */
class FolderWatch implements Disposable {
  readonly #watcher: Deno.FsWatcher;
  readonly #changes: AsyncIterator<Deno.FsEvent>;
  readonly #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;
  readonly #signal: AbortSignal | undefined;
  readonly #close = () => this[Symbol.dispose]();

  constructor(folder: string, untilMs: number, signal: AbortSignal | undefined) {
    this.#watcher = Deno.watchFs(folder, { recursive: false });
    this.#changes = this.#watcher[Symbol.asyncIterator]();
    this.#signal = signal;
    signal?.addEventListener("abort", this.#close);
    // a timer holds 31 bits of milliseconds; whoever waits longer than that is asked again
    if (untilMs < Infinity) this.#timer = setTimeout(this.#close, Math.min(0x7fffffff, untilMs - Date.now()));
  }

  /** False when there is nothing more to wait for. */
  async changed(): Promise<boolean> {
    try {
      for (;;) {
        const { done, value } = await this.#changes.next();
        if (done) return false;
        if (value.kind !== "access") return true;
      }
    } catch (error) {
      if (this.#isClosed) return false;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener("abort", this.#close);
    this.#watcher.close();
  }
}
