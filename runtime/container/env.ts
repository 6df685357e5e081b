/** The environment of a container: who overrides whom, and the format of `--env-file`. */

import { InvalidArgumentError } from "../errors.ts";

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Merges `KEY=value` words, later lists winning: our defaults, the image's, the files', the user's. A key keeps
 * the place where it first appeared.
 */
export function mergeEnv(
  lists: {
    /** Of the caller, beneath the image's. */
    host?: string[];
    image: string[];
    /** Removes and changes what is there before the files' and the user's. */
    edit?: (env: Map<string, string>) => void;
    files: string[];
    user: string[];
  },
  facts: { tty: boolean; hostname: string },
): string[] {
  const merged = new Map<string, string>();
  const add = (word: string) => {
    const at = word.indexOf("=");
    if (at <= 0) throw new InvalidArgumentError(`set environment: invalid variable "${word}"`);
    if (word.includes("\0")) {
      throw new InvalidArgumentError(`set environment: variable "${word.slice(0, at)}" holds a zero byte`);
    }
    merged.set(word.slice(0, at), word.slice(at + 1));
  };
  add(`PATH=${DEFAULT_PATH}`);
  if (facts.tty) add("TERM=xterm");
  // systemd(1) inside asks for this one; https://systemd.io/CONTAINER_INTERFACE
  add("container=oci");
  add(`HOSTNAME=${facts.hostname}`);
  for (const word of lists.host ?? []) add(word);
  // an image may hold words without "=": docker drops them
  for (const word of lists.image) if (word.indexOf("=") > 0) add(word);
  if (lists.edit) {
    lists.edit(merged);
    if (!merged.has("HOSTNAME")) add(`HOSTNAME=${facts.hostname}`);
  }
  for (const word of [...lists.files, ...lists.user]) add(word);
  return Array.from(merged, ([key, value]) => `${key}=${value}`);
}

/**
 * Reads an environment file: a variable a line, taken literally (no quotes, no escapes), `#` begins a
 * comment line, and a bare KEY takes the caller's value, or is left out where the caller has none.
 * @see podman-run(1), --env-file
 */
export function parseEnvFile(
  text: string,
  path: string,
  callerValue: (key: string) => string | undefined,
): string[] {
  const words: string[] = [];
  for (const [index, raw] of text.replace(/^\uFEFF/, "").split("\n").entries()) {
    const line = raw.replace(/\r$/, "").replace(/^\s+/, "");
    if (line === "" || line.startsWith("#")) continue;
    const at = line.indexOf("=");
    const key = at < 0 ? line.trimEnd() : line.slice(0, at);
    if (key === "" || /\s/.test(key)) {
      throw new InvalidArgumentError(
        `read environment file "${path}": line ${index + 1}: invalid variable "${key}"`,
      );
    }
    if (at >= 0) words.push(line);
    else {
      const value = callerValue(key);
      if (value !== undefined) words.push(`${key}=${value}`);
    }
  }
  return words;
}
