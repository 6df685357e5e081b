/** The nameservers of the host, or those that were given, in the order in which they are to be asked. */

import { parseResolvConf, RESOLV_CONF_LIMIT_BYTES, upstreamOptions } from "../resolv_conf.ts";
import type { DnsPlan } from "../plan.ts";
import { type AddressBytes, parseAddress } from "./addresses.ts";

export interface DnsServer {
  /** As it was written. */
  name: string;
  address: AddressBytes;
  /** The interface of a link-local address. */
  scope: number;
}

/** What resolv.conf(5) means when it names nobody. */
const DEFAULT_SERVER = "127.0.0.1";
const CHECK_MS = 1000;
/** A server that did not answer is asked last for so long. */
const AVOID_MS = 30_000;

export class DnsServers {
  readonly #plan: DnsPlan;
  readonly #given: DnsServer[] | undefined;
  #found: DnsServer[] = [];
  #options = upstreamOptions([]);
  #checkedMs = -Infinity;
  #version = "";
  /** Until when, by name. */
  readonly #avoided = new Map<string, number>();
  #turn = 0;

  constructor(plan: DnsPlan) {
    this.#plan = plan;
    if (plan.servers && plan.servers.length > 0) this.#given = plan.servers.flatMap(parseServer);
  }

  /** Those that are to be asked now, the best first, and how; of `asked` where it is not to be the plan's. */
  list(
    nowMs: number,
    asked?: readonly string[],
  ): { servers: DnsServer[]; timeoutMs: number; useTcp: boolean } {
    this.#refresh(nowMs);
    const { timeoutMs, useTcp, rotate } = this.#options;
    const all = asked?.flatMap(parseServer) ?? this.#given ?? this.#found;
    const from = rotate ? this.#turn++ % Math.max(1, all.length) : 0;
    const turned = [...all.slice(from), ...all.slice(0, from)];
    const isAvoided = ({ name }: DnsServer) => (this.#avoided.get(name) ?? 0) > nowMs;
    const servers = [
      ...turned.filter((server) => !isAvoided(server)),
      ...turned.filter(isAvoided),
    ];
    return { servers, timeoutMs, useTcp };
  }

  failed(server: DnsServer, nowMs: number): void {
    this.#avoided.set(server.name, nowMs + AVOID_MS);
  }

  answered(server: DnsServer): void {
    this.#avoided.delete(server.name);
  }

  /** Reads the host's resolv.conf again where it is another; one that is away for a moment changes nothing. */
  #refresh(nowMs: number): void {
    if (nowMs < this.#checkedMs + CHECK_MS) return;
    this.#checkedMs = nowMs;
    try {
      const { ino, size, mtime, isFile } = Deno.statSync(this.#plan.resolvConf);
      const version = `${ino},${size},${mtime?.getTime()}`;
      if (!isFile || size > RESOLV_CONF_LIMIT_BYTES || version === this.#version) return;
      const { servers, options } = parseResolvConf(Deno.readTextFileSync(this.#plan.resolvConf));
      this.#options = upstreamOptions(options);
      this.#found = servers.flatMap(parseServer);
      this.#version = version;
      this.#avoided.clear();
    } catch {
      // not there, or being replaced
    }
    if (this.#found.length === 0) this.#found = parseServer(DEFAULT_SERVER);
  }
}

/** None where it is no address. */
function parseServer(text: string): DnsServer[] {
  const [literal, zone] = text.split("%");
  const address = parseAddress(literal!);
  return address === undefined ? [] : [{ name: text, address, scope: zone ? interfaceIndex(zone) : 0 }];
}

/** 0 where there is no such interface. */
function interfaceIndex(zone: string): number {
  if (/^\d+$/.test(zone)) return Number(zone);
  // a name, not a path
  if (!/^[\w-][\w.@-]*$/.test(zone)) return 0;
  try {
    return Number(Deno.readTextFileSync(`/sys/class/net/${zone}/ifindex`));
  } catch {
    return 0;
  }
}
