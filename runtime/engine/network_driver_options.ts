/** `network create --opt`: what each driver knows. @see podman-network-create(1), docker network create */

import { InvalidArgumentError, UnsupportedError } from "../errors.ts";
import { whyNoBridgeName, whyNoInterfaceName } from "../network/interface_name.ts";
import { parseAddress } from "../network/ip.ts";
import type { NetworkDriver } from "../state/networks.ts";

/** What the interfaces of containers are called, with a number behind it: `eth` by default. */
export const INTERFACE_PREFIX = "com.docker.network.container_iface_prefix";

/** Docker's names that are Podman's as well. */
const ENABLE_ICC = "com.docker.network.bridge.enable_icc";
const ENABLE_MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade";

/** Docker's names for what Podman calls otherwise. */
const DOCKER_OPTIONS: Record<string, string> = {
  "com.docker.network.driver.mtu": "mtu",
  "com.docker.network.bridge.name": "com.docker.network.bridge.name",
  "com.docker.network.bridge.host_binding_ipv4": "host_binding_ipv4",
  [ENABLE_ICC]: ENABLE_ICC,
  [ENABLE_MASQUERADE]: ENABLE_MASQUERADE,
  "com.docker.network.internal": "internal",
  "com.docker.network.enable_ipv4": "ipv4",
  "com.docker.network.enable_ipv6": "ipv6",
  macvlan_mode: "mode",
  ipvlan_mode: "mode",
};

const BOOLEAN = /^(1|t|true|0|f|false)$/i;
const isTrue = (text: string) => /^(1|t|true)$/i.test(text);

type Check = (value: string, driver: NetworkDriver) => string;

const boolean = (name: string): Check => (value) => {
  if (BOOLEAN.test(value)) return isTrue(value) ? "true" : "false";
  throw new InvalidArgumentError(`failed to parse ${name} option: "${value}" is neither true nor false`);
};

const CHECKS: Record<string, { drivers: readonly NetworkDriver[]; check: Check }> = {
  mtu: {
    drivers: ["bridge", "macvlan", "ipvlan"],
    check: (value) => {
      const mtu = /^-?\d+$/.test(value) ? Number(value) : NaN;
      if (Number.isNaN(mtu)) throw new InvalidArgumentError(`invalid mtu "${value}": it is not a number`);
      if (mtu < 0) throw new InvalidArgumentError(`mtu ${value} is less than zero`);
      // what IPv4 needs at least, and what fits into the length of a packet
      if (mtu !== 0 && (mtu < 68 || mtu > 65535)) {
        throw new InvalidArgumentError(`mtu ${value} must be between 68 and 65535`);
      }
      return String(mtu);
    },
  },
  metric: {
    drivers: ["bridge", "macvlan", "ipvlan"],
    check: (value) => {
      if (/^\d{1,10}$/.test(value) && Number(value) <= 0xffffffff) return value;
      throw new InvalidArgumentError(`invalid metric "${value}": it is not a number of 32 bits`);
    },
  },
  no_default_route: { drivers: ["bridge", "macvlan", "ipvlan"], check: boolean("no_default_route") },
  vlan: {
    drivers: ["bridge"],
    check: (value) => {
      if (!/^-?\d+$/.test(value)) {
        throw new InvalidArgumentError(`invalid vlan "${value}": it is not a number`);
      }
      if (Number(value) >= 0 && Number(value) <= 4094) return value;
      throw new InvalidArgumentError(`vlan ID ${value} must be between 0 and 4094`);
    },
  },
  isolate: {
    drivers: ["bridge"],
    check: (value, driver) => value === "strict" ? value : boolean("isolate")(value, driver),
  },
  parent: { drivers: ["macvlan", "ipvlan"], check: (value) => value },
  mode: {
    drivers: ["bridge", "macvlan", "ipvlan"],
    check: (value, driver) => {
      const known = {
        bridge: ["managed"],
        macvlan: ["bridge", "private", "vepa", "passthru"],
        ipvlan: ["l2", "l3", "l3s"],
      }[driver];
      if (driver === "bridge" && value === "unmanaged") {
        throw new UnsupportedError("set bridge mode unmanaged: skiff makes and removes bridges itself");
      }
      if (known.includes(value)) return value;
      throw new InvalidArgumentError(`unknown ${driver} mode "${value}": known are ${known.join(", ")}`);
    },
  },
  bclim: { drivers: ["macvlan"], check: (value) => decimal("bclim", value) },
  host_binding_ipv4: {
    drivers: ["bridge"],
    check: (value) => {
      if (parseAddress(value)?.version === 4) return value;
      throw new InvalidArgumentError(`host_binding_ipv4 "${value}" is not an IPv4 address`);
    },
  },
  internal: { drivers: ["bridge", "macvlan", "ipvlan"], check: boolean("internal") },
  ipv4: { drivers: ["bridge", "macvlan", "ipvlan"], check: boolean("ipv4") },
  ipv6: { drivers: ["bridge", "macvlan", "ipvlan"], check: boolean("ipv6") },
  [INTERFACE_PREFIX]: {
    drivers: ["bridge", "macvlan", "ipvlan"],
    check: (value) => {
      // with a number of three digits behind it
      const reason = whyNoInterfaceName(`${value}999`);
      if (reason === undefined && value !== "") return value;
      throw new InvalidArgumentError(`prefix of interfaces "${value}": ${reason ?? "it is empty"}`);
    },
  },
  "com.docker.network.bridge.name": { drivers: ["bridge"], check: (value) => checkInterfaceName(value) },
  [ENABLE_ICC]: { drivers: ["bridge"], check: boolean("enable_icc") },
  [ENABLE_MASQUERADE]: { drivers: ["bridge"], check: boolean("enable_ip_masquerade") },
};

function decimal(name: string, value: string): string {
  if (/^-?\d{1,9}$/.test(value)) return value;
  throw new InvalidArgumentError(`invalid ${name} "${value}": it is not a number`);
}

/** Under Podman's names, checked. @throws {InvalidArgumentError} */
export function canonicalOptions(
  driver: NetworkDriver,
  given: Record<string, string>,
  isRoot: boolean,
): Record<string, string> {
  const options = Object.fromEntries(
    Object.entries(given).map(([key, value]) => {
      const name = DOCKER_OPTIONS[key] ?? key;
      const known = Object.hasOwn(CHECKS, name) ? CHECKS[name] : undefined;
      if (known === undefined || !known.drivers.includes(driver)) {
        throw new InvalidArgumentError(`unsupported ${driver} network option ${key}`);
      }
      return [name, known.check(value, driver)];
    }),
  );
  if (options[ENABLE_MASQUERADE] === "false" && !isRoot) {
    throw new UnsupportedError(
      `set ${ENABLE_MASQUERADE}=false: without root, connections leave with this machine's address`,
      { hint: "--internal keeps them in" },
    );
  }
  return options;
}

/** @throws {InvalidArgumentError} for what cannot be the name of a bridge */
export function checkInterfaceName(name: string): string {
  const reason = whyNoBridgeName(name);
  if (reason === undefined) return name;
  throw new InvalidArgumentError(`interface name "${name}": ${reason}`);
}
