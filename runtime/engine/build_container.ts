/**
 * One step of a build as a container, in a skiff of its own (see remote.ts): that one forks the monitor, tells where it
 * listens, waits for its end, and removes what is left when the build has taken the layer out of it or was killed.
 *
 * The container has no row: `ps` does not show it, and what a power cut leaves is a folder without a row, which every
 * command removes. Its lock is held here until its folder is gone, so that nobody does that before.
 */

import { close, fcntl } from "../../ffi/file.ts";
import { Child } from "../../ffi/child.ts";
import { getpid } from "../../ffi/process.ts";
import { F_DUPFD_CLOEXEC } from "../../ffi/constants/fcntl.ts";
import type { ContainerMount } from "../container/mount_options.ts";
import { mountPoints } from "../container/mount_points.ts";
import type { RootfsPlan } from "../monitor/plan.ts";
import type { FileContent } from "../spec/runtime.ts";
import { prepareCreate } from "./create.ts";
import type { Engine } from "./engine.ts";
import { discardContainer, emptyTrash } from "./garbage.ts";
import type { CreateOptions } from "./options.ts";
import type { ServeHooks } from "./serve_verbs.ts";
import { startHeld } from "./start.ts";

/** What crosses the pipe. */
export interface BuildContainerRequest {
  options: CreateOptions;
  /** The root, the lowest first. */
  diffIds: string[];
  mounts: ContainerMount[];
  /** The whole environment. Neither this nor `files` is ever written to a disk. */
  env: string[];
  files: ({ path: string } & FileContent)[];
}

/** Told when the monitor is there; the program starts when a client attaches. */
export interface BuildContainerStarted {
  id: string;
  socketPath: string;
  rootfs: RootfsPlan;
  /** Paths that were made to mount upon. */
  mountPoints: string[];
  warnings: string[];
}

/** Returns when the container has ended and nothing of it is mounted any more. */
export async function runBuildContainer(
  engine: Engine,
  request: BuildContainerRequest,
  hooks: ServeHooks,
): Promise<void> {
  // of a terminal's Ctrl-C the build decides what is to be done
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) Deno.addSignalListener(name, () => {});
  const root = { kind: "layers", diffIds: request.diffIds } as const;
  const prepared = await prepareCreate(engine, request.options, { root: { root, imageName: "" } }, 0);
  const { config, lockFd } = prepared;
  config.mounts.push(...request.mounts);
  const held = fcntl(lockFd, F_DUPFD_CLOEXEC, 3);
  // leases of addresses belong to a row
  const hasRow = config.network.mode === "bridge";
  hooks.atEnd(async () => {
    if (hasRow) {
      const { forgetContainer } = await import("./garbage.ts");
      await forgetContainer(engine, config.id, true);
    }
    discardContainer(engine, config.id);
    close(held);
    await emptyTrash(engine);
  });
  if (hasRow) {
    // the name of the options is every step's, and what the step itself finds in /etc/hosts
    const { name } = config;
    config.name = `step-${config.id.slice(0, 12)}`;
    try {
      await prepared.record("starting");
    } catch (error) {
      close(lockFd);
      throw error;
    }
    config.name = name;
  }
  let rootfs: RootfsPlan | undefined;
  const { monitorPid, socketPath } = await startHeld(engine, config, lockFd, {
    foreground: true,
    adjust(plan) {
      rootfs = plan.rootfs;
      // what devices add
      const added = plan.init.spec.process.env.filter((word) => !config.env.includes(word));
      plan.init.spec.process.env = [...request.env, ...added];
      plan.init.annex.setHome = !request.env.some((word) => word.startsWith("HOME="));
      for (const { path, ...content } of request.files) {
        const options = ["ro", "nosuid", "nodev"];
        plan.init.spec.mounts.push({ destination: path, type: "tmpfs", source: "tmpfs", options, content });
      }
      // not even a kill of the whole process group leaves it behind
      // not Deno.pid, which is that of another process where a command begins with a kept one
      plan.parentPid = getpid();
      // a step of a build is no event
      plan.events.path = "/dev/null";
    },
  });
  const files = request.files.map(({ path }) => path);
  hooks.event?.(
    {
      id: config.id,
      socketPath,
      rootfs: rootfs!,
      mountPoints: [...mountPoints(config), ...files],
      warnings: prepared.warnings,
    } satisfies BuildContainerStarted,
  );
  const monitor = new Child(monitorPid!);
  // init dies with its monitor
  void hooks.gone.then(() => monitor.kill());
  await monitor.wait();
}
