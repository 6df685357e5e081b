/**
 * policy.json: which images may come into the store. Without such a file all may.
 *
 * As strict as where it comes from: what is not understood lets nothing in.
 *
 * @see containers-policy.json(5)
 */

import { InvalidArgumentError, SkiffError, UnsupportedError } from "../errors.ts";
import { type ConfigSources, readOptional } from "./sources.ts";

/** `docker` is a registry's. */
export type PolicyTransport = "docker" | "docker-archive" | "oci-archive" | "oci" | "dir" | "tarball";

/** Where an image comes from. */
export interface PolicySubject {
  transport: PolicyTransport;
  /** As messages name it: `docker://quay.io/a/b:latest`. */
  name: string;
  /** From the most specific to the most general. */
  scopes: string[];
}

interface Requirement {
  type: string;
}

export interface Policy {
  path: string;
  default: Requirement[];
  transports: Record<string, Record<string, Requirement[]>>;
}

/** @throws {SkiffError} where the policy, if there is one, does not let it in */
export async function checkPolicy(sources: ConfigSources, subject: PolicySubject): Promise<void> {
  const policy = await loadPolicy(sources);
  if (policy === undefined) return;
  for (const { type } of requirementsFor(policy, subject)) {
    if (type === "insecureAcceptAnything") continue;
    if (type === "reject") {
      throw new SkiffError(`Source image rejected: Running image ${subject.name} is rejected by policy`, {
        hint: `the policy is ${policy.path}`,
      });
    }
    throw new UnsupportedError(
      `Source image rejected: ${policy.path} asks for signatures (${type}) of ${subject.name}, which skiff cannot verify yet`,
    );
  }
}

/** The user's, else the machine's. @throws {InvalidArgumentError} where it is not understood */
export async function loadPolicy(
  { configHome, systemDir, isRoot }: ConfigSources,
): Promise<Policy | undefined> {
  const paths = [`${configHome}/containers/policy.json`, `${systemDir}/containers/policy.json`];
  for (const path of isRoot ? paths.slice(1) : paths) {
    const text = await readOptional(path);
    if (text !== null) return parsePolicy(path, text);
  }
}

/** Of the most specific scope that has any. */
export function requirementsFor(policy: Policy, { transport, scopes }: PolicySubject): Requirement[] {
  const own = Object.hasOwn(policy.transports, transport) ? policy.transports[transport]! : {};
  const scope = [...scopes, ""].find((one) => Object.hasOwn(own, one));
  return scope === undefined ? policy.default : own[scope]!;
}

/** `quay.io/a/b:tag`, `quay.io/a/b`, `quay.io/a`, `quay.io`, `*.io`. */
export function dockerScopes(repository: string, tagOrDigest: string): string[] {
  const scopes = [`${repository}${tagOrDigest}`];
  let rest = repository;
  for (let at = rest.length; at > 0; at = rest.lastIndexOf("/")) scopes.push(rest = rest.slice(0, at));
  for (let dot = rest.indexOf("."); dot >= 0; dot = rest.indexOf(".")) {
    rest = rest.slice(dot + 1);
    scopes.push(`*.${rest}`);
  }
  return scopes;
}

/** An absolute path and the folders around it. */
export function pathScopes(path: string): string[] {
  const scopes: string[] = [];
  for (let rest = path; rest.length > 1; rest = rest.slice(0, rest.lastIndexOf("/"))) scopes.push(rest);
  return scopes;
}

/** Keys of each kind of requirement besides `type`. */
const REQUIREMENT_KEYS: Record<string, readonly string[]> = {
  insecureAcceptAnything: [],
  reject: [],
  signedBy: ["keyType", "keyPath", "keyPaths", "keyData", "signedIdentity"],
  signedBaseLayer: ["baseLayerIdentity"],
  sigstoreSigned: [
    "keyPath",
    "keyPaths",
    "keyData",
    "keyDatas",
    "fulcio",
    "pki",
    "rekorPublicKeyPath",
    "rekorPublicKeyPaths",
    "rekorPublicKeyData",
    "rekorPublicKeyDatas",
    "signedIdentity",
  ],
};

export function parsePolicy(path: string, text: string): Policy {
  const fail = (cause: string) => new InvalidArgumentError(`invalid policy in "${path}": ${cause}`);
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch (cause) {
    throw fail((cause as Error).message);
  }
  const object = (value: unknown, what: string): Record<string, unknown> => {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
    throw fail(`${what} is no object`);
  };
  const onlyKnown = (value: Record<string, unknown>, known: readonly string[]) => {
    const unknown = Object.keys(value).find((key) => !known.includes(key));
    if (unknown !== undefined) throw fail(`Unknown key ${JSON.stringify(unknown)}`);
  };
  const requirements = (value: unknown, what: string): Requirement[] => {
    if (!Array.isArray(value) || value.length === 0) throw fail(`${what} is no list of requirements`);
    return value.map((one) => {
      const requirement = object(one, `a requirement of ${what}`);
      const { type } = requirement;
      if (typeof type !== "string" || !Object.hasOwn(REQUIREMENT_KEYS, type)) {
        throw fail(`Unknown policy requirement type ${JSON.stringify(type)}`);
      }
      onlyKnown(requirement, ["type", ...REQUIREMENT_KEYS[type]!]);
      return { type };
    });
  };
  const policy = object(root, "the policy");
  onlyKnown(policy, ["default", "transports"]);
  if (policy.default === undefined) throw fail("Default policy is missing");
  const transports: Policy["transports"] = {};
  for (const [transport, scopes] of Object.entries(object(policy.transports ?? {}, "transports"))) {
    transports[transport] = Object.fromEntries(
      Object.entries(object(scopes, transport)).map(([scope, list]) => [
        scope,
        requirements(list, `${transport} ${scope}`.trimEnd()),
      ]),
    );
  }
  return { path, default: requirements(policy.default, "default"), transports };
}
