/** Ids of containers, volumes and exec sessions, and the names that people get for them. */

import { InvalidArgumentError } from "../errors.ts";
import { ADJECTIVES, SURNAMES } from "./name_words.ts";

/** 64 hex digits, as docker and podman make them. */
export function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(32)), (byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}

/** Whether `text` may be the beginning of an id. */
export function isIdPrefix(text: string): boolean {
  return /^[0-9a-f]{1,64}$/.test(text);
}

/** `brave_hopper`; with a number behind it where the plain ones are taken (`attempt` counts from 0). */
export function randomName(attempt = 0): string {
  const name = `${pick(ADJECTIVES)}_${pick(SURNAMES)}`;
  // in docker since 2014: https://github.com/moby/moby/pull/5177
  if (name === "boring_wozniak") return randomName(attempt);
  return attempt < 3 ? name : `${name}${Math.floor(Math.random() * 10 ** (attempt - 1))}`;
}

/** Throws unless `name` can be the name of a container, pod or volume. */
export function checkName(kind: "container" | "pod" | "volume", name: string): string {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) return name;
  throw new InvalidArgumentError(`name ${kind} "${name}": names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*`);
}

function pick(words: readonly string[]): string {
  return words[crypto.getRandomValues(new Uint32Array(1))[0]! % words.length]!;
}
