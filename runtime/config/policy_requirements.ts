/**
 * What policy.json asks of signatures: whose keys, and for which image they must have been made. Read only where a
 * policy asks for any.
 *
 * @see containers-policy.json(5), "Policy Requirements"
 */

import { UnsupportedError } from "../errors.ts";

/** A file with keys, or what is in one. */
export type KeySource = { path: string } | { data: Uint8Array<ArrayBuffer> };

/** What the signed name must be, compared with the name that the user gave. */
export type IdentityMatch =
  | { type: "matchExact" | "matchRepoDigestOrExact" | "matchRepository" }
  | { type: "exactReference"; dockerReference: string }
  | { type: "exactRepository"; dockerRepository: string }
  | { type: "remapIdentity"; prefix: string; signedPrefix: string };

export interface SignedBy {
  type: "signedBy";
  /** Rings of OpenPGP keys, any of which may have signed. */
  keys: KeySource[];
  identity: IdentityMatch;
}

export interface SigstoreSigned {
  type: "sigstoreSigned";
  /** Public keys in PEM, any of which may have signed. */
  keys: KeySource[];
  /** Of transparency logs; where there are any, one of them must have seen the signature. */
  rekorKeys: KeySource[];
  identity: IdentityMatch;
}

export type SignatureRequirement = SignedBy | SigstoreSigned;

/** What is understood, but cannot be verified: it lets nothing in, and stops no image of another scope. */
export interface UnsupportedRequirement {
  type: "unsupported";
  error: UnsupportedError;
}

type Fields = Record<string, unknown>;
type Fail = (cause: string) => Error;

const KEY_TYPES = ["GPGKeys", "signedByGPGKeys", "X509Certificates", "signedByX509CAs"];

/** Keys of each kind of requirement besides `type`. */
const REQUIREMENT_KEYS: Record<string, readonly string[]> = {
  signedBy: ["keyType", "keyPath", "keyPaths", "keyData", "signedIdentity"],
  signedBaseLayer: ["baseLayerIdentity"],
  sigstoreSigned: [
    ..."keyPath keyPaths keyData keyDatas fulcio pki signedIdentity".split(" "),
    ..."rekorPublicKeyPath rekorPublicKeyPaths rekorPublicKeyData rekorPublicKeyDatas".split(" "),
  ],
};

const IDENTITY_KEYS: Record<string, readonly string[]> = {
  matchExact: [],
  matchRepoDigestOrExact: [],
  matchRepository: [],
  exactReference: ["dockerReference"],
  exactRepository: ["dockerRepository"],
  remapIdentity: ["prefix", "signedPrefix"],
};

/** @param fail makes the error that names the file @throws what `fail` makes, for what is not understood */
export function parseSignatureRequirement(
  fields: Fields,
  fail: Fail,
): SignatureRequirement | UnsupportedRequirement {
  const type = fields.type;
  if (typeof type !== "string" || !Object.hasOwn(REQUIREMENT_KEYS, type)) {
    throw fail(`Unknown policy requirement type ${JSON.stringify(type)}`);
  }
  onlyKnown(fields, REQUIREMENT_KEYS[type]!, fail);
  switch (type) {
    case "signedBy":
      return parseSignedBy(fields, fail);
    case "sigstoreSigned":
      return parseSigstoreSigned(fields, fail);
    default:
      if (fields.baseLayerIdentity === undefined) throw fail("baseLayerIdentity not specified");
      parseIdentity(fields.baseLayerIdentity, fail);
      return unsupported("signedBaseLayer was never built by anybody");
  }
}

function parseSignedBy(fields: Fields, fail: Fail): SignedBy | UnsupportedRequirement {
  const { keyType } = fields;
  if (typeof keyType !== "string" || !KEY_TYPES.includes(keyType)) {
    throw fail(`Unrecognized keyType value ${JSON.stringify(keyType ?? "")}`);
  }
  const keys = readKeys(fields, "key", fail);
  if (keys.used.length !== 1) throw fail("exactly one of keyPath, keyPaths and keyData must be specified");
  const identity = parseIdentity(fields.signedIdentity, fail);
  if (keyType !== "GPGKeys") return unsupported(`Unimplemented "keyType" value "${keyType}"`);
  return { type: "signedBy", keys: keys.sources, identity };
}

