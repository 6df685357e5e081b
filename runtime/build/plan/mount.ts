/**
 * `RUN --mount=…`: its fields read, checked, and filled in.
 *
 * @see Dockerfile reference, "RUN --mount"; BuildKit frontend/dockerfile/instructions/commands_runmount.go
 */

import { InvalidArgumentError } from "../../errors.ts";
import { parseSize } from "../../spec/size.ts";
import type { KeyValue } from "../dockerfile/ast.ts";
import { parseBool } from "../dockerfile/directives.ts";
import type { FileSource, RunMount } from "../step.ts";
import { baseName, cleanPath, resolvePath } from "./paths.ts";

const TYPES = ["bind", "cache", "tmpfs", "secret", "ssh"] as const;
const SHARING = ["shared", "private", "locked"] as const;

/** As written: what is not given is undefined. */
export interface MountFields {
  type: typeof TYPES[number];
  from?: string;
  source?: string;
  target?: string;
  id?: string;
  env?: string;
  readOnly?: boolean;
  required?: boolean;
  sharing?: typeof SHARING[number];
  mode?: number;
  uid?: number;
  gid?: number;
  sizeBytes?: number;
}

type Field = (mount: MountFields, value: string, key: string) => void;

/** What each key does to the mount; the value is expanded already. */
const FIELDS: Readonly<Record<string, Field>> = {
  type(mount, value) {
    const type = TYPES.find((known) => known === value.toLowerCase());
    if (type === undefined) throw invalid(`unsupported mount type "${value}"`);
    mount.type = type;
  },
  from: (mount, value) => mount.from = value,
  ...alike(["source", "src"], (mount, value) => mount.source = value),
  ...alike(["target", "dst", "destination"], (mount, value) => mount.target = value),
  ...alike(["readonly", "ro"], (mount, value, key) => mount.readOnly = readBoolean(value, key)),
  ...alike(["readwrite", "rw"], (mount, value, key) => mount.readOnly = !readBoolean(value, key)),
  required(mount, value, key) {
    if (mount.type !== "secret" && mount.type !== "ssh") throw unexpected(mount, key);
    mount.required = readBoolean(value, key);
  },
  size(mount, value, key) {
    if (mount.type !== "tmpfs") throw unexpected(mount, key);
    mount.sizeBytes = parseSize(value);
    if (mount.sizeBytes === undefined) throw invalid(`invalid value for ${key}: ${value}`);
  },
  id: (mount, value) => mount.id = value,
  sharing(mount, value) {
    const sharing = SHARING.find((known) => known === value.toLowerCase());
    if (sharing === undefined) throw invalid(`unsupported sharing value "${value}"`);
    mount.sharing = sharing;
  },
  mode: (mount, value, key) => mount.mode = readNumber(value, key, 8),
  uid: (mount, value, key) => mount.uid = readNumber(value, key, 10),
  gid: (mount, value, key) => mount.gid = readNumber(value, key, 10),
  env(mount, value, key) {
    if (mount.type !== "secret") throw unexpected(mount, key);
    mount.env = value;
  },
};

/** Keys that may stand without a value. */
const WITHOUT_VALUE = ["readonly", "ro", "readwrite", "rw", "required"];

/**
 * Reads the fields in their order, as a type that comes late does not help a key before it.
 * @param expand variables of the stage
 */
export function parseMountFields(fields: readonly KeyValue[], expand: (word: string) => string): MountFields {
  const mount: MountFields = { type: "bind" };
  for (const { key: written, value } of fields) {
    const key = written.toLowerCase();
    const field = Object.hasOwn(FIELDS, key) ? FIELDS[key] : undefined;
    if (field === undefined) throw invalid(`unexpected key '${key}' in '${written}=${value}'`);
    field(mount, value === "" && WITHOUT_VALUE.includes(key) ? "true" : expand(value), key);
  }
  checkMount(mount);
  return mount;
}

/** Where the mount's files come from by name: undefined is the build context, "" nothing. */
export function mountSource(fields: readonly KeyValue[]): string | undefined {
  const last = (key: string) => fields.findLast((field) => field.key.toLowerCase() === key)?.value;
  const type = last("type")?.toLowerCase() ?? "bind";
  const from = last("from");
  if (from?.match(/\$./)) {
    throw invalid("'from' doesn't support variable expansion, define alias stage instead");
  }
  if (type !== "bind" && type !== "cache") return "";
  return from === undefined || from === "" ? (type === "cache" ? "" : undefined) : from;
}

