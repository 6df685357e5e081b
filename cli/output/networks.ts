/** A network as documents and templates show it: Podman's keys, and Docker's where these mean something else. */

import type { NetworkInfo } from "../../runtime/engine/networks.ts";

/** What `--format json` of `network ls` prints. @see podman-network-inspect(1) */
export function networkDocument(network: NetworkInfo) {
  const { Subnets, Routes, NetworkDNSServers, Labels, Options } = network;
  const subnets = Subnets.map(({ Subnet, Gateway, LeaseRange }) => ({
    subnet: Subnet,
    ...(Gateway !== undefined && { gateway: Gateway }),
    ...(LeaseRange && { lease_range: { start_ip: LeaseRange.StartIP, end_ip: LeaseRange.EndIP } }),
  }));
  const routes = Routes.map(({ Destination, Gateway, Metric }) => ({
    destination: Destination,
    gateway: Gateway,
    ...(Metric !== undefined && { metric: Metric }),
  }));
  return {
    name: network.Name,
    id: network.ID,
    driver: network.Driver,
    ...(network.NetworkInterface && { network_interface: network.NetworkInterface }),
    created: network.Created,
    ...(subnets.length > 0 && { subnets }),
    ...(routes.length > 0 && { routes }),
    ipv6_enabled: network.IPv6Enabled,
    internal: network.Internal,
    dns_enabled: network.DNSEnabled,
    ...(NetworkDNSServers.length > 0 && { network_dns_servers: NetworkDNSServers }),
    ...(Object.keys(Labels).length > 0 && { labels: Labels }),
    ...(Object.keys(Options).length > 0 && { options: Options }),
    ipam_options: network.IPAMOptions,
  };
}

/** What `network inspect` prints: also who is on it, and Docker's keys that Podman has no word for. */
export function inspectedNetwork(network: NetworkInfo) {
  const containers = Object.entries(network.Containers).map(([id, { Name, Interfaces }]) => [id, {
    name: Name,
    interfaces: Object.fromEntries(
      Object.entries(Interfaces).map(([name, { Subnets, MacAddress }]) => [name, {
        subnets: Subnets.map(({ IPNet, Gateway }) => ({
          ipnet: IPNet,
          ...(Gateway !== undefined && { gateway: Gateway }),
        })),
        mac_address: MacAddress,
      }]),
    ),
  }]);
  return { ...networkDocument(network), containers: Object.fromEntries(containers), ...dockerKeys(network) };
}

/** What templates of `network inspect` see. */
export function networkFields(network: NetworkInfo): Record<string, unknown> {
  const { Users: _, ...fields } = network;
  return { ...fields, Id: network.ID, ...dockerKeys(network) };
}

/** @see Docker Engine API, NetworkInspect */
function dockerKeys({ Subnets, IPv6Enabled, IPAMOptions, ConfigOnly, ConfigFrom }: NetworkInfo) {
  return {
    Scope: "local",
    EnableIPv6: IPv6Enabled,
    IPAM: {
      Driver: IPAMOptions.driver === "none" ? "null" : "default",
      Options: {},
      Config: Subnets.map(({ Subnet, Gateway, LeaseRange, AuxiliaryAddresses }) => ({
        Subnet,
        ...(LeaseRange && { IPRange: `${LeaseRange.StartIP}-${LeaseRange.EndIP}` }),
        Gateway: Gateway ?? "",
        ...(AuxiliaryAddresses && { AuxiliaryAddress: AuxiliaryAddresses }),
      })),
    },
    Attachable: true,
    Ingress: false,
    ConfigFrom: { Network: ConfigFrom },
    ConfigOnly,
  };
}
