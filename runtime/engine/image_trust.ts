/** `image trust`: shows policy.json, and changes it. @see podman-image-trust(1) */

import { loadPolicy, parsePolicy, policyPaths } from "../config/policy.ts";
import { editPolicy, type TrustChange } from "../config/policy_edit.ts";
import { loadRegistriesD, type RegistriesD } from "../config/registries_d.ts";
import { type ConfigSources, configSources, readOptional } from "../config/sources.ts";
import { hostReason, InvalidArgumentError, NotFoundError } from "../errors.ts";
import { printable } from "../spec/printable.ts";

export { TRUST_TYPES, type TrustType } from "../config/policy_edit.ts";

export interface TrustPlaces {
  /** Instead of the user's policy, else the machine's. */
  policy?: string;
  /** Instead of registries.d. */
  registries?: string;
}

/** One requirement. */
export interface TrustEntry {
  /** `all`, `repository`, or what the policy calls it. */
  transport: string;
  /** `default`, or a scope; none where it is for a whole transport. */
  name?: string;
  /** `accept`, `reject`, `signed`, `sigstoreSigned`. */
  type: string;
  /** Addresses of those whose keys are trusted, or that these have none. */
  signers?: string;
  /** Where simple signatures are read. */
  lookaside?: string;
}

const SHOWN_TYPES: Record<string, string> = {
  insecureAcceptAnything: "accept",
  signedBy: "signed",
};

/** What the policy says, scope by scope; without a policy everything is accepted. */
export async function trustEntries(places: TrustPlaces = {}): Promise<TrustEntry[]> {
  const sources = configSources();
  const policy = await readPolicy(sources, places);
  const registries = await loadRegistriesD(sources, places.registries);
  // checked by its reader, so that all of it is there
  const { default: fallback, transports: all } = JSON.parse(
    policy?.text ?? '{"default":[{"type":"insecureAcceptAnything"}]}',
  ) as {
    default: Requirement[];
    transports?: Record<string, Record<string, Requirement[]>> | null;
  };
  const transports = all ?? {};
  const rows = async (transport: string, name: string | undefined, list: Requirement[]) =>
    await Promise.all(list.map(async (one): Promise<TrustEntry> => ({
      transport,
      name,
      type: SHOWN_TYPES[one.type] ?? one.type,
      signers: await signersOf(one),
      lookaside: lookasideOf(registries, name),
    })));
  const shown = await rows("all", "default", fallback);
  for (const transport of Object.keys(transports).sort()) {
    const scopes = transports[transport]!;
    const title = transport === "docker" ? "repository" : transport;
    for (const scope of Object.keys(scopes).sort()) {
      shown.push(...await rows(title, scope === "" ? undefined : scope, scopes[scope]!));
    }
  }
  return shown;
}

/** The text of the policy that counts. @throws {NotFoundError} where there is none */
export async function trustText(places: TrustPlaces = {}): Promise<string> {
  const policy = await readPolicy(configSources(), places);
  if (policy !== undefined) return policy.text;
  const path = places.policy ?? policyPaths(configSources())[0];
  throw new NotFoundError("file", path, {
    message: `read policy "${path}": there is none, all images are accepted`,
  });
}

/**
 * Changes one scope of the policy: the user's, or for root the machine's where root has none. A user's first one begins
 * as a copy of the machine's, for which it stands from then on.
 */
export async function setTrust(change: TrustChange, places: TrustPlaces = {}): Promise<void> {
  const sources = configSources();
  const { scope } = change;
  // what names no registry nor repository there would never apply
  if (!/^(\*\.)?[A-Za-z0-9[][^\s@]*(@sha256:[0-9a-f]{64})?$/.test(scope)) {
    throw new InvalidArgumentError(`invalid image uri: ${printable(scope)}`);
  }
  const keyPaths = await Promise.all(change.keyPaths.map(keyPath));
  const before = await readPolicy(sources, places);
  const [own, machine] = policyPaths(sources);
  const path = places.policy ?? (sources.isRoot ? before?.path ?? machine : own);
  const text = editPolicy(before?.text, { ...change, keyPaths });
  await parsePolicy(path, text);
  await writeWhole(path, text);
}

interface Requirement {
  type: string;
  keyPath?: string;
  keyPaths?: string[];
  keyData?: string;
}

async function readPolicy(sources: ConfigSources, { policy }: TrustPlaces) {
  if (policy === undefined) return await loadPolicy(sources);
  const text = await readOptional(policy);
  return text === null ? undefined : await parsePolicy(policy, text);
}

/** Whose the keys are, where gpg can tell. */
async function signersOf(requirement: Requirement): Promise<string | undefined> {
  if (requirement.type === "sigstoreSigned") return "N/A";
  if (requirement.type !== "signedBy") return undefined;
  const { keyOwners } = await import("../signature/gpg_owners.ts");
  const { keyPath, keyPaths = [], keyData } = requirement;
  const rings = [...keyPath === undefined ? [] : [keyPath], ...keyPaths].map((path) =>
    Deno.readFile(path).catch(() => new Uint8Array())
  );
  if (keyData !== undefined) rings.push(Promise.resolve(Uint8Array.fromBase64(keyData)));
  const owners = await keyOwners(await Promise.all(rings));
  return owners.length === 0 ? undefined : owners.map((owner) => printable(owner, 100)).join(", ");
}

/** Of the namespace that the scope lies in, else of all others. */
function lookasideOf({ fallback, docker }: RegistriesD, scope: string | undefined): string | undefined {
  for (let rest = scope ?? ""; rest !== ""; rest = rest.slice(0, Math.max(0, rest.lastIndexOf("/")))) {
    const found = docker.get(rest);
    if (found !== undefined) return found.lookaside || found.sigstore;
  }
  return fallback?.lookaside || fallback?.sigstore;
}

/** policy.json is read from anywhere, so that its paths begin at the root. */
async function keyPath(path: string): Promise<string> {
  const whole = path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
  const info = await Deno.stat(whole).catch((cause) => {
    throw new InvalidArgumentError(`trust key "${printable(path)}": ${hostReason(cause)}`, { cause });
  });
  if (!info.isFile) throw new InvalidArgumentError(`trust key "${printable(path)}": it is no file`);
  return whole;
}

/** Whole or not at all: half a policy would let nothing in, or too much. A file that is a link stays one. */
async function writeWhole(path: string, text: string): Promise<void> {
  const target = await Deno.realPath(path).catch(() => path);
  const temporary = `${target}.${crypto.randomUUID()}`;
  try {
    await Deno.mkdir(target.slice(0, target.lastIndexOf("/")) || "/", { recursive: true });
    using file = await Deno.open(temporary, { write: true, createNew: true, mode: 0o644 });
    await file.write(new TextEncoder().encode(text));
    await file.sync();
    await Deno.rename(temporary, target);
  } catch (cause) {
    await Deno.remove(temporary).catch(() => {});
    throw new InvalidArgumentError(`write ${path}: ${hostReason(cause)}`, { cause });
  }
}
