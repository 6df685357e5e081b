/**
 * An `inspect` or `info` document as Go templates see it: objects with fixed keys are structs, whose unknown
 * fields are errors; labels and the like are maps; a null list or map is an empty one that is still written
 * as null by `json`.
 */

import { goType } from "./template/fmt.ts";

/** Keys whose values are maps with free keys. */
const MAPS = new Set([
  ...[
    "Labels",
    "Annotations",
    "Ports",
    "PortBindings",
    "Networks",
    "Tmpfs",
    "Sysctls",
    "Data",
    "ExposedPorts",
  ],
  ...["Volumes", "graphOptions", "graphStatus", "CgroupConf"],
]);

/** Null means that there is none, not an empty list. */
const POINTERS = new Set(["Healthcheck", "Health"]);

/** What an image's config leaves out where it is empty. @see image-spec config.md */
const IMAGE_CONFIG = {
  User: "",
  ExposedPorts: null,
  Env: null,
  Entrypoint: null,
  Cmd: null,
  Volumes: null,
  WorkingDir: "",
  Labels: null,
  StopSignal: "",
};

export function containerView(document: object): unknown {
  return view(document, "define.InspectContainerData", "");
}

export function imageView(document: { Config: object }): unknown {
  return view({ ...document, Config: { ...IMAGE_CONFIG, ...document.Config } }, "inspect.ImageData", "");
}

export function versionView(document: object): unknown {
  return view(document, "*define.Version", "");
}

/** Go's names of fields whose JSON names differ by more than the first letter. */
const GO_NAMES: Record<string, string> = {
  cgroupManager: "CgroupManager",
  cgroupVersion: "CgroupsVersion",
  idMappings: "IDMappings",
  ociRuntime: "OCIRuntime",
  uidmap: "UIDMap",
  gidmap: "GIDMap",
  apparmorEnabled: "AppArmorEnabled",
  seccompEnabled: "SECCOMPEnabled",
  seccompProfilePath: "SECCOMPProfilePath",
  selinuxEnabled: "SELinuxEnabled",
  cpus: "CPUs",
  cpuUtilization: "CPUUtilization",
  slirp4netns: "Slirp4NetNS",
  os: "OS",
};

/** `info` is written with JSON names and addressed by Go's: `{{.Host.OCIRuntime.Name}}`. */
export function infoView(document: object): unknown {
  return view(withGoNames(document), "define.Info", "");
}

function withGoNames(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withGoNames);
  if (typeof value !== "object" || value === null) return value;
  const named: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    named[GO_NAMES[key] ?? key.charAt(0).toUpperCase() + key.slice(1)] = withGoNames(item);
  }
  // What `json` writes keeps its names.
  Object.defineProperty(named, "toJSON", { value: () => value, enumerable: false });
  return named;
}

function view(value: unknown, type: string, key: string): unknown {
  if (value === null) return POINTERS.has(key) ? null : emptyOf(key);
  if (Array.isArray(value)) return value.map((item) => view(item, `${type}.item`, ""));
  if (typeof value !== "object") return value;
  if (MAPS.has(key) || (key === "Config" && type.endsWith("LogConfig"))) return inKeyOrder(value);
  const fields = Object.entries(value).map(([name, item]) => [name, view(item, `define.${name}`, name)]);
  const struct = Object.fromEntries(fields);
  struct[goType] = type;
  // Go's name of the field; docker and podman take both
  if ("Id" in struct) Object.defineProperty(struct, "ID", { value: struct.Id, enumerable: false });
  const toJSON = (value as { toJSON?: () => unknown }).toJSON;
  if (toJSON) Object.defineProperty(struct, "toJSON", { value: toJSON, enumerable: false });
  return struct;
}

/** Go writes the keys of a map sorted. A value that is null is an empty list: a port that is exposed only. */
function inKeyOrder(map: object): object {
  return Object.fromEntries(
    Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)).map((
      [key, value],
    ) => [key, value ?? emptyOf("")]),
  );
}

function emptyOf(key: string): object {
  const empty = MAPS.has(key) ? {} : [];
  Object.defineProperty(empty, "toJSON", { value: () => null, enumerable: false });
  return empty;
}
