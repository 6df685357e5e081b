/**
 * `--mount TYPE,KEY=VALUE,…` as data, with the keys of docker and podman. Loaded where the option is used.
 *
 * @see podman-run(1), --mount; docker run, --mount
 */

import { InvalidArgumentError } from "../errors.ts";
import { splitFields } from "../spec/csv.ts";
import { parseSize } from "../spec/size.ts";
import { checkName } from "../state/ids.ts";
import {
  absolutePath,
  type BindMount,
  checkDestination,
  cleanPath,
  type ContainerMount,
  FLAG_GROUPS,
  PROPAGATIONS,
  readOptions,
  readTmpfsOptions,
  type VolumeMount,
} from "./mount_options.ts";

type MountType = "bind" | "glob" | "volume" | "tmpfs" | "ramfs" | "image" | "devpts";

/** `type=glob`: what the pattern `mount.source` matches is looked up when the container is created. */
export interface GlobMount {
  kind: "glob";
  mount: BindMount;
  /** The folder for what matches; without it everything appears at its own path. */
  target?: string;
  /** As the user wrote it. */
  text: string;
}

/** What the keys of one `--mount` came to. */
interface MountFlag {
  text: string;
  type: MountType;
  source?: string;
  target?: string;
  subpath?: string;
  /** Words as `-v` and `--tmpfs` have them. */
  words: string[];
  make?: VolumeMount["make"];
  keepsLinks?: boolean;
}

/** Other spellings of a key. */
const SYNONYMS: Record<string, string> = {
  src: "source",
  dst: "target",
  destination: "target",
  ro: "readonly",
  U: "chown",
  readwrite: "rw",
  nocopy: "volume-nocopy",
  propagation: "bind-propagation",
  "volume-subpath": "subpath",
  "image-subpath": "subpath",
};

/** Of a bind: what is mounted below it keeps its access. */
const TOP_ONLY = "x-skiff.top-only";

const COMMON = ["type", "target", "readonly", "rw"];
const FLAGS = Object.keys(FLAG_GROUPS);

const BIND = [
  ...COMMON,
  ...FLAGS,
  "source",
  "bind-propagation",
  "bind-nonrecursive",
  "bind-recursive",
  "no-dereference",
  "relabel",
  "chown",
  "consistency",
  "idmap",
];
const MEMORY = [
  ...COMMON,
  ...FLAGS,
  "tmpfs-size",
  "tmpfs-mode",
  "tmpcopyup",
  "notmpcopyup",
  "chown",
  "consistency",
];

/** What each type understands besides `type` and `target`. */
const KEYS: Record<MountType, readonly string[]> = {
  bind: BIND,
  glob: BIND,
  volume: [
    ...COMMON,
    ...FLAGS,
    "source",
    "chown",
    "relabel",
    "subpath",
    "volume-nocopy",
    "volume-driver",
    "volume-opt",
    "volume-label",
    "consistency",
    "idmap",
  ],
  tmpfs: [...MEMORY, "noswap"],
  ramfs: MEMORY,
  image: [...COMMON, "source", "subpath", "consistency", "idmap"],
  devpts: ["type", "target", "uid", "gid", "mode", "max"],
};

