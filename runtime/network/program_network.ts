/**
 * A network that pasta(1) or slirp4netns(1) serves: a child of the monitor, outside of the container, which dies with it.
 *
 * Both tell by a pipe when they are ready: slirp4netns by `--ready-fd`, pasta by writing its pid to the file of `--pid`,
 * which is its standard input. What goes wrong they say on stderr.
 */

import { MFD_ALLOW_SEALING, MFD_CLOEXEC } from "../../ffi/constants/memfd.ts";
import {
  AT_FDCWD,
  F_ADD_SEALS,
  F_DUPFD_CLOEXEC,
  F_SEAL_GROW,
  O_CLOEXEC,
  O_RDWR,
} from "../../ffi/constants/fcntl.ts";
import { PR_SET_PDEATHSIG } from "../../ffi/constants/prctl.ts";
import { SIGKILL } from "../../ffi/constants/signal.ts";
import {
  close,
  closeAllExcept,
  dup2,
  fcntl,
  ftruncate,
  memfd_create,
  open,
  pipe2,
  pread,
  read,
  unlinkat,
} from "../../ffi/file.ts";
import { forkChild } from "../../ffi/fork.ts";
import { ownStatus } from "../../ffi/own_status.ts";
import { execve, getpid, getppid, pidfd_open, pidfd_send_signal, prctl } from "../../ffi/process.ts";
import { resetSignalDispositions, setSignalMask } from "../../ffi/signal.ts";
import { HostError, SkiffError } from "../errors.ts";
import { SlirpForwards } from "./slirp4netns_api.ts";
import type { MonitorNetwork, NetworkGround } from "./monitor_network.ts";
import type { NetworkPlan, PublishedPort, SlirpApi, SlirpForward } from "./plan.ts";
import { samePort } from "./user_mode_network.ts";

type ProgramPlan = Extract<NetworkPlan, { kind: "program" }>;

/** Of slirp4netns; pasta's is 0. */
const READY_FD = 3;
const LOG_BYTES = 4096;
/** Standard output: pasta closes all descriptors but the first three. */
const NETNS_PATH = "/proc/self/fd/1";

export class ProgramNetwork implements MonitorNetwork {
  readonly #plan: ProgramPlan;
  readonly #ground: Omit<NetworkGround, "makeLoop">;
  /** The container's network namespace, until the program has it. */
  #namespace = -1;
  /** Of the running program. */
  #pidfd = -1;
  /** What it says. */
  #said = -1;
  /** Readable when it is ready, or has ended before. */
  #ready = -1;
  /** Those that slirp4netns makes. */
  #forwards: SlirpForwards | undefined;
  #isOver = false;

  constructor(plan: ProgramPlan, ground: Omit<NetworkGround, "makeLoop">) {
    this.#plan = plan;
    this.#ground = ground;
  }

