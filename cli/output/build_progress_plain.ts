/**
 * A build as lines that are never changed again: `--progress plain`, and what is shown where stderr is no terminal.
 * One step at a time has the floor; what others say meanwhile is kept until they have it.
 *
 * ```
 * #5 [2/3] RUN make
 * #5 0.123 cc -o hello hello.c
 * #5 DONE 0.4s
 * ```
 *
 * @see BuildKit util/progress/progressui/printer.go: textMux
 */

import type { BuildEvent } from "../../runtime/engine/build_options.ts";
import {
  type BuildTrace,
  isCanceled,
  isRunning,
  secondsBetween,
  statusText,
  type TracedVertex,
} from "./build_trace.ts";
import { escapeControl } from "./escape.ts";

/** So long a step keeps the floor while others have something to say. */
const ANTI_FLICKER_MS = 5000;
/** A download that goes on is told of as rarely. */
const STATUS_MS = 5000;

interface Printed {
  /** Of its output, those of before that the trace keeps no more included. */
  lines: number;
  /** Texts of the statuses that stand there, and when. */
  statuses: Map<string, { text: string; atMs: number; completed: boolean }>;
  end: boolean;
}

export class PlainProgress {
  #current: string | undefined;
  #currentSinceMs = 0;
  #isFirst = true;
  readonly #printed = new Map<string, Printed>();
  /** Steps with something to say, longest waiting first. */
  readonly #waiting = new Set<string>();

  constructor(
    private readonly trace: BuildTrace,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** The lines that an event, already in the trace, makes. */
  update(event: BuildEvent): string {
    const digest = event.kind === "vertex"
      ? event.vertex.digest
      : event.kind === "status"
      ? event.status.vertex
      : event.kind === "log"
      ? event.log.vertex
      : undefined;
    if (digest === undefined) {
      return event.kind === "warning" ? `WARNING: ${escapeControl(event.text)}\n` : "";
    }
    const vertex = this.trace.vertices.get(digest);
    if (vertex === undefined || vertex.started === undefined && vertex.completed === undefined) return "";
    this.#waiting.add(digest);
    return this.#print(vertex);
  }

  /** All that was held back; what still runs is given up. */
  finish(): string {
    const begun = [...this.trace.vertices.values()].filter(({ index }) => index > 0);
    return begun.filter((vertex) => !this.#printedOf(vertex).end).map((vertex) => {
      const text = this.#show(vertex);
      if (!isRunning(vertex)) return text;
      this.#current = undefined;
      return `${text}#${vertex.index} CANCELED\n`;
    }).join("");
  }

  #print(vertex: TracedVertex): string {
    const isItsTurn = this.#current === undefined || this.#current === vertex.digest ||
      vertex.completed !== undefined || this.now() - this.#currentSinceMs >= ANTI_FLICKER_MS;
    if (!isItsTurn) return "";
    let text = this.#show(vertex);
    // whoever ends gives the floor to the one who has waited longest
    while (this.#current === undefined) {
      const next = [...this.#waiting].map((digest) => this.trace.vertices.get(digest)!).find(isRunning);
      if (next === undefined) break;
      text += this.#show(next);
    }
    return text;
  }

  #printedOf(vertex: TracedVertex): Printed {
    let printed = this.#printed.get(vertex.digest);
    if (printed === undefined) {
      printed = { lines: 0, statuses: new Map(), end: false };
      this.#printed.set(vertex.digest, printed);
    }
    return printed;
  }

  #show(vertex: TracedVertex): string {
    const printed = this.#printedOf(vertex);
    this.#waiting.delete(vertex.digest);
    if (printed.end) return "";
    const { index } = vertex;
    let text = "";
    if (this.#current !== vertex.digest) {
      const before = this.#current === undefined ? undefined : this.trace.vertices.get(this.#current);
      if (before !== undefined) text += `#${before.index} ...\n`;
      text += `${this.#isFirst ? "" : "\n"}#${index} ${escapeControl(vertex.name)}\n`;
      this.#isFirst = false;
      this.#current = vertex.digest;
      this.#currentSinceMs = this.now();
    }
    for (const line of this.#newStatuses(vertex, printed)) text += `#${index} ${line}\n`;
    const dropped = vertex.droppedLines - printed.lines;
    if (dropped > 0) text += `#${index} [${dropped} lines are not shown]\n`;
    for (const { seconds, text: line } of vertex.lines.slice(Math.max(0, -dropped))) {
      text += `#${index} ${seconds.toFixed(seconds < 10 ? 3 : seconds < 100 ? 2 : 1)} ${line}\n`;
    }
    printed.lines = vertex.droppedLines + vertex.lines.length;
    if (vertex.completed !== undefined) {
      text += `#${index} ${endText(vertex)}\n`;
      printed.end = true;
      this.#current = undefined;
    }
    return text;
  }

  *#newStatuses(vertex: TracedVertex, printed: Printed): Iterable<string> {
    for (const status of vertex.statuses.values()) {
      const before = printed.statuses.get(status.id);
      const completed = status.completed !== undefined;
      const isTooSoon = before !== undefined && !completed && this.now() - before.atMs < STATUS_MS;
      const text = statusText(status);
      if (before?.completed || before?.text === text || isTooSoon) continue;
      printed.statuses.set(status.id, { text, atMs: this.now(), completed });
      yield text;
    }
  }
}

function endText(vertex: TracedVertex): string {
  if (vertex.error !== undefined) {
    return isCanceled(vertex) ? "CANCELED" : `ERROR: ${escapeControl(vertex.error)}`;
  }
  if (vertex.cached) return "CACHED";
  return `DONE ${secondsBetween(vertex.started, vertex.completed!).toFixed(1)}s`;
}