function checkMount(mount: MountFields): void {
  const { type } = mount;
  for (const key of ["mode", "uid", "gid"] as const) {
    if (mount[key] !== undefined && (type === "bind" || type === "tmpfs")) {
      throw invalid(`${key} not allowed for "${type}" type mounts`);
    }
  }
  if (type === "secret") {
    if (mount.from) throw invalid("secret mount should not have a from");
    if (mount.sharing) throw invalid("secret mount should not define sharing");
    if (!mount.source && !mount.target && !mount.id) {
      throw invalid("invalid secret mount. one of source, target required");
    }
    if (mount.source && mount.id) throw invalid("both source and id can't be set");
  }
  if (mount.sharing && type !== "cache") throw invalid(`invalid cache sharing set for ${type} mount`);
  if (type === "ssh" && mount.source) throw invalid("ssh does not support source");
}

/**
 * Fills in what was not written.
 *
 * @param from of bind and cache: the tree
 * @param sshIndex how many ssh mounts without a target the instruction had before
 */
export function completeMount(
  mount: MountFields,
  from: FileSource,
  workdir: string,
  sshIndex: number,
): RunMount {
  const { uid = 0, gid = 0, required = false } = mount;
  switch (mount.type) {
    case "bind": {
      const readWrite = mount.readOnly === false;
      return {
        type: "bind",
        target: folderTarget(mount, workdir),
        from,
        source: cleanPath(mount.source ?? ""),
        readWrite,
      };
    }
    case "cache":
      return {
        type: "cache",
        target: folderTarget(mount, workdir),
        id: mount.id || cleanId(mount.target ?? ""),
        ...(from.kind !== "scratch" && { from }),
        source: cleanPath(mount.source ?? ""),
        readOnly: mount.readOnly ?? false,
        sharing: mount.sharing ?? "shared",
        mode: mount.mode ?? 0o755,
        uid,
        gid,
      };
    case "tmpfs": {
      const size = mount.sizeBytes === undefined || mount.sizeBytes === 0
        ? {}
        : { sizeBytes: mount.sizeBytes };
      return { type: "tmpfs", target: folderTarget(mount, workdir), ...size };
    }
    case "secret": {
      const id = mount.source || mount.id || baseName(mount.target!);
      const target = mount.target || (mount.env === undefined ? `/run/secrets/${baseName(id)}` : undefined);
      return {
        type: "secret",
        id,
        ...(target !== undefined && { target: resolvePath(workdir, target) }),
        ...(mount.env !== undefined && { env: mount.env }),
        required,
        mode: mount.mode ?? 0o400,
        uid,
        gid,
      };
    }
    case "ssh": {
      const target = mount.target || `/run/buildkit/ssh_agent.${sshIndex}`;
      return {
        type: "ssh",
        id: mount.id || "default",
        target: resolvePath(workdir, target),
        required,
        mode: mount.mode ?? 0o600,
        uid,
        gid,
      };
    }
  }
}

function folderTarget(mount: MountFields, workdir: string): string {
  const target = resolvePath(workdir, mount.target ?? "");
  if (mount.target === undefined || mount.target === "" || target === "/") {
    throw invalid(`invalid mount target "${mount.target ?? ""}"`);
  }
  return target;
}

/** Go's path.Clean: a relative id stays relative. */
function cleanId(target: string): string {
  const clean = cleanPath(target);
  return target.startsWith("/") ? clean : clean.slice(1);
}

/** As Go's strconv.ParseBool has them. */
export function readBoolean(value: string, key: string): boolean {
  const truth = parseBool(value);
  if (truth !== undefined) return truth;
  throw invalid(`invalid value for ${key}: ${value}`);
}

function readNumber(value: string, key: string, base: 8 | 10): number {
  const number = (base === 8 ? /^[0-7]{1,11}$/ : /^\d{1,10}$/).test(value) ? parseInt(value, base) : NaN;
  if (!(number <= 0xffffffff)) throw invalid(`invalid value ${value} for ${key}`);
  return number;
}

function alike(keys: readonly string[], field: Field): Record<string, Field> {
  return Object.fromEntries(keys.map((key) => [key, field]));
}

function unexpected(mount: MountFields, key: string): InvalidArgumentError {
  return invalid(`unexpected key '${key}' for mount type '${mount.type}'`);
}

function invalid(message: string): InvalidArgumentError {
  return new InvalidArgumentError(message);
}
