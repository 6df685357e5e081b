/** What `network create` is asked for, made into a network: pure, over what is in use. @see podman-network-create(1) */

import { InvalidArgumentError, UnsupportedError } from "../errors.ts";
import { freeSubnet, randomUla, whyUnusable } from "../network/allocation.ts";
import {
  type Address,
  contains,
  formatAddress,
  formatSubnet,
  hostRange,
  overlap,
  parseAddress,
  parseSubnet,
  type Subnet,
} from "../network/ip.ts";
import type { NetworkDriver, NetworkRow, NetworkSubnet } from "../state/networks.ts";
import { canonicalOptions, checkInterfaceName } from "./network_driver_options.ts";

export interface NetworkCreateOptions {
  /** `bridge` unless told otherwise. */
  driver?: string;
  /** CIDR; a network may have several. */
  subnets?: string[];
  /** Of the subnet at the same place. */
  gateways?: string[];
  /** Of the subnet at the same place: CIDR, or `FIRST-LAST`. */
  ipRanges?: string[];
  /** `NAME=ADDRESS`, in any of the subnets: never given to a container. */
  auxAddresses?: string[];
  /** False: IPv6 addresses alone. */
  ipv4?: boolean;
  ipv6?: boolean;
  internal?: boolean;
  /** Of the driver: see network_driver_options.ts. */
  options?: Record<string, string>;
  labels?: Record<string, string>;
  /** Name servers for other names than those of containers. */
  dns?: string[];
  disableDns?: boolean;
  interfaceName?: string;
  /** `DESTINATION,GATEWAY[,METRIC]`. */
  routes?: string[];
  ipamDriver?: string;
  /** A network of that name is no error. */
  ignore?: boolean;
  /** Makes no network, but keeps the options for others. */
  configOnly?: boolean;
  /** The network that keeps the options. */
  configFrom?: string;
}

/** What else the network depends on. */
export interface NetworkWorld {
  id: string;
  createdAt: string;
  isRoot: boolean;
  others: readonly NetworkRow[];
  /** Of the machine's interfaces, and those beyond gateways. */
  own: readonly Subnet[];
  far: readonly Subnet[];
  /** Where subnets come from, if not from the usual ones. */
  pools?: { base: string; prefix: number }[];
  hasInterface(name: string): boolean;
  random(count: number): Uint8Array;
}

/** More interfaces than this no machine has. */
const BRIDGES_MAX = 65_535;

/** @see RFC 8200, 5 */
const IPV6_MIN_MTU = 1280;

/** Where the kernel gives no address to an interface, or none that leads anywhere. @see RFC 6890 */
const SPECIAL_SUBNETS = [
  ["0.0.0.0/8", "this network"],
  ["127.0.0.0/8", "loopback"],
  ["224.0.0.0/4", "multicast"],
  ["::/127", "loopback"],
  ["fe80::/10", "link-local"],
  ["ff00::/8", "multicast"],
] as const;

/** What cannot be a name, as `--network` takes it for something else. */
const MODES = /^(bridge|podman|host|none|default|private|container|ns|pod|slirp|slirp4netns|pasta)$/;

/** @throws {InvalidArgumentError} */
export function checkNetworkName(name: string): void {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) {
    throw new InvalidArgumentError(
      `network name ${name} invalid: names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument`,
    );
  }
  if (MODES.test(name)) {
    throw new InvalidArgumentError(
      `cannot create network with name "${name}" because it conflicts with a valid network mode`,
    );
  }
}

