/** What `inspect` tells of a container's network. Pure. @see podman-inspect(1); Docker Engine API, NetworkSettings */

import type { ContainerConfig } from "../container/config.ts";
import { ownsNetwork } from "../container/network_choice.ts";
import { type ContainerStatus, isLive } from "../container/state.ts";
import type { FaultRecord } from "../monitor/faults.ts";
import { userModeAddresses } from "../network/user_mode.ts";

/** `faults`: what went wrong in the user-mode stack since the container's start. */
export function networkSettings(
  { network }: ContainerConfig,
  status: ContainerStatus,
  faults: FaultRecord | undefined,
) {
  const isUp = isLive(status.status) && status.pid > 0;
  const { ipv4, ipv6 } = isUp && (network.mode === "slirp" || network.mode === "slirp4netns")
    ? userModeAddresses(network.options ?? {})
    : {};
  return {
    EndpointID: "",
    Gateway: ipv4?.gateway ?? "",
    IPAddress: ipv4?.guest ?? "",
    IPPrefixLen: ipv4?.prefix ?? 0,
    IPv6Gateway: ipv6?.gateway ?? "",
    GlobalIPv6Address: ipv6?.guest ?? "",
    GlobalIPv6PrefixLen: ipv6?.prefix ?? 0,
    MacAddress: "",
    Bridge: "",
    SandboxID: "",
    HairpinMode: false,
    LinkLocalIPv6Address: "",
    LinkLocalIPv6PrefixLen: 0,
    Ports: {},
    SandboxKey: isUp && ownsNetwork(network) ? `/proc/${status.pid}/ns/net` : "",
    Networks: {},
    ...(faults && { Faults: faults.count, LastFault: `${faults.at}: ${faults.message}` }),
  };
}