/** Parses one `--mount`. An image's layers are still to be looked up. `workingFolder` completes a source. */
export function parseMount(text: string, workingFolder: string): ContainerMount | GlobMount {
  const flag = readMountFlag(text);
  if (flag.type === "glob") return parseGlob(flag, workingFolder);
  const fail = (cause: string) => new InvalidArgumentError(`${action(text)}: ${cause}`);
  if (flag.target === undefined) {
    throw fail(
      flag.type === "image"
        ? "must set source and destination for image volume"
        : "must set volume destination",
    );
  }
  const destination = checkDestination(flag.target, action(text));
  switch (flag.type) {
    case "tmpfs":
    case "ramfs": {
      const isGiven = flag.words.includes("U");
      const words = flag.words.filter((word) => word !== "U");
      return {
        kind: "tmpfs",
        ...(flag.type === "ramfs" && { type: "ramfs" as const }),
        destination,
        ...readTmpfsOptions(words, action(text)),
        ...(isGiven && { giveToUser: true }),
      };
    }
    case "devpts":
      return { kind: "devpts", destination, readOnly: false, options: flag.words };
    case "image": {
      if (!flag.source) throw fail("must set source and destination for image volume");
      const { idmap } = readOptions(text, flag.words);
      return {
        kind: "image",
        image: flag.source,
        diffIds: [],
        destination,
        // unlike the others it cannot be written unless that is asked for
        readOnly: !flag.words.includes("rw"),
        options: [],
        subpath: flag.subpath,
        ...(idmap !== undefined && { idmap }),
      };
    }
    case "bind":
      return bindOf(flag, absolutePath(flag.source ?? destination, workingFolder), destination);
    case "volume":
      if (flag.source) checkName("volume", flag.source);
      return {
        kind: "volume",
        name: flag.source ?? "",
        destination,
        ...readOptions(text, flag.words),
        anonymous: !flag.source,
        subpath: flag.subpath,
        ...(flag.make && { make: flag.make }),
      };
  }
}

function bindOf({ text, words, keepsLinks }: MountFlag, source: string, destination: string): BindMount {
  const { copyUp: _, ...rest } = readOptions(text, words.filter((word) => word !== TOP_ONLY));
  if (words.includes(TOP_ONLY)) rest.options.push(TOP_ONLY);
  return { kind: "bind", source, destination, ...rest, ...(keepsLinks && { keepsLinks }) };
}

function parseGlob(flag: MountFlag, workingFolder: string): GlobMount {
  if (!flag.source) throw new InvalidArgumentError(`${action(flag.text)}: must set source glob`);
  const target = flag.target === undefined ? undefined : cleanPath(flag.target);
  if (target !== undefined && !flag.target!.startsWith("/")) {
    checkDestination(flag.target!, action(flag.text));
  }
  const source = flag.source.startsWith("/") ? flag.source : `${workingFolder}/${flag.source}`;
  return { kind: "glob", mount: bindOf(flag, source, ""), target, text: flag.text };
}

function readMountFlag(text: string): MountFlag {
  const fields = splitFields(text).map((field) => {
    const at = field.indexOf("=");
    const key = at < 0 ? field : field.slice(0, at);
    return { key: SYNONYMS[key] ?? key, spelled: key, value: at < 0 ? undefined : field.slice(at + 1) };
  });
  // docker takes a mount without a type for a volume
  const type = fields.find(({ key }) => key === "type")?.value ?? "volume";
  if (!Object.hasOwn(KEYS, type)) {
    throw new InvalidArgumentError(`${action(text)}: invalid filesystem type "${type}"`);
  }
  const flag: MountFlag = { text, type: type as MountType, words: [] };
  const seen = new Set<string>();
  for (const { key, spelled, value } of fields) {
    if (type === "tmpfs" && key === "source") {
      throw new InvalidArgumentError(`${action(text)}: source is not supported with tmpfs mounts`);
    }
    if (!KEYS[flag.type].includes(key)) {
      throw new InvalidArgumentError(`${action(text)}: ${spelled}: invalid mount option`);
    }
    const group = key === "rw" ? "readonly" : key;
    if (seen.has(group) && !group.startsWith("volume-")) {
      throw new InvalidArgumentError(`${action(text)}: cannot pass '${spelled}' option more than once`);
    }
    seen.add(group);
    readKey(flag, key, spelled, value);
  }
  checkRecursion(flag, fields.find(({ key }) => key === "bind-recursive")?.value);
  return flag;
}

/** docker's rules for what lies below a read-only bind mount. @see docker run, --mount, bind-recursive */
function checkRecursion({ text, words }: MountFlag, value: string | undefined): void {
  if (value !== "readonly" && value !== "writable") return;
  if (!words.includes("ro")) {
    throw new InvalidArgumentError(`${action(text)}: option 'bind-recursive=${value}' requires 'readonly'`);
  }
  const propagation = words.find((word) => PROPAGATIONS.includes(word)) ?? "rprivate";
  if (value === "readonly" && propagation !== "rprivate") {
    throw new InvalidArgumentError(
      `${action(text)}: option 'bind-recursive=readonly' requires 'bind-propagation=rprivate'`,
    );
  }
}

