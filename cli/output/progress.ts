/**
 * Progress of a pull on stderr: a bar for each layer on a terminal, one plain line for each finished step
 * elsewhere. The picture is pure; `PullProgressBar` draws it.
 */

import { escapeControl } from "./escape.ts";
import { humanSize } from "./humanize.ts";
import { printError } from "./print.ts";

export type LayerStatus = "waiting" | "exists" | "downloading" | "extracting" | "done" | "retrying";

export type PullEvent =
  | { kind: "layer"; digest: string; status: LayerStatus; current: number; total: number }
  | { kind: "status"; text: string };

type Layer = Extract<PullEvent, { kind: "layer" }>;

const BAR_CELLS = 30;
const FINISHED: readonly LayerStatus[] = ["done", "exists"];

/** One line of the picture, no longer than `columns`. */
export function layerLine(layer: Layer, columns: number): string {
  const name = `Copying blob ${layerName(layer.digest)}`;
  const line = `${name} ${progressText(layer)}`;
  return line.length < columns ? line : line.slice(0, Math.max(0, columns - 1));
}

function progressText({ status, current, total }: Layer): string {
  switch (status) {
    case "waiting":
      return "waiting";
    case "exists":
      return "skipped: already exists";
    case "done":
      return "done";
    case "retrying":
      return `${bar(current, total)} connection lost, trying again`;
    default: {
      const sizes = total > 0 ? `${humanSize(current)} / ${humanSize(total)}` : humanSize(current);
      return `${bar(current, total)} ${status === "extracting" ? "extracting" : sizes}`;
    }
  }
}

function bar(current: number, total: number): string {
  const filled = total > 0 ? Math.min(BAR_CELLS, Math.floor((current / total) * BAR_CELLS)) : 0;
  const head = filled > 0 && filled < BAR_CELLS ? "=".repeat(filled - 1) + ">" : "=".repeat(filled);
  return `[${head.padEnd(BAR_CELLS, "-")}]`;
}

/** `4856843637918`: the digits of the digest, as podman shortens it. */
function layerName(digest: string): string {
  return escapeControl(digest).replace(/^sha(256|512):/, "").slice(0, 12);
}

const FRAME_MS = 100;

interface TerminalSize {
  columns: number;
  rows: number;
}

/**
 * Draws the events of one pull; the last picture stays.
 *
 * A terminal cannot be drawn over above its first row. Where there are more layers than rows, those that are
 * finished scroll away, and of the others as many are shown as fit.
 */
export class PullProgressBar {
  /** Those that have scrolled away are not in it. */
  readonly #layers = new Map<string, Layer>();
  #drawnLines = 0;
  #drawnAt = 0;

  constructor(
    private readonly write: (text: string) => void = printError,
    private readonly terminal: () => TerminalSize | undefined = terminalSize,
    private readonly now: () => number = () => performance.now(),
  ) {}

  update(event: PullEvent): void {
    const terminal = this.terminal();
    if (event.kind === "status") {
      const text = `${escapeControl(event.text)}\n`;
      return terminal === undefined ? this.write(text) : this.#drawOver(text, terminal);
    }
    const before = this.#layers.get(event.digest)?.status;
    this.#layers.set(event.digest, event);
    if (terminal === undefined) this.#plainLine(event, before);
    else if (before !== event.status || this.now() - this.#drawnAt >= FRAME_MS) this.#drawOver("", terminal);
  }

  /** The last picture; what is written next starts on a line of its own. */
  finish(): void {
    const terminal = this.terminal();
    if (terminal !== undefined) this.#drawOver("", { ...terminal, rows: Infinity });
  }

  #plainLine(event: Layer, before: LayerStatus | undefined): void {
    if (event.status === before) return;
    if (event.status === "done" || event.status === "exists" || event.status === "retrying") {
      const text = event.status === "retrying" ? "connection lost, trying again" : progressText(event);
      this.write(`Copying blob ${layerName(event.digest)} ${text}\n`);
    }
  }

  /** Replaces the last picture by `above`, which stays, and the layers as they are now. */
  #drawOver(above: string, { columns, rows }: TerminalSize): void {
    const line = (layer: Layer) => layerLine(layer, columns) + "\n";
    for (const layer of this.#layers.values()) {
      if (this.#layers.size < rows) break;
      if (!FINISHED.includes(layer.status)) continue;
      above += line(layer);
      this.#layers.delete(layer.digest);
    }
    const lines = [...this.#layers.values()].map(line);
    const excess = lines.length - (rows - 1);
    if (excess > 0) lines.splice(rows - 2, Infinity, `and ${excess + 1} more\n`);
    // Line by line: tmux keeps a copy in its history of a screen that is cleared at once.
    const back = this.#drawnLines > 0 ? `\x1b[${this.#drawnLines}A\r` : "";
    this.write(`${back}${(above + lines.join("")).replaceAll("\n", "\x1b[K\n")}\x1b[J`);
    this.#drawnLines = lines.length;
    this.#drawnAt = this.now();
  }
}

/** Of the terminal at stderr; undefined where it is none. */
function terminalSize(): TerminalSize | undefined {
  if (!Deno.stderr.isTerminal() || Deno.env.get("TERM") === "dumb") return undefined;
  try {
    return Deno.consoleSize();
  } catch {
    return { columns: 80, rows: 24 };
  }
}
