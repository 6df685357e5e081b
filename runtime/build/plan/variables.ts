/**
 * Variables of a build: what is set where, in the order of their setting.
 *
 * @see Dockerfile reference, "ARG: predefined ARGs", "automatic platform ARGs in the global scope"
 * @see BuildKit frontend/dockerfile/dockerfile2llb/defaultargs.go
 */

import type { Platform } from "../../spec/image.ts";
import { formatPlatform } from "../../image/platform.ts";

/** Names to values; a name that is set again goes to the end, as in BuildKit's lists. */
export class Variables {
  readonly #values: Map<string, string>;

  constructor(values: Iterable<readonly [string, string]> = []) {
    this.#values = new Map(values);
  }

  get(name: string): string | undefined {
    return this.#values.get(name);
  }

  set(name: string, value: string): void {
    this.#values.delete(name);
    this.#values.set(name, value);
  }

  names(): string[] {
    return [...this.#values.keys()];
  }

  copy(): Variables {
    return new Variables(this.#values);
  }

  /** `KEY=value`, as a process gets them. */
  toList(): string[] {
    return Array.from(this.#values, ([name, value]) => `${name}=${value}`);
  }
}

/** `KEY=value` apart; one without `=` has an empty value. */
export function splitVariable(text: string): [name: string, value: string] {
  const at = text.indexOf("=");
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

/** Sets a variable in a config's list, where it stands or at the end. */
export function setInList(list: readonly string[], name: string, value: string): string[] {
  const at = list.findIndex((entry) => splitVariable(entry)[0] === name);
  return at < 0 ? [...list, `${name}=${value}`] : list.with(at, `${name}=${value}`);
}

/** What every Dockerfile may use in FROM, and in a stage after an ARG that names it. */
export function automaticArguments(
  build: Platform,
  target: Platform,
  targetStage: string,
  given: Readonly<Record<string, string>>,
): Variables {
  const of = (prefix: string, platform: Platform): [string, string][] => [
    [`${prefix}PLATFORM`, formatPlatform(platform)],
    [`${prefix}OS`, platform.os],
    [`${prefix}OSVERSION`, platform.osVersion ?? ""],
    [`${prefix}ARCH`, platform.architecture],
    [`${prefix}VARIANT`, platform.variant ?? ""],
  ];
  const all: [string, string][] = [
    ...of("BUILD", build),
    ...of("TARGET", target),
    ["TARGETSTAGE", targetStage],
  ];
  return new Variables(all.map(([name, value]) => [name, argumentOf(given, name) ?? value]));
}

/** A Dockerfile may ask for one called `constructor`, which no object is without. */
export function argumentOf(given: Readonly<Record<string, string>>, name: string): string | undefined {
  return Object.hasOwn(given, name) ? given[name] : undefined;
}

const PROXIES = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"];

/** Proxies among the build's arguments: every RUN has them in both spellings, and nothing remembers them. */
export function proxyVariables(given: Readonly<Record<string, string>>): string[] {
  const values = new Map<string, string>();
  for (const name of Object.keys(given).sort()) {
    if (PROXIES.includes(name.toLowerCase())) values.set(name.toLowerCase(), given[name]!);
  }
  return [...values].flatMap(([name, value]) => [`${name.toUpperCase()}=${value}`, `${name}=${value}`]);
}

/** Arguments that need no ARG to be of use. */
export function isPredefined(name: string): boolean {
  return PROXIES.includes(name.toLowerCase()) || name === "SOURCE_DATE_EPOCH" || name.startsWith("BUILDKIT_");
}
