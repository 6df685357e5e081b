/** @see podman-ps(1) */

import type { Engine } from "../../runtime/engine/engine.ts";
import { type ContainerListEntry, ps } from "../../runtime/engine/ps.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand, type Flags, type GlobalValues, type Values } from "../command.ts";
import { engineFor } from "../engine.ts";
import { goTime, humanAge, humanSize, shortId } from "../output/humanize.ts";
import { type Field, type ListView, renderList } from "../output/list.ts";
import { print } from "../output/print.ts";

const SORT_KEYS = ["command", "created", "id", "image", "names", "runningfor", "size", "status"] as const;

const FLAGS = {
  all: { kind: "bool", short: "a", help: "Show containers that do not run, too" },
  external: {
    kind: "bool",
    help: "Also containers of other programs' storage: there are none",
    hidden: true,
  },
  filter: { kind: "list", short: "f", value: "KEY=VALUE", help: "Show only containers that match" },
  format: { kind: "string", value: "FORMAT", help: "json, table, or a Go template for each container" },
  last: { kind: "int", short: "n", value: "N", help: "Show the N containers created last, in any state" },
  latest: { kind: "bool", short: "l", help: "Show the container created last, in any state" },
  "no-trunc": { kind: "bool", aliases: ["notruncate"], help: "Show ids and commands in full" },
  noheading: { kind: "bool", help: "Print no headings" },
  namespace: { kind: "bool", aliases: ["ns"], help: "Show the namespaces" },
  pod: { kind: "bool", short: "p", help: "Show the pods" },
  quiet: { kind: "bool", short: "q", help: "Print ids only" },
  size: { kind: "bool", short: "s", help: "Show what each has written, and with its image" },
  sort: { kind: "string", value: "KEY", choices: SORT_KEYS, help: `Sort by ${SORT_KEYS.join(", ")}` },
} as const satisfies Flags;

const WATCH = {
  sync: { kind: "bool", help: "States are always looked up", hidden: true },
  watch: { kind: "uint", short: "w", value: "SECONDS", help: "Show the list again every SECONDS" },
} as const satisfies Flags;

const COLUMNS = ["ID", "Image", "Command", "CreatedHuman", "Status", "Ports", "Names"];

/** The fields of a row, as podman and docker name them. */
function fieldsOf(noTrunc: boolean, now: number): Record<string, Field<ContainerListEntry>> {
  const created = (entry: ContainerListEntry) => humanAge(entry.CreatedAt, now);
  return {
    ID: { heading: "CONTAINER ID", value: ({ Id }) => noTrunc ? Id : shortId(Id) },
    Image: { heading: "IMAGE", value: ({ Image }) => Image },
    ImageID: { heading: "IMAGE ID", value: ({ ImageID }) => noTrunc ? ImageID : shortId(ImageID) },
    Command: { heading: "COMMAND", value: ({ Command }) => shortCommand(Command.join(" "), noTrunc) },
    Created: { heading: "CREATED", value: created },
    CreatedHuman: { heading: "CREATED", value: created },
    CreatedAt: { heading: "CREATED AT", value: ({ CreatedAt }) => goTime(CreatedAt) },
    RunningFor: { heading: "CREATED", value: created },
    Status: { heading: "STATUS", value: ({ Status }) => Status },
    State: { heading: "STATE", value: ({ State }) => State },
    Ports: { heading: "PORTS", value: (entry) => portsColumn(entry) },
    Names: { heading: "NAMES", value: ({ Names }) => Names.join(",") },
    Labels: { heading: "LABELS", value: ({ Labels }) => Labels },
    Label: { heading: "LABEL", value: ({ Labels }) => (key: string) => Labels[key] ?? "" },
    Mounts: { heading: "MOUNTS", value: ({ Mounts }) => Mounts.join(",") },
    Networks: { heading: "NETWORKS", value: ({ Networks }) => Networks.join(",") },
    Pid: { heading: "PID", value: ({ Pid }) => Pid },
    ExitCode: { heading: "EXIT CODE", value: ({ ExitCode }) => ExitCode },
    Exited: { heading: "EXITED", value: ({ Exited }) => Exited },
    ExitedAt: { heading: "EXITED AT", value: ({ ExitedAt }) => ExitedAt },
    StartedAt: { heading: "STARTED AT", value: ({ StartedAt }) => StartedAt },
    AutoRemove: { heading: "AUTO REMOVE", value: ({ AutoRemove }) => AutoRemove },
    IsInfra: { heading: "IS INFRA", value: ({ IsInfra }) => IsInfra },
    Pod: { heading: "POD ID", value: ({ Pod }) => noTrunc ? Pod : shortId(Pod) },
    Size: { heading: "SIZE", value: ({ Size }) => Size ? sizeText(Size) : "" },
    PodName: { heading: "PODNAME", value: ({ PodName }) => PodName },
  };
}

