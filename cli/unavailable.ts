/**
 * What docker and podman have and skiff has not yet: so that the answer names the gap instead of calling
 * the option unknown. Loaded only once something was not understood.
 */

import { SkiffError, UnsupportedError } from "../runtime/errors.ts";
import { suggest } from "./suggest.ts";
import { UnknownFlagError } from "./parser.ts";
import type { Flags } from "./command.ts";
import { type Lookup, membersOf } from "./find_verb.ts";
import { GROUPS, type Verb, VERBS } from "./verbs.ts";

/** Reason to the flags it keeps from working, for `run` and `create`. */
const CONTAINER_FLAGS = {
  "resource limits are not set yet":
    "--memory -m --memory-swap --memory-reservation --memory-swappiness --kernel-memory " +
    "--cpus --cpu-shares -c --cpu-period --cpu-quota --cpu-count --cpu-percent --cpu-rt-period --cpu-rt-runtime " +
    "--cpuset-cpus --cpuset-mems --blkio-weight --blkio-weight-device --device-read-bps --device-read-iops " +
    "--device-write-bps --device-write-iops --io-maxbandwidth --io-maxiops --oom-kill-disable " +
    "--cgroup-conf --cgroup-parent --device-cgroup-rule --rdt-class",
  "containers on a network find each other by name: --network NAME, and --network-alias for another one":
    "--link",
  "an address of a network is chosen by --ip and --ip6": "--link-local-ip",
  "containers are run by skiff itself, not by an OCI runtime": "--runtime --runtime-flag",
  "the size of a container's files is not limited": "--storage-opt",
  "pull the image with it first: skiff pull": "--creds --cert-dir",
};

/** The same for `update`. */
const UPDATE_FLAGS: Record<string, string> = {
  ...CONTAINER_FLAGS,
  "resource limits are not set yet": `${CONTAINER_FLAGS["resource limits are not set yet"]} --pids-limit`,
  "the limits of a program are set when it is started": "--ulimit",
};

/** The same for `network create`. */
const NETWORK_FLAGS: Record<string, string> = {
  "addresses are given by skiff itself, which has no options for it": "--ipam-opt",
  "networks are this machine's, not a swarm's": "--ingress",
};

/** The same for `pod create` and `pod clone`. */
const POD_FLAGS: Record<string, string> = {
  "resource limits are not set yet":
    "--memory -m --memory-swap --cpus --cpu-shares -c --cpuset-cpus --cpuset-mems --blkio-weight " +
    "--blkio-weight-device --device-read-bps --device-write-bps --cgroup-parent",
  "a pod's ids are mapped by --userns": "--uidmap --gidmap --subuidname --subgidname",
};

/** The same for `prune` of images. */
const PRUNE_FLAGS: Record<string, string> = {
  "what builds have kept is removed by builder prune": "--build-cache",
};

/** The same for `login` and `logout`. */
const LOGIN_FLAGS: Record<string, string> = {
  "--authfile FILE is read by docker as well, but for docker.io": "--compat-auth-file",
};

/** The same for `build`. */
const BUILD_FLAGS: Record<string, string> = {
  "resource limits are not set yet":
    "--memory -m --memory-swap --cpu-shares -c --cpu-period --cpu-quota --cpuset-cpus --cpuset-mems --cgroup-parent",
  "steps run in the user's own user namespace":
    "--userns --userns-gid-map --userns-gid-map-group --userns-uid-map --userns-uid-map-user",
  "steps are run by skiff itself, not by an OCI runtime": "--runtime --runtime-flag --hooks-dir",
  "images are signed when they are pushed: skiff push --sign-by": "--sign-by",
  "platforms are named by --platform": "--all-platforms",
  "the Dockerfile is read as it is, without a preprocessor": "--cpp-flag",
  "there is one log for all platforms": "--logsplit",
  "programs of steps have no input": "--stdin",
  "images are for Linux": "--os-feature --os-version",
};

/** The same for `push`. */
const PUSH_FLAGS: Record<string, string> = {
  "skiff signs by gpg, not by Sequoia": "--sign-by-sq-fingerprint",
  "a platform is pushed by its image's id": "--platform",
  "images of a list are packed as they are": "--add-compression",
};