  take(namespace: number): void {
    if (this.#namespace !== -1) return close(namespace);
    this.#namespace = namespace;
  }

  letStart(go: () => void, fail: (error: unknown) => void): void {
    const { loop, onFault } = this.#ground;
    const [reader, writer] = pipe2(O_CLOEXEC);
    this.#ready = reader;
    try {
      this.#start(writer);
    } catch (error) {
      return fail(error);
    } finally {
      close(writer);
    }
    loop.watch(reader, () => {
      const count = read(reader, new Uint8Array(64));
      this.#forgetReady();
      if (count === 0) return fail(this.#failure());
      loop.watch(this.#pidfd, () => {
        loop.unwatch(this.#pidfd);
        onFault(this.#failure());
      });
      const { api } = this.#plan;
      if (!api) return go();
      // the container may end before it has answered
      const unlessOver = (error?: unknown) => {
        if (this.#isOver) return;
        if (error === undefined) go();
        else fail(error);
      };
      this.#forwards = new SlirpForwards(loop, api.socketPath);
      this.#forwards.perform(
        api.ports.map((port) => ({ kind: "add", forward: forwardOf(port, api) })),
        unlessOver,
      );
    });
  }

  publish({ containerPort, protocol }: PublishedPort): void {
    throw new SkiffError(`publish ${containerPort}/${protocol}: ${this.#plan.program} publishes no ports`);
  }

  unpublish(): void {}

  /** Later runs of the container, which have the same plan, publish what is published then. */
  changePorts(
    { add, remove }: { add: readonly PublishedPort[]; remove: readonly PublishedPort[] },
    done: (error?: unknown) => void,
  ): void {
    const { api, program } = this.#plan;
    if (!api || !this.#forwards) {
      throw new SkiffError(`change published ports: ${program} cannot, or is not ready`);
    }
    const isRemoved = (port: PublishedPort) => remove.some((one) => samePort(one, port));
    const steps = (kind: "add" | "remove", ports: readonly PublishedPort[]) =>
      ports.map((port) => ({ kind, forward: forwardOf(port, api) }));
    const kept = api.ports.filter((port) => !isRemoved(port));
    this.#forwards.perform(
      [...steps("remove", api.ports.filter(isRemoved)), ...steps("add", add)],
      (error) => {
        if (error === undefined) api.ports = [...kept, ...add];
        done(error);
      },
    );
  }

  end(): void {
    this.#isOver = true;
    this.#forgetReady();
    if (this.#pidfd !== -1) {
      this.#ground.loop.unwatch(this.#pidfd);
      try {
        pidfd_send_signal(this.#pidfd, SIGKILL);
      } catch {
        // it has ended by itself
      }
    }
    this.#forwards?.end();
    this.#pidfd = dropped(this.#pidfd);
    this.#said = dropped(this.#said);
    if (this.#plan.api) removeFile(this.#plan.api.socketPath);
  }

  release(): void {
    this.#namespace = dropped(this.#namespace);
  }

  #forgetReady(): void {
    if (this.#ready !== -1) this.#ground.loop.unwatch(this.#ready);
    this.#ready = dropped(this.#ready);
  }

  #start(writer: number): void {
    const { program, path, args } = this.#plan;
    const argv = program === "pasta"
      ? [path, "--foreground", "--pid", "/proc/self/fd/0", ...args, "--no-netns-quit", "--netns", NETNS_PATH]
      : [path, ...args, "-c", "-r", String(READY_FD), "--netns-type=path", NETNS_PATH, "tap0"];
    const namespace = this.#namespace;
    const parent = getpid();
    const said = this.#said = openLog(program);
    const pid = forkChild(() => {
      const nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
      // out of the way of the numbers below
      const [ready, log, netns] = [writer, said, namespace].map((fd) => above(fd));
      dup2(nothing, 0);
      dup2(netns!, 1);
      dup2(log!, 2);
      const target = program === "pasta" ? 0 : READY_FD;
      dup2(ready!, target);
      closeAllExcept([target]);
      setSignalMask([]);
      resetSignalDispositions(ownStatus().ignoredSignals);
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() !== parent) return 1;
      execve(path, argv, ["PATH=/usr/bin:/bin:/usr/sbin:/sbin"]);
    });
    this.#pidfd = pidfd_open(pid);
    this.release();
  }

  #failure(): HostError {
    const bytes = new Uint8Array(LOG_BYTES);
    const text = new TextDecoder().decode(bytes.subarray(0, pread(this.#said, bytes, 0)));
    const first = text.split(/[\n\0]/).find((line) =>
      line !== "" && !/^WARNING: |^Failed to send .* syslog$/.test(line)
    );
    return new HostError(`serve the network with ${this.#plan.path}: ${first ?? "it has ended"}`);
  }
}

/** It forwards from IPv4 addresses, and keeps the client's. */
function forwardOf(
  { protocol, hostAddress, hostPort, containerPort }: PublishedPort,
  api: SlirpApi,
): SlirpForward {
  return {
    proto: protocol,
    host_addr: hostAddress || "0.0.0.0",
    host_port: hostPort,
    guest_addr: api.guest,
    guest_port: containerPort,
  };
}

function removeFile(path: string): void {
  try {
    unlinkat(AT_FDCWD, path, 0);
  } catch {
    // slirp4netns never made it
  }
}

/** Takes no more than is read of it: what a guest makes a program say must not fill the machine's memory. */
function openLog(name: string): number {
  const log = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  ftruncate(log, LOG_BYTES);
  fcntl(log, F_ADD_SEALS, F_SEAL_GROW);
  return log;
}

function dropped(fd: number): -1 {
  if (fd !== -1) close(fd);
  return -1;
}

/** A copy with a number that no standard stream has. */
function above(fd: number): number {
  return fcntl(fd, F_DUPFD_CLOEXEC, 10);
}
