/** The options that `run` and `create` share, and what they ask of the engine. @see podman-create(1) */

import type { CreateOptions, PullPolicy } from "../../runtime/engine/options.ts";
import { hostReason, InvalidArgumentError } from "../../runtime/errors.ts";
import { gpuDevices } from "../../runtime/spec/cdi_name.ts";
import type { Flags, Values } from "../command.ts";
import { LIFECYCLE_FLAGS, lifecycleOptions } from "./lifecycle.ts";
import { resolveEnv } from "./env.ts";
import { MORE_CREATE_FLAGS, moreOptions } from "./create_more.ts";
import { DETACH_KEYS, ENV, ENV_FILE, INTERACTIVE, PRIVILEGED, TTY, USER, WORKDIR } from "./process.ts";
import { PLATFORM_FLAGS, platformFrom } from "./platform.ts";

export const CREATE_FLAGS = {
  "cap-add": { kind: "list", value: "CAP", help: "Add a capability, or ALL" },
  "cap-drop": { kind: "list", value: "CAP", help: "Drop a capability, or ALL" },
  cidfile: { kind: "string", value: "FILE", help: "Write the container's id to FILE" },
  "conmon-pidfile": { kind: "string", value: "FILE", help: "Write the monitor's process id to FILE" },
  ...DETACH_KEYS,
  entrypoint: {
    kind: "string",
    value: "COMMAND",
    help: 'Replace the image\'s entrypoint: a command, or a JSON list such as ["sh","-c"]',
  },
  ...ENV,
  ...ENV_FILE,
  "group-add": { kind: "list", value: "GROUP", help: "Add the process to a group" },
  hostname: { kind: "string", short: "h", value: "NAME", help: "Host name of the container" },
  "image-volume": {
    kind: "string",
    value: "MODE",
    help: "What the image's volumes become: anonymous (default; also bind), tmpfs or ignore",
  },
  init: { kind: "bool", help: "Run a small init that forwards signals and reaps processes" },
  ...INTERACTIVE,
  label: { kind: "array", short: "l", value: "KEY=VALUE", help: "Set a label" },
  "label-file": { kind: "list", value: "FILE", help: "Read labels from FILE, one a line" },
  "log-driver": {
    kind: "string",
    value: "DRIVER",
    help: "k8s-file, json-file, journald, none, passthrough or passthrough-tty",
  },
  "log-opt": {
    kind: "list",
    value: "KEY=VALUE",
    help: "Option of the log driver: max-size=10m, path=FILE, tag=TEMPLATE",
  },
  mount: {
    kind: "array",
    value: "type=TYPE,KEY=VALUE,…",
    help: "Mount a bind, volume, tmpfs, image or devpts: source=, target=, ro, …",
  },
  name: { kind: "string", value: "NAME", help: "Name of the container" },
  network: {
    kind: "array",
    value: "NETWORK",
    aliases: ["net"],
    help:
      "Network: slirp[:OPTIONS] (default), none, host, container:NAME, ns:PATH, pasta or slirp4netns[:OPTIONS], or networks: NAME[:ip=…,mac=…,alias=…]",
  },
  pidfile: { kind: "string", value: "FILE", help: "Write the process id of the container's program to FILE" },
  ...PLATFORM_FLAGS,
  ...LIFECYCLE_FLAGS,
  ...PRIVILEGED,
  pull: {
    kind: "string",
    value: "POLICY",
    bare: "always",
    choices: ["always", "missing", "never", "newer", "true", "false"],
    help: "When to pull the image: always, missing, never or newer (default missing)",
  },
  quiet: { kind: "bool", short: "q", help: "Show no progress of a pull" },
  pod: { kind: "string", value: "POD", help: "Put it into a pod; new:NAME makes one" },
  "pod-id-file": { kind: "string", value: "FILE", help: "The same, with the pod's id in FILE" },
  "read-only": { kind: "bool", help: "Make the root filesystem read-only" },
  replace: { kind: "bool", help: "Remove a container that has the same name first" },
  rm: { kind: "bool", help: "Remove the container when it ends" },
  rootfs: { kind: "bool", help: "The first argument is a folder with a root filesystem, not an image" },
  "security-opt": {
    kind: "array",
    value: "OPTION",
    help: "seccomp=unconfined or FILE, apparmor=PROFILE, no-new-privileges, mask=PATH, unmask=PATH",
  },
  "shm-size": { kind: "string", value: "SIZE", help: "Size of /dev/shm (default 64m)" },
  "stop-signal": { kind: "string", value: "SIGNAL", help: "Signal that stops the container" },
  "stop-timeout": {
    kind: "uint",
    value: "SECONDS",
    help: "Seconds to wait before a stop kills (default 10)",
  },
  "tls-verify": { kind: "bool", default: true, help: "Require HTTPS and verify certificates of registries" },
  tmpfs: { kind: "array", value: "TARGET[:OPTS]", help: "Mount a temporary filesystem" },
  ...TTY,
  ulimit: { kind: "list", value: "NAME=SOFT[:HARD]", help: "Set a resource limit of processes" },
  ...USER,
  userns: {
    kind: "string",
    value: "MODE",
    help: "User namespace: host, keep-id[:uid=U,gid=G], nomap, auto[:size=N], container:ID, ns:PATH",
  },
  volume: {
    kind: "array",
    short: "v",
    value: "[SOURCE:]TARGET[:OPTS]",
    help: "Mount a host folder or a named volume",
  },
  "volume-driver": {
    kind: "string",
    value: "DRIVER",
    help: "Who keeps new volumes: local, or a volume plugin",
  },
  "volumes-from": {
    kind: "array",
    value: "CONTAINER[:OPTS]",
    help: "Mount the volumes of another container; ro makes them read-only",
  },
  ...WORKDIR,
  ...MORE_CREATE_FLAGS,
  // What is given as the only thing there is so far, or asks for nothing.
  cgroups: {
    kind: "string",
    only: ["disabled"],
    help: "Containers have no cgroup of their own",
    hidden: true,
  },
  "pids-limit": { kind: "string", only: ["-1", "0"], help: "Without a limit", hidden: true },
  isolation: { kind: "string", only: ["default", ""], help: "Isolation technology", hidden: true },
  "disable-content-trust": { kind: "bool", help: "Of Docker, without effect", hidden: true },
} as const satisfies Flags;

