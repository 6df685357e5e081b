/**
 * OpenPGP messages around a layer's key, by gpg: for keys of the caller's ring, and by private keys of files, which
 * gpg gets in a home that goes away afterwards.
 *
 * @see gpg(1); containers/ocicrypt, keywrap/pgp
 */

import { configSources } from "../config/sources.ts";
import { InvalidArgumentError } from "../errors.ts";
import { printable } from "../spec/printable.ts";
import { gpgUserEnv, runGpg } from "../signature/gpg.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A layer's key with what describes it is some hundred bytes. */
const OUTPUT_LIMIT_BYTES = 1 << 16;

/** A file of private keys, binary or armored. */
export interface PrivateRing {
  what: string;
  keys: Bytes;
  passphrase?: string;
}

/** @param recipients names, addresses or ids of keys of the caller's ring @throws {InvalidArgumentError} */
export async function encryptPgp(
  payload: Bytes,
  recipients: readonly string[],
  signal?: AbortSignal,
): Promise<Bytes> {
  const to = recipients.flatMap((name) => ["--recipient", name]);
  // what all programs read: no newer packets, no compression
  const how = ["--no-auto-key-locate", "--trust-model", "always", "--rfc4880", "--compress-algo", "none"];
  const args = [...how, "--output", "-", ...to, "--encrypt"];
  const env = gpgUserEnv(configSources());
  const { success, stdout, stderr } = await runGpg({ args, input: payload, env, signal });
  if (success) return stdout;
  throw new InvalidArgumentError(
    `encrypt for ${recipients.map((name) => printable(name, 100)).join(", ")}: ${
      printable(lastLine(stderr))
    }`,
  );
}

/** @returns the payload; undefined where no key of the ring opens it */
export async function decryptPgp(
  message: Bytes,
  { what, keys, passphrase = "" }: PrivateRing,
  signal?: AbortSignal,
): Promise<Bytes | undefined> {
  const home = await makeHome();
  const input = new TextEncoder().encode(passphrase);
  const run = (args: string[]) =>
    runGpg({
      args: [
        "--homedir",
        home,
        "--no-options",
        "--pinentry-mode",
        "loopback",
        "--passphrase-fd",
        "0",
        ...args,
      ],
      input,
      env: { HOME: home },
      signal,
    });
  try {
    await Deno.writeFile(`${home}/keys`, keys, { mode: 0o600 });
    const imported = await run(["--import", `${home}/keys`]);
    if (!imported.success) {
      throw new InvalidArgumentError(`read private key ${what}: ${printable(lastLine(imported.stderr))}`);
    }
    await Deno.writeFile(`${home}/message`, message, { mode: 0o600 });
    const limit = ["--max-output", String(OUTPUT_LIMIT_BYTES), "--no-auto-key-retrieve", "--output", "-"];
    const { success, stdout } = await run([...limit, "--decrypt", `${home}/message`]);
    return success ? stdout : undefined;
  } finally {
    // its agent has the keys in memory
    await new Deno.Command("/usr/bin/gpgconf", {
      args: ["--homedir", home, "--kill", "gpg-agent"],
      clearEnv: true,
      env: { PATH: "/usr/bin:/bin", HOME: home },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).output().catch(() => {}); // it ends when its folder is gone
    await Deno.remove(home, { recursive: true });
  }
}

/** Of private keys, so where there is a folder for it: in memory, and gone with the user's session whatever happens. */
async function makeHome(): Promise<string> {
  const { runtimeDir } = configSources();
  const prefix = "skiff-gpg-";
  const inMemory = runtimeDir === undefined
    ? undefined
    // it may be gone, or another user's, whose variables are still there
    : await Deno.makeTempDir({ dir: runtimeDir, prefix }).catch(() => undefined);
  return inMemory ?? await Deno.makeTempDir({ prefix }); // both 0700
}

function lastLine(text: string): string {
  return text.split("\n").at(-1)!.replace(/^gpg: /, "");
}