function parseSigstoreSigned(fields: Fields, fail: Fail): SigstoreSigned | UnsupportedRequirement {
  const keys = readKeys(fields, "key", fail);
  const authorities = ["fulcio", "pki"].filter((name) => fields[name] !== undefined);
  if (keys.used.length + authorities.length !== 1) {
    throw fail("exactly one of keyPath, keyPaths, keyData, keyDatas, fulcio, and pki must be specified");
  }
  const rekor = readKeys(fields, "rekorPublicKey", fail);
  if (rekor.used.length > 1) {
    throw fail(
      "at most one of rekorPublicKeyPath, rekorPublicKeyPaths, rekorPublicKeyData and rekorPublicKeyDatas " +
        "can be used simultaneously",
    );
  }
  const identity = parseIdentity(fields.signedIdentity, fail);
  if (authorities.length > 0) {
    return unsupported(
      `sigstoreSigned by ${authorities[0]} needs certificates of an authority, which are not verified`,
      "name the key of the signer: keyPath",
    );
  }
  return { type: "sigstoreSigned", keys: keys.sources, rekorKeys: rekor.sources, identity };
}

/** `keyPath`, `keyPaths`, `keyData`, `keyDatas`: which of them are there, and what they name. */
function readKeys(fields: Fields, prefix: string, fail: Fail): { used: string[]; sources: KeySource[] } {
  const used = ["Path", "Paths", "Data", "Datas"].map((end) => prefix + end)
    .filter((name) => fields[name] !== undefined);
  const sources = used.flatMap((name) => {
    const isList = name.endsWith("s");
    const value = fields[name];
    const list = isList ? value : [value];
    if (!Array.isArray(list) || !list.every((one) => typeof one === "string")) {
      throw fail(`${name} is no ${isList ? "list of texts" : "text"}`);
    }
    if (list.length === 0) throw fail(`${name} contains no entries`);
    return list.map((one): KeySource => {
      if (!/Datas?$/.test(name)) {
        if (one === "") throw fail(`${name} is empty`);
        return { path: one };
      }
      try {
        return { data: Uint8Array.fromBase64(one, { lastChunkHandling: "strict" }) };
      } catch {
        throw fail(`${name} is not base64`);
      }
    });
  });
  return { used, sources };
}

function parseIdentity(value: unknown, fail: Fail): IdentityMatch {
  if (value === undefined) return { type: "matchRepoDigestOrExact" };
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw fail("signedIdentity is no object");
  }
  const fields = value as Fields;
  const { type } = fields;
  if (typeof type !== "string" || !Object.hasOwn(IDENTITY_KEYS, type)) {
    throw fail(`Unknown policy reference match type ${JSON.stringify(type)}`);
  }
  const keys = IDENTITY_KEYS[type]!;
  onlyKnown(fields, keys, fail);
  for (const key of keys) {
    if (typeof fields[key] !== "string" || fields[key] === "") throw fail(`${key} of ${type} is no text`);
  }
  if (type === "exactReference" && !/[:@][^/]*$/.test(fields.dockerReference as string)) {
    throw fail(`dockerReference ${JSON.stringify(fields.dockerReference)} contains neither a tag nor digest`);
  }
  return fields as IdentityMatch;
}

function onlyKnown(fields: Fields, known: readonly string[], fail: Fail): void {
  const unknown = Object.keys(fields).find((key) => key !== "type" && !known.includes(key));
  if (unknown !== undefined) throw fail(`Unknown key ${JSON.stringify(unknown)}`);
}

function unsupported(why: string, hint?: string): UnsupportedRequirement {
  return { type: "unsupported", error: new UnsupportedError(`Source image rejected: ${why}`, { hint }) };
}
