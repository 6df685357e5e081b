/**
 * `network create --config-only` and `--config-from`: a network that nobody can be on keeps what others are made from.
 *
 * @see docker network create
 */

import { InvalidArgumentError } from "../errors.ts";
import type { NetworkRow } from "../state/networks.ts";
import {
  checkNetworkName,
  givenSubnets,
  type NetworkCreateOptions,
  type NetworkWorld,
} from "./network_options.ts";

/** What is of a network wherever it is made; the driver, `--internal` and `--ignore` are of the one that is made. */
const CONFIGURATION = [
  ...["subnets", "gateways", "ipRanges", "auxAddresses", "ipv4", "ipv6", "options", "labels", "dns"],
  ...["disableDns", "interfaceName", "routes", "ipamDriver"],
] as readonly (keyof NetworkCreateOptions)[];

/** @throws {InvalidArgumentError} */
export function planTemplate(
  name: string | undefined,
  given: NetworkCreateOptions,
  world: NetworkWorld,
): NetworkRow {
  if (name === undefined) throw new InvalidArgumentError("a configuration network needs a name");
  checkNetworkName(name);
  if (given.configFrom !== undefined) {
    throw new InvalidArgumentError("a configuration network cannot depend on another configuration network");
  }
  if (given.internal) {
    throw new InvalidArgumentError("a configuration network is not internal: those made from it may be");
  }
  if (given.driver && given.driver !== "bridge") {
    throw new InvalidArgumentError("a configuration network has no driver: those made from it have one");
  }
  const options = Object.fromEntries(
    CONFIGURATION.filter((key) => isGiven(key, given[key])).map((key) => [key, given[key]]),
  );
  // what is in use is of the time when one is made, and what options there are of its driver
  const subnets = givenSubnets(given);
  return {
    id: world.id,
    name,
    driver: "bridge",
    interface: "",
    createdAt: world.createdAt,
    subnets: [],
    ipv6: given.ipv6 ?? false,
    internal: false,
    dns: false,
    nameservers: [],
    routes: [],
    labels: given.labels ?? {},
    options: given.options ?? {},
    ipam: given.ipamDriver === "none" ? "none" : "host-local",
    template: { options, subnets },
  };
}

/** The options with those that `configFrom` names. @throws {InvalidArgumentError} */
export function withTemplate(given: NetworkCreateOptions, template: NetworkRow): NetworkCreateOptions {
  if (template.template === undefined) {
    throw new InvalidArgumentError(`network ${template.name} is no configuration network`);
  }
  if (CONFIGURATION.some((key) => isGiven(key, given[key]))) {
    throw new InvalidArgumentError(
      "user specified configurations are not supported if the network depends on a configuration network",
    );
  }
  return { ...given, ...template.template.options };
}

function isGiven(key: keyof NetworkCreateOptions, value: unknown): boolean {
  // by default there are IPv4 addresses
  if (key === "ipv4") return value === false;
  if (value === undefined || value === false || value === "") return false;
  return typeof value !== "object" || Object.keys(value as object).length > 0;
}
