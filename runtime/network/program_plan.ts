/** pasta(1) and slirp4netns(1) as podman runs them. Pure. */

import type { NetworkPlan } from "./plan.ts";
import { type PortMapping, spreadMapping } from "./ports.ts";
import { DEFAULT_MTU, PASTA_NAMESERVER, userModeAddresses, type UserModeOptions } from "./user_mode.ts";

type ProgramPlan = Extract<NetworkPlan, { kind: "program" }>;

export function planSlirp4netns(
  path: string,
  socketPath: string,
  options: UserModeOptions = {},
  ports: readonly PortMapping[] = [],
): ProgramPlan {
  const { outbound } = options;
  return {
    kind: "program",
    program: "slirp4netns",
    path,
    args: [
      ...(options.allowHostLoopback ? [] : ["--disable-host-loopback"]),
      `--mtu=${options.mtu ?? DEFAULT_MTU}`,
      "--enable-sandbox",
      "--enable-seccomp",
      ...(options.ipv6 === false ? [] : ["--enable-ipv6"]),
      ...(options.cidr ? [`--cidr=${options.cidr}`] : []),
      ...(outbound?.ipv4 ? [`--outbound-addr=${outbound.ipv4}`] : []),
      ...(outbound?.ipv6 ? [`--outbound-addr6=${outbound.ipv6}`] : []),
      `--api-socket=${socketPath}`,
    ],
    api: { socketPath, guest: userModeAddresses(options).ipv4.guest, ports: ports.flatMap(spreadMapping) },
  };
}

/** What podman adds where the user does not say otherwise: no port is forwarded, the gateway is not this machine. */
const PASTA_DEFAULTS: readonly (readonly [flags: string, words: string[]])[] = [
  ["-t --tcp-ports", ["-t", "none"]],
  ["-u --udp-ports", ["-u", "none"]],
  ["-T --tcp-ns", ["-T", "none"]],
  ["-U --udp-ns", ["-U", "none"]],
  ["--map-gw --no-map-gw", ["--no-map-gw"]],
  ["--dns-forward", ["--dns-forward", PASTA_NAMESERVER]],
];

export function planPasta(
  path: string,
  words: readonly string[] = [],
  ports: readonly PortMapping[] = [],
): ProgramPlan {
  const published = ports.flatMap(pastaPort);
  const names = [...words, ...published].map((word) => word.split("=")[0]!);
  const added = PASTA_DEFAULTS.filter(([flags]) => !flags.split(" ").some((flag) => names.includes(flag)))
    .flatMap(([, defaults]) => defaults);
  // --map-gw is podman's word for leaving --no-map-gw out
  const given = words.filter((word) => word !== "--map-gw");
  return {
    kind: "program",
    program: "pasta",
    path,
    args: ["--config-net", ...given, ...published, ...added, "--quiet"],
  };
}

/** `-t 127.0.0.1/8080:80`; without an address it is every one of both IP versions. */
function pastaPort({ protocol, hostAddress, hostPort, containerPort, count }: PortMapping): string[] {
  const range = (first: number) => count === 1 ? `${first}` : `${first}-${first + count - 1}`;
  const address = hostAddress === "" ? "" : `${hostAddress}/`;
  return [protocol === "udp" ? "-u" : "-t", `${address}${range(hostPort)}:${range(containerPort)}`];
}
