/**
 * `WWW-Authenticate`: what a registry wants to see.
 *
 * @see RFC 9110, 11.6.1; distribution-spec, "Token Authentication Specification"
 */

export interface Challenge {
  /** Lower case. */
  scheme: string;
  /** Names in lower case. */
  parameters: Record<string, string>;
}

const SCHEME = /[A-Za-z][A-Za-z0-9._-]*/y;
const PARAMETER = /([A-Za-z][A-Za-z0-9._-]*)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))/y;
const SPACE = /[ \t]+/y;
const COMMAS = /[ \t,]*/y;

/** Reads every challenge of a header; what cannot be read ends the list. Linear in the header's length. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: Challenge[] = [];
  let at = 0;
  const match = (pattern: RegExp) => {
    pattern.lastIndex = at;
    const found = pattern.exec(header);
    if (found !== null) at = pattern.lastIndex;
    return found;
  };
  for (;;) {
    match(COMMAS);
    const scheme = match(SCHEME);
    if (scheme === null) return challenges;
    const parameters: Record<string, string> = {};
    challenges.push({ scheme: scheme[0].toLowerCase(), parameters });
    if (match(SPACE) === null) continue;
    for (;;) {
      const parameter = match(PARAMETER);
      if (parameter === null) break;
      const value = parameter[2]?.replace(/\\(.)/g, "$1") ?? parameter[3] ?? "";
      const name = parameter[1]!.toLowerCase();
      // The first one counts: a second realm is no better than a second Host.
      if (!Object.hasOwn(parameters, name)) {
        Object.defineProperty(parameters, name, { value, enumerable: true });
      }
      match(COMMAS);
    }
  }
}
