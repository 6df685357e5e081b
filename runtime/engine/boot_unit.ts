/** The systemd unit that starts containers after a boot. @see systemd.service(5), systemd.unit(5) */

import { takeLaunch } from "../config/launch.ts";
import { HostError } from "../errors.ts";
import type { EngineOptions } from "./engine.ts";

export const BOOT_UNIT = "skiff-start-all.service";

/** Writes the unit of this user (root: of the system) for these folders; gives its path. What was there is replaced. */
export function installBootUnit({ dataFolder, runtimeFolder }: EngineOptions = {}): string {
  const folder = unitFolder();
  const path = `${folder}/${BOOT_UNIT}`;
  try {
    Deno.mkdirSync(folder, { recursive: true });
    const words = takeLaunch().command.slice();
    if (dataFolder !== undefined) words.push("--root", dataFolder);
    if (runtimeFolder !== undefined) words.push("--runroot", runtimeFolder);
    Deno.writeTextFileSync(`${path}.tmp`, bootUnit(words, Deno.uid() === 0));
    Deno.renameSync(`${path}.tmp`, path);
  } catch (cause) {
    throw new HostError(`write unit "${path}": ${(cause as Error).message}`, { cause });
  }
  return path;
}

function unitFolder(): string {
  if (Deno.uid() === 0) return "/etc/systemd/system";
  const config = Deno.env.get("XDG_CONFIG_HOME");
  const home = Deno.env.get("HOME");
  if (config?.startsWith("/")) return `${config}/systemd/user`;
  if (home?.startsWith("/")) return `${home}/.config/systemd/user`;
  throw new HostError("find the folder of user units: neither HOME nor XDG_CONFIG_HOME is set");
}

/**
 * The monitors stay in the unit's cgroup, so that a shutdown ends the containers in order: SIGTERM to a monitor stops
 * its container, which does not count as stopped by hand.
 */
export function bootUnit(command: readonly string[], isSystem: boolean): string {
  const words = [...command, "system", "start-all"].map(quote).join(" ");
  return `[Unit]
Description=Start the containers of skiff that are to run always
Documentation=man:skiff-system-start-all(1)
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
RemainAfterExit=true
ExecStart=${words}
TimeoutStopSec=70

[Install]
WantedBy=${isSystem ? "multi-user.target" : "default.target"}
`;
}

/** @see systemd.service(5), command lines: % and $ are special, and so is a backslash within quotes */
function quote(word: string): string {
  const text = word.replaceAll("%", "%%").replaceAll("$", "$$$$");
  return /^[\w@%+=:,./$-]+$/.test(text) ? text : `"${text.replace(/["\\]/g, "\\$&")}"`;
}
