/** The options of `pod create` as the engine wants them. @see podman-pod-create(1) */

import type { PodCreateOptions, SharedNamespace } from "../../runtime/engine/pods/options.ts";
import { InvalidArgumentError, UnsupportedError } from "../../runtime/errors.ts";
import type { Flags, Values } from "../command.ts";
import { type CallerFacts, parseEntrypoint, parseLabels } from "./create.ts";
import { MORE_CREATE_FLAGS, moreOptions } from "./create_more.ts";

/** Those of a container that mean the same of a pod. */
function alike<Name extends keyof typeof MORE_CREATE_FLAGS>(...names: Name[]) {
  return Object.fromEntries(names.map((name) => [name, MORE_CREATE_FLAGS[name]])) as unknown as Pick<
    typeof MORE_CREATE_FLAGS,
    Name
  >;
}

/** Of `pod create` and `pod clone`. */
export const POD_FLAGS = {
  ...alike("device", "pid", "sysctl", "uts"),
  hostname: { kind: "string", short: "h", value: "NAME", help: "Host name of the pod (default its name)" },
  "infra-command": { kind: "string", value: "COMMAND", help: "Program of the infra container" },
  "infra-conmon-pidfile": {
    kind: "string",
    value: "FILE",
    help: "Write the process id of the infra container's monitor to FILE",
  },
  "infra-name": { kind: "string", value: "NAME", help: "Name of the infra container (default ID-infra)" },
  label: { kind: "array", short: "l", value: "KEY=VALUE", help: "Set a label" },
  "label-file": { kind: "list", value: "FILE", help: "Read labels from FILE, one a line" },
  restart: {
    kind: "string",
    value: "POLICY",
    help:
      "Restart policy of containers that have none of their own: no, always, unless-stopped, on-failure[:N]",
  },
  "security-opt": { kind: "array", value: "OPTION", help: "As of run, for all containers of the pod" },
  "shm-size": { kind: "string", value: "SIZE", help: "Size of the pod's /dev/shm (default 64m)" },
  userns: { kind: "string", value: "MODE", help: "User namespace of the pod's containers, as of run" },
  volume: {
    kind: "array",
    short: "v",
    value: "[SOURCE:]TARGET[:OPTS]",
    help: "Mount a host folder or a named volume in all containers of the pod",
  },
  "volumes-from": {
    kind: "array",
    value: "CONTAINER[:OPTS]",
    help: "The same with the volumes of a container",
  },
} as const satisfies Flags;

/** Of `pod create` only. */
export const POD_NETWORK_FLAGS = {
  ...alike("add-host", "dns", "dns-option", "dns-search", "hosts-file", "no-hosts"),
  ...alike("ip", "ip6", "mac-address", "network-alias", "publish"),
  network: {
    kind: "array",
    value: "NETWORK",
    aliases: ["net"],
    help: "Network of the pod, as of run: slirp, none, host, container:NAME, ns:PATH, … or NAME of networks",
  },
} as const satisfies Flags;

const SHARABLE: readonly SharedNamespace[] = ["ipc", "net", "pid", "uts"];
const BY_DEFAULT: readonly SharedNamespace[] = ["ipc", "net", "uts"];

/** `ipc,net`, `none`, or with `+` what comes to the default; undefined where nothing is said. */
export function parseShare(text: string | undefined): SharedNamespace[] | undefined {
  if (text === undefined) return undefined;
  const adds = text.startsWith("+");
  const words = (adds ? text.slice(1) : text).split(",").map((word) => word.trim()).filter((word) =>
    word !== ""
  );
  const shared = new Set<SharedNamespace>(adds ? BY_DEFAULT : []);
  for (const word of words) {
    if (word === "none") continue;
    if (word === "cgroup") {
      throw new UnsupportedError("share the cgroup namespace: containers have no cgroup of their own");
    }
    if (!(SHARABLE as readonly string[]).includes(word)) {
      throw new InvalidArgumentError(
        `invalid kernel namespace to share: ${word}. Options are: cgroup, ipc, net, pid, uts or none`,
      );
    }
    shared.add(word as SharedNamespace);
  }
  return [...shared];
}

/** What `pod create` and `pod clone` have in common; what was not given is undefined. */
export function podOptions(
  options: Values<typeof POD_FLAGS>,
  given: ReadonlySet<string>,
  caller: CallerFacts,
): Omit<PodCreateOptions, "name"> {
  const list = (words: string[]) => words.length > 0 ? words : undefined;
  const labels = parseLabels(options.label, options["label-file"], caller.readFile);
  return {
    ...moreOptions(options, given) as PodCreateOptions,
    hostname: options.hostname,
    infraCommand: parseEntrypoint(options["infra-command"]),
    conmonPidFile: options["infra-conmon-pidfile"],
    infraName: options["infra-name"],
    labels: Object.keys(labels).length > 0 ? labels : undefined,
    restart: options.restart,
    securityOpt: list(options["security-opt"]),
    shmSize: options["shm-size"],
    userns: options.userns || undefined,
    volumes: list(options.volume),
    volumesFrom: list(options["volumes-from"]),
    createCommand: caller.commandLine,
  };
}
