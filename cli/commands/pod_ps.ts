/** @see podman-pod-ps(1) */

import { type PodListEntry, pods } from "../../runtime/engine/pods/list.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { filterPods } from "../filters/pods.ts";
import { humanAge, shortId } from "../output/humanize.ts";
import { type ListView, renderList } from "../output/list.ts";
import { print } from "../output/print.ts";

const ORDERS: Record<string, (a: PodListEntry, b: PodListEntry) => number> = {
  created: () => 0,
  id: (a, b) => compare(a.Id, b.Id),
  name: (a, b) => compare(a.Name, b.Name),
  names: (a, b) => compare(a.Name, b.Name),
  number: (a, b) => a.Containers.length - b.Containers.length,
  status: (a, b) => compare(a.Status, b.Status),
};

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function view(noTrunc: boolean, now: number): ListView<PodListEntry> {
  const id = (text: string) => noTrunc ? text : shortId(text);
  const each =
    (value: (one: PodListEntry["Containers"][number]) => string) => ({ Containers }: PodListEntry) =>
      Containers.map(value).join(",");
  return {
    name: "list pods",
    rowType: "pods.ListPodReporter",
    fields: {
      Id: { heading: "POD ID", value: ({ Id }) => id(Id) },
      ID: { heading: "POD ID", value: ({ Id }) => id(Id) },
      Name: { heading: "NAME", value: ({ Name }) => Name },
      Status: { heading: "STATUS", value: ({ Status }) => Status },
      Created: { heading: "CREATED", value: ({ Created }) => humanAge(Created, now) },
      InfraID: { heading: "INFRA ID", value: ({ InfraId }) => id(InfraId) },
      InfraId: { heading: "INFRA ID", value: ({ InfraId }) => id(InfraId) },
      ContainerIds: { heading: "IDS", value: each(({ Id }) => id(Id)) },
      ContainerNames: { heading: "NAMES", value: each(({ Names }) => Names) },
      ContainerStatuses: { heading: "STATUS", value: each(({ Status }) => Status) },
      Cgroup: { heading: "CGROUP", value: ({ Cgroup }) => Cgroup },
      Namespace: { heading: "NAMESPACES", value: ({ Namespace }) => Namespace },
      NumberOfContainers: { heading: "# OF CONTAINERS", value: ({ Containers }) => Containers.length },
      Networks: { heading: "NETWORKS", value: ({ Networks }) => Networks.join(",") },
      Labels: { heading: "LABELS", value: ({ Labels }) => Labels },
      Label: { heading: "LABEL", value: ({ Labels }) => (key: string) => Labels[key] ?? "" },
      Restarts: {
        heading: "RESTARTS",
        value: ({ Containers }) => Containers.reduce((n, c) => n + c.RestartCount, 0),
      },
    },
    document: (entry) => entry,
  };
}

export const command = defineCommand({
  usage: "[options]",
  description:
    "Lists pods. A pod is Running when all its containers run, Degraded when some do, Exited when all have ended.",
  examples: [
    "skiff pod ps",
    "skiff pod ps --ctr-names --filter status=running",
    "skiff pod ps --format json",
  ],
  flags: {
    "ctr-ids": { kind: "bool", help: "Show the ids of the containers" },
    "ctr-names": { kind: "bool", help: "Show the names of the containers" },
    "ctr-status": { kind: "bool", help: "Show the states of the containers" },
    filter: { kind: "list", short: "f", value: "KEY=VALUE", help: "Only those that match" },
    format: { kind: "string", value: "FORMAT", help: "json, table or a Go template for each pod" },
    latest: { kind: "bool", short: "l", help: "Show the pod created last" },
    "no-trunc": { kind: "bool", help: "Show ids in full" },
    noheading: { kind: "bool", help: "Print no headings" },
    ns: { kind: "bool", aliases: ["namespace"], help: "Show cgroup and namespaces, of which pods have none" },
    quiet: { kind: "bool", short: "q", help: "Print ids only" },
    sort: { kind: "string", value: "KEY", help: "Sort by created, id, name, number or status" },
  },
  arity: { max: 0 },
  async run({ options, global }) {
    const { format, quiet, sort = "created" } = options;
    if (quiet && format !== undefined) {
      throw new InvalidArgumentError("quiet and format cannot be used together");
    }
    if (!Object.hasOwn(ORDERS, sort)) {
      throw new InvalidArgumentError("invalid option for --sort, options are: id, names, or number");
    }
    let entries = filterPods(await pods(engineFor(global)), options.filter);
    if (options.latest) entries = entries.slice(0, 1);
    entries = entries.toSorted(ORDERS[sort]);
    if (quiet) return print(entries.map(({ Id }) => `${Id}\n`).join(""));
    const containers = [
      ...(options["ctr-ids"] ? ["ContainerIds"] : []),
      ...(options["ctr-names"] ? ["ContainerNames"] : []),
      ...(options["ctr-status"] ? ["ContainerStatuses"] : []),
    ];
    const columns = [
      ...["Id", "Name", "Status", "Created", "InfraID"],
      ...containers,
      ...(options.ns ? ["Cgroup", "Namespace"] : []),
      ...(containers.length === 0 ? ["NumberOfContainers"] : []),
    ];
    const shape = view(options["no-trunc"], Date.now());
    print(await renderList(entries, shape, { format, columns, noHeading: options.noheading, jsonIndent: 2 }));
  },
});
