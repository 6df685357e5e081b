/** Names of network interfaces. */

/** What users' names must not be where the bridges are: interfaces that are there, and what sysctls call all of them. */
const TAKEN_BESIDE_BRIDGES: readonly string[] = ["lo", "uplink", "all", "default"];

/** Why nothing can be called that; undefined where it can. @see dev_valid_name() of Linux: 15 bytes */
export function whyNoInterfaceName(name: string): string | undefined {
  if (/^[!-.0-9;-~]{1,15}$/.test(name) && name !== "." && name !== ".." && name !== "lo") return undefined;
  return "at most 15 characters, without blank, slash or colon";
}

/** The same, of a bridge or of a port of one. */
export function whyNoBridgeName(name: string): string | undefined {
  return TAKEN_BESIDE_BRIDGES.includes(name) ? "it is another interface's" : whyNoInterfaceName(name);
}
