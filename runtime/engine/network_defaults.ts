/** What containers.conf says about new networks. */

import { findContainersConf } from "../config/containers_conf_files.ts";
import { InvalidArgumentError } from "../errors.ts";
import { parseSubnet, type Subnet } from "../network/ip.ts";

export interface NetworkDefaults {
  /** Of the network that is there from the beginning. */
  subnet?: Subnet;
  /** Of the others. */
  pools?: { base: string; prefix: number }[];
}

/** @throws {InvalidArgumentError} where it names what is no subnet */
export async function networkDefaults(): Promise<NetworkDefaults> {
  const files = findContainersConf();
  if (files.length === 0) return {};
  const { readContainersConf } = await import("../config/containers_conf.ts");
  const { default_subnet: subnet, default_subnet_pools: pools } = readContainersConf(files).network as {
    default_subnet?: string;
    default_subnet_pools?: { base: string; size: number }[];
  };
  return {
    subnet: subnet ? subnetOf("default_subnet", subnet) : undefined,
    pools: pools?.length
      ? pools.map(({ base, size }) => {
        const { version, prefix } = subnetOf("default_subnet_pools", base);
        if (size >= prefix && size <= (version === 4 ? 30 : 126)) return { base, prefix: size };
        throw new InvalidArgumentError(
          `containers.conf: default_subnet_pools: ${base} has no subnets of ${size} bits`,
        );
      })
      : undefined,
  };
}

function subnetOf(key: string, text: string): Subnet {
  const subnet = parseSubnet(text);
  if (subnet !== undefined) return subnet;
  throw new InvalidArgumentError(`containers.conf: ${key}: invalid CIDR address: ${text}`);
}
