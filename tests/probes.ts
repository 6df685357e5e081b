/** Small C programs that attack from inside a container; their sources are in tests/probes. */
import type { Host } from "./harness.ts";

/** Compiles tests/probes/NAME.c into `folder`, linked statically, and gives its path. */
export async function compileProbe(name: string, folder: string): Promise<string> {
  const source = new URL(`./probes/${name}.c`, import.meta.url).pathname;
  const { success, stderr } = await new Deno.Command("gcc", {
    args: ["-static", "-O1", "-o", `${folder}/${name}`, source],
  }).output();
  if (!success) throw new Error(`compile ${name}: ${new TextDecoder().decode(stderr)}`);
  return `${folder}/${name}`;
}

/** The options that show the probe in the container as /probe. */
export async function probeVolume(host: Host, name: string): Promise<string[]> {
  return ["-v", `${await compileProbe(name, host.folder)}:/probe:ro`];
}