/** The network that the options ask for; without a name it is called as its interface. */
export function planNetwork(
  name: string | undefined,
  given: NetworkCreateOptions,
  world: NetworkWorld,
): NetworkRow {
  if (name !== undefined) checkNetworkName(name);
  const driver = checkDriver(given.driver || "bridge", world);
  const { internal: isInternal, ipv4: isIpv4, ipv6: isIpv6, ...driverOptions } = canonicalOptions(
    driver,
    given.options ?? {},
    world.isRoot,
  );
  const options = {
    ...given,
    ipv4: given.ipv4 !== false && isIpv4 !== "false",
    ipv6: given.ipv6 || isIpv6 === "true",
  };
  if (!options.ipv4 && !options.ipv6) {
    throw new InvalidArgumentError("IPv4 or IPv6 must be enabled");
  }
  const internal = (options.internal ?? false) || isInternal === "true";
  const interfaceName = chooseInterface(driver, options.interfaceName, driverOptions, world);
  const dns = driver === "bridge" && !options.disableDns;
  const nameservers = (options.dns ?? []).map((text) => {
    const address = parseAddress(text);
    if (address === undefined) throw new InvalidArgumentError(`"${text}" is not an ip address`);
    return formatAddress(address);
  });
  if (nameservers.length > 0 && !dns) {
    throw new InvalidArgumentError("cannot set NetworkDNSServers if DNS is not enabled for the network");
  }
  const ipam = resolveIpam(driver, options);
  const hasGateway = !internal || dns;
  const subnets = ipam === "none" ? [] : resolveSubnets(options, driver, hasGateway, world);
  const isV6 = ({ subnet }: NetworkSubnet) => subnet.includes(":");
  const mtu = Number(driverOptions.mtu ?? 0);
  if (mtu > 0 && mtu < IPV6_MIN_MTU && subnets.some(isV6)) {
    throw new InvalidArgumentError(`mtu ${mtu} is less than ${IPV6_MIN_MTU}, which IPv6 needs`);
  }
  return {
    id: world.id,
    name: name ?? (driver === "bridge" ? interfaceName : freeName(driver, world)),
    driver,
    interface: interfaceName,
    createdAt: world.createdAt,
    subnets,
    ipv6: options.ipv6 || subnets.some(isV6),
    internal,
    dns,
    nameservers,
    routes: (options.routes ?? []).map((text) => parseRoute(text, subnets)),
    labels: options.labels ?? {},
    options: driverOptions,
    ipam,
  };
}

function checkDriver(driver: string, { isRoot }: NetworkWorld): NetworkDriver {
  if (driver !== "bridge" && driver !== "macvlan" && driver !== "ipvlan") {
    throw new InvalidArgumentError(`unsupported driver ${driver}: invalid argument`);
  }
  if (driver !== "bridge" && !isRoot) {
    throw new UnsupportedError(
      `create network with driver ${driver}: it needs an interface of this machine, which only root can give away`,
    );
  }
  return driver;
}

function chooseInterface(
  driver: NetworkDriver,
  asked: string | undefined,
  options: Record<string, string>,
  world: NetworkWorld,
): string {
  if (driver !== "bridge") {
    const parent = asked ?? options.parent ?? "";
    if (asked !== undefined && options.parent !== undefined && asked !== options.parent) {
      throw new InvalidArgumentError("--interface-name and the option parent name two interfaces");
    }
    if (parent !== "" && !world.hasInterface(parent)) {
      throw new InvalidArgumentError(`parent interface ${parent} does not exist`);
    }
    return parent;
  }
  const name = asked ?? options["com.docker.network.bridge.name"];
  const isUsed = (one: string) => world.others.some((network) => network.interface === one);
  if (name !== undefined) {
    checkInterfaceName(name);
    if (isUsed(name)) throw new InvalidArgumentError(`bridge name ${name} already in use`);
    return name;
  }
  // 0 is the default network's
  for (let number = 1; number <= BRIDGES_MAX; number++) {
    const candidate = `skiff${number}`;
    if (isUsed(candidate) || world.others.some((network) => network.name === candidate)) continue;
    if (!(world.isRoot && world.hasInterface(candidate))) return candidate;
  }
  throw new InvalidArgumentError(`choose a bridge name: skiff1 to skiff${BRIDGES_MAX} are all taken`);
}

function freeName(driver: NetworkDriver, { others }: NetworkWorld): string {
  for (let number = 1;; number++) {
    const candidate = `${driver}${number}`;
    if (!others.some(({ name }) => name === candidate)) return candidate;
  }
}

function resolveIpam(driver: NetworkDriver, options: NetworkCreateOptions): NetworkRow["ipam"] {
  const text = options.ipamDriver ?? "";
  if (text === "none") {
    if (options.subnets?.length) {
      throw new InvalidArgumentError("none ipam driver is set but subnets are given");
    }
    return "none";
  }
  if (!["", "default", "host-local", "dhcp"].includes(text)) {
    throw new InvalidArgumentError(`unsupported ipam driver "${text}"`);
  }
  if (text === "dhcp" || (driver !== "bridge" && text === "" && !options.subnets?.length)) {
    if (driver === "bridge") throw new InvalidArgumentError("ipam driver dhcp is not supported with bridge");
    throw new UnsupportedError(
      `create network with driver ${driver}: addresses are not asked of a DHCP server`,
      {
        hint: "name a part of the network that no DHCP server gives away: --subnet, --gateway and --ip-range",
      },
    );
  }
  return "host-local";
}

