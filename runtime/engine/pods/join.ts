/** `--pod` of `run` and `create`: what a container gets of its pod, and what it may not ask for in one. */

import type { PodMembership } from "../../container/config.ts";
import { type NetworkChoice, networkModeText } from "../../container/network_choice.ts";
import { ConflictError, InvalidArgumentError } from "../../errors.ts";
import { findContainerByName } from "../../state/containers.ts";
import { loadConfig } from "../containers.ts";
import { nameTaken } from "../create.ts";
import type { Engine } from "../engine.ts";
import type { CreateOptions } from "../options.ts";
import { podCreate } from "./create.ts";
import { findPod, observePod, type Pod } from "./find.ts";
import type { PodCreateOptions } from "./options.ts";
import { podRm } from "./rm.ts";

export interface JoinedPod {
  options: CreateOptions;
  membership: PodMembership;
  /** Removes the pod again, where it is a new one. */
  undo(): Promise<void>;
}

const NEW = "new:";
export const OWN_PORTS = "published or exposed ports must be defined when the pod is created";

/** What `--pod new:` gives to the pod instead of to the container, which shares it. */
const OF_POD = [
  ...["network", "networks", "publish", "addHosts", "noHosts", "hostsFile", "dns", "dnsSearch", "dnsOptions"],
  ...["ip", "ip6", "macAddress", "networkAliases", "hostname"],
] as (keyof PodCreateOptions & keyof CreateOptions)[];

/** @param attempt at drawing a name: from the second on a new pod has been made */
export async function joinPod(engine: Engine, given: CreateOptions, attempt: number): Promise<JoinedPod> {
  const text = given.pod!;
  if (given.userns !== undefined) {
    throw new InvalidArgumentError("--userns and --pod cannot be set together");
  }
  const db = await engine.database();
  if (given.initContainer !== undefined) await checkInit(engine, text, given.initContainer);
  if (!text.startsWith(NEW)) return join(engine, findPod(db, text), given);
  const name = text.slice(NEW.length);
  if (name === "") throw new InvalidArgumentError("new pod name must be at least one character");
  const own: CreateOptions = { ...given };
  const ofPod: PodCreateOptions = { name, createCommand: given.createCommand };
  for (const key of OF_POD) {
    Object.assign(ofPod, { [key]: given[key] });
    delete own[key];
  }
  if (attempt > 0) return join(engine, findPod(db, name), own);
  // what would be refused in the end leaves no pod behind
  const taken = given.name === undefined || given.replace ? undefined : findContainerByName(db, given.name);
  if (taken) throw nameTaken(taken.name, taken.id);
  const { id } = await podCreate(engine, ofPod);
  // what failed is told, not that others have containers in it by now
  const undo = async () => void await podRm(engine, id, { ignore: true }).catch(() => {});
  return { ...join(engine, findPod(db, id), own), undo };
}

/** In podman's words. */
async function checkInit(engine: Engine, pod: string, when: string): Promise<void> {
  if (when !== "always" && when !== "once") {
    throw new InvalidArgumentError("init-ctr value must be 'always' or 'once'");
  }
  if (pod.startsWith(NEW)) return;
  const { status } = await observePod(engine, pod);
  if (status === "Running" || status === "Degraded") {
    throw new ConflictError("cannot add init-ctr to a running pod");
  }
}

function join(engine: Engine, pod: Pod, given: CreateOptions): JoinedPod {
  const { options: asked, share } = pod.document;
  const shared = (type: typeof share[number]) => pod.infraId !== undefined && share.includes(type);
  const options: CreateOptions = { ...given, pod: undefined };
  const infra = `container:${pod.infraId}`;
  if (shared("net") && given.network === undefined && !given.networks?.length) {
    refuseNetworkOptions(given);
    options.network = networkModeText(networkOf(engine, pod.infraId!));
  }
  if (shared("uts") && given.uts === undefined) {
    if (given.hostname) {
      throw new InvalidArgumentError(
        "invalid config provided: cannot set hostname when joining the pod UTS namespace: invalid configuration",
      );
    }
    options.uts = infra;
  }
  for (const type of ["ipc", "pid"] as const) {
    if (shared(type) && given[type] === undefined) options[type] = infra;
  }
  if (asked.userns && asked.userns !== "host" && pod.infraId !== undefined) options.userns = infra;
  const hasVolumes = asked.volumes?.length || asked.volumesFrom?.length;
  if (hasVolumes && pod.infraId !== undefined) {
    options.volumesFrom = [pod.infraId, ...(given.volumesFrom ?? [])];
  }
  for (const key of ["devices", "securityOpt"] as const) {
    if (asked[key]?.length) options[key] = [...asked[key], ...(given[key] ?? [])];
  }
  if (asked.restart !== undefined && given.lifecycle?.restart === undefined && !given.autoRemove) {
    options.lifecycle = { ...given.lifecycle, restart: asked.restart };
  }
  const membership: PodMembership = {
    ...membershipOf(pod),
    ...(given.initContainer !== undefined && { init: given.initContainer as "always" | "once" }),
  };
  return { options, membership, undo: () => Promise.resolve() };
}

/** What stands in the config of a container of the pod. */
export function membershipOf({ id, infraId, document }: Pod): PodMembership {
  if (infraId === undefined) return { id };
  return { id, infra: infraId, ...(document.options.exitPolicy === "stop" && { stopsPod: true }) };
}

/** Where the pod has its network from others, its containers have it from these as well. */
export function networkOf(engine: Engine, infraId: string): NetworkChoice {
  const { network } = loadConfig(engine, infraId);
  const isOfOthers = network.mode === "host" || network.mode === "ns" || network.mode === "container";
  return isOfOthers ? network : { mode: "container", id: infraId };
}

function refuseNetworkOptions(given: CreateOptions): void {
  const { publish, publishAll, addHosts, ip, ip6, macAddress, networkAliases } = given;
  const refused = publish?.length || publishAll
    ? OWN_PORTS
    : addHosts?.length
    ? "extra host entries must be specified on the pod"
    : ip || ip6 || macAddress || networkAliases?.length
    ? "networks must be defined when the pod is created"
    : undefined;
  if (refused === undefined) return;
  throw refusal(refused);
}

/** In podman's words. */
export function refusal(what: string): InvalidArgumentError {
  return new InvalidArgumentError(
    `invalid config provided: ${what}: network cannot be configured when it is shared with a pod`,
  );
}
