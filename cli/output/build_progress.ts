/** Shows a build on stderr while it goes on: plain, live on a terminal, as JSON, or not at all. */

import type { BuildEvent } from "../../runtime/engine/build_options.ts";
import { BuildTrace, isCanceled } from "./build_trace.ts";
import { escapeControl, escapeLines, jsonText } from "./escape.ts";
import { printError } from "./print.ts";

export const PROGRESS_MODES = ["auto", "plain", "tty", "rawjson", "quiet", "none"] as const;
export type ProgressMode = typeof PROGRESS_MODES[number];

export interface BuildDisplay {
  update(event: BuildEvent): void;
  /** The last picture; nothing is drawn after it. What failed is told with its last output. */
  finish(error?: unknown): void;
}

/** `auto` is live where stderr is a terminal. @throws nothing: `tty` without a terminal is drawn as for 80 columns */
export async function openDisplay(
  mode: ProgressMode,
  write: (text: string) => void = printError,
): Promise<BuildDisplay> {
  const isTerminal = Deno.stderr.isTerminal() && Deno.env.get("TERM") !== "dumb";
  const chosen = mode === "auto" ? (isTerminal ? "tty" : "plain") : mode;
  if (chosen === "rawjson") {
    return { update: (event) => write(jsonText(solveStatus(event)) + "\n"), finish() {} };
  }
  const trace = new BuildTrace();
  if (chosen === "quiet" || chosen === "none") {
    return {
      update: (event) => void trace.add(event),
      finish: (error) => void (error !== undefined && write(endOf(trace))),
    };
  }
  return chosen === "plain" ? await plainDisplay(trace, write) : await liveDisplay(trace, write);
}

async function plainDisplay(trace: BuildTrace, write: (text: string) => void): Promise<BuildDisplay> {
  const { PlainProgress } = await import("./build_progress_plain.ts");
  const plain = new PlainProgress(trace);
  const tell = (text: string) => text !== "" && write(text);
  return {
    update(event) {
      trace.add(event);
      tell(plain.update(event));
    },
    finish: () => tell(plain.finish() + endOf(trace)),
  };
}

const FRAME_MS = 100;

async function liveDisplay(trace: BuildTrace, write: (text: string) => void): Promise<BuildDisplay> {
  const { buildPicture } = await import("./build_progress_tty.ts");
  const started = new Date().toISOString();
  const colours = !Deno.env.get("NO_COLOR");
  let drawn: string[] = [];
  const draw = (isLast: boolean) => {
    const { columns, rows } = terminalSize();
    const picture = buildPicture(trace, {
      columns,
      rows,
      colours,
      started,
      now: new Date().toISOString(),
      isLast,
    });
    // Lines of a terminal that has become narrower take several rows each: those are gone up, too.
    // deno-lint-ignore no-control-regex
    const width = (line: string) => line.replace(/\x1b\[\d+m/g, "").length;
    const up = drawn.reduce((sum, line) => sum + Math.max(1, Math.ceil(width(line) / columns)), 0);
    const back = up > 0 ? `\x1b[${Math.min(up, rows - 1)}A\r` : "";
    write(`\x1b[?25l${back}${picture.map((line) => `${line}\x1b[K\n`).join("")}\x1b[J\x1b[?25h`);
    drawn = picture;
  };
  const timer = setInterval(() => draw(false), FRAME_MS);
  return {
    update: (event) => void trace.add(event),
    finish() {
      clearInterval(timer);
      draw(true);
      write(endOf(trace));
    },
  };
}

function terminalSize(): { columns: number; rows: number } {
  try {
    const { columns, rows } = Deno.consoleSize();
    if (columns > 0 && rows > 0) return { columns, rows };
  } catch {
    // no terminal
  }
  return { columns: 80, rows: 24 };
}

/** Of a step that has failed. */
const LAST_LINES = 20;

/** What stands below everything: the last output of what has failed, and the findings of the checks. */
export function endOf(trace: BuildTrace): string {
  let text = "";
  for (const vertex of trace.vertices.values()) {
    if (vertex.error === undefined || isCanceled(vertex)) continue;
    const lines = vertex.lines.slice(-LAST_LINES).map(({ seconds, text }) =>
      `${seconds.toFixed(seconds < 10 ? 3 : seconds < 100 ? 2 : 1)} ${text}\n`
    );
    text += `------\n > ${escapeControl(vertex.name)}:\n${lines.join("")}------\n`;
  }
  const { length } = trace.findings;
  if (length > 0) {
    text += `\n ${length} warning${length === 1 ? "" : "s"} found (use --check to expand):\n`;
    for (const { finding } of trace.findings) {
      text += ` - ${escapeControl(finding.rule)}: ${
        escapeLines(finding.detail)
      } (line ${finding.location.startLine})\n`;
    }
  }
  return text;
}

/** BuildKit's client.SolveStatus with one thing in it. */
function solveStatus(event: BuildEvent): Record<string, unknown> {
  switch (event.kind) {
    case "vertex":
      return { vertexes: [event.vertex] };
    case "status":
      return { statuses: [event.status] };
    case "log": {
      const { data, ...log } = event.log;
      return { logs: [{ ...log, data: data.toBase64() }] };
    }
    case "finding": {
      const { rule, description, detail, url, location } = event.finding;
      return {
        warnings: [{
          level: 1,
          short: encode(`${rule}: ${detail}`),
          detail: [encode(description)],
          url,
          range: [{ start: { line: location.startLine }, end: { line: location.endLine } }],
        }],
      };
    }
    case "warning":
      return { warnings: [{ level: 1, short: encode(event.text) }] };
  }
}

function encode(text: string): string {
  return new TextEncoder().encode(text).toBase64();
}
