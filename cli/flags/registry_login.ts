/** How a registry is reached, alike for every verb that asks one. */

import { InvalidArgumentError } from "../../runtime/errors.ts";
import type { Flags, Values } from "../command.ts";

export const REGISTRY_FLAGS = {
  authfile: { kind: "string", value: "FILE", help: "Read logins from FILE" },
  "cert-dir": { kind: "string", value: "DIR", help: "Certificates of the registry are in DIR" },
  creds: {
    kind: "string",
    value: "NAME[:PASSWORD]",
    help: "Log in as NAME; other users may see the password in the list of processes",
  },
  "tls-verify": {
    kind: "bool",
    default: true,
    help: "Require HTTPS and verify certificates of registries",
  },
} as const satisfies Flags;

/** What these options come to; --tls-verify only where it was given, for registries.conf may say otherwise. */
export async function registryFrom(
  options: Partial<Values<typeof REGISTRY_FLAGS>>,
  given: ReadonlySet<string>,
): Promise<{
  tlsVerify?: boolean;
  authFile?: string;
  certDir?: string;
  credentials?: { username: string; password: string };
}> {
  return {
    tlsVerify: given.has("tls-verify") ? options["tls-verify"] : undefined,
    authFile: options.authfile,
    certDir: options["cert-dir"],
    credentials: options.creds === undefined ? undefined : await credentialsFrom(options.creds),
  };
}

/** `NAME[:PASSWORD]`; a password that is not given is asked for. */
export async function credentialsFrom(text: string): Promise<{ username: string; password: string }> {
  const colon = text.indexOf(":");
  if (colon === 0 || text === "") throw new InvalidArgumentError("username can't be empty");
  if (colon > 0) return { username: text.slice(0, colon), password: text.slice(colon + 1) };
  const { askHidden } = await import("../terminal/ask.ts");
  return { username: text, password: askHidden("Password: ") };
}
