/** @see podman-network-create(1), docker network create */

import { networkCreate } from "../../runtime/engine/networks.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { pairs } from "../flags/pairs.ts";
import { print } from "../output/print.ts";

export const command = defineCommand({
  usage: "[options] [NAME]",
  description:
    "Makes a network and prints its name. Containers on it find each other by name, and reach no other network\n" +
    "unless they are on that as well. --gateway and --ip-range belong to the --subnet at the same place.",
  examples: [
    "skiff network create web",
    "skiff network create --subnet 10.5.0.0/24 --ip-range 10.5.0.128/25 --ipv6 lan",
    "skiff network create --internal -o isolate=true -o mtu=9000 db",
  ],
  flags: {
    attachable: { kind: "bool", hidden: true, help: "docker's, of swarms: every network is" },
    "aux-address": {
      kind: "array",
      value: "NAME=ADDRESS",
      help: "Address of another, which no container gets",
    },
    "config-from": { kind: "string", value: "NETWORK", help: "Take the options of a --config-only network" },
    "config-only": { kind: "bool", help: "Keep the options for others; no container can be on it" },
    "disable-dns": { kind: "bool", help: "Do not resolve names of containers" },
    dns: { kind: "list", value: "ADDRESS", help: "Name server for other names than those of containers" },
    driver: {
      kind: "string",
      short: "d",
      value: "DRIVER",
      default: "bridge",
      help: "bridge; as root also macvlan and ipvlan",
    },
    gateway: {
      kind: "list",
      value: "ADDRESS",
      help: "Address of the gateway (default: the first of the subnet)",
    },
    ignore: { kind: "bool", help: "A network of that name is no error" },
    "interface-name": {
      kind: "string",
      value: "NAME",
      help: "Name of the bridge; with macvlan and ipvlan the interface of this machine",
    },
    internal: { kind: "bool", help: "Containers reach each other, and nothing else" },
    "ip-range": {
      kind: "array",
      value: "RANGE",
      help: "Addresses that containers get: 10.5.0.128/25, or 10.5.0.10-10.5.0.99",
    },
    "ipam-driver": {
      kind: "string",
      value: "DRIVER",
      help: "Who gives addresses: host-local (default) or none",
    },
    ipv4: { kind: "bool", default: true, help: "IPv4 addresses" },
    ipv6: { kind: "bool", help: "IPv6 addresses, too" },
    label: { kind: "array", value: "KEY=VALUE", help: "Set metadata" },
    opt: {
      kind: "array",
      short: "o",
      value: "KEY=VALUE",
      help:
        "Option of the driver: mtu, metric, no_default_route, isolate, vlan, parent, mode, com.docker.network.…",
    },
    route: { kind: "array", value: "DESTINATION,GATEWAY[,METRIC]", help: "Add a route to the containers" },
    scope: { kind: "string", hidden: true, only: ["local", ""], help: "docker's, of swarms" },
    subnet: { kind: "array", value: "SUBNET", help: "Subnet in CIDR format (default: a free one)" },
  },
  arity: { max: 1 },
  async run({ options, args, global }) {
    const name = await networkCreate(engineFor(global), args[0], {
      driver: options.driver,
      subnets: options.subnet,
      gateways: options.gateway,
      ipRanges: options["ip-range"],
      auxAddresses: options["aux-address"],
      ipv4: options.ipv4,
      ipv6: options.ipv6,
      internal: options.internal,
      options: pairs(options.opt),
      labels: pairs(options.label),
      dns: options.dns,
      disableDns: options["disable-dns"],
      interfaceName: options["interface-name"],
      routes: options.route,
      ipamDriver: options["ipam-driver"],
      ignore: options.ignore,
      configOnly: options["config-only"],
      configFrom: options["config-from"],
    });
    print(`${name}\n`);
  },
});
