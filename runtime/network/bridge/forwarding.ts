/**
 * Whether this machine sends packets of one interface out by another: needed for bridges, off by default, and a setting
 * of the machine as a whole. What it was before comes back with the last bridge.
 *
 * @see Documentation/networking/ip-sysctl.rst: ip_forward, forwarding, accept_ra
 */

export interface Forwarding {
  /** Files below /proc/sys/net and what was in them, in the order to be written back. */
  former: [file: string, value: string][];
  /** The bridges of others when it was changed: what came later may need it as well. */
  others: string[];
}

export const UNCHANGED: Forwarding = { former: [], others: [] };

const GLOBAL = { ipv4: "ipv4/ip_forward", ipv6: "ipv6/conf/all/forwarding" };

/** Gives what is to be written down, before anything is changed, and what then makes the change. */
export function planForwarding(
  version: "ipv4" | "ipv6",
  forwarding: Forwarding,
  others: () => string[],
): { planned: Forwarding; perform: () => void } {
  const file = GLOBAL[version];
  if (read(file) !== "0") return { planned: forwarding, perform: () => {} };
  const interfaces = [...Deno.readDirSync(`/proc/sys/net/${version}/conf`)].map(({ name }) => name)
    .filter((name) => name !== "all" && name !== "default");
  // the change of the whole is one of each
  const forwards = interfaces.map((name) => `${version}/conf/${name}/forwarding`)
    .filter((one) => read(one) === "1");
  // who forwards believes no router, unless told so: its own way out would be lost
  const believers = version === "ipv4"
    ? []
    : interfaces.map((name) => `ipv6/conf/${name}/accept_ra`).filter((one) => read(one) === "1");
  const former: Forwarding["former"] = [
    [file, "0"],
    ...[...forwards, ...believers].map((one): [string, string] => [one, "1"]),
  ];
  return {
    planned: {
      former: [...forwarding.former, ...former],
      others: forwarding.former.length > 0 ? forwarding.others : others(),
    },
    perform() {
      for (const one of believers) write(one, "2");
      write(file, "1");
    },
  };
}

/** @param others the bridges of others that there are now */
export function undoForwarding({ former, others: before }: Forwarding, others: readonly string[]): void {
  if (others.some((name) => !before.includes(name))) return;
  for (const [file, value] of former) if (read(file) !== undefined) write(file, value);
}

function read(file: string): string | undefined {
  try {
    return Deno.readTextFileSync(`/proc/sys/net/${file}`).trim();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function write(file: string, value: string): void {
  Deno.writeTextFileSync(`/proc/sys/net/${file}`, value);
}
