/** resolv.conf: what the host's says, and what a container's says. Pure. @see resolv.conf(5) */

/** What counts of a resolv.conf. */
export interface ResolvConf {
  /** As written, with their zones: `fe80::1%eth0`. */
  servers: string[];
  search: string[];
  options: string[];
}

/** Of more the resolvers read none. */
const MAX_SERVERS = 3;
const MAX_SEARCH_DOMAINS = 32;
/** What belongs to a resolv.conf has a few hundred bytes. */
export const RESOLV_CONF_LIMIT_BYTES = 64 * 1024;

/** Reads it as glibc does: later `search` and `domain` lines replace earlier ones, options add up. */
export function parseResolvConf(text: string): ResolvConf {
  const conf: ResolvConf = { servers: [], search: [], options: [] };
  for (const line of text.slice(0, RESOLV_CONF_LIMIT_BYTES).split("\n")) {
    // the keyword stands in the first column
    const [key, ...words] = line.replace(/\s+$/, "").split(/[ \t]+/);
    const values = words.filter((word) => word !== "");
    const comment = values.findIndex((word) => /^[#;]/.test(word));
    if (comment !== -1) values.length = comment;
    if (values.length === 0) continue;
    if (key === "nameserver" && conf.servers.length < MAX_SERVERS) conf.servers.push(values[0]!);
    if (key === "search") conf.search = values.slice(0, MAX_SEARCH_DOMAINS);
    if (key === "domain") conf.search = [values[0]!];
    if (key === "options") conf.options.push(...values);
  }
  return conf;
}

export interface ContainerResolver {
  /** Where the container asks: the forwarder's addresses, or servers given by the user. */
  nameservers: readonly string[];
  /** The machine's resolv.conf: its domains and options hold for the container where it has none of its own. */
  host: string;
  /** `--dns-search`; `.` alone is none at all. */
  search?: readonly string[];
  /** `--dns-option` */
  options?: readonly string[];
}

/**
 * The options that are between the host and its own servers: the container asks a forwarder. `trust-ad` and
 * `edns0` hold all the way, as the forwarder passes both on.
 */
const HOST_ONLY_OPTIONS = /^(rotate|timeout:.*|attempts:.*|use-vc|no-reload)$/;

/** The text of a container's /etc/resolv.conf. */
export function containerResolvConf({ nameservers, host, search, options }: ContainerResolver): string {
  const machine = parseResolvConf(host);
  const domains = (search ?? machine.search).filter((domain) => domain !== ".");
  const settings = options ?? machine.options.filter((option) => !HOST_ONLY_OPTIONS.test(option));
  return [
    ...(domains.length > 0 ? [`search ${domains.join(" ")}`] : []),
    ...nameservers.map((server) => `nameserver ${server}`),
    ...(settings.length > 0 ? [`options ${settings.join(" ")}`] : []),
    "",
  ].join("\n");
}

/** How long the host waits for a server and whether it asks by TCP only, of the options that matter to a forwarder. */
export function upstreamOptions(
  options: readonly string[],
): { timeoutMs: number; useTcp: boolean; rotate: boolean } {
  const timeout = options.map((option) => /^timeout:(\d{1,3})$/.exec(option)?.[1]).findLast((value) => value);
  return {
    timeoutMs: 1000 * Math.min(30, Math.max(1, Number(timeout ?? 2))),
    useTcp: options.includes("use-vc"),
    rotate: options.includes("rotate"),
  };
}
