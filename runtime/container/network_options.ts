/** `--network` with options, as data. @see podman-run(1), --network; slirp4netns(1), pasta(1) */

import { InvalidArgumentError, NotFoundError, UnsupportedError } from "../errors.ts";
import { parseAddress } from "../network/stack/addresses.ts";
import type { UserModeOptions } from "../network/user_mode.ts";
import { type NetworkChoice, plainNetwork } from "./network_choice.ts";

/** What `--network` says, but for `container:`. Throws where it is not understood, or nothing for root. */
export function parseNetwork(text: string, isRootless = true): NetworkChoice {
  const plain = plainNetwork(text);
  if (plain) return plain;
  const colon = text.indexOf(":");
  const [mode, rest] = colon < 0 ? [text, undefined] : [text.slice(0, colon), text.slice(colon + 1)];
  const words = rest === undefined || rest === "" ? [] : rest.split(",");
  switch (mode) {
    case "ns":
      return { mode, path: checkPath(rest ?? "") };
    case "slirp":
    case "slirp4netns": {
      const options = parseUserModeOptions(mode, words);
      return options ? { mode, options } : { mode };
    }
    case "pasta":
      if (!isRootless) throw new UnsupportedError(`use network "pasta": it is only for rootless use`);
      return words.length > 0 ? { mode, words } : { mode };
    case "none":
    case "host":
    case "private":
      throw new InvalidArgumentError(`use network "${text}": the network ${mode} takes no options`);
  }
  throw new NotFoundError("network", mode);
}

function checkPath(path: string): string {
  try {
    Deno.statSync(path);
    return path;
  } catch (cause) {
    const reason = cause instanceof Deno.errors.NotFound ? "no such file or directory" : "permission denied";
    throw new InvalidArgumentError(
      `cannot find specified network namespace path: stat ${path}: ${reason}`,
      { cause },
    );
  }
}

/** By option: what it sets, or undefined where the value is none. */
const OPTIONS: Record<string, (value: string) => UserModeOptions | undefined> = {
  allow_host_loopback: (value) => ifBool(value, (on) => on ? { allowHostLoopback: true } : {}),
  enable_ipv6: (value) => ifBool(value, (on) => on ? {} : { ipv6: false }),
  ipv6: (value) => ifBool(value, (on) => on ? {} : { ipv6: false }),
  mtu: (value) => {
    const mtu = /^\d{1,6}$/.test(value) ? Number(value) : 0;
    // what IPv6 needs, and what an IP packet can be
    return mtu >= 1280 && mtu <= 65521 ? { mtu } : undefined;
  },
  cidr: (value) => isNetwork(value) ? { cidr: value } : undefined,
  outbound_addr: (value) => isOutbound(value, 4) ? { outbound: { ipv4: value } } : undefined,
  outbound_addr6: (value) => isOutbound(value, 16) ? { outbound: { ipv6: value } } : undefined,
  // of podman's programs for published ports; ours keeps the client's address as slirp4netns does
  port_handler: (value) => value === "slirp4netns" || value === "rootlesskit" ? {} : undefined,
};

const MEANING: Record<string, string> = {
  mtu: "a number from 1280 to 65521",
  cidr: "an IPv4 network of 1 to 25 bits, such as 10.0.2.0/24",
  outbound_addr: "an IPv4 address or an interface of this machine",
  outbound_addr6: "an IPv6 address or an interface of this machine",
  port_handler: "rootlesskit or slirp4netns",
};

function parseUserModeOptions(mode: string, words: readonly string[]): UserModeOptions | undefined {
  let options: UserModeOptions = {};
  for (const word of words) {
    const equals = word.indexOf("=");
    const key = equals < 0 ? word : word.slice(0, equals);
    const parse = Object.hasOwn(OPTIONS, key) ? OPTIONS[key] : undefined;
    if (!parse || equals < 0) throw new InvalidArgumentError(`unknown option for ${mode}: "${word}"`);
    const value = word.slice(equals + 1);
    const set = parse(value);
    if (!set) {
      throw new InvalidArgumentError(
        `invalid ${key} "${value}" for ${mode}: ${MEANING[key] ?? "true or false"}`,
      );
    }
    const outbound = { ...options.outbound, ...set.outbound };
    options = { ...options, ...set, ...(Object.keys(outbound).length > 0 && { outbound }) };
  }
  if (options.ipv6 === false && options.outbound?.ipv6) {
    throw new InvalidArgumentError(`use network "${mode}": outbound_addr6 needs enable_ipv6=true`);
  }
  return Object.keys(options).length > 0 ? options : undefined;
}

function ifBool(
  value: string,
  make: (on: boolean) => UserModeOptions,
): UserModeOptions | undefined {
  return value === "true" || value === "false" ? make(value === "true") : undefined;
}

/** A network's own address: no bit of a host is set, as slirp4netns(1) has it. */
function isNetwork(text: string): boolean {
  const [base, bits, ...more] = text.split("/");
  const address = parseAddress(base!);
  if (more.length > 0 || address?.length !== 4 || !/^\d{1,2}$/.test(bits ?? "")) return false;
  const prefix = Number(bits);
  if (prefix < 1 || prefix > 25) return false;
  const number = new DataView(address.buffer).getUint32(0);
  return number % 2 ** (32 - prefix) === 0 && address[0] !== 0 && address[0] !== 127 && address[0]! < 224;
}

function isOutbound(value: string, length: number): boolean {
  return parseAddress(value)?.length === length ||
    Deno.networkInterfaces().some(({ name }) => name === value);
}
