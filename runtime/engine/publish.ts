/** Published ports of a container: which they are, and the sockets that `run` and `start` bind ahead of it. */

import { EACCES, EADDRINUSE, EADDRNOTAVAIL, EMFILE, errnoText } from "../../ffi/errno.ts";
import type { ContainerConfig } from "../container/config.ts";
import { isLive, observeContainers } from "../container/state.ts";
import { ConflictError, HostError, InvalidArgumentError, SkiffError, UnsupportedError } from "../errors.ts";
import {
  BindError,
  bindMappings,
  type BoundPort,
  chooseOpenPorts,
  closePorts,
} from "../network/listeners.ts";
import type { PublishedPort } from "../network/plan.ts";
import { describeHolder } from "../network/port_holder.ts";
import {
  addressesOverlap,
  arrangeMappings,
  parseExpose,
  parseExposedKeys,
  parsePublish,
  type PortMapping,
  publishedText,
  publishExposed,
  spreadMapping,
} from "../network/ports.ts";
import { listUnsettledContainers } from "../state/containers.ts";
import type { Engine } from "./engine.ts";
import type { CreateOptions } from "./options.ts";

type Published = Pick<ContainerConfig, "network" | "ports" | "exposed">;

/** Sets what the options publish and expose beside the image's EXPOSE. Gives a warning. @throws {InvalidArgumentError} */
export function resolvePorts(
  options: CreateOptions,
  config: Published,
  isRootless = true,
): string | undefined {
  const given = (options.publish ?? []).map(parsePublish);
  const exposed = (options.expose ?? []).filter((text) => text !== "");
  exposed.forEach(parseExpose);
  if (exposed.length > 0) config.exposed = [...new Set([...config.exposed ?? [], ...exposed])];
  const all = options.publishAll ? publishExposed(given, parseExposedKeys(config.exposed ?? [])) : [];
  const ports = arrangeMappings([...given, ...all]);
  if (ports.length === 0) return undefined;
  if (!canPublish(config)) return DISCARDED;
  checkMode(config, ports, isRootless);
  config.ports = ports;
  return undefined;
}

/** podman's words. */
const DISCARDED =
  "Port mappings have been discarded as one of the Host, Container, Pod, and None network modes are in use";

const UNPUBLISHED_MODES: ReadonlySet<string> = new Set(["host", "none", "container", "ns"]);

/** Whether a container's network can have ports published. */
export function canPublish({ network }: Pick<ContainerConfig, "network">): boolean {
  return !UNPUBLISHED_MODES.has(network.mode);
}

/** Programs that bind published ports themselves. */
const PROGRAM_MODES: ReadonlySet<string> = new Set(["pasta", "slirp4netns"]);

/** Whether they can be changed while it runs: pasta is told at its start alone. */
export function publishesLive({ network }: Pick<ContainerConfig, "network">): boolean {
  return network.mode !== "pasta";
}

/** Whether the program of the network binds the host's ports. */
export function bindsItself({ network }: Pick<ContainerConfig, "network">): boolean {
  return PROGRAM_MODES.has(network.mode);
}

/** @throws {UnsupportedError} for what the container's network cannot publish */
export function checkMode(
  { network }: Pick<ContainerConfig, "network">,
  ports: readonly PortMapping[],
  isRootless: boolean,
): void {
  const sctp = ports.filter(({ protocol }) => protocol === "sctp");
  if (sctp.length > 0 && (isRootless || network.mode !== "bridge")) {
    throw new UnsupportedError(
      `publish port ${
        sctp[0]!.containerPort
      }/sctp: network "${network.mode}" passes on TCP and UDP, not SCTP`,
      { hint: "root's bridges pass it on, by rules of the kernel" },
    );
  }
  const local = sctp.find(({ hostAddress }) => hostAddress.startsWith("127.") || hostAddress === "::1");
  if (local) {
    throw new UnsupportedError(
      `publish port ${publishedText(local)}: the rules that pass SCTP on are not for the loopback`,
    );
  }
  const ipv6 = ports.find(({ hostAddress }) => hostAddress.includes(":"));
  if (ipv6 && network.mode === "slirp4netns") {
    throw new UnsupportedError(
      `publish port ${publishedText(ipv6)}: slirp4netns forwards from IPv4 addresses only`,
    );
  }
}

