/** @see podman-events(1) */

import { type EngineEvent, events } from "../../runtime/engine/events.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { eventFilter } from "../filters/events.ts";
import { escapeControl, jsonText } from "../output/escape.ts";
import { goTime, shortId } from "../output/humanize.ts";
import { print } from "../output/print.ts";
import { parseDuration, parseTime } from "../output/time_argument.ts";

export const command = defineCommand({
  usage: "[options]",
  description:
    "Shows what happens to containers, images and volumes, until it is interrupted. With --since or\n" +
    "--until what has been comes first; with --stream=false nothing else.",
  examples: [
    "skiff events --filter event=died --filter container=web",
    "skiff events --since 1h --stream=false --format json",
    'skiff events --format "{{.Time}} {{.Status}} {{.Name}}"',
  ],
  flags: {
    filter: { kind: "array", short: "f", value: "KEY=VALUE", help: "Show only events that match" },
    format: { kind: "string", value: "FORMAT", help: "json, or a Go template for each event" },
    "no-trunc": { kind: "bool", default: true, help: "Show ids in full" },
    since: {
      kind: "string",
      value: "TIME",
      help: "From TIME on: 10m, 2026-11-20T10:00:00Z, seconds since 1970",
    },
    stream: { kind: "bool", default: true, help: "Go on with what happens; =false: only what has been" },
    until: {
      kind: "string",
      value: "TIME",
      help: "Up to TIME; a duration is from now on, -10m was ten minutes ago",
    },
  },
  arity: { max: 0 },
  async run({ options, global }) {
    const now = Date.now();
    const filter = eventFilter(options.filter);
    const show = await renderer(options.format, options["no-trunc"]);
    const stop = new AbortController();
    let exitCode = 0;
    const end = (code: number) => () => {
      exitCode = code;
      stop.abort();
    };
    // podman's codes
    Deno.addSignalListener("SIGINT", end(1));
    Deno.addSignalListener("SIGTERM", end(0));
    const batches = events(engineFor(global), {
      sinceMs: options.since === undefined ? undefined : parseTime(options.since, "since", now),
      untilMs: options.until === undefined ? undefined : untilTime(options.until, now),
      follow: options.stream,
      filter,
      signal: stop.signal,
    });
    for await (const batch of batches) print(batch.map(show).join(""));
    return exitCode;
  },
});

/** Durations count into the future. */
function untilTime(text: string, now: number): number {
  const duration = text === "0" ? undefined : parseDuration(text);
  return duration === undefined ? parseTime(text, "until", now) : now + duration;
}

async function renderer(
  format: string | undefined,
  noTrunc: boolean,
): Promise<(event: EngineEvent) => string> {
  if (format === undefined) return (event) => `${escapeControl(humanText(event, noTrunc))}\n`;
  if (format === "json") return (event) => `${jsonText(documentOf(event))}\n`;
  if (format === "") throw new InvalidArgumentError("--format: the template is empty");
  const { compileFormat, row } = await import("../output/format.ts");
  const template = compileFormat("events", format);
  return (event) => template.execute(row("events.Event", templateFields(event)));
}

/** As podman writes a line. */
function humanText(event: EngineEvent, noTrunc: boolean): string {
  const { type, action, name, attributes = {} } = event;
  const id = noTrunc ? event.id : shortId(event.id);
  const start = `${goTime(event.time)} ${type} ${action}`;
  switch (type) {
    case "container":
    case "pod": {
      const health = event.health === undefined ? [] : [`health_status=${event.health}`];
      const labels = Object.entries(attributes).map(([key, value]) => `${key}=${value}`);
      return `${start} ${id} (${
        [`image=${event.image ?? ""}`, `name=${name}`, ...health, ...labels].join(", ")
      })`;
    }
    case "image":
      return `${start} ${id} ${name}`;
    case "network":
      return `${start} ${id} (container=${attributes.container ?? ""}, name=${name})`;
    default:
      return `${start}${name === "" ? "" : ` ${name}`}`;
  }
}

/** podman's keys and their order. */
function documentOf(event: EngineEvent) {
  const { id, image, name, health, exitCode, type } = event;
  return {
    ...(exitCode && { ContainerExitCode: exitCode }),
    ...(type !== "volume" && id !== "" && { ID: id }),
    ...(image && { Image: image }),
    ...(name && { Name: name }),
    Status: event.action,
    Time: event.time,
    Type: type,
    ...(health && { health_status: health }),
    Attributes: event.attributes ?? null,
  };
}

function templateFields(event: EngineEvent): Record<string, unknown> {
  const attributes = event.attributes ?? {};
  return {
    Attributes: attributes,
    ContainerExitCode: event.exitCode ?? 0,
    HealthStatus: event.health ?? "",
    ID: event.id,
    Image: event.image ?? "",
    Name: event.name,
    Network: event.type === "network" ? event.name : "",
    PodID: "",
    Status: event.action,
    Time: goTime(event.time),
    TimeNano: `${Date.parse(event.time)}${event.time.slice(23, 29)}`,
    Type: event.type,
    // Docker's names
    Action: event.action,
    Actor: {
      ID: event.id,
      Attributes: { name: event.name, ...(event.image && { image: event.image }), ...attributes },
    },
    ToHumanReadable: (truncate: boolean) => humanText(event, !truncate),
  };
}
