/**
 * What leads from bridges of this machine into the world: the rules of a packet filter, with which the kernel forwards;
 * listeners for what these cannot redirect; and the nameserver at each gateway.
 */

import { F_DUPFD_CLOEXEC } from "../../../ffi/constants/fcntl.ts";
import { close, fcntl, setNonblocking } from "../../../ffi/file.ts";
import { forgetFlows } from "../../../ffi/conntrack.ts";
import type { NetlinkSocket } from "../../../ffi/netlink.ts";
import { batch } from "../../../ffi/nftables.ts";
import { SkiffError } from "../../errors.ts";
import type { BridgeNetwork, HolderPlan, PublishedPort } from "../plan.ts";
import { mustParse } from "../stack/addresses.ts";
import { DnsForwarder } from "../stack/dns_forwarder.ts";
import { DnsStreams } from "../stack/dns_stream.ts";
import { Host } from "../stack/host.ts";
import { Lull } from "../stack/lull.ts";
import { planForwarding, undoForwarding } from "./forwarding.ts";
import { closeGatewaySockets, type GatewaySockets, openGatewaySockets } from "./gateway_sockets.ts";
import type { Guest, HolderProcess, Outside } from "./ground.ts";
import type { HostLinks } from "./host_links.ts";
import { type HostRecord, removeRecord, tableOf, writeRecord } from "./host_record.ts";
import { PROTOCOLS, type RuledNetwork, type RuledPort, rulesetRequests } from "./host_rules.ts";
import { serveNames } from "./name_server.ts";
import type { NameTable } from "./names.ts";
import { TcpRelay } from "./relay_tcp.ts";
import { UdpRelay } from "./relay_udp.ts";

export interface HostOutsideOptions extends HolderProcess {
  folders: Pick<HolderPlan, "run" | "data">;
  links: HostLinks;
  /** Of nf_tables. */
  filter: NetlinkSocket;
  names: NameTable;
  /** As it was written down last: what a holder before has made. */
  record: HostRecord;
}

export class HostOutside implements Outside {
  readonly #options: HostOutsideOptions;
  readonly #host: Host;
  readonly #forwarder: DnsForwarder;
  readonly #streams: DnsStreams;
  readonly #tcp: TcpRelay;
  readonly #udp: UdpRelay;
  #record: HostRecord;
  /** What the kernel has of it. */
  #made: string;
  /** Of a holder before, until their containers are heard of. */
  #inherited: { networks: readonly RuledNetwork[]; ports: readonly RuledPort[] };
  #networks: readonly BridgeNetwork[] = [];
  readonly #ports = new Map<string, RuledPort & { fd: number }>();
  /** Of ports that are not published any more. */
  #flowsToForget: RuledPort[] = [];
  /** By network. */
  readonly #gateways = new Map<string, GatewaySockets>();

  constructor(options: HostOutsideOptions) {
    const { loop, onFault, onLull, names, record } = this.#options = options;
    this.#record = record;
    this.#inherited = record.rules;
    this.#made = JSON.stringify(record.rules);
    const host = this.#host = new Host(onFault);
    this.#forwarder = new DnsForwarder({ host, plan: { resolvConf: "/etc/resolv.conf" }, names });
    this.#streams = new DnsStreams(host, this.#forwarder);
    const lull = new Lull(host, onLull);
    host.afterRound = () => lull.worked();
    this.#tcp = new TcpRelay(host);
    this.#udp = new UdpRelay(host);
    loop.follow(host.lead(loop.fd));
  }

