/** What a command that will start a container does first of all, before anything else is loaded. */

import { likelyMounts } from "../container/default_mounts.ts";
import { plantSeed, waterSeed } from "../monitor/seed.ts";
import { openEngineEarly } from "./engine.ts";

/** What asks for namespaces or kernel file systems other than the usual; a wrong guess costs a fork. */
const UNUSUAL = /^--(?:pid|net|network|ipc|uts|cgroupns|userns|uidmap|gidmap|privileged|storage-driver)\b/;

/** Forks the monitor's seed and lets it work ahead, as far as the command's words tell what it will be for. */
export function prepareStart(words: readonly string[]): void {
  plantSeed();
  try {
    const { namespaces } = openEngineEarly();
    const { isSingle } = namespaces.maps;
    waterSeed({ context: namespaces, mounts: isUsual(words) ? likelyMounts(isSingle) : undefined });
  } catch {
    // Whatever is wrong with folders or namespace, the command itself meets it again and tells.
  }
}

function isUsual(words: readonly string[]): boolean {
  return words.every((word, at) => {
    if (!UNUSUAL.test(word)) return true;
    const [name, value = words[at + 1]] = word.split("=");
    return name!.startsWith("--net") && value === "none";
  });
}
