/** The text of the files that skiff writes for a container and binds over the image's own. */

import type { NetworkAttachment } from "../network/plan.ts";
import { containerResolvConf, parseResolvConf } from "../network/resolv_conf.ts";
import { PASTA_NAMESERVER, type UserModeAddresses, userModeAddresses } from "../network/user_mode.ts";
import type { ContainerConfig, NetworkChoice } from "./config.ts";
import { HOST_GATEWAY, leadsOut } from "./network_choice.ts";

export interface HostFiles {
  /** The machine's own /etc/hosts and /etc/resolv.conf. */
  hosts: string;
  resolvConf: string;
  /** Where a container reaches this machine, if its network leads there. */
  gateway?: string;
  /** The networks that it is on, once it has addresses there. */
  attachments?: readonly NetworkAttachment[];
}

export interface GeneratedFile {
  /** In the container's folder. */
  name: string;
  destination: string;
  content: string;
}

/** With `container:ID` hosts and resolv.conf are the other container's; its files are bound instead. */
export function generateFiles(config: ContainerConfig, host: HostFiles, rootless: boolean): GeneratedFile[] {
  const files = [
    ...(config.noHostname
      ? []
      : [{ name: "hostname", destination: "/etc/hostname", content: `${config.hostname}\n` }]),
    { name: "containerenv", destination: "/run/.containerenv", content: containerEnv(config, rootless) },
  ];
  if (config.network.mode === "container") return files;
  if (!config.resolver?.none) {
    files.unshift({
      name: "resolv.conf",
      destination: "/etc/resolv.conf",
      content: resolvConf(config, host),
    });
  }
  if (!config.hosts?.none) {
    files.unshift({ name: "hosts", destination: "/etc/hosts", content: hostsFile(config, host) });
  }
  return files;
}

/** @see hosts(5) */
function hostsFile(config: ContainerConfig, host: HostFiles): string {
  const { added = [], base } = config.hosts ?? {};
  // first, as the resolver takes the first that it finds
  const lines = added.map(({ address, names }) =>
    `${address === HOST_GATEWAY ? host.gateway : address}\t${names.join(" ")}`
  );
  if (base !== undefined) lines.push(base.replace(/\n$/, ""));
  const own = base === undefined && config.network.mode === "host" ? host.hosts : ownHosts(config, host);
  return [...lines, own].filter((text) => text !== "").join("\n");
}

function ownHosts(config: ContainerConfig, { gateway, attachments = [] }: HostFiles): string {
  const internal = config.hosts?.internal ?? gateway;
  const addresses = attachments.flatMap((one) => one.addresses).map(({ address }) => address);
  if (addresses.length === 0) addresses.push(addressesOf(config.network)?.ipv4.guest ?? "127.0.0.1");
  const names = [...new Set([config.hostname, config.name])];
  return [
    "127.0.0.1\tlocalhost localhost.localdomain localhost4 localhost4.localdomain4",
    "::1\tlocalhost localhost.localdomain localhost6 localhost6.localdomain6",
    ...addresses.map((address) => `${address}\t${names.join(" ")}`),
    ...(internal ? [`${internal}\thost.containers.internal host.docker.internal`] : []),
    "",
  ].join("\n");
}

/** The addresses of a network of the container's own; pasta(1) gives it those of the machine. */
function addressesOf(network: NetworkChoice): UserModeAddresses | undefined {
  return network.mode === "slirp" || network.mode === "slirp4netns"
    ? userModeAddresses(network.options ?? {})
    : undefined;
}

/** Without a network there is nobody to ask. @see resolv.conf(5) */
function resolvConf(config: ContainerConfig, host: HostFiles): string {
  const { servers, search, options } = config.resolver ?? {};
  if (leadsOut(config.network)) {
    const nameserver = addressesOf(config.network)?.ipv4.nameserver ?? PASTA_NAMESERVER;
    const nameservers = servers ?? [nameserver];
    return containerResolvConf({ nameservers, host: host.resolvConf, search, options });
  }
  if (config.network.mode === "bridge") return bridgeResolvConf(config, host);
  const machine = config.network.mode === "none" ? "" : host.resolvConf;
  if (!servers && !search && !options) return machine;
  const wordsOf = (key: string) =>
    machine.split("\n").map((line) => line.trim().split(/\s+/)).filter(([first]) => first === key)
      .flatMap(([, ...words]) => words);
  const domains = search ?? wordsOf("search");
  const settings = options ?? wordsOf("options");
  return [
    ...(domains.length > 0 ? [`search ${domains.join(" ")}`] : []),
    ...(servers ?? wordsOf("nameserver")).map((server) => `nameserver ${server}`),
    ...(settings.length > 0 ? [`options ${settings.join(" ")}`] : []),
    "",
  ].join("\n");
}

/** Nobody reads more. */
const MAX_NAMESERVERS = 3;
/** Names of containers are found behind it at once, before any name server of the world hears of them; podman's. */
export const CONTAINER_DOMAIN = "dns.podman";

/** The gateways of its networks answer, and go on to the servers of `--dns`. */
function bridgeResolvConf(
  { resolver }: ContainerConfig,
  { attachments = [], resolvConf: host }: HostFiles,
): string {
  const { servers, search, options } = resolver ?? {};
  const hasNames = attachments.some(({ network }) => network.dns);
  // who hangs on an interface of the machine asks the machine's own servers
  const gateways = attachments.filter(({ network }) => network.driver === "bridge").sort((a, b) =>
    Number(b.network.dns) - Number(a.network.dns)
  )
    .flatMap(({ network }) => network.subnets.flatMap(({ gateway }) => gateway ?? []));
  const nameservers = [
    ...new Set(
      hasNames ? gateways : servers ?? (gateways.length > 0 ? gateways : parseResolvConf(host).servers),
    ),
  ].slice(0, MAX_NAMESERVERS);
  const text = containerResolvConf({ nameservers, host, search, options });
  if (!hasNames || search !== undefined) return text;
  return text.startsWith("search ")
    ? text.replace("search ", `search ${CONTAINER_DOMAIN} `)
    : `search ${CONTAINER_DOMAIN}\n${text}`;
}

/** As podman fills it: programs test that it exists; only a privileged container is told more. */
function containerEnv(config: ContainerConfig, rootless: boolean): string {
  if (!config.privileged) return "";
  return [
    `engine="skiff"`,
    `name="${config.name}"`,
    `id="${config.id}"`,
    `image="${config.imageName}"`,
    `imageid="${config.root.kind === "image" ? config.root.id : ""}"`,
    `rootless=${rootless ? 1 : 0}`,
    "",
  ].join("\n");
}
