/** What a command that will start a container does first of all, before anything else is loaded. */

import { prepareNetworkCode } from "../network/lazy_code.ts";
import { findTunObstacle } from "../network/tun_device.ts";
import { planTun } from "../network/user_mode.ts";
import { likelyMounts } from "../container/default_mounts.ts";
import { prepareMonitorCode } from "../monitor/lazy_code.ts";
import { loadSupervision } from "../monitor/monitor.ts";
import { plantSeed, type Soil } from "../monitor/seed.ts";
import { wasEverSupervised } from "../state/supervised.ts";
import { type Engine, openEngineEarly } from "./engine.ts";

/** What asks for namespaces or kernel file systems other than the usual; a wrong guess costs a fork. */
const UNUSUAL = [
  ...["--pid", "--net", "--network", "--ipc", "--uts", "--cgroupns", "--userns", "--uidmap", "--gidmap"],
  ...["--privileged", "--preserve-fds", "--preserve-fd", "--storage-driver", "--pod", "--pod-id-file"],
];

/** The beginnings of options that make a monitor do more than wait for the end. */
const SUPERVISED = ["--restart", "--health", "--timeout"];

/** Forks the monitor's seed and lets it work ahead, as far as the command's words tell what it will be for. */
export async function prepareStart(words: readonly string[]): Promise<void> {
  const isSupervised = mayBeSupervised(words);
  if (isSupervised) await loadSupervision();
  await prepareNetworkCode();
  await prepareMonitorCode();
  let soil: Soil | undefined;
  try {
    soil = foresee(words, openEngineEarly(), isSupervised);
  } catch {
    // Whatever is wrong with folders or namespace, the command itself meets it again and tells.
  }
  plantSeed(soil);
}

/** What the command's words tell of the container that it will start. */
export function foresee(words: readonly string[], { namespaces }: Engine, isSupervised: boolean): Soil {
  const { isSingle } = namespaces.maps;
  const mounts = isUsual(words) && !isSupervised ? likelyMounts(isSingle) : undefined;
  const hasTun = mounts && !hasNoNetwork(words) && !findTunObstacle();
  return { context: namespaces, mounts, tun: hasTun ? planTun() : undefined };
}

/** Whether the monitor may have more to do than to wait for the end; a wrong guess costs a fork. */
function mayBeSupervised(words: readonly string[]): boolean {
  if (words[0] === "run" || words[1] === "run") {
    return words.some((word) => SUPERVISED.some((option) => word.startsWith(option)));
  }
  try {
    return wasEverSupervised(openEngineEarly().folders);
  } catch {
    return false; // whatever is wrong with the folders, the command itself meets it again
  }
}

function isUsual(words: readonly string[]): boolean {
  return words.every((word, at) => {
    if (!UNUSUAL.includes(word.split("=", 1)[0]!)) return true;
    const network = networkOf(word, words[at + 1]);
    return network === "none" || network === "slirp";
  });
}

function hasNoNetwork(words: readonly string[]): boolean {
  return words.some((word, at) => networkOf(word, words[at + 1]) === "none");
}

/** The value of `--network`, if it is that. */
function networkOf(word: string, next: string | undefined): string | undefined {
  const [name, value = next] = word.split("=");
  return name === "--network" || name === "--net" ? value : undefined;
}
