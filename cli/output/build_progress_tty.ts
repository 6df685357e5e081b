/**
 * A build as it stands on a terminal, drawn again and again: the steps with their times, below each running one the
 * last lines of its output. Pure: a picture is a list of lines, none wider than the terminal.
 *
 * ```
 * [+] Building 12.3s (5/9)
 *  => [build 1/4] FROM docker.io/library/debian:12                                                  0.0s
 *  => CACHED [build 2/4] RUN apt-get update                                                         0.0s
 *  => [build 3/4] RUN make                                                                         11.9s
 *  => => # cc -c -o main.o main.c
 * ```
 *
 * @see BuildKit util/progress/progressui/display.go: ttyDisplay
 */

import {
  type BuildTrace,
  byteText,
  isCanceled,
  isRunning,
  secondsBetween,
  type TracedVertex,
} from "./build_trace.ts";
import { escapeControl } from "./escape.ts";
import { displayWidth } from "./table.ts";
import type { VertexStatus } from "../../runtime/engine/build_options.ts";

export interface PictureOptions {
  columns: number;
  rows: number;
  colours: boolean;
  /** RFC 3339: when the build began, and now. */
  started: string;
  now: string;
  /** The last picture, which stays. */
  isLast: boolean;
}

/** Lines of output below a running step. */
const OUTPUT_LINES = 6;
const TIME_COLUMNS = 7;

type Colour = "blue" | "red" | "yellow" | "grey";
const COLOURS: Record<Colour, number> = { blue: 34, red: 31, yellow: 33, grey: 90 };

interface Line {
  text: string;
  time?: string;
  colour?: Colour;
}

export function buildPicture(trace: BuildTrace, options: PictureOptions): string[] {
  const { columns, rows, now, started, isLast } = options;
  const vertices = [...trace.vertices.values()].filter(({ index }) => index > 0)
    .sort((a, b) => a.index - b.index);
  const blocks = vertices.map((vertex) => linesOf(vertex, now, isLast));
  const done = vertices.filter((vertex) => vertex.completed !== undefined).length;
  const hasFailed = vertices.some((vertex) => vertex.error !== undefined || vertex.completed === undefined);
  const end = isLast ? (hasFailed ? " ERROR" : " FINISHED") : "";
  const header = `[+] Building ${
    secondsBetween(started, now).toFixed(1)
  }s (${done}/${trace.vertices.size})${end}`;
  const room = Math.max(1, rows - 2);
  const lines = isLast ? blocks.flat() : fitting(vertices, blocks, room);
  return [clip(header, columns), ...lines.map((line) => paint(line, columns, options.colours))];
}

/** What is at its end gives way first, from the top; then what running steps have said. */
function fitting(vertices: readonly TracedVertex[], blocks: Line[][], room: number): Line[] {
  const kept = blocks.map((block) => [...block]);
  let excess = kept.flat().length - room;
  for (let at = 0; at < kept.length && excess > 0; at++) {
    if (isRunning(vertices[at]!)) continue;
    excess -= kept[at]!.length;
    kept[at] = [];
  }
  for (let at = 0; at < kept.length && excess > 0; at++) {
    const spared = Math.min(excess, Math.max(0, kept[at]!.length - 1));
    kept[at]!.splice(1, spared);
    excess -= spared;
  }
  return kept.flat().slice(-room);
}

function linesOf(vertex: TracedVertex, now: string, isLast: boolean): Line[] {
  const { completed, cached, error } = vertex;
  const isGivenUp = isCanceled(vertex) || isLast && completed === undefined;
  const mark = isGivenUp ? "CANCELED " : error !== undefined ? "ERROR " : cached ? "CACHED " : "";
  const colour = isGivenUp
    ? "yellow"
    : error !== undefined
    ? "red"
    : completed === undefined
    ? undefined
    : "blue";
  const lines: Line[] = [{
    text: ` => ${mark}${escapeControl(vertex.name)}`,
    time: `${secondsBetween(vertex.started, completed ?? now).toFixed(1)}s`,
    colour,
  }];
  for (const status of vertex.statuses.values()) {
    if (isLast || status.completed === undefined || completed === undefined) {
      lines.push({ text: ` => => ${statusWords(status)}`, time: statusTime(status, now), colour: colour });
    }
  }
  if (isLast || !isRunning(vertex)) return lines;
  const said = vertex.partial === "" ? vertex.lines : [...vertex.lines, { text: tail(vertex.partial) }];
  for (const { text } of said.slice(-OUTPUT_LINES)) lines.push({ text: ` => => # ${text}`, colour: "grey" });
  return lines;
}

/** Of a line that is not at its end yet: what stands there now. */
function tail(partial: string): string {
  return escapeControl(partial.split("\r").findLast((text) => text !== "") ?? "");
}

function statusWords({ id, current, total }: VertexStatus): string {
  const amount = total
    ? ` ${byteText(current)} / ${byteText(total)}`
    : current
    ? ` ${byteText(current)}`
    : "";
  return escapeControl(id) + amount;
}

function statusTime(status: VertexStatus, now: string): string | undefined {
  if (status.started === undefined) return undefined;
  return `${secondsBetween(status.started, status.completed ?? now).toFixed(1)}s`;
}

function paint({ text, time, colour }: Line, columns: number, colours: boolean): string {
  const room = time === undefined ? columns - 1 : columns - 1 - Math.max(TIME_COLUMNS, time.length + 1);
  const left = clip(text.replaceAll("\t", " "), room);
  const line = time === undefined
    ? left
    : left + " ".repeat(Math.max(1, columns - 1 - displayWidth(left) - time.length)) + time;
  return colours && colour !== undefined ? `\x1b[${COLOURS[colour]}m${line}\x1b[39m` : line;
}

/** No wider than `columns`. */
function clip(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text;
  let cut = "";
  let width = 0;
  for (const character of text) {
    width += displayWidth(character);
    if (width > columns) break;
    cut += character;
  }
  return cut;
}
