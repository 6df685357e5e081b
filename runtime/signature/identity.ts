/**
 * Whether the name in a signature is the one that the policy wants: else a genuine signature of another image, or of
 * an older tag, could be played back.
 *
 * @see containers-policy.json(5), signedIdentity
 */

import type { IdentityMatch } from "../config/policy_requirements.ts";
import { formatReference, parseReference, type Reference, repositoryName } from "../image/reference.ts";

/**
 * @param intended the name that the image was asked for by; undefined where it comes without one, as from a folder
 * @param signed text of the signature
 */
export function matchesIdentity(
  match: IdentityMatch,
  intended: Reference | undefined,
  signed: string,
): boolean {
  const found = parsed(signed);
  if (found === undefined) return false;
  switch (match.type) {
    case "exactReference":
      return isSameReference(parsed(match.dockerReference), found);
    case "exactRepository":
      return isSameRepository(parsed(match.dockerRepository), found);
    case "matchRepository":
      return isSameRepository(intended, found);
    case "matchExact":
      return isSameReference(intended, found);
    case "matchRepoDigestOrExact":
      return isRepoDigestOrExact(intended, found);
    case "remapIdentity":
      return isRepoDigestOrExact(intended && remapped(match, intended), found);
  }
}

function isSameRepository(wanted: Reference | undefined, found: Reference): boolean {
  return wanted !== undefined && repositoryName(wanted) === repositoryName(found);
}

function isSameReference(wanted: Reference | undefined, found: Reference): boolean {
  if (wanted === undefined || isNameOnly(wanted) || isNameOnly(found)) return false;
  return formatReference(wanted) === formatReference(found);
}

/** Who asks by digest gets what has that digest: the tag in the signature then says nothing. */
function isRepoDigestOrExact(wanted: Reference | undefined, found: Reference): boolean {
  if (wanted === undefined || isNameOnly(found)) return false;
  if (wanted.tag === undefined && wanted.digest !== undefined) return isSameRepository(wanted, found);
  return isSameReference(wanted, found);
}

function remapped(
  { prefix, signedPrefix }: { prefix: string; signedPrefix: string },
  intended: Reference,
): Reference | undefined {
  const name = repositoryName(intended);
  if (name !== prefix && !name.startsWith(`${prefix}/`)) return intended;
  return parsed(signedPrefix + formatReference(intended).slice(prefix.length));
}

function isNameOnly({ tag, digest }: Reference): boolean {
  return tag === undefined && digest === undefined;
}

function parsed(text: string): Reference | undefined {
  // a scheme is no part of a reference, though our parser forgives one
  if (text.includes("://")) return undefined;
  try {
    return parseReference(text);
  } catch {
    return undefined;
  }
}
