/**
 * What a container with a single-id map gets besides the filter that pretends owners: programs that look whether
 * their change of user had an effect are told not to try.
 */

import type { GeneratedMount } from "./default_mounts.ts";

/** apt downloads as `_apt` and gives up where it still is root afterwards. @see apt.conf(5) */
const APT_CONF = 'APT::Sandbox::User "root";\n';

/** Writes the files into the container's folder; they appear where the image has the program's own folder. */
export function writeSingleIdFiles(containerDir: string): GeneratedMount[] {
  const source = `${containerDir}/apt.conf`;
  Deno.writeTextFileSync(source, APT_CONF, { mode: 0o644 });
  return [{ source, destination: "/etc/apt/apt.conf.d/90skiff-single-id", needsFolder: true }];
}