/** Chooses the host ports that are still open; nothing stays bound. @throws {SkiffError} */
export async function choosePorts(engine: Engine, config: Published): Promise<void> {
  try {
    await checkSctp(engine, config);
    config.ports = chooseOpenPorts(config.ports ?? []);
  } catch (error) {
    throw await explained(engine, error);
  }
}

/**
 * Binds a container's ports, choosing the host's where they are open; the sockets are the caller's. None where the
 * network's own program will bind them: then it was only tried.
 *
 * @throws {SkiffError} naming who has a port, or what allows to have it
 */
export async function bindPorts(engine: Engine, config: Published): Promise<BoundPort[]> {
  try {
    await checkSctp(engine, config);
    const { mappings, bound } = bindMappings(config.ports ?? []);
    config.ports = mappings;
    if (!bindsItself(config)) return bound;
    closePorts(bound);
    return [];
  } catch (error) {
    throw await explained(engine, error);
  }
}

/** A kernel without SCTP sockets has none that a container's port could be told by. @throws {BindError} */
async function checkSctp(engine: Engine, { ports = [] }: Published): Promise<void> {
  for (const port of ports.filter(({ protocol }) => protocol === "sctp").flatMap(spreadMapping)) {
    if (port.hostPort !== 0 && await liveHolderOf(engine, port)) throw new BindError(port, EADDRINUSE);
  }
}

/** The error that a user can act on. */
async function explained(engine: Engine, error: unknown): Promise<unknown> {
  if (!(error instanceof BindError)) return error;
  const { port, errno, choices } = error;
  const range = choices > 1 ? `-${port.hostPort + choices - 1}` : "";
  const subject = `publish port ${publishedText(port).replace("/", `${range}/`)}`;
  if (errno === EADDRINUSE) {
    const holder = await holderOf(engine, port);
    return new ConflictError(
      range
        ? `${subject}: all of them are in use`
        : `${subject}: address already in use${holder && ` by ${holder}`}`,
      { hint: "choose another host port, or leave it out to have a free one" },
    );
  }
  if (errno === EACCES) {
    return new HostError(
      `${subject}: permission denied: host ports below ${firstFreePort()} are for root`,
      {
        hint: `allow it with: sudo sysctl net.ipv4.ip_unprivileged_port_start=${port.hostPort} ` +
          "(in /etc/sysctl.d/ it stays), or choose a higher host port",
      },
    );
  }
  if (errno === EADDRNOTAVAIL) {
    return new InvalidArgumentError(`${subject}: this machine has no address ${port.hostAddress}`);
  }
  const hint = errno === EMFILE ? "raise the limit of open files: ulimit -Hn" : undefined;
  return new SkiffError(`${subject}: ${errnoText(errno).toLowerCase()}`, { hint });
}

function firstFreePort(): number {
  try {
    return Number(Deno.readTextFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start"));
  } catch {
    return 1024;
  }
}

/** `container "web"`, `nginx (pid 12)`; empty where it is not known. */
async function holderOf(engine: Engine, port: PublishedPort): Promise<string> {
  const name = await liveHolderOf(engine, port);
  return name !== undefined ? `container "${name}"` : describeHolder(port) ?? "";
}

/** The container that runs and has it. */
async function liveHolderOf(engine: Engine, port: PublishedPort): Promise<string | undefined> {
  const db = await engine.database();
  const rows = listUnsettledContainers(db).filter(({ ports }) =>
    ports?.published.some(({ protocol, hostAddress, hostPort, count }) =>
      protocol === port.protocol && addressesOverlap(hostAddress, port.hostAddress) &&
      port.hostPort >= hostPort && port.hostPort < hostPort + count
    )
  );
  return (await observeContainers(db, engine.folders.containers, rows))
    .find(({ status }) => isLive(status.status))?.row.name;
}