/** Those that are given, as a bridge would have them. @throws {InvalidArgumentError} */
export function givenSubnets(options: NetworkCreateOptions): NetworkSubnet[] {
  const result = readSubnets(options, true, []);
  for (const text of options.auxAddresses ?? []) reserve(result, text);
  return result;
}

/** @param used what they must not be in; they are added to it */
function readSubnets(
  { subnets = [], gateways = [], ipRanges = [], ipv4 = true }: NetworkCreateOptions,
  hasGateway: boolean,
  used: Subnet[],
): NetworkSubnet[] {
  if (subnets.length === 0 && gateways.length + ipRanges.length > 0) {
    throw new InvalidArgumentError("cannot set gateway or range without subnet");
  }
  if (gateways.length > subnets.length || ipRanges.length > subnets.length) {
    throw new InvalidArgumentError(
      `${
        gateways.length > subnets.length ? "gateways" : "ranges"
      } are more than subnets: each is of the subnet before it`,
    );
  }
  return subnets.map((text, index) => {
    const subnet = parseSubnet(text);
    if (subnet === undefined) throw new InvalidArgumentError(`invalid CIDR address: ${text}`);
    if (!ipv4 && subnet.version === 4) {
      throw new InvalidArgumentError(`subnet ${formatSubnet(subnet)} is one of IPv4, which is disabled`);
    }
    if (used.some((other) => overlap(other, subnet))) {
      throw new InvalidArgumentError(
        `subnet ${formatSubnet(subnet)} is already used on the host or by another config`,
      );
    }
    const special = SPECIAL_SUBNETS.find(([text]) => overlap(parseSubnet(text)!, subnet));
    if (special) {
      const [text, what] = special;
      throw new InvalidArgumentError(
        `invalid subnet ${formatSubnet(subnet)}: no interface has addresses of ${text}, which is ${what}`,
      );
    }
    used.push(subnet);
    return describeSubnet(subnet, gateways[index], ipRanges[index], hasGateway);
  });
}

function resolveSubnets(
  options: NetworkCreateOptions,
  driver: NetworkDriver,
  hasGateway: boolean,
  world: NetworkWorld,
): NetworkSubnet[] {
  const { auxAddresses = [], ipv4 = true, ipv6 } = options;
  const others = world.others.flatMap((network) => network.subnets).map(({ subnet }) => parseSubnet(subnet)!);
  // with macvlan and ipvlan it is that of the machine's interface, as a rule
  const used = driver === "bridge" ? [...others, ...world.own] : others;
  const result = readSubnets(options, hasGateway, used);
  const add = (subnet: Subnet) => result.push(describeSubnet(subnet, undefined, undefined, hasGateway));
  const versions = result.map(({ subnet }) => subnet.includes(":") ? 6 : 4);
  if (ipv4 && (result.length === 0 || (ipv6 && !versions.includes(4)))) {
    // what lies beyond a gateway is hidden only where there is nothing else left
    const { own, far, pools } = world;
    const subnet = freeSubnet([...used, ...own, ...far], pools) ?? freeSubnet([...used, ...own], pools);
    if (subnet === undefined) {
      throw new InvalidArgumentError("could not find free subnet from subnet pools", {
        hint: "choose one: --subnet",
      });
    }
    add(subnet);
  }
  if (ipv6 && !versions.includes(6)) add(randomUla([...used, ...world.own, ...world.far], world.random));
  for (const text of auxAddresses) reserve(result, text);
  return result;
}