  /** The rules of a network are there before its bridge, and go after it. */
  setNetworks(networks: readonly BridgeNetwork[]): void {
    this.#networks = [...new Map(networks.map((network) => [network.id, network])).values()];
    const ids = new Set(networks.map(({ id }) => id));
    for (const [id, gateways] of this.#gateways) {
      if (ids.has(id)) continue;
      this.#gateways.delete(id);
      for (const { udp, tcp } of gateways.sockets) [udp, tcp].forEach((fd) => this.#options.loop.unwatch(fd));
      closeGatewaySockets(gateways);
    }
    this.#forward();
    this.#makeRules();
    if (this.#ruledNetworks().length === 0) this.#undo();
  }

  publish(port: PublishedPort, listener: number, guest: Guest): void {
    this.unpublish(port);
    const isIpv6 = port.hostAddress.includes(":");
    const inside = (isIpv6 ? guest.ipv6 : guest.ipv4) ?? guest.ipv4 ?? guest.ipv6;
    if (inside === undefined) return;
    const fd = fcntl(listener, F_DUPFD_CLOEXEC, 3);
    setNonblocking(fd);
    this.#ports.set(keyOf(port), { port, guest, fd });
    this.#relayOf(port)?.publish(fd, mustParse(inside), port.containerPort);
  }

  unpublish(port: PublishedPort): void {
    const held = this.#ports.get(keyOf(port));
    if (!held) return;
    this.#ports.delete(keyOf(port));
    if (port.protocol !== "tcp") this.#flowsToForget.push(held);
    const relay = this.#relayOf(port);
    if (relay) relay.unpublish(held.fd);
    else close(held.fd);
  }

  /** For SCTP there are rules alone. */
  #relayOf({ protocol }: PublishedPort): TcpRelay | UdpRelay | undefined {
    return protocol === "tcp" ? this.#tcp : protocol === "udp" ? this.#udp : undefined;
  }

  settle(isNew = false): void {
    const { loop, names } = this.#options;
    for (const { id, subnets } of this.#networks) {
      const gateways = subnets.flatMap(({ gateway }) => gateway ?? []);
      if (this.#gateways.has(id) || gateways.length === 0) continue;
      const opened = openGatewaySockets(gateways);
      this.#gateways.set(id, opened);
      const resolver = {
        forwarder: this.#forwarder,
        dnsStreams: this.#streams,
        work: () => this.#host.work(),
      };
      serveNames(loop, opened.sockets, resolver, names);
    }
    if (isNew) {
      this.#forward();
      this.#made = "";
    }
    this.#makeRules();
    this.#forgetFlows();
    this.#host.work();
  }

  forgetFormer(): void {
    this.#inherited = { networks: [], ports: [] };
  }

  #ruledNetworks(): RuledNetwork[] {
    const named = new Map<string, RuledNetwork>(this.#inherited.networks.map((one) => [one.id, one]));
    for (const network of this.#networks) {
      const { id, interface: name, subnets, internal, isolate, areMembersApart, keepsSource } = network;
      const port = this.#gateways.get(id)?.port ?? DNS_PORT;
      const dnsPort = port === DNS_PORT ? undefined : port;
      named.set(id, {
        ...{ id, interface: name, subnets, internal, isolate },
        ...(areMembersApart && { areMembersApart }),
        ...(keepsSource && { keepsSource }),
        ...(dnsPort && { dnsPort }),
      });
    }
    return [...named.values()];
  }

  #makeRules(): void {
    const ports = new Map(this.#inherited.ports.map((one) => [keyOf(one.port), one]));
    for (const [key, { port, guest }] of this.#ports) ports.set(key, { port, guest });
    const networks = this.#ruledNetworks();
    const rules = { networks, ports: [...ports.values()] };
    const made = JSON.stringify(rules);
    if (made === this.#made) return;
    // what is written down is undone even where it was not made
    this.#record = { ...this.#record, rules };
    if (networks.length > 0) writeRecord(this.#options.folders, this.#record);
    try {
      this.#options.filter.perform(batch(rulesetRequests(tableOf(this.#options.folders), rules)));
    } catch (error) {
      throw new SkiffError(`make the networks' rules: ${(error as Error).message}`);
    }
    this.#made = made;
  }

  /** Who sends datagrams again and again would reach an address that is nobody's, or somebody else's. */
  #forgetFlows(): void {
    for (const { port, guest } of this.#flowsToForget.splice(0)) {
      const address = port.hostAddress.includes(":") ? guest.ipv6 : guest.ipv4;
      if (address === undefined) continue;
      try {
        forgetFlows(this.#options.filter, {
          address: mustParse(address),
          protocol: PROTOCOLS[port.protocol],
          port: port.containerPort,
        });
      } catch (error) {
        // a kernel without a list of them forgets by itself, after a while
        this.#options.onFault(error);
      }
    }
  }

  #forward(): void {
    const open = this.#networks.filter(({ internal }) => !internal).flatMap(({ subnets }) => subnets);
    for (const version of ["ipv4", "ipv6"] as const) {
      if (!open.some(({ subnet }) => subnet.includes(":") === (version === "ipv6"))) continue;
      const { planned, perform } = planForwarding(
        version,
        this.#record.forwarding,
        () => this.#options.links.otherBridges(),
      );
      if (planned !== this.#record.forwarding) {
        this.#record = { ...this.#record, forwarding: planned };
        writeRecord(this.#options.folders, this.#record);
      }
      perform();
    }
  }

  #undo(): void {
    undoForwarding(this.#record.forwarding, this.#options.links.otherBridges());
    this.#record = { ...this.#record, forwarding: { former: [], others: [] } };
    removeRecord(this.#options.folders);
  }
}

const DNS_PORT = 53;

function keyOf({ protocol, hostAddress, hostPort }: PublishedPort): string {
  return `${protocol} ${hostAddress} ${hostPort}`;
}
