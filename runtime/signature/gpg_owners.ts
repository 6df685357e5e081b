/** Whose keys a ring has, for people to read: a name in a key proves nothing. */

import { HostError } from "../errors.ts";
import { runGpg } from "./gpg.ts";

/** Addresses, or whole user ids where there is none; nothing where gpg is missing or finds no key. */
export async function keyOwners(rings: readonly Uint8Array<ArrayBuffer>[]): Promise<string[]> {
  const home = await Deno.makeTempDir({ prefix: "skiff-gpg-" });
  try {
    const owners: string[] = [];
    for (const input of rings) {
      const args = ["--homedir", home, "--no-options", "--no-autostart", "--with-colons", "--show-keys"];
      const { stdout } = await runGpg({ args, input, env: { HOME: home } });
      for (const line of new TextDecoder().decode(stdout).split("\n")) {
        const [kind, , , , , , , , , user = ""] = line.split(":");
        if (kind === "uid" && user !== "") owners.push(/<([^>]*)>/.exec(user)?.[1] ?? user);
      }
    }
    return owners;
  } catch (error) {
    if (error instanceof HostError) return [];
    throw error;
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}
