/** Options of what reads and makes encrypted images. @see podman-pull(1), podman-push(1) */

import type { Encryption } from "../../runtime/engine/encrypted_push.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { printable } from "../../runtime/spec/printable.ts";
import type { Flags, Values } from "../command.ts";

export const DECRYPTION_FLAGS = {
  "decryption-key": {
    kind: "array",
    value: "FILE[:PASSPHRASE]",
    help:
      "Decrypt layers by the private key in FILE; its passphrase may be file=FILE, so that nobody sees it",
  },
} as const satisfies Flags;

export const ENCRYPTION_FLAGS = {
  "encryption-key": {
    kind: "array",
    value: "PROTOCOL:KEY",
    help:
      "Encrypt layers for jwe:FILE (a public key), pkcs7:FILE (a certificate) or pgp:NAME (a key of gpg's)",
  },
  "encrypt-layer": {
    kind: "list",
    value: "NUMBER",
    help: "Encrypt that layer alone: 0 is the first, -1 the last (default: all)",
  },
} as const satisfies Flags;

export function encryptionFrom(options: Values<typeof ENCRYPTION_FLAGS>): Encryption | undefined {
  const { "encryption-key": keys, "encrypt-layer": numbers } = options;
  if (keys.length === 0) {
    if (numbers.length === 0) return undefined;
    throw new InvalidArgumentError("--encrypt-layer: there is no --encryption-key to encrypt for");
  }
  const strange = numbers.find((text) => !/^[+-]?\d{1,9}$/.test(text));
  if (strange !== undefined) {
    throw new InvalidArgumentError(`--encrypt-layer: ${JSON.stringify(printable(strange))} is no number`);
  }
  return { keys, layers: numbers.length === 0 ? undefined : numbers.map(Number) };
}
