/** The networks of a container as `inspect` tells them, in Docker's and Podman's keys. */

import { isLive } from "../container/state.ts";
import type { ContainerStatus } from "../container/state.ts";
import type { NetworkAttachment } from "../network/plan.ts";
import type { ContainerRow } from "../state/containers.ts";
import type { Database } from "../state/db.ts";
import { listMemberships, type NetworkRequest } from "../state/networks.ts";
import { currentPlan } from "./network_connect.ts";

interface Endpoint {
  EndpointID: string;
  Gateway: string;
  IPAddress: string;
  IPPrefixLen: number;
  IPv6Gateway: string;
  GlobalIPv6Address: string;
  GlobalIPv6PrefixLen: number;
  MacAddress: string;
}

export interface NetworkEndpoint extends Endpoint {
  NetworkID: string;
  DriverOpts: null;
  /** What was asked for. */
  IPAMConfig: { IPv4Address?: string; IPv6Address?: string } | null;
  Links: null;
  Aliases: string[];
}

export interface NetworkDocument {
  /** By name. */
  networks: Record<string, NetworkEndpoint>;
  /** Of the only network. */
  only?: Endpoint;
}

/** What does not run has no addresses. */
export function networkDocument(db: Database, row: ContainerRow, status: ContainerStatus): NetworkDocument {
  const { attachments } = currentPlan(db, row);
  const requests = listMemberships(db, row.id).map(({ request }) => request);
  const networks = Object.fromEntries(attachments.map((attachment, index) => [
    attachment.network.name,
    endpointOf(attachment, requests[index]!, isLive(status.status)),
  ]));
  const [first, ...more] = Object.values(networks);
  if (first === undefined || more.length > 0) return { networks };
  const { NetworkID: _id, DriverOpts: _opts, IPAMConfig: _ipam, Links: _links, Aliases: _aliases, ...only } =
    first;
  return { networks, only };
}

function endpointOf(
  attachment: NetworkAttachment,
  request: NetworkRequest,
  isRunning: boolean,
): NetworkEndpoint {
  const { network, mac, aliases } = attachment;
  const addresses = isRunning ? attachment.addresses : [];
  const ipv4 = addresses.find(({ address }) => !address.includes(":"));
  const ipv6 = addresses.find(({ address }) => address.includes(":"));
  const gateway = (isV6: boolean) =>
    network.subnets.find(({ gateway }) => gateway !== undefined && gateway.includes(":") === isV6)?.gateway ??
      "";
  const { ip, ip6 } = request;
  return {
    EndpointID: "",
    Gateway: ipv4 ? gateway(false) : "",
    IPAddress: ipv4?.address ?? "",
    IPPrefixLen: ipv4?.prefix ?? 0,
    IPv6Gateway: ipv6 ? gateway(true) : "",
    GlobalIPv6Address: ipv6?.address ?? "",
    GlobalIPv6PrefixLen: ipv6?.prefix ?? 0,
    MacAddress: isRunning ? mac : "",
    NetworkID: network.name,
    DriverOpts: null,
    IPAMConfig: ip ?? ip6 ? { ...(ip && { IPv4Address: ip }), ...(ip6 && { IPv6Address: ip6 }) } : null,
    Links: null,
    Aliases: aliases,
  };
}
