/**
 * What has been told of a build so far: its steps in the order of their first word, each with its output. Pure; both
 * pictures of a build, plain and live, are drawn from it.
 *
 * @see BuildKit util/progress/progressui/display.go: trace
 */

import type { BuildEvent, Vertex, VertexStatus } from "../../runtime/engine/build_options.ts";
import { escapeControl } from "./escape.ts";

export interface TracedVertex extends Vertex {
  /** From 1, in the order of their starts; 0 before. */
  index: number;
  statuses: Map<string, VertexStatus>;
  /** Whole lines with the seconds since the start of the step, oldest first; bounded. */
  lines: OutputLine[];
  /** So many lines before them are gone. */
  droppedLines: number;
  /** What came after the last line break. */
  partial: string;
}

export interface OutputLine {
  seconds: number;
  text: string;
}

/** Lines kept for each step, besides those of its last word: enough for one that waits until its lines are shown. */
const KEPT_LINES = 10_000;
/** A line without an end is cut here. */
const LONGEST_LINE = 16 << 10;

export class BuildTrace {
  readonly vertices = new Map<string, TracedVertex>();
  readonly warnings: string[] = [];
  readonly findings: Extract<BuildEvent, { kind: "finding" }>[] = [];
  #begun = 0;
  readonly #decoders = new Map<string, TextDecoder>();

  /** The vertex that the event is about. */
  add(event: BuildEvent): TracedVertex | undefined {
    switch (event.kind) {
      case "vertex":
        return this.#vertex(event.vertex);
      case "status": {
        const vertex = this.vertices.get(event.status.vertex);
        vertex?.statuses.set(event.status.id, event.status);
        return vertex;
      }
      case "log": {
        const { log } = event;
        const vertex = this.vertices.get(log.vertex);
        if (vertex !== undefined) this.#log(vertex, log.stream, log.data, log.timestamp);
        return vertex;
      }
      case "warning":
        this.warnings.push(event.text);
        return undefined;
      case "finding":
        this.findings.push(event);
        return undefined;
    }
  }

  #vertex(told: Vertex): TracedVertex {
    const known = this.vertices.get(told.digest);
    const isBegun = told.started !== undefined || told.completed !== undefined;
    if (known !== undefined) {
      Object.assign(known, told);
      if (isBegun && known.index === 0) known.index = ++this.#begun;
      if (told.completed !== undefined && known.partial !== "") endLine(known, told.completed);
      return known;
    }
    const index = isBegun ? ++this.#begun : 0;
    const vertex = { ...told, index, statuses: new Map(), lines: [], droppedLines: 0, partial: "" };
    this.vertices.set(told.digest, vertex);
    return vertex;
  }

  #log(vertex: TracedVertex, stream: number, data: Uint8Array, timestamp: string): void {
    const excess = vertex.lines.length - KEPT_LINES;
    if (excess > 0) {
      vertex.lines.splice(0, excess);
      vertex.droppedLines += excess;
    }
    const key = `${vertex.digest} ${stream}`;
    let decoder = this.#decoders.get(key);
    if (decoder === undefined) this.#decoders.set(key, decoder = new TextDecoder());
    const pieces = (vertex.partial + decoder.decode(data, { stream: true })).split("\n");
    for (const [at, piece] of pieces.entries()) {
      vertex.partial = piece;
      if (at < pieces.length - 1 || piece.length > LONGEST_LINE) endLine(vertex, timestamp);
    }
  }
}

function endLine(vertex: TracedVertex, timestamp: string): void {
  vertex.lines.push({ seconds: secondsBetween(vertex.started, timestamp), text: shownLine(vertex.partial) });
  vertex.partial = "";
}

export function secondsBetween(start: string | undefined, end: string): number {
  return start === undefined ? 0 : Math.max(0, (Date.parse(end) - Date.parse(start)) / 1000);
}

// CSI, OSC and other strings, two-character sequences
// deno-lint-ignore no-control-regex
const SEQUENCES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])/g;

/**
 * A line of a program as it would stand on a terminal at its end: what a carriage return has written over is gone,
 * colours and moves of the cursor are, too, and what else controls a terminal is shown.
 */
export function shownLine(text: string): string {
  const bare = text.replace(SEQUENCES, "").replace(/\r+$/, "");
  const last = bare.slice(bare.lastIndexOf("\r") + 1);
  // a tab moves within the line only
  return last.split("\t").map(escapeControl).join("\t");
}

/** Neither failed nor at its end. */
export function isRunning(vertex: Vertex): boolean {
  return vertex.started !== undefined && vertex.completed === undefined;
}

export function isCanceled(vertex: Vertex): boolean {
  return vertex.error !== undefined && /context canceled$/.test(vertex.error);
}

/** `1.23MB`: up to two decimals, as BuildKit shows sizes. */
export function byteText(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let value = bytes, unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000;
  return unit === 0 ? `${value}B` : `${value.toFixed(2)}${units[unit]}`;
}

/** `extracting sha256:… 1.20MB / 3.40MB 0.3s done` */
export function statusText(status: VertexStatus): string {
  const amount = status.total
    ? ` ${byteText(status.current)} / ${byteText(status.total)}`
    : status.current
    ? ` ${byteText(status.current)}`
    : "";
  const took = secondsBetween(status.started, status.completed ?? status.timestamp);
  const time = took > 0.01 ? ` ${took.toFixed(1)}s` : "";
  return `${escapeControl(status.id)}${amount}${time}${status.completed === undefined ? "" : " done"}`;
}
