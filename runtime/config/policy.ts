/**
 * policy.json: which images may come into the store. Without such a file all may.
 *
 * As strict as where it comes from: what is not understood lets nothing in.
 *
 * @see containers-policy.json(5)
 */

import { InvalidArgumentError, SkiffError } from "../errors.ts";
import { parseStrictJson } from "../spec/strict_json.ts";
import type { SignatureRequirement, UnsupportedRequirement } from "./policy_requirements.ts";
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

export type Requirement =
  | { type: "insecureAcceptAnything" | "reject" }
  | SignatureRequirement
  | UnsupportedRequirement;

export interface Policy {
  path: string;
  /** As it was read. */
  text: string;
  default: Requirement[];
  transports: Record<string, Record<string, Requirement[]>>;
}

/** What signatures have to prove before an image may come in; nothing more is read of it until they do. */
export interface SignatureDemands {
  /** The policy that asks. */
  path: string;
  /** Each must hold; none where no signature is asked for. */
  requirements: SignatureRequirement[];
}

/**
 * @returns what is still to be proven by signatures
 * @throws {SkiffError} where the policy, if there is one, does not let it in whatever its signatures are
 */
export async function checkPolicy(sources: ConfigSources, subject: PolicySubject): Promise<SignatureDemands> {
  const policy = await loadPolicy(sources);
  const path = policy?.path ?? "";
  const requirements: SignatureRequirement[] = [];
  for (const one of policy === undefined ? [] : requirementsFor(policy, subject)) {
    if (one.type === "unsupported") throw one.error;
    if (one.type === "reject") {
      throw new SkiffError(`Source image rejected: Running image ${subject.name} is rejected by policy`, {
        hint: `the policy is ${path}`,
      });
    }
    if (one.type === "signedBy" || one.type === "sigstoreSigned") requirements.push(one);
  }
  return { path, requirements };
}

/** The same of what has no signatures. @throws {SkiffError} also where the policy asks for one */
export async function checkUnsigned(sources: ConfigSources, subject: PolicySubject): Promise<void> {
  const { requirements, path } = await checkPolicy(sources, subject);
  if (requirements.length === 0) return;
  throw new SkiffError("Source image rejected: A signature was required, but no signature exists", {
    hint: `the policy is ${path}`,
  });
}

/** The user's, where podman has it whatever XDG_CONFIG_HOME says, else the machine's. */
export function policyPaths({ home, systemDir }: ConfigSources): [string, string] {
  return [`${home}/.config/containers/policy.json`, `${systemDir}/containers/policy.json`];
}

/** @throws {InvalidArgumentError} where it is not understood */
export async function loadPolicy(sources: ConfigSources): Promise<Policy | undefined> {
  for (const path of policyPaths(sources)) {
    const text = await readOptional(path);
    if (text !== null) return await parsePolicy(path, text);
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

/** What a scope of these transports is; of others any text may be one. */
const SCOPE_RULES: Record<string, (scope: string) => string | undefined> = {
  dir: pathRule,
  oci: pathRule,
  "oci-archive": pathRule,
  "docker-archive": () => `docker-archive: does not support any scopes except the default "" one`,
  tarball: () => `tarball: does not support any scopes except the default "" one`,
};

function pathRule(scope: string): string | undefined {
  if (!scope.startsWith("/")) return `Invalid scope ${scope}: Must be an absolute path`;
  if (scope === "/") return 'Invalid scope "/": Use the generic default scope ""';
  if (/\/\.{0,2}(\/|$)/.test(scope)) return `Invalid scope ${scope}: Uses non-canonical format`;
}

/** @throws {InvalidArgumentError} */
export async function parsePolicy(path: string, text: string): Promise<Policy> {
  const fail = (cause: string) => new InvalidArgumentError(`invalid policy in "${path}": ${cause}`);
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
  const requirement = async (value: unknown, what: string): Promise<Requirement> => {
    const fields = object(value, `a requirement of ${what}`);
    const { type } = fields;
    if (type === "insecureAcceptAnything" || type === "reject") {
      onlyKnown(fields, ["type"]);
      return { type };
    }
    const { parseSignatureRequirement } = await import("./policy_requirements.ts");
    return parseSignatureRequirement(fields, fail);
  };
  const requirements = (value: unknown, what: string): Promise<Requirement[]> => {
    if (!Array.isArray(value) || value.length === 0) throw fail(`${what} is no list of requirements`);
    return Promise.all(value.map((one) => requirement(one, what)));
  };
  let root: unknown;
  try {
    root = parseStrictJson(text);
  } catch (cause) {
    throw fail((cause as Error).message);
  }
  const policy = object(root, "the policy");
  onlyKnown(policy, ["default", "transports"]);
  if (policy.default === undefined) throw fail("Default policy is missing");
  const transports: [string, Record<string, Requirement[]>][] = [];
  for (const [transport, scopes] of Object.entries(object(policy.transports ?? {}, "transports"))) {
    const own: [string, Requirement[]][] = [];
    for (const [scope, list] of Object.entries(object(scopes, transport))) {
      const rule = Object.hasOwn(SCOPE_RULES, transport) ? SCOPE_RULES[transport] : undefined;
      const broken = scope === "" ? undefined : rule?.(scope);
      if (broken !== undefined) throw fail(broken);
      own.push([scope, await requirements(list, `${transport} ${scope}`.trimEnd())]);
    }
    transports.push([transport, Object.fromEntries(own)]);
  }
  return {
    path,
    text,
    default: await requirements(policy.default, "default"),
    transports: Object.fromEntries(transports),
  };
}
