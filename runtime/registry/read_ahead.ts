/**
 * How much of a lazy layer is fetched at once, and when more of it: who reads in the archive's order finds what comes
 * next here already, who reads here and there costs the registry little more than that.
 *
 * ```
 *  missed ─▶ 512 KiB │ read beyond its middle ─▶ 1 MiB │ ─▶ 2 MiB │ ─▶ 4 MiB │ ─▶ 4 MiB …
 * ```
 */

/** Of a first read: what lies right behind it comes with it. */
export const FIRST_WINDOW_BYTES = 512 << 10;
export const MAX_WINDOW_BYTES = 4 << 20;
/** So many places are read on from at the same time. */
const MAX_WINDOWS = 16;

/** What was fetched at once: places are those in the blob. */
interface Window {
  start: number;
  /** Behind its last byte: where the next one begins. */
  end: number;
}

export class ReadAhead {
  /** Those that nobody has read beyond the middle of, the latest first. */
  readonly #windows: Window[] = [];

  /** The size of the window that begins at `start`, where something is missing that somebody waits for. */
  sizeAt(start: number): number {
    const before = this.#windows.findIndex(({ end }) => end === start);
    return before < 0 ? FIRST_WINDOW_BYTES : twice(this.#windows.splice(before, 1)[0]!);
  }

  /** What is fetched now. */
  begin(window: Window): void {
    this.#windows.unshift({ ...window });
    if (this.#windows.length > MAX_WINDOWS) this.#windows.pop();
  }

  /** Somebody has read up to `place`. @returns what is to be fetched for that, if anything */
  reached(place: number): { start: number; bytes: number } | undefined {
    const at = this.#windows.findIndex(({ start, end }) => place > start + (end - start) / 2 && place <= end);
    if (at < 0) return undefined;
    const [window] = this.#windows.splice(at, 1);
    return { start: window!.end, bytes: twice(window!) };
  }
}

function twice({ start, end }: Window): number {
  return Math.min(Math.max(FIRST_WINDOW_BYTES, (end - start) * 2), MAX_WINDOW_BYTES);
}