/** @see docker network create, --aux-address */
function reserve(subnets: NetworkSubnet[], text: string): void {
  const [name = "", value = "", ...rest] = text.split("=");
  const address = parseAddress(value);
  if (name === "" || address === undefined || rest.length > 0) {
    throw new InvalidArgumentError(`invalid aux-address "${text}": it reads NAME=ADDRESS`);
  }
  const pool = subnets.find(({ subnet }) => contains(parseSubnet(subnet)!, address));
  if (pool === undefined) throw new InvalidArgumentError(`no matching subnet for aux-address ${value}`);
  const reason = whyUnusable(pool, address);
  if (reason !== undefined) throw new InvalidArgumentError(`invalid aux-address "${text}": ${reason}`);
  pool.reserved = { ...pool.reserved, [name]: formatAddress(address) };
}

function describeSubnet(
  subnet: Subnet,
  gatewayText: string | undefined,
  rangeText: string | undefined,
  hasGateway: boolean,
): NetworkSubnet {
  const text = formatSubnet(subnet);
  const { first, last } = hostRange(subnet);
  let gateway: Address | undefined;
  if (gatewayText) {
    gateway = parseAddress(gatewayText);
    if (gateway === undefined) {
      throw new InvalidArgumentError(
        `invalid argument "${gatewayText}" for "--gateway" flag: invalid string being converted to IP address: ${gatewayText}`,
      );
    }
    if (!contains(subnet, gateway)) {
      throw new InvalidArgumentError(`gateway ${gatewayText} not in subnet ${text}`);
    }
    if (gateway.value < first || gateway.value > last) {
      throw new InvalidArgumentError(
        `gateway ${gatewayText} is the network's or the broadcast address of ${text}`,
      );
    }
  } else if (hasGateway) gateway = { version: subnet.version, value: first };
  const range = rangeText ? parseRange(rangeText, subnet) : undefined;
  if (last < first || (last === first && gateway !== undefined)) {
    throw new InvalidArgumentError(`subnet ${text} has no room for a container`);
  }
  return {
    subnet: text,
    ...(gateway && { gateway: formatAddress(gateway) }),
    ...(range && { leaseRange: range }),
  };
}

function parseRange(text: string, subnet: Subnet): { start: string; end: string } {
  const parts = text.split("-").map((part) => part.trim());
  let [start, end]: (Address | undefined)[] = [];
  if (parts.length === 2) [start, end] = parts.map(parseAddress);
  else {
    const inner = parseSubnet(text);
    if (inner === undefined) throw new InvalidArgumentError(`invalid CIDR address: ${text}`);
    start = { version: inner.version, value: inner.first + (inner.first === inner.last ? 0n : 1n) };
    end = { version: inner.version, value: inner.last };
  }
  if (start === undefined || end === undefined) throw new InvalidArgumentError(`invalid ip range "${text}"`);
  for (const [name, address] of [["start", start], ["end", end]] as const) {
    if (contains(subnet, address)) continue;
    throw new InvalidArgumentError(
      `lease range ${name} ip ${formatAddress(address)} not in subnet ${formatSubnet(subnet)}`,
    );
  }
  if (start.value > end.value) {
    throw new InvalidArgumentError(`invalid ip range "${text}": it ends before it begins`);
  }
  return { start: formatAddress(start), end: formatAddress(end) };
}

function parseRoute(text: string, subnets: readonly NetworkSubnet[]): NetworkRow["routes"][number] {
  const [destination = "", gateway = "", metric, ...rest] = text.split(",");
  const bad = (reason: string) => new InvalidArgumentError(`invalid route "${text}": ${reason}`);
  if (gateway === "" || rest.length > 0) throw bad("it reads DESTINATION,GATEWAY[,METRIC]");
  const subnet = parseSubnet(destination);
  if (subnet === undefined) throw bad(`${destination} is no subnet in CIDR format`);
  const hop = parseAddress(gateway);
  if (hop === undefined) throw bad(`${gateway} is no ip address`);
  if (hop.version !== subnet.version) throw bad("destination and gateway are of different IP versions");
  if (subnets.length > 0 && !subnets.some((one) => contains(parseSubnet(one.subnet)!, hop))) {
    throw bad(`gateway ${gateway} is in no subnet of the network`);
  }
  if (metric !== undefined && !(/^\d{1,10}$/.test(metric) && Number(metric) <= 0xffffffff)) {
    throw bad(`${metric} is no metric`);
  }
  return {
    destination: formatSubnet(subnet),
    gateway: formatAddress(hop),
    ...(metric !== undefined && { metric: Number(metric) }),
  };
}
