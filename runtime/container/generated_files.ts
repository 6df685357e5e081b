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
    { name: "hostname", destination: "/etc/hostname", content: `${config.hostname}\n` },
    { name: "containerenv", destination: "/run/.containerenv", content: containerEnv(config, rootless) },
  ];
  if (config.network.mode === "container") return files;
  return [
    { name: "hosts", destination: "/etc/hosts", content: hostsFile(config, host) },
    { name: "resolv.conf", destination: "/etc/resolv.conf", content: resolvConf(config, host) },
    ...files,
  ];
}

/** @see hosts(5) */
function hostsFile(config: ContainerConfig, host: HostFiles): string {
  if (config.network.mode === "host") return host.hosts;
  return [
    "127.0.0.1\tlocalhost localhost.localdomain localhost4 localhost4.localdomain4",
    "::1\tlocalhost localhost.localdomain localhost6 localhost6.localdomain6",
    `127.0.0.1\t${config.hostname} ${config.name}`,
    "",
  ].join("\n");
}

/** Without a network there is nobody to ask. @see resolv.conf(5) */
function resolvConf(config: ContainerConfig, host: HostFiles): string {
  return config.network.mode === "host" ? host.resolvConf : "";
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
