/** `--log-opt` beyond `path` and `max-size`. @see Docker's json-file and journald drivers: labels, env; podman-run(1): tag */

import { InvalidArgumentError, UnsupportedError } from "../errors.ts";

/** Of the container, for the attributes. */
export interface LogSubject {
  id: string;
  name: string;
  imageName: string;
  imageId: string;
  labels: Record<string, string>;
  env: readonly string[];
}

export interface LogOptions {
  /** What is left for the usual keys. */
  rest: string[];
  /** Of journald: a template that is filled in at each start. */
  tag?: string;
  /** Gives what stands beside each line; undefined where nothing is asked for. */
  attributes?: (subject: LogSubject) => Record<string, string>;
}

/** Keys that this file knows. */
export const MORE_LOG_KEYS = /^(tag|labels|labels-regex|env|env-regex|max-file)=/;

type Pick = (subject: LogSubject) => [string, string][];

export function parseLogOptions(words: readonly string[], driver: string): LogOptions {
  const rest: string[] = [];
  const picks: Pick[] = [];
  let tag: string | undefined;
  for (const word of words) {
    const key = MORE_LOG_KEYS.exec(word)?.[1];
    const value = word.slice(word.indexOf("=") + 1);
    if (key === undefined) {
      rest.push(word);
      continue;
    }
    if (key === "max-file") {
      if (value === "2") continue;
      throw new UnsupportedError(
        `set log option "${word}": the log and one file before it are kept, which is 2`,
      );
    }
    // nothing is written that it could stand beside
    if (key === "tag" && /^(none|passthrough(-tty)?)$/.test(driver)) continue;
    if (driver !== "json-file" && driver !== "journald") {
      throw new UnsupportedError(
        `set log option "${word}": only the log drivers journald and json-file have a place for it`,
      );
    }
    // podman's fields are those of inspect, which is not there yet
    if (key === "tag" && driver === "journald") tag = value;
    else picks.push(PICKS[key]!(word, value));
  }
  const found = { rest, ...(tag && { tag }) };
  if (picks.length === 0) return found;
  return { ...found, attributes: (subject) => Object.fromEntries(picks.flatMap((pick) => pick(subject))) };
}

const PICKS: Record<string, (word: string, value: string) => Pick> = {
  tag: (word, value) => {
    checkTag(word, value);
    return (subject) => [["tag", fillTag(value, subject)]];
  },
  labels: (_, value) => byNames(value.split(","), ({ labels }) => Object.entries(labels)),
  env: (_, value) => byNames(value.split(","), ({ env }) => env.map(splitVariable)),
  "labels-regex": (word, value) => byPattern(word, value, ({ labels }) => Object.entries(labels)),
  "env-regex": (word, value) => byPattern(word, value, ({ env }) => env.map(splitVariable)),
};

function byNames(names: string[], all: Pick): Pick {
  return (subject) => all(subject).filter(([name]) => names.includes(name));
}

function byPattern(word: string, text: string, all: Pick): Pick {
  let pattern: RegExp;
  try {
    pattern = new RegExp(text);
  } catch (cause) {
    throw new InvalidArgumentError(`set log option "${word}": it is no regular expression`, { cause });
  }
  return (subject) => all(subject).filter(([name]) => pattern.test(name));
}

function splitVariable(word: string): [string, string] {
  const at = word.indexOf("=");
  return [word.slice(0, at), word.slice(at + 1)];
}

/** @see docker documentation, customize log driver output */
const TAG_FIELDS: Record<string, (subject: LogSubject) => string> = {
  ID: ({ id }) => id.slice(0, 12),
  FullID: ({ id }) => id,
  Name: ({ name }) => name,
  ImageID: ({ imageId }) => imageId.slice(0, 12),
  ImageFullID: ({ imageId }) => imageId,
  ImageName: ({ imageName }) => imageName,
  DaemonName: () => "skiff",
};

const FIELD = /\{\{\s*\.(\w+)\s*\}\}/g;

function checkTag(word: string, tag: string): void {
  const unknown = [...tag.matchAll(FIELD)].find(([, name]) => !Object.hasOwn(TAG_FIELDS, name!))?.[1];
  if (unknown !== undefined) {
    throw new InvalidArgumentError(`set log option "${word}": unknown field ${unknown}`);
  }
  if (tag.replace(FIELD, "").includes("{{")) {
    throw new UnsupportedError(`set log option "${word}": only fields such as {{.Name}} are known`);
  }
}

function fillTag(tag: string, subject: LogSubject): string {
  return tag.replace(FIELD, (_, name: string) => TAG_FIELDS[name]!(subject));
}
