/**
 * OpenPGP by GnuPG's own program, as gpgme does it for podman and skopeo: expired and revoked keys, old formats and
 * weak hashes are its affair, and private keys stay with its agent. A library would have to be told all of it again,
 * and the one that is kept well, openpgp, is LGPL: not for a program that is one file. Where gpg is missing, what asks
 * for such signatures is refused.
 *
 * @see gpg(1); GnuPG, doc/DETAILS, "Format of the --status-fd output"
 */

import type { ConfigSources } from "../config/sources.ts";
import { HostError } from "../errors.ts";

/** Never the caller's PATH: what this program says decides about trust. */
const PLACES = ["/usr/bin/gpg", "/usr/bin/gpg2", "/bin/gpg", "/usr/local/bin/gpg", "/usr/local/bin/gpg2"];
const TIMEOUT_MS = 60_000;

export interface GpgAnswer {
  success: boolean;
  stdout: Uint8Array<ArrayBuffer>;
  stderr: string;
}

export interface GpgCall {
  args: string[];
  input: Uint8Array<ArrayBuffer>;
  env: Record<string, string>;
  signal?: AbortSignal;
}

/** @throws {HostError} where there is no gpg */
export async function runGpg({ args, input, env, signal }: GpgCall): Promise<GpgAnswer> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const child = new Deno.Command(await findGpg(), {
    args: ["--batch", "--no-tty", "--quiet", ...args],
    clearEnv: true,
    env: { PATH: "/usr/bin:/bin", LC_ALL: "C", ...env },
    cwd: "/",
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
  }).spawn();
  const writer = child.stdin.getWriter();
  // one that ends without reading says why on stderr
  const fed = writer.write(input).then(() => writer.close()).catch(() => {});
  const [{ success, stdout, stderr }] = await Promise.all([child.output(), fed]);
  signal?.throwIfAborted();
  return { success, stdout, stderr: new TextDecoder().decode(stderr).trim() };
}

async function findGpg(): Promise<string> {
  for (const path of PLACES) {
    const info = await Deno.stat(path).catch(() => null);
    if (info?.isFile) return path;
  }
  throw new HostError("use OpenPGP: there is no gpg on this machine", {
    hint: "install GnuPG (Debian: apt install gpg)",
  });
}

/** Where the caller's keys and agent are. */
export function gpgUserEnv({ home, env, runtimeDir }: ConfigSources): Record<string, string> {
  const found: Record<string, string> = { HOME: home };
  for (const name of ["GNUPGHOME", "GPG_TTY", "DISPLAY", "DBUS_SESSION_BUS_ADDRESS"]) {
    const value = env[name];
    if (value !== undefined) found[name] = value;
  }
  // gpg is started in another folder
  if (found.GNUPGHOME?.startsWith("/") === false) found.GNUPGHOME = `${Deno.cwd()}/${found.GNUPGHOME}`;
  if (runtimeDir !== undefined) found.XDG_RUNTIME_DIR = runtimeDir;
  return found;
}
