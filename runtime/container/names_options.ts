/** `--add-host`, `--no-hosts`, `--hosts-file`, `--dns` and their kin as data. @see hosts(5), resolv.conf(5) */

import { hostReason, InvalidArgumentError, UnsupportedError } from "../errors.ts";
import type { HostsChoice, ResolverChoice } from "./extras.ts";
import { checkDestination, cleanPath } from "./mount_options.ts";
import { HOST_GATEWAY } from "./network_choice.ts";
import type { CreateOptions } from "./options.ts";

/** The file that /etc/hosts begins with, read by `readFile`. */
export function resolveHosts(
  options: CreateOptions,
  readFile: (path: string) => string,
): HostsChoice | undefined {
  const added = (options.addHosts ?? []).map((text) => parseAddHost(text, options.network));
  if (added.length > 0 && options.network?.startsWith("container:")) {
    throw new InvalidArgumentError(`conflicting options: add-host and the network mode: ${options.network}`);
  }
  if (options.noHosts) {
    if (added.length > 0) throw new InvalidArgumentError("--no-hosts and --add-host cannot be set together");
    return { none: true, added };
  }
  const file = options.hostsFile;
  if (file === "image") {
    throw new UnsupportedError(
      "--hosts-file=image is not supported: use --no-hosts to see the image's own file",
    );
  }
  const internal = options.internalHost;
  const choice = { added, ...(internal !== undefined && { internal }) };
  if (file === undefined || file === "") return added.length === 0 && !internal ? undefined : choice;
  return { ...choice, base: file === "none" ? "" : readHostsFile(file, readFile) };
}

function readHostsFile(path: string, readFile: (path: string) => string): string {
  try {
    return readFile(path);
  } catch (cause) {
    throw new InvalidArgumentError(`read hosts file "${path}": ${hostReason(cause)}`, { cause });
  }
}

/** Where programs of the container change their root to; without what is the container's own. */
export function parseChrootDirs(words: readonly string[]): string[] {
  const folders = words.map((word) => cleanPath(`/${word}`)).filter((path) => path !== "/");
  return [...new Set(folders)].map((path) => checkDestination(path, `use chroot folder "${path}"`));
}

/** `NAME:ADDRESS` or, as docker has it too, `NAME=ADDRESS`; several names are separated by `;`. */
function parseAddHost(text: string, network: string | undefined): HostsChoice["added"][number] {
  const at = text.search(/[:=]/);
  const names = text.slice(0, Math.max(at, 0)).split(";").filter((name) => name !== "");
  if (at < 0 || names.length === 0) throw new InvalidArgumentError(`bad format for add-host: "${text}"`);
  if (names.some((name) => /[\s#]/.test(name))) {
    throw new InvalidArgumentError(`bad format for add-host: "${text}"`);
  }
  const address = text.slice(at + 1).replace(/^\[(.*)\]$/, "$1");
  if (address === HOST_GATEWAY) {
    // the only way to the host without a network of the container's own
    if (network === "host") return { names, address: "127.0.0.1" };
    if (network !== "none") return { names, address };
    throw new UnsupportedError(
      `add host "${text}": host-gateway needs a network, and the container has none that leads to the host`,
    );
  }
  if (!isAddress(address)) throw new InvalidArgumentError(`invalid IP address in add-host: "${address}"`);
  return { names, address };
}

/** @see podman-run(1), --dns, --dns-option, --dns-search */
export function resolveResolver(options: CreateOptions): ResolverChoice | undefined {
  const { dns = [], dnsSearch = [], dnsOptions = [] } = options;
  for (const [flag, given] of [["dns", dns], ["dns-search", dnsSearch], ["dns-opt", dnsOptions]] as const) {
    if (given.length === 0) continue;
    const mode = options.network?.split(":")[0];
    // the file is another container's, or there is nobody to ask
    if (mode === "none" || mode === "container") {
      throw new InvalidArgumentError(`conflicting options: ${flag} and the network mode: ${options.network}`);
    }
  }
  if (dns.includes("none")) {
    if (dns.length > 1) {
      throw new InvalidArgumentError("none is not allowed to be specified with other DNS ip addresses");
    }
    return { none: true };
  }
  for (const server of dns) {
    if (!isAddress(server)) throw new InvalidArgumentError(`${server} is not an ip address`);
  }
  for (const word of [...dnsSearch, ...dnsOptions]) {
    if (/\s/.test(word)) throw new InvalidArgumentError(`invalid DNS search domain or option "${word}"`);
  }
  for (const domain of dnsSearch) {
    if (domain !== "" && !isDomain(domain)) throw new InvalidArgumentError(`${domain} is not a valid domain`);
  }
  const list = (words: string[]) => words.length === 0 ? undefined : words.filter((word) => word !== "");
  const [servers, search, resolverOptions] = [list(dns), list(dnsSearch), list(dnsOptions)];
  if (!servers && !search && !resolverOptions) return undefined;
  return { servers, search: search?.includes(".") ? [] : search, options: resolverOptions };
}

const MAX_DOMAIN_BYTES = 253;

/** `.` is none at all; underscores are in names of services. @see RFC 1035, 2.3.1 */
function isDomain(text: string): boolean {
  if (text === ".") return true;
  const labels = text.replace(/\.$/, "").split(".");
  const isLabel = (label: string) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label);
  return text.length <= MAX_DOMAIN_BYTES && /[a-z]/i.test(text) && labels.every(isLabel);
}

/** Dotted quad without leading zeros, or IPv6 with an optional zone, by the shape that the resolver reads. */
export function isAddress(text: string): boolean {
  const quad = /^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/;
  if (quad.test(text)) return text.split(".").every((part) => Number(part) <= 255);
  const bare = text.replace(/%[\w.-]+$/, "");
  if (!bare.includes(":") || !/^[\da-fA-F:.]+$/.test(bare)) return false;
  try {
    return new URL(`http://[${bare}]/`).hostname !== "";
  } catch {
    return false;
  }
}
