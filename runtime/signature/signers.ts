/**
 * Makes signatures, by a private key as cosign keeps them or by gpg and its agent. Keys are opened before anything is
 * pushed, so that a wrong passphrase leaves nothing behind.
 */

import { Buffer } from "node:buffer";
import type { ConfigSources } from "../config/sources.ts";
import { hostReason, InvalidArgumentError, SkiffError } from "../errors.ts";
import { printable } from "../spec/printable.ts";
import { type Claim, makeClaim, parseClaim } from "./claim.ts";
import { gpgUserEnv, runGpg } from "./gpg.ts";
import { type ImageSignature, SIGSTORE } from "./image_signature.ts";
import { publicPem, readPrivateKey, signWith } from "./private_key.ts";
import { isSignedBy, readPublicKey } from "./public_key.ts";

export interface SigningOptions {
  /** A key of gpg's, by fingerprint, id or address. */
  gpg?: { key: string; passphraseFile?: string };
  /** A file with a private key, shut by a passphrase. */
  sigstore?: { keyFile: string; passphrase: string };
  /** Who has made it: `skiff 1.0.0`. */
  creator: string;
}

export interface Signer {
  readonly kind: ImageSignature["kind"];
  sign(claim: Claim, signal?: AbortSignal): Promise<ImageSignature>;
  /** Whether that signature is this signer's, and says the same. Without it nobody can tell. */
  hasMade?(signature: ImageSignature, claim: Claim): boolean;
}

/** @throws {InvalidArgumentError} where a key cannot be opened */
export async function openSigners(options: SigningOptions, sources: ConfigSources): Promise<Signer[]> {
  const { gpg, sigstore, creator } = options;
  const signers: Signer[] = [];
  const stamp = () => ({ creator, timestamp: Math.floor(Date.now() / 1000) });
  if (sigstore !== undefined) signers.push(await sigstoreSigner(sigstore, stamp));
  if (gpg !== undefined) signers.push(await gpgSigner(gpg, sources, stamp));
  return signers;
}

type Stamp = () => { creator: string; timestamp: number };

async function sigstoreSigner(
  { keyFile, passphrase }: { keyFile: string; passphrase: string },
  stamp: Stamp,
): Promise<Signer> {
  const what = `"${printable(keyFile)}"`;
  const pem = await Deno.readTextFile(keyFile).catch((cause) => {
    throw new InvalidArgumentError(`read private key ${what}: ${hostReason(cause)}`, { cause });
  });
  const key = readPrivateKey(what, pem, Buffer.from(passphrase));
  const publicKey = readPublicKey(what, Buffer.from(publicPem(key)));
  return {
    kind: "sigstore",
    sign(claim) {
      const payload = makeClaim("sigstore", claim, stamp());
      const annotations = { [SIGSTORE.signature]: signWith(key, payload).toBase64() };
      return Promise.resolve({ kind: "sigstore", mediaType: SIGSTORE.mediaType, payload, annotations });
    },
    hasMade(signature, { digest, reference }) {
      if (signature.kind !== "sigstore" || signature.mediaType !== SIGSTORE.mediaType) return false;
      try {
        const made = Uint8Array.fromBase64(signature.annotations[SIGSTORE.signature] ?? "");
        if (!isSignedBy(publicKey, signature.payload, made)) return false;
        const said = parseClaim("sigstore", signature.payload);
        return said.digest === digest && said.reference === reference;
      } catch (error) {
        if (error instanceof SyntaxError) return false;
        throw error;
      }
    },
  };
}

async function gpgSigner(
  { key, passphraseFile }: { key: string; passphraseFile?: string },
  sources: ConfigSources,
  stamp: Stamp,
): Promise<Signer> {
  if (key.startsWith("-")) {
    throw new InvalidArgumentError(`sign by "${printable(key)}": this is no key's name`);
  }
  const env = gpgUserEnv(sources);
  const known = await runGpg({ args: ["--list-secret-keys", key], input: new Uint8Array(), env });
  if (!known.success) throw gpgFailed(key, known.stderr);
  const unlock = passphraseFile === undefined
    ? []
    : ["--pinentry-mode", "loopback", "--passphrase-file", passphraseFile];
  const args = [...unlock, "--local-user", key, "--output", "-", "--sign"];
  return {
    kind: "simple",
    async sign(claim, signal) {
      const input = makeClaim("simple", claim, stamp());
      const { success, stdout, stderr } = await runGpg({ args, input, env, signal });
      if (success && stdout.length > 0) return { kind: "simple", message: stdout };
      throw gpgFailed(key, stderr);
    },
  };
}

function gpgFailed(key: string, stderr: string): SkiffError {
  const why = stderr.split("\n").findLast((line) => line !== "") ?? "it gives no signature";
  return new SkiffError(`sign by "${printable(key)}": ${printable(why, 200)}`);
}
