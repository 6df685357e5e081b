/**
 * JSON that decides about trust: what JSON.parse() passes over in silence, the same key twice in an object, is an
 * error. Two readers of such a text could disagree about what it says.
 */

/** @throws SyntaxError for what is no JSON, or has a key twice */
export function parseStrictJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  // it is JSON, so that its strings and brackets can be told by their looks
  const open: (Set<string> | null)[] = [];
  for (const [token, , isKey] of text.matchAll(/("(?:[^"\\]|\\.)*")(\s*:)?|[{}[\]]/g)) {
    if (token === "{") open.push(new Set());
    else if (token === "[") open.push(null);
    else if (token === "}" || token === "]") open.pop();
    else if (isKey !== undefined) {
      const key: string = JSON.parse(token.slice(0, token.lastIndexOf('"') + 1));
      const keys = open.at(-1)!;
      if (keys.has(key)) throw new SyntaxError(`Duplicate key ${JSON.stringify(key)}`);
      keys.add(key);
    }
  }
  return value;
}

/** @throws SyntaxError for what is no JSON object with exactly these keys */
export function exactFields<const K extends string>(value: unknown, keys: readonly K[]): Record<K, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new SyntaxError("it is no JSON object");
  }
  const unknown = Object.keys(value).find((key) => !keys.some((known) => known === key));
  if (unknown !== undefined) throw new SyntaxError(`Unknown key ${JSON.stringify(unknown)}`);
  const missing = keys.find((key) => !Object.hasOwn(value, key));
  if (missing !== undefined) throw new SyntaxError(`Key ${JSON.stringify(missing)} missing`);
  return value as Record<K, unknown>;
}