export type CreateValues = Values<typeof CREATE_FLAGS>;

/** What the options depend on besides themselves; the caller's world, for tests to replace. */
export interface CallerFacts {
  env: Record<string, string>;
  readFile(path: string): string;
  /** The whole command line, for `inspect`. */
  commandLine: string[];
}

/** The words of `run`/`create` as the engine wants them. @throws {InvalidArgumentError} */
export function toCreateOptions(
  options: CreateValues,
  given: ReadonlySet<string>,
  args: string[],
  caller: CallerFacts,
): CreateOptions {
  const [image = "", ...command] = args;
  if (options.replace && !options.name) {
    throw new InvalidArgumentError("cannot replace container without --name being set");
  }
  if (image === "") throw new InvalidArgumentError("invalid reference format");
  return {
    image,
    command,
    rootfs: options.rootfs,
    name: options.name,
    pod: podOf(options, caller.readFile),
    replace: options.replace,
    pull: pullPolicy(options.pull),
    platform: platformFrom(options),
    tlsVerify: given.has("tls-verify") ? options["tls-verify"] : undefined,
    quiet: options.quiet,
    env: resolveEnv(options.env, caller.env),
    envFiles: options["env-file"],
    volumes: options.volume,
    tmpfs: options.tmpfs,
    mounts: options.mount,
    volumesFrom: options["volumes-from"],
    volumeDriver: options["volume-driver"] || undefined,
    imageVolume: options["image-volume"],
    workdir: options.workdir,
    user: options.user,
    groupAdd: options["group-add"],
    entrypoint: parseEntrypoint(options.entrypoint),
    hostname: options.hostname,
    // what is not given may have its default from containers.conf
    init: given.has("init") ? options.init : undefined,
    readOnly: given.has("read-only") ? options["read-only"] : undefined,
    cidfile: options.cidfile,
    pidFile: options.pidfile,
    conmonPidFile: options["conmon-pidfile"],
    labels: parseLabels(options.label, options["label-file"], caller.readFile),
    lifecycle: lifecycleOptions(options),
    stopSignal: options["stop-signal"],
    stopTimeout: options["stop-timeout"],
    detachKeys: options["detach-keys"],
    privileged: given.has("privileged") ? options.privileged : undefined,
    capAdd: options["cap-add"],
    capDrop: options["cap-drop"],
    securityOpt: options["security-opt"],
    ulimits: options.ulimit,
    shmSize: options["shm-size"],
    network: options.network[0] || undefined,
    networks: options.network.length > 1 ? options.network.slice(1) : undefined,
    userns: options.userns === "" ? undefined : options.userns,
    tty: options.tty,
    interactive: options.interactive,
    autoRemove: options.rm,
    logDriver: options["log-driver"],
    logOpt: options["log-opt"],
    createCommand: given.has("decryption-key")
      ? caller.commandLine.map(withoutPassphrase)
      : caller.commandLine,
    ...moreOptions(options, given),
    ...(options.gpus.length > 0 && { devices: [...options.device, ...gpuDevices(options.gpus)] }),
  };
}

