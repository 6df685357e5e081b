/** Changes to a list of `KEY=value`. Pure. */

export interface EnvChange {
  /** `KEY=value`; of a bare `KEY` the value is empty. */
  set: readonly string[];
  /** Keys. */
  unset: readonly string[];
}

/** In place where the key is known, else at the end. What is set and unset is unset, as with podman. */
export function changeEnv(env: readonly string[], { set, unset }: EnvChange): string[] {
  const values = new Map(env.map((word) => [keyOf(word), word]));
  for (const word of set) values.set(keyOf(word), word.includes("=") ? word : `${word}=`);
  for (const key of unset) values.delete(key);
  return [...values.values()];
}

function keyOf(word: string): string {
  const at = word.indexOf("=");
  return at === -1 ? word : word.slice(0, at);
}
