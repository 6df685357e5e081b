/** @see podman-logs(1) */

import type { Engine } from "../../runtime/engine/engine.ts";
import { observe } from "../../runtime/engine/containers.ts";
import { type LogRecord, logs, type LogsOptions } from "../../runtime/engine/logs.ts";
import { defineCommand, type Values } from "../command.ts";
import { engineFor } from "../engine.ts";
import { LOG_FLAGS } from "../flags/logs.ts";
import { LATEST } from "../flags/selection.ts";
import { parseTime } from "../output/time_argument.ts";
import { print, printError, printWarnings } from "../output/print.ts";
import { selectContainers } from "../selection.ts";

export const command = defineCommand({
  usage: "[options] CONTAINER [CONTAINER...]",
  description: "What went to stderr goes to stderr again. Several containers' lines begin with their ids.",
  examples: ["skiff logs -f web", "skiff logs --tail 20 --timestamps web", "skiff logs --since 10m web db"],
  flags: {
    ...LOG_FLAGS,
    details: { kind: "bool", help: "Show what --log-opt has put beside the lines of a json-file" },
    ...LATEST,
  },
  async run({ options, args, global }) {
    const engine = engineFor(global);
    const none = "specify at least one container name or ID to log";
    const targets = await selectContainers(engine, { args, latest: options.latest }, none);
    await showLogs(engine, targets, { ...options, hasPrefix: targets.length > 1 });
  },
});

interface LogsShown extends Values<typeof LOG_FLAGS> {
  details: boolean;
  /** Lines tell whose they are. */
  hasPrefix: boolean;
}

/** Prints the logs one after another, with --follow side by side. */
export async function showLogs(
  engine: Engine,
  targets: readonly string[],
  options: LogsShown,
): Promise<void> {
  const now = Date.now();
  const nanoseconds = (text: string | undefined, name: string) =>
    text === undefined ? undefined : BigInt(Math.round(parseTime(text, name, now) * 1000)) * 1000n;
  const query: LogsOptions = {
    follow: options.follow,
    tail: options.tail !== undefined && options.tail >= 0 ? options.tail : undefined,
    since: nanoseconds(options.since, "since"),
    until: nanoseconds(options.until, "until"),
    onWarning: (text) => printWarnings([text]),
  };
  const shown = targets.map(async (name, index) => {
    const prefix = options.hasPrefix ? await prefixOf(engine, name, options.names) : "";
    const color = options.color && !Deno.env.get("NO_COLOR") ? COLORS[index % COLORS.length]! : undefined;
    return async () => {
      const writer = new LineWriter({ ...options, prefix, color });
      for await (const records of logs(engine, name, query)) writer.write(records);
    };
  });
  const copies = await Promise.all(shown);
  if (options.follow) await Promise.all(copies.map((copy) => copy()));
  else for (const copy of copies) await copy();
}

/** `web `, or the twelve digits of the id. */
async function prefixOf(engine: Engine, name: string, asName: boolean): Promise<string> {
  const { row } = await observe(engine, name);
  return `${asName ? row.name : row.id.slice(0, 12)} `;
}

/** As podman takes them, one container after another. @see ECMA-48, SGR */
const COLORS = [37, 31, 32, 33, 34, 35, 36];

interface LineStyle {
  prefix: string;
  timestamps: boolean;
  details: boolean;
  color?: number;
}

const encoder = new TextEncoder();
const NOTHING = new Uint8Array(0);

/** Puts prefix and time before lines, but not within one that comes in pieces; the bytes stay as they are. */
class LineWriter {
  readonly #isWithinLine = { stdout: false, stderr: false };

  constructor(readonly style: LineStyle) {}

  write(records: readonly LogRecord[]): void {
    let stream: LogRecord["stream"] = "stdout";
    let pending: Uint8Array[] = [];
    const flush = () => {
      if (pending.length > 0) (stream === "stdout" ? print : printError)(joined(pending));
      pending = [];
    };
    for (const record of records) {
      if (record.stream !== stream) flush();
      stream = record.stream;
      pending.push(this.#prefixOf(record), ...this.#textOf(record));
      this.#isWithinLine[record.stream] = !record.endsLine;
    }
    flush();
  }

  #prefixOf({ stream, time, attributes }: LogRecord): Uint8Array {
    const { prefix, timestamps, details, color } = this.style;
    const start = color === undefined ? "" : `\x1b[${color}m`;
    if (this.#isWithinLine[stream]) return start === "" ? NOTHING : encoder.encode(start);
    const text = start + prefix + (timestamps ? `${time.replace("+00:00", "Z")} ` : "") +
      (details && attributes ? `${detailsText(attributes)} ` : "");
    return text === "" ? NOTHING : encoder.encode(text);
  }

  /** With a colour the line's end comes after it, so that nothing else is coloured. */
  #textOf({ bytes, endsLine }: LogRecord): Uint8Array[] {
    if (this.style.color === undefined) return [bytes];
    const text = endsLine ? bytes.subarray(0, -1) : bytes;
    return [text, encoder.encode(endsLine ? "\x1b[0m\n" : "\x1b[0m")];
  }
}

/** As docker shows them: sorted, and escaped as in a query. */
function detailsText(attributes: Record<string, string>): string {
  const escape = (text: unknown) => encodeURIComponent(String(text)).replaceAll("%20", "+");
  return Object.keys(attributes).sort().map((key) => `${escape(key)}=${escape(attributes[key])}`).join(",");
}

function joined(parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
