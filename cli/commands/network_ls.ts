/** @see podman-network-ls(1) */

import { type NetworkInfo, networks } from "../../runtime/engine/networks.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { filterNetworks } from "../filters/networks.ts";
import { shortId } from "../output/humanize.ts";
import { type ListView, renderList } from "../output/list.ts";
import { networkDocument } from "../output/networks.ts";
import { print } from "../output/print.ts";

const view = (noTrunc: boolean): ListView<NetworkInfo> => ({
  name: "network ls",
  rowType: "networks.ListPrintReports",
  fields: {
    ID: { heading: "NETWORK ID", value: ({ ID }) => noTrunc ? ID : shortId(ID) },
    Name: { heading: "NAME", value: ({ Name }) => Name },
    Driver: { heading: "DRIVER", value: ({ Driver }) => Driver },
    Scope: { heading: "SCOPE", value: () => "local" },
    NetworkInterface: { heading: "NETWORK INTERFACE", value: ({ NetworkInterface }) => NetworkInterface },
    Created: { heading: "CREATED", value: ({ Created }) => Created },
    CreatedAt: { heading: "CREATED AT", value: ({ Created }) => Created },
    Subnets: { heading: "SUBNETS", value: ({ Subnets }) => Subnets.map(({ Subnet }) => Subnet).join(",") },
    Labels: {
      heading: "LABELS",
      value: ({ Labels }) => Object.entries(Labels).map(([key, value]) => `${key}=${value}`).join(","),
    },
    // docker's
    Label: { heading: "LABEL", value: ({ Labels }) => (key: string) => Labels[key] ?? "" },
    Options: { heading: "OPTIONS", value: ({ Options }) => Options },
    Internal: { heading: "INTERNAL", value: ({ Internal }) => Internal },
    DNSEnabled: { heading: "DNS ENABLED", value: ({ DNSEnabled }) => DNSEnabled },
    IPv6Enabled: { heading: "IPV6 ENABLED", value: ({ IPv6Enabled }) => IPv6Enabled },
    IPv6: { heading: "IPV6", value: ({ IPv6Enabled }) => IPv6Enabled },
    NetworkDNSServers: {
      heading: "NETWORK DNS SERVERS",
      value: ({ NetworkDNSServers }) => NetworkDNSServers,
    },
    IPAMOptions: { heading: "IPAM OPTIONS", value: ({ IPAMOptions }) => IPAMOptions },
    Routes: { heading: "ROUTES", value: ({ Routes }) => Routes },
  },
  document: networkDocument,
});

export const command = defineCommand({
  usage: "[options]",
  description: "Lists networks: those that were made, the default one, and the modes host and none.",
  examples: ["skiff network ls", "skiff network ls -q --filter dangling=true"],
  flags: {
    filter: { kind: "array", short: "f", value: "KEY=VALUE", help: "Only those that match" },
    format: { kind: "string", value: "FORMAT", help: "json, table or a Go template" },
    "no-trunc": { kind: "bool", help: "Show ids in full" },
    noheading: { kind: "bool", short: "n", help: "Do not print the headings" },
    quiet: { kind: "bool", short: "q", help: "Print names only" },
  },
  arity: { max: 0 },
  async run({ options, global }) {
    const { format, quiet, noheading, filter } = options;
    const found = filterNetworks(await networks(engineFor(global)), filter);
    if (quiet) return print(found.map(({ Name }) => `${Name}\n`).join(""));
    const columns = ["ID", "Name", "Driver"];
    print(
      await renderList(found, view(options["no-trunc"]), {
        format,
        columns,
        noHeading: noheading,
        jsonIndent: 2,
      }),
    );
  },
});
