/**
 * The options by which a push signs.
 *
 * @see podman-push(1), containers-sigstore-signing-params.yaml(5)
 */

import type { SigningChoice } from "../../runtime/engine/push.ts";
import { hostReason, InvalidArgumentError, UnsupportedError } from "../../runtime/errors.ts";
import { printable } from "../../runtime/spec/printable.ts";

export interface SigningFlags {
  gpg?: string;
  /** A file with parameters. */
  parameters?: string;
  /** A file with a private key. */
  key?: string;
  passphraseFile?: string;
}

export async function readSigningFlags(flags: SigningFlags): Promise<SigningChoice> {
  const { gpg, parameters, key } = flags;
  if (parameters && key) {
    throw new InvalidArgumentError(
      "--sign-by-sigstore and --sign-by-sigstore-private-key exclude each other",
    );
  }
  if (flags.passphraseFile && gpg && key) {
    throw new InvalidArgumentError(
      "only one of --sign-by and --sign-by-sigstore-private-key can be used with --sign-passphrase-file",
    );
  }
  const passphraseFile = flags.passphraseFile || undefined;
  const shut = parameters
    ? await readParameters(parameters)
    : key
    ? { keyFile: key, passphraseFile }
    : undefined;
  return {
    gpg: gpg
      ? { key: gpg, passphraseFile: absolute(shut === undefined ? passphraseFile : undefined) }
      : undefined,
    sigstore: shut && {
      keyFile: shut.keyFile,
      passphrase: shut.passphraseFile === undefined
        ? await askPassphrase(shut.keyFile)
        : await readPassphrase(shut.passphraseFile),
    },
  };
}

interface ShutKey {
  keyFile: string;
  passphraseFile?: string;
}

async function readParameters(file: string): Promise<ShutKey> {
  const { parse } = await import("yaml");
  const fail = (why: string, cause?: unknown) =>
    new InvalidArgumentError(`read signing parameters "${printable(file)}": ${why}`, { cause });
  let fields: unknown;
  try {
    fields = parse(await readText("signing parameters", file));
  } catch (cause) {
    if (cause instanceof InvalidArgumentError) throw cause;
    throw fail((cause as Error).message.split("\n")[0]!, cause);
  }
  if (typeof fields !== "object" || fields === null || Array.isArray(fields)) throw fail("it is no table");
  const { privateKeyFile, privateKeyPassphraseFile, ...rest } = fields as Record<string, unknown>;
  for (const name of Object.keys(rest)) {
    if (name !== "fulcio" && name !== "rekorURL") {
      throw fail(`unknown key ${JSON.stringify(printable(name, 60))}`);
    }
    throw new UnsupportedError(`--sign-by-sigstore: ${name}: skiff asks no signing service`, {
      hint: "name a privateKeyFile alone",
    });
  }
  if (typeof privateKeyFile !== "string" || privateKeyFile === "") throw fail("it has no privateKeyFile");
  if (privateKeyPassphraseFile !== undefined && typeof privateKeyPassphraseFile !== "string") {
    throw fail("privateKeyPassphraseFile is no text");
  }
  return { keyFile: privateKeyFile, passphraseFile: privateKeyPassphraseFile };
}

async function askPassphrase(keyFile: string): Promise<string> {
  if (!Deno.stdin.isTerminal()) {
    throw new InvalidArgumentError(`open private key "${printable(keyFile)}": stdin is no terminal`, {
      hint: "use --sign-passphrase-file",
    });
  }
  const { askHidden } = await import("../terminal/ask.ts");
  return askHidden(`Passphrase for key ${printable(keyFile)}: `);
}

/** The first line, as containers/image reads it. */
async function readPassphrase(file: string): Promise<string> {
  return (await readText("passphrase", file)).split("\n")[0]!.replace(/\r$/, "");
}

async function readText(what: string, file: string): Promise<string> {
  try {
    return await Deno.readTextFile(file);
  } catch (cause) {
    throw new InvalidArgumentError(`read ${what} "${printable(file)}": ${hostReason(cause)}`, { cause });
  }
}

/** gpg is run in another folder. */
function absolute(path: string | undefined): string | undefined {
  return path === undefined || path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
}