/** Of who has none; with the first that has any the code for them is loaded. */
let portsColumn: (entry: ContainerListEntry) => string = () => "";

/** `12kB (virtual 4.2MB)`. */
function sizeText({ rwSize, rootFsSize }: NonNullable<ContainerListEntry["Size"]>): string {
  return `${humanSize(rwSize)} (virtual ${humanSize(rootFsSize)})`;
}

const COMMAND_CHARACTERS = 17;

function shortCommand(command: string, noTrunc: boolean): string {
  if (noTrunc || command.length <= COMMAND_CHARACTERS) return command;
  return `${[...command].slice(0, COMMAND_CHARACTERS).join("")}...`;
}

function view(noTrunc: boolean): ListView<ContainerListEntry> {
  return {
    name: "ps",
    rowType: "containers.psReporter",
    fields: fieldsOf(noTrunc, Date.now()),
    document: (entry) => entry,
  };
}

const ORDERS: Record<string, (a: ContainerListEntry, b: ContainerListEntry) => number> = {
  command: (a, b) => compare(a.Command.join(" "), b.Command.join(" ")),
  created: (a, b) => compare(a.CreatedAt, b.CreatedAt),
  id: (a, b) => compare(a.Id, b.Id),
  image: (a, b) => compare(a.Image, b.Image),
  names: (a, b) => compare(a.Names[0] ?? "", b.Names[0] ?? ""),
  size: (a, b) => (a.Size?.rootFsSize ?? 0) - (b.Size?.rootFsSize ?? 0),
  runningfor: (a, b) => a.StartedAt - b.StartedAt,
  status: (a, b) => compare(a.State, b.State),
};

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

async function choose(
  engine: Engine,
  options: Values<typeof FLAGS>,
  list: (all: boolean) => Promise<ContainerListEntry[]>,
) {
  const last = options.latest ? 1 : options.last ?? -1;
  let anyState = options.all || last >= 0;
  let chosen: ContainerListEntry[];
  if (options.filter.length > 0) {
    const { filterContainers, filtersByState } = await import("../filters/containers.ts");
    anyState ||= filtersByState(options.filter);
    const everything = await list(true);
    const candidates = anyState
      ? everything
      : everything.filter(({ State }) => /^(running|stopping|paused|restarting)$/.test(State));
    const { mountSources } = await import("../../runtime/engine/mount_sources.ts");
    chosen = filterContainers(candidates, options.filter, everything, (id) => mountSources(engine, id));
  } else chosen = await list(anyState);
  if (last > 0) chosen = chosen.slice(0, last);
  return options.sort ? chosen.toSorted(ORDERS[options.sort]) : chosen;
}

export const command = defineCommand({
  usage: "[options]",
  examples: ["skiff ps -a", "skiff ps --filter status=exited -q", 'skiff ps --format "{{.ID}}: {{.Names}}"'],
  flags: { ...FLAGS, ...WATCH },
  arity: { max: 0 },
  async run({ options, global }) {
    if (options.watch) {
      for (;;) {
        // as clear(1) on every terminal of today
        print("\x1b[H\x1b[2J");
        await show(options, global);
        await new Promise((resolve) => setTimeout(resolve, options.watch! * 1000));
      }
    }
    await show(options, global);
  },
});

async function show(options: Values<typeof FLAGS>, global: GlobalValues): Promise<void> {
  if (options.last !== undefined && options.latest) {
    throw new InvalidArgumentError("last and latest are mutually exclusive");
  }
  const engine = engineFor(global);
  const size = options.size || options.sort === "size";
  const entries = await choose(engine, options, (all) => ps(engine, { all, size }));
  if (entries.some(({ Ports, ExposedPorts }) => Ports ?? ExposedPorts)) {
    ({ portsColumn } = await import("../../runtime/engine/port_view.ts"));
  }
  // as podman has it, a format says more than --quiet
  if (options.quiet && options.format === undefined) {
    return print(entries.map(({ Id }) => (options["no-trunc"] ? Id : shortId(Id)) + "\n").join(""));
  }
  const { format, noheading } = options;
  const shape = view(options["no-trunc"]);
  let columns = [...COLUMNS, ...(options.pod ? ["Pod", "PodName"] : []), ...(options.size ? ["Size"] : [])];
  if (options.namespace) {
    const { NAMESPACE_COLUMNS, namespaceFields } = await import("../output/namespaces.ts");
    columns = NAMESPACE_COLUMNS;
    Object.assign(shape.fields, namespaceFields());
  }
  print(await renderList(entries, shape, { format, columns, noHeading: noheading, jsonIndent: 2 }));
}
