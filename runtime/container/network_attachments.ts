/** `--network NAME:ip=…`, `--ip`, `--mac-address`, `--network-alias` as data. @see podman-run(1), --network */

import { InvalidArgumentError } from "../errors.ts";
import { whyNoBridgeName, whyNoInterfaceName } from "../network/interface_name.ts";
import { formatAddress, parseAddress, parseMac } from "../network/ip.ts";
import type { NetworkRequest } from "../state/networks.ts";
import { type AttachmentOptions, NETWORK_MODES } from "./network_choice.ts";

/**
 * The networks that the words ask for, by name; several words of one network are one.
 *
 * @throws {InvalidArgumentError} for a mode beside networks, and options that only networks have beside a mode
 */
export function parseAttachments(words: readonly string[], options: AttachmentOptions): NetworkRequest[] {
  const [given] = givenOptions(options);
  const mode = words.find((word) => NETWORK_MODES.includes(modeOf(word)) && word !== "");
  if (mode !== undefined && words.length > 1) {
    throw new InvalidArgumentError(
      `cannot set multiple networks without bridge network mode, selected mode ${
        modeOf(mode)
      }: invalid argument`,
    );
  }
  if (mode !== undefined && given !== undefined) {
    throw new InvalidArgumentError(
      `--${given} can only be set when the network mode is bridge: invalid argument`,
    );
  }
  // who asks for an address asks for a network that has some
  const named = words.filter((word) => word !== "");
  const byName = new Map<string, NetworkRequest>();
  for (const request of (named.length > 0 ? named : ["bridge"]).flatMap(parseWord)) {
    byName.set(request.network, { ...byName.get(request.network), ...request });
  }
  const requests = [...byName.values()];
  const single = givenOptions({ ...options, networkAliases: [] })[0];
  if (single !== undefined && requests.length > 1) {
    throw new InvalidArgumentError(`--${single} can only be set for a single network: invalid argument`);
  }
  const own = ownOptions(options);
  return requests.map((request) => withAliases({ ...request, ...own }, options.networkAliases ?? []));
}

/** What `network connect` and its like say of one network. */
export function ownOptions({ ip, ip6, macAddress }: AttachmentOptions): Partial<NetworkRequest> {
  return {
    ...(ip !== undefined && { ip: addressOf(ip, 4) }),
    ...(ip6 !== undefined && { ip6: addressOf(ip6, 6) }),
    ...(macAddress !== undefined && { mac: macOf(macAddress) }),
  };
}

/** The request with these names as well. @throws {InvalidArgumentError} for what nobody could look up */
export function withAliases<T extends NetworkRequest>(request: T, aliases: readonly string[]): T {
  const all = [...new Set([...request.aliases ?? [], ...aliases])];
  for (const alias of all) {
    if (!/^[\w]([\w.-]{0,251}\w)?$/.test(alias)) {
      throw new InvalidArgumentError(`network alias "${alias}": it is no name that can be looked up`);
    }
  }
  return all.length > 0 ? { ...request, aliases: all } : request;
}

function modeOf(word: string): string {
  return word.split(":")[0]!;
}

function givenOptions({ ip, ip6, macAddress, networkAliases }: AttachmentOptions): string[] {
  return [
    ...(ip !== undefined ? ["ip"] : []),
    ...(ip6 !== undefined ? ["ip6"] : []),
    ...(macAddress !== undefined ? ["mac-address"] : []),
    ...(networkAliases?.length ? ["network-alias"] : []),
  ];
}

/** `NAME`, `NAME:OPTION=VALUE,…`, or as podman has it too `NAME,NAME`. */
function parseWord(word: string): NetworkRequest[] {
  const colon = word.indexOf(":");
  if (colon < 0) return word.split(",").filter((name) => name !== "").map((network) => ({ network }));
  const network = word.slice(0, colon);
  if (network === "") throw new InvalidArgumentError(`invalid network "${word}": the name is missing`);
  const request: NetworkRequest = { network };
  const bad = (reason: string) =>
    new InvalidArgumentError(`invalid option for network ${network}: ${reason}`);
  for (const option of word.slice(colon + 1).split(",").filter((text) => text !== "")) {
    const [, key = option, value] = /^([^=]*)=([\s\S]*)$/.exec(option) ?? [];
    const set = Object.hasOwn(OPTIONS, key) ? OPTIONS[key] : undefined;
    if (set === undefined) throw bad(`unknown bridge network option: ${key}`);
    if (value === undefined) throw bad(`${key} needs a value`);
    const reason = set(value, request);
    if (reason !== undefined) throw bad(reason);
  }
  return [withAliases(request, [])];
}

/** Each sets what it says, or tells what is wrong with it. */
const OPTIONS: Record<string, (value: string, request: NetworkRequest) => string | undefined> = {
  // podman's ip takes both versions
  ip: (value, request) => {
    const address = parseAddress(value);
    if (address === undefined) return `invalid ip address "${value}"`;
    request[address.version === 4 ? "ip" : "ip6"] = formatAddress(address);
    return undefined;
  },
  ip6: (value, request) => {
    const address = parseAddress(value);
    if (address?.version !== 6) return `invalid ip address "${value}"`;
    request.ip6 = formatAddress(address);
    return undefined;
  },
  mac: (value, request) => {
    const mac = parseMac(value);
    if (mac === undefined) return `address ${value}: invalid MAC address`;
    request.mac = mac;
    return undefined;
  },
  alias: (value, request) => {
    if (value === "") return "alias cannot be empty";
    request.aliases = [...request.aliases ?? [], value];
    return undefined;
  },
  interface_name: (value, request) => {
    request.interface = value;
    return interfaceFault(value, whyNoInterfaceName);
  },
  host_interface_name: (value, request) => {
    request.hostInterface = value;
    return interfaceFault(value, whyNoBridgeName);
  },
};

function interfaceFault(name: string, why: (name: string) => string | undefined): string | undefined {
  const reason = why(name);
  return reason && `invalid interface name "${name}": ${reason}`;
}

function addressOf(text: string, version: 4 | 6): string {
  const address = parseAddress(text);
  if (address === undefined) throw new InvalidArgumentError(`"${text}" is not an ip address`);
  if (address.version !== version) {
    throw new InvalidArgumentError(`"${text}" is not an IPv${version} address`);
  }
  return formatAddress(address);
}

function macOf(text: string): string {
  const mac = parseMac(text);
  if (mac === undefined) throw new InvalidArgumentError(`address ${text}: invalid MAC address`);
  return mac;
}