function readKey(flag: MountFlag, key: string, spelled: string, value: string | undefined): void {
  const needed = () => {
    if (value) return value;
    throw new InvalidArgumentError(`${action(flag.text)}: ${spelled}: must provide an argument for option`);
  };
  const isTrue = () => {
    if (value === undefined || /^(1|t|true)$/i.test(value)) return true;
    if (/^(0|f|false)$/i.test(value)) return false;
    throw new InvalidArgumentError(
      `${action(flag.text)}: ${spelled}: invalid value "${value}", must be a bool`,
    );
  };
  const reject = (cause: string) => new InvalidArgumentError(`${action(flag.text)}: ${cause}`);
  switch (key) {
    case "type":
      return;
    case "source":
      // an empty one asks for an anonymous volume
      flag.source = flag.type === "volume" ? value : needed();
      return;
    case "target":
      flag.target = needed();
      return;
    case "subpath":
      flag.subpath = needed();
      return;
    case "readonly":
      flag.words.push(isTrue() ? "ro" : "rw");
      return;
    case "rw":
      flag.words.push(isTrue() ? "rw" : "ro");
      return;
    case "chown":
      if (isTrue()) flag.words.push("U");
      return;
    case "bind-propagation":
      if (!PROPAGATIONS.includes(needed())) throw reject(`invalid option type "${value}"`);
      flag.words.push(value!);
      return;
    case "bind-nonrecursive":
      flag.words.push(isTrue() ? "bind" : "rbind");
      return;
    case "bind-recursive":
      if (value === "disabled") flag.words.push("bind");
      else if (value === "writable") flag.words.push(TOP_ONLY);
      else if (value !== "enabled" && value !== "readonly") {
        throw reject(`bind-recursive: invalid value "${value}"`);
      }
      return;
    case "no-dereference":
      flag.keepsLinks = isTrue();
      return;
    case "relabel":
      if (value !== "shared" && value !== "private") {
        throw reject("relabel mount option must be 'private' or 'shared': invalid mount option");
      }
      flag.words.push(value === "shared" ? "z" : "Z");
      return;
    case "consistency":
      return;
    case "volume-nocopy":
      flag.words.push(isTrue() ? "nocopy" : "copy");
      return;
    case "volume-driver":
      (flag.make ??= { options: {}, labels: {} }).driver = needed();
      return;
    case "volume-opt":
    case "volume-label": {
      const [name, ...rest] = needed().split("=");
      if (key === "volume-opt" && rest.length === 0) throw reject("cannot parse driver opts");
      const make = flag.make ??= { options: {}, labels: {} };
      make[key === "volume-opt" ? "options" : "labels"][name!] = rest.join("=");
      return;
    }
    case "idmap":
      // ranges, or as older podman has it: true or false
      if (value !== undefined && /^[ug]ids=/.test(value)) flag.words.push(`idmap=${value}`);
      else if (isTrue()) flag.words.push("idmap");
      return;
    case "tmpfs-size":
      if (parseSize(needed()) === undefined && !/^\d+%$/.test(value!)) {
        throw reject(`invalid size: "${value}"`);
      }
      flag.words.push(`size=${/%$/.test(value!) ? value : parseSize(value!)}`);
      return;
    case "tmpfs-mode":
      if (!/^[0-7]{1,5}$/.test(needed())) throw reject(`invalid tmpfs-mode "${value}"`);
      flag.words.push(`mode=${value!.slice(-4)}`);
      return;
    case "mode":
      if (!/^[0-7]{1,4}$/.test(needed())) throw reject(`invalid mode "${value}"`);
      flag.words.push(`mode=${value}`);
      return;
    case "uid":
    case "gid":
    case "max":
      if (!/^\d{1,9}$/.test(needed())) throw reject(`${key}: invalid number "${value}"`);
      flag.words.push(`${key}=${value}`);
      return;
    default:
      if (isTrue()) flag.words.push(key);
  }
}

function action(text: string): string {
  return `mount "${text}"`;
}
