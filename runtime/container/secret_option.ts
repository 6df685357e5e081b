/** `--secret SOURCE[,type=mount|env,target=,uid=,gid=,mode=]` as data. @see podman-run(1) */

import { InvalidArgumentError } from "../errors.ts";
import { checkDestination } from "./mount_options.ts";

/** What a container has of a secret. */
export type ContainerSecret =
  /** A file, with what the secret held when the container was made: `containers/<id>/secrets/<secret's id>`. */
  | { kind: "mount"; id: string; name: string; destination: string; uid: number; gid: number; mode: number }
  /** A variable, with what the secret holds when a program starts. */
  | { kind: "env"; name: string; variable: string };

/** The same before the secret was looked up. */
export type SecretRequest =
  | { kind: "mount"; source: string; destination: string; uid: number; gid: number; mode: number }
  | { kind: "env"; source: string; variable: string };

export const SECRETS_FOLDER = "/run/secrets";
const DEFAULT_MODE = 0o444;
const MAX_ID = 2 ** 32 - 2;

export function parseSecret(text: string): SecretRequest {
  const words = text.split(",");
  const isNamed = words.length === 1 || !words[0]!.includes("=");
  const found: Record<string, string> = isNamed ? { source: words.shift()! } : {};
  for (const word of words) {
    const at = word.indexOf("=");
    if (at < 0) throw wrong(`option ${word} must be in form option=value`);
    const name = word.slice(0, at);
    const key = name === "UID" || name === "GID" ? name.toLowerCase() : name;
    if (!OPTIONS.includes(key)) throw wrong(`option ${word} invalid`);
    found[key] = word.slice(at + 1);
  }
  const { source = "", type = "mount", target = "" } = found;
  if (type !== "mount" && type !== "env") throw wrong(`type ${type} is invalid`);
  const ids = {
    uid: parseId("UID", found.uid),
    gid: parseId("GID", found.gid),
    mode: parseMode(found.mode),
  };
  if (source === "") throw wrong(`no source found ${text}`);
  if (type === "mount") {
    const path = target === "" ? source : target;
    const destination = checkDestination(
      path.startsWith("/") ? path : `${SECRETS_FOLDER}/${path}`,
      `use secret "${source}"`,
    );
    return { kind: "mount", source, destination, ...ids };
  }
  if ([found.uid, found.gid, found.mode].some((given) => given !== undefined)) {
    throw wrong("UID, GID, Mode options cannot be set with secret type env");
  }
  const variable = target === "" ? source : target;
  if (/[=\0]/.test(variable)) throw wrong(`target ${variable} is no name of a variable`);
  return { kind: "env", source, variable };
}

const OPTIONS = ["source", "type", "target", "uid", "gid", "mode"];

function parseId(name: string, text = "0"): number {
  if (!/^\d{1,10}$/.test(text) || Number(text) > MAX_ID) throw wrong(`${name} ${text} invalid`);
  return Number(text);
}

function parseMode(text: string | undefined): number {
  if (text === undefined) return DEFAULT_MODE;
  if (!/^[0-7]{1,6}$/.test(text) || parseInt(text, 8) > 0o7777) throw wrong(`mode ${text} invalid`);
  return parseInt(text, 8);
}

function wrong(why: string): InvalidArgumentError {
  return new InvalidArgumentError(`${why}: parsing secret`);
}