/** Known to docker or podman for some command, with no more to say. */
const OTHER_FLAGS = new Set(
  ("--runtime --runtime-flag --tls-details " +
    "--use-api-socket --checkpoint --checkpoint-dir --tree --debug " +
    "--remote --url --connection --identity --context --config --host --tls --tlscacert " +
    "--tlscert --tlskey --tlsverify --cgroup-manager --conmon --events-backend --hooks-dir " +
    "--network-cmd-path --network-config-dir --noout --syslog --tmpdir --volumepath " +
    "--transient-store --imagestore --link")
    .split(" "),
);

/** Commands of docker and podman. */
const OTHER_VERBS = new Set(
  ("auto-update bake compose context farm generate init kube machine " +
    "plugin quadlet service stack stats swarm cleanup " +
    "runlabel scp migrate renumber").split(" "),
);

/** By the command's path. */
const REASONS: readonly [RegExp, Record<string, string>][] = [
  [/ pod (create|clone)$/, POD_FLAGS],
  [/ network create$/, NETWORK_FLAGS],
  [/ (run|create)$/, CONTAINER_FLAGS],
  [/ update$/, UPDATE_FLAGS],
  [/ build$/, BUILD_FLAGS],
  [/ push$/, PUSH_FLAGS],
  [/ image prune$/, PRUNE_FLAGS],
  [/ (login|logout)$/, LOGIN_FLAGS],
];

/** A better error for an option that the table does not have: a known gap, or a near miss. */
export function explainUnknownFlag(error: UnknownFlagError, path: string, flags: Flags): SkiffError {
  const { flag } = error;
  const reasons = REASONS.find(([pattern]) => pattern.test(path))?.[1];
  if (reasons !== undefined) {
    for (const [reason, names] of Object.entries(reasons)) {
      if (names.split(" ").includes(flag)) {
        return new UnsupportedError(`${flag} is not available yet: ${reason}`, { hint: error.hint });
      }
    }
  }
  if (OTHER_FLAGS.has(flag)) {
    return new UnsupportedError(`${flag} is not available yet`, { hint: error.hint });
  }
  const near = flag.startsWith("--")
    ? suggest(flag.slice(2), Object.keys(flags).filter((name) => !flags[name]!.hidden))
    : [];
  const didYouMean = near.length > 0 ? `\n\n${meant(near.map((name) => `--${name}`))}\n` : "";
  return new UnknownFlagError(error.message + didYouMean, flag, error.hint ?? "");
}

/** The error for a command that there is not; `others` are names that were possible as well. */
export function explainUnknownVerb(
  lookup: Extract<Lookup, { kind: "unknown" }>,
  others: readonly { name: string }[] = [],
): SkiffError {
  const { path, typed, group } = lookup;
  const help = group ? `skiff ${group.name} --help` : "skiff --help";
  if (OTHER_VERBS.has(typed)) {
    return new UnsupportedError(`\`${path}\` is not available yet`, {
      hint: `Try '${help}' for what is`,
    });
  }
  const known = group ? membersOf(group) : [...VERBS, ...GROUPS, ...others];
  const places = elsewhere(typed, group?.name);
  const names = known.flatMap((verb) => [verb.name, ...("aliases" in verb ? verb.aliases as string[] : [])]);
  const near = places.length > 0 ? places : suggest(typed, names);
  const didYouMean = near.length > 0 ? `\n\n${meant(near)}\n` : "";
  return new SkiffError(`unrecognized command \`${path}\`${didYouMean}`, {
    hint: `Try '${help}' for more information`,
  });
}

/** Commands of that name at another place: `skiff image prune` for `skiff prune`. */
function elsewhere(typed: string, group: string | undefined): string[] {
  const isNamed = ({ name, aliases = [] }: Verb) => name === typed || aliases.includes(typed);
  const inGroups = GROUPS.filter(({ name, verbs }) => name !== group && verbs.some(isNamed))
    .map(({ name }) => `skiff ${name} ${typed}`);
  return group !== undefined && VERBS.some(isNamed) ? [`skiff ${typed}`] : inGroups;
}

function meant(names: string[]): string {
  return `Did you mean this?\n${names.map((name) => `\t${name}`).join("\n")}`;
}
