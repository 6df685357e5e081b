/** Which network a container has, as its config keeps it. */

import type { UserModeOptions } from "../network/user_mode.ts";
import type { NetworkRequest } from "../state/networks.ts";

export type NetworkChoice =
  | { mode: "none" }
  | { mode: "host" }
  | { mode: "container"; id: string }
  /** A network namespace that somebody else has made. */
  | { mode: "ns"; path: string }
  /** Networks of `network create`, as they were asked for; which they are now, the database knows. */
  | { mode: "bridge"; networks: (NetworkRequest & { interface: string })[] }
  /** The user-mode stack. */
  | { mode: "slirp"; options?: UserModeOptions }
  /** slirp4netns(1), as the user has installed it. */
  | { mode: "slirp4netns"; options?: UserModeOptions }
  /** pasta(1), with the words of the user. */
  | { mode: "pasta"; words?: string[] };

/** Stands for the address at which a container reaches this machine (`--add-host`). */
export const HOST_GATEWAY = "host-gateway";

/** Whether a network namespace is made for it. */
export function ownsNetwork(choice: NetworkChoice): boolean {
  return choice.mode === "none" || choice.mode === "bridge" || leadsOut(choice);
}

/** Whether something serves a network of the container's own. */
export function leadsOut(
  choice: NetworkChoice,
): choice is Extract<NetworkChoice, { mode: "slirp" | "slirp4netns" | "pasta" }> {
  const { mode } = choice;
  return mode === "slirp" || mode === "slirp4netns" || mode === "pasta";
}

/** As inspect and ps tell it. */
export function networkModeText(choice: NetworkChoice): string {
  if (choice.mode === "container") return `container:${choice.id}`;
  return choice.mode === "ns" ? `ns:${choice.path}` : choice.mode;
}

/** What stands beside `--network`, of networks only. */
export interface AttachmentOptions {
  ip?: string;
  ip6?: string;
  macAddress?: string;
  networkAliases?: string[];
}

/** Words of `--network` that are no names of networks. */
export const NETWORK_MODES: readonly string[] = [
  ...["", "none", "host", "default", "private", "container", "ns", "pod", "slirp", "slirp4netns", "pasta"],
];

/** Whether words and options ask for networks by name, or for what only these have. */
export function asksForNetworks(words: readonly string[], options: AttachmentOptions): boolean {
  const { ip, ip6, macAddress, networkAliases } = options;
  return words.some((word) => !NETWORK_MODES.includes(word.split(":")[0]!)) || words.length > 1 ||
    (ip ?? ip6 ?? macAddress) !== undefined || (networkAliases?.length ?? 0) > 0;
}

/** The words that need nothing looked up; undefined for all others. */
export function plainNetwork(text: string | undefined): NetworkChoice | undefined {
  switch (text) {
    case undefined:
    case "":
    case "default":
    case "private":
    case "slirp":
      return { mode: "slirp" };
    case "none":
      return { mode: "none" };
    case "host":
      return { mode: "host" };
  }
  return undefined;
}
