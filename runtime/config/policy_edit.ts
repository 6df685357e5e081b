/**
 * Changes one scope of a policy.json, and leaves the rest as it is. The text that comes out is podman's to the byte.
 *
 * @see podman-image-trust(1)
 */

import { InvalidArgumentError } from "../errors.ts";
import { parseStrictJson } from "../spec/strict_json.ts";

export const TRUST_TYPES = ["accept", "reject", "signedBy", "sigstoreSigned"] as const;
export type TrustType = (typeof TRUST_TYPES)[number];

export interface TrustChange {
  /** `default`, or a scope of registries: `quay.io/team`. */
  scope: string;
  type: TrustType;
  /** Each of them must have signed. */
  keyPaths: readonly string[];
}

type Scopes = Record<string, unknown>;

/** @param text of the policy, undefined where there is none @throws {InvalidArgumentError} */
export function editPolicy(text: string | undefined, change: TrustChange): string {
  const { default: fallback, transports: before } = parse(text) as {
    default?: unknown[];
    transports?: Record<string, Scopes> | null;
  };
  const transports = before ?? {};
  const requirements = requirementsOf(change);
  if (change.scope === "default") return format({ default: requirements, transports });
  if (fallback === undefined) throw new InvalidArgumentError("default trust policy must be set");
  const known = Object.keys(transports).find((name) => Object.hasOwn(transports[name]!, change.scope));
  const transport = known ?? "docker";
  const scopes = { ...transports[transport], [change.scope]: requirements };
  return format({ default: fallback, transports: { ...transports, [transport]: scopes } });
}

function requirementsOf({ type, keyPaths }: TrustChange): object[] {
  if (type === "accept" || type === "reject") {
    if (keyPaths.length > 0) {
      throw new InvalidArgumentError(
        `${keyPaths.length} public keys unexpectedly provided for trust type ${type}`,
      );
    }
    return [{ type: type === "accept" ? "insecureAcceptAnything" : type }];
  }
  if (keyPaths.length === 0) {
    throw new InvalidArgumentError(`at least one public key must be defined for type '${type}'`);
  }
  const keyType = type === "signedBy" ? { keyType: "GPGKeys" } : {};
  return keyPaths.map((keyPath) => ({ type, ...keyType, keyPath }));
}

function parse(text: string | undefined): object {
  return text === undefined ? {} : parseStrictJson(text) as object;
}

function format(policy: { default: unknown; transports: Record<string, Scopes> }): string {
  const transports = sorted(policy.transports, (scopes) => sorted(scopes));
  const isEmpty = Object.keys(transports).length === 0;
  return JSON.stringify({ default: policy.default, ...isEmpty ? {} : { transports } }, undefined, 4);
}

function sorted<T>(table: Record<string, T>, inner: (value: T) => T = (value) => value): Record<string, T> {
  return Object.fromEntries(
    Object.keys(table).sort().map((key) => [key, inner(table[key]!)]),
  );
}
