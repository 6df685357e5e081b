/**
 * `--change` of `import`: instructions of a Dockerfile that alter the config alone. Pure.
 *
 * @see podman-import(1), --change; Dockerfile reference
 */

import { InvalidArgumentError } from "../errors.ts";
import type { ImageRunConfig } from "../spec/image.ts";
import { parseSignal } from "../spec/signal.ts";

type Apply = (config: ImageRunConfig, value: string) => void;

const INSTRUCTIONS: Record<string, Apply> = {
  CMD: (config, value) => void (config.Cmd = execOrShell(value)),
  ENTRYPOINT: (config, value) => void (config.Entrypoint = execOrShell(value)),
  ENV: (config, value) => {
    for (const [key, text] of pairs(value)) {
      config.Env = [...(config.Env ?? []).filter((old) => !old.startsWith(`${key}=`)), `${key}=${text}`];
    }
  },
  EXPOSE: (config, value) => {
    for (const word of words(value)) {
      const [, port, protocol = "tcp"] = /^(\d{1,5})(?:\/(tcp|udp|sctp))?$/.exec(word) ?? [];
      if (port === undefined || Number(port) > 65535) throw new Error(`"${word}" is no port`);
      config.ExposedPorts = { ...config.ExposedPorts, [`${port}/${protocol}`]: {} };
    }
  },
  LABEL: (config, value) => {
    for (const [key, text] of pairs(value)) config.Labels = { ...config.Labels, [key]: text };
  },
  ONBUILD: (config, value) => void (config.OnBuild = [...config.OnBuild ?? [], value]),
  STOPSIGNAL: (config, value) => {
    parseSignal(value);
    config.StopSignal = value;
  },
  USER: (config, value) => void (config.User = value),
  VOLUME: (config, value) => {
    const paths = value.startsWith("[") ? jsonWords(value) : words(value);
    if (paths === undefined) throw new Error("the list is no JSON");
    for (const path of paths) config.Volumes = { ...config.Volumes, [path]: {} };
  },
  WORKDIR: (config, value) => void (config.WorkingDir = value),
};

/** Applies `CMD /bin/sh`, `ENV=a=b`, … in turn. @throws {InvalidArgumentError} naming the change */
export function applyChanges(config: ImageRunConfig, changes: readonly string[]): ImageRunConfig {
  const changed = { ...config };
  for (const change of changes) {
    const [, key, value] = /^\s*([A-Za-z]+)(?:=|\s+)([\s\S]*\S)\s*$/.exec(change) ?? [];
    if (key === undefined || value === undefined) {
      throw new InvalidArgumentError(`invalid change "${change}" - must be formatted as KEY VALUE`);
    }
    const apply = Object.hasOwn(INSTRUCTIONS, key.toUpperCase())
      ? INSTRUCTIONS[key.toUpperCase()]!
      : undefined;
    if (apply === undefined) {
      throw new InvalidArgumentError(`invalid change "${change}" - invalid instruction ${key.toUpperCase()}`);
    }
    try {
      apply(changed, value);
    } catch (cause) {
      throw new InvalidArgumentError(`invalid change "${change}" - ${(cause as Error).message}`, { cause });
    }
  }
  return changed;
}

/** `["a","b"]` is run as it is, anything else by a shell. */
function execOrShell(value: string): string[] {
  return jsonWords(value) ?? ["/bin/sh", "-c", value];
}

function jsonWords(value: string): string[] | undefined {
  if (!value.startsWith("[")) return undefined;
  try {
    const list: unknown = JSON.parse(value);
    return Array.isArray(list) && list.every((item) => typeof item === "string") ? list : undefined;
  } catch {
    return undefined;
  }
}

/** `a=b c="d e"`, or the old `key the whole rest`. */
function pairs(value: string): [key: string, text: string][] {
  if (!/^[^\s=]+=/.test(value)) {
    const [, key, rest] = /^(\S+)\s+([\s\S]+)$/.exec(value) ?? [];
    if (key === undefined || rest === undefined) throw new Error("it needs a key and a value");
    return [[key, unquote(rest)]];
  }
  return words(value).map((word) => {
    const equals = word.indexOf("=");
    if (equals <= 0) throw new Error(`"${word}" is no KEY=VALUE`);
    return [word.slice(0, equals), word.slice(equals + 1)];
  });
}

const WORD = /(?:[^\s"'\\]|\\[\s\S]|"(?:[^"\\]|\\[\s\S])*"|'[^']*')+/y;

/** Blanks divide words, but for those in quotes and behind a backslash. */
function words(value: string): string[] {
  const found: string[] = [];
  for (let at = 0; at < value.length;) {
    if (/\s/.test(value[at]!)) {
      at++;
      continue;
    }
    WORD.lastIndex = at;
    const word = WORD.exec(value)?.[0];
    if (word === undefined) throw new Error("a quote is not closed");
    found.push(unquote(word));
    at = WORD.lastIndex;
  }
  return found;
}

function unquote(text: string): string {
  return text.replace(/'([^']*)'|"((?:[^"\\]|\\[\s\S])*)"|\\([\s\S])/g, (_all, single, double, escaped) => {
    return single ?? double?.replace(/\\(["\\$])/g, "$1") ?? escaped;
  });
}