/** Of `--decryption-key FILE:PASSPHRASE`, in one word or two: the command line is kept with the container. */
function withoutPassphrase(word: string, at: number, words: readonly string[]): string {
  if (words[at - 1] === "--decryption-key") return word.replace(/:.*/s, "");
  return word.replace(/^(--decryption-key=[^:]*):.*/s, "$1");
}

function podOf(
  { pod, "pod-id-file": file }: CreateValues,
  readFile: CallerFacts["readFile"],
): string | undefined {
  if (file === undefined) return pod || undefined;
  if (pod) throw new InvalidArgumentError("cannot specify both --pod and --pod-id-file");
  return readPodIdFile(file, readFile);
}

/** The id that `pod create --pod-id-file` has written. */
export function readPodIdFile(path: string, readFile: CallerFacts["readFile"]): string {
  try {
    return readFile(path).split("\n")[0]!.trim();
  } catch (cause) {
    throw new InvalidArgumentError(`reading pod ID file: open ${path}: ${hostReason(cause)}`, { cause });
  }
}

function pullPolicy(text: string | undefined): PullPolicy | undefined {
  // podman also takes the words of a bool
  if (text === "true") return "always";
  if (text === "false") return "missing";
  return text as PullPolicy | undefined;
}

/** A JSON list, or one word that is the whole command; an empty text takes the image's away. */
export function parseEntrypoint(text: string | undefined): string[] | undefined {
  if (text === undefined) return undefined;
  if (text === "") return [];
  if (!text.trimStart().startsWith("[")) return [text];
  try {
    const words: unknown = JSON.parse(text);
    if (Array.isArray(words) && words.every((word) => typeof word === "string")) return words;
  } catch {
    // What is no JSON is the name of a command, however strange.
  }
  return [text];
}

/** Labels of files first, then of the command line. `KEY` alone is an empty value. */
export function parseLabels(
  words: string[],
  files: string[],
  readFile: (path: string) => string,
): Record<string, string> {
  const labels: Record<string, string> = Object.create(null);
  for (const line of [...files.flatMap((path) => readLabelFile(path, readFile)), ...words]) {
    const at = line.indexOf("=");
    const key = at < 0 ? line : line.slice(0, at);
    if (key === "") throw new InvalidArgumentError(`invalid label format: "${line}"`);
    labels[key] = at < 0 ? "" : line.slice(at + 1);
  }
  return { ...labels };
}

function readLabelFile(path: string, readFile: (path: string) => string): string[] {
  let text: string;
  try {
    text = readFile(path);
  } catch (cause) {
    throw new InvalidArgumentError(`read label file "${path}": ${hostReason(cause)}`, { cause });
  }
  return text.split("\n").map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#"));
}
