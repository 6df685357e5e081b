/** Variables of the command line. @see podman-run(1), --env */

/** `KEY=value` as it is, `KEY` with the caller's value or left out, `PREFIX*` all of the caller's. */
export function resolveEnv(words: string[], callerEnv: Record<string, string>): string[] {
  return words.flatMap((word) => {
    if (word.includes("=")) return [word];
    if (word.endsWith("*")) {
      const prefix = word.slice(0, -1);
      return Object.keys(callerEnv).filter((key) => key.startsWith(prefix)).map((key) =>
        `${key}=${callerEnv[key]}`
      );
    }
    const value = callerEnv[word];
    return value === undefined ? [] : [`${word}=${value}`];
  });
}
