/** The container that holds what a pod shares: as any other, but that its program needs no image. */

import { AT_FDCWD, F_OK } from "../../../ffi/constants/fcntl.ts";
import { MACHINE } from "../../../ffi/arch.ts";
import { faccessat } from "../../../ffi/file.ts";
import { emitPauseProgram } from "../../../ffi/pause_program.ts";
import type { PodMembership } from "../../container/config.ts";
import { asksForNetworks } from "../../container/network_choice.ts";
import { ConflictError, NotFoundError } from "../../errors.ts";
import type { RootfsPlan } from "../../monitor/plan.ts";
import { type HeldLock, type LockOptions, takeLock } from "../../state/locks.ts";
import { observe } from "../containers.ts";
import type { Engine } from "../engine.ts";
import type { CreateOptions } from "../options.ts";
import { start } from "../start.ts";
import type { PodCreateOptions, SharedNamespace } from "./options.ts";

const PROGRAM = "/pause";
/** Its first moments, on however busy a machine. */
const PATIENCE_MS = 60_000;

/** What `create` is asked for. */
export function infraOptions(
  pod: { id: string; name: string },
  options: PodCreateOptions,
  share: readonly SharedNamespace[],
): CreateOptions {
  const { network, networks, publish, addHosts, noHosts, hostsFile, dns, dnsSearch, dnsOptions } = options;
  const { ip, ip6, macAddress, pid, uts, userns, shmSize, sysctls, conmonPidFile } = options;
  return {
    ...{ network, networks, publish, addHosts, noHosts, hostsFile, dns, dnsSearch, dnsOptions },
    ...{ ip, ip6, macAddress, pid, uts, userns, shmSize, sysctls, conmonPidFile },
    // on networks the pod is found by its name
    networkAliases: asksForNetworks([network ?? "", ...networks ?? []], options)
      ? [pod.name, ...options.networkAliases ?? []]
      : undefined,
    volumes: options.volumes,
    volumesFrom: options.volumesFrom,
    devices: options.devices,
    securityOpt: options.securityOpt,
    image: options.infraImage ?? "",
    command: [],
    entrypoint: options.infraCommand ?? (options.infraImage === undefined ? [PROGRAM] : undefined),
    name: options.infraName ?? `${pod.id.slice(0, 12)}-infra`,
    // a namespace of others has its name already
    hostname: options.hostname ?? (share.includes("uts") && !uts ? pod.name.slice(0, 63) : undefined),
    httpProxy: false,
    ...(options.infraImage === undefined && { capDrop: ["ALL"], readOnly: true, logDriver: "none" }),
  };
}

/** A folder with nothing in it but the program. May be called again before each start. */
export function prepareInfraRoot(containerDir: string): RootfsPlan {
  const [source, target] = [`${containerDir}/infra`, `${containerDir}/merged`];
  for (const path of [source, target]) Deno.mkdirSync(path, { recursive: true, mode: 0o755 });
  const program = source + PROGRAM;
  if (!faccessat(AT_FDCWD, program, F_OK)) {
    Deno.writeFileSync(`${program}.tmp`, emitPauseProgram(MACHINE), { mode: 0o755 });
    Deno.renameSync(`${program}.tmp`, program);
  }
  return { kind: "directory", source, target };
}

/**
 * Returns when the infra container of a container's pod runs: then its namespaces can be joined. Until what it gives is
 * disposed of, the pod does not end as one that is left alone (see `stopIdlePod`).
 */
export async function startInfra(
  engine: Engine,
  { id, infra, stopsPod }: PodMembership,
  signal?: AbortSignal,
): Promise<Disposable | undefined> {
  if (infra === undefined) return;
  using held = new DisposableStack();
  try {
    if (stopsPod) held.use(await lockJoining(engine, infra, { shared: true, signal }));
    for (const end = Date.now() + PATIENCE_MS;;) {
      const { status } = (await observe(engine, infra)).status;
      if (status === "running") return held.move();
      if (status === "paused") {
        throw new ConflictError(`start container of pod ${id.slice(0, 12)}: the pod is paused`);
      }
      const { wasRunning } = await start(engine, infra, { signal });
      if (!wasRunning) return held.move();
      // another command is about to start it, or its monitor to end
      if (Date.now() > end) throw new ConflictError(`start pod ${id.slice(0, 12)}: its state is ${status}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  } catch (cause) {
    // a network or a volume of the infra container may be missing as well, and says so itself
    const isGone = cause instanceof NotFoundError && cause.kind === "container" &&
      infra.startsWith(cause.subject);
    if (!isGone) throw cause;
    const message = `pod ${id.slice(0, 12)} has lost its infra container: its containers cannot be started`;
    throw new NotFoundError("container", infra, { cause, message });
  }
}

/** Shared by those who are about to join an infra container; alone, by who ends it because nobody has. */
export async function lockJoining(
  engine: Engine,
  infra: string,
  options: LockOptions = {},
): Promise<HeldLock> {
  try {
    return (await takeLock(`${engine.containerDir(infra)}/joining`, options))!;
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) throw new NotFoundError("container", infra, { cause });
    throw cause;
  }
}
