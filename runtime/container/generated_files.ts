/** The text of the files that skiff writes for a container and binds over the image's own. */

import type { ContainerConfig } from "./config.ts";

export interface HostFiles {
  /** The machine's own /etc/hosts and /etc/resolv.conf. */
  hosts: string;
  resolvConf: string;
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
  const lines = added.map(({ address, names }) => `${address}\t${names.join(" ")}`);
  if (base !== undefined) lines.push(base.replace(/\n$/, ""));
  const own = base === undefined && config.network.mode === "host" ? host.hosts : ownHosts(config);
  return [...lines, own].filter((text) => text !== "").join("\n");
}

function ownHosts(config: ContainerConfig): string {
  return [
    "127.0.0.1\tlocalhost localhost.localdomain localhost4 localhost4.localdomain4",
    "::1\tlocalhost localhost.localdomain localhost6 localhost6.localdomain6",
    `127.0.0.1\t${config.hostname} ${config.name}`,
    "",
  ].join("\n");
}

/** Without a network there is nobody to ask. @see resolv.conf(5) */
function resolvConf(config: ContainerConfig, host: HostFiles): string {
  const machine = config.network.mode === "host" ? host.resolvConf : "";
  const { servers, search, options } = config.resolver ?? {};
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
