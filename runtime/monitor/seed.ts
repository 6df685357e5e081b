/**
 * A monitor forked ahead of its plan: before the command has loaded and opened what it plans with, none of
 * which the monitor will ever use. So it stays small, and the fork itself is off the path of the start.
 *
 * ```
 *  command                                   seed
 *    fork ─────────────────────────────────▶   waits
 *    loads, parses, pulls, plans
 *    length, with the descriptors ─────────▶
 *    JSON of plan and namespace context ───▶   becomes the monitor
 *    or ends without a word ───────────────▶   ends as well
 * ```
 */

import { EPIPE, isErrno } from "../../ffi/errno.ts";
import { close, closeAllExcept, read, writeAll } from "../../ffi/file.ts";
import { forkChild } from "../../ffi/fork.ts";
import { openFamilies } from "../../ffi/libc.ts";
import { _exit, setProcessName } from "../../ffi/process.ts";
import { receiveWithFds, sendWithFds, socketpair } from "../../ffi/socket.ts";
import { AF_UNIX, SOCK_CLOEXEC, SOCK_STREAM } from "../../ffi/constants/socket.ts";
import type { NamespaceContext } from "../namespaces/context.ts";
import { type MonitorFds, runMonitor } from "./monitor.ts";
import type { MonitorPlan } from "./plan.ts";

interface Seed {
  pid: number;
  socket: number;
}

/** What a seed becomes a monitor with. Both survive JSON. */
interface Handover {
  plan: MonitorPlan;
  context: NamespaceContext;
}

const HEADER_BYTES = 8;
const DESCRIPTORS = 5;

let planted: Seed | undefined;

/** Forks a seed for the next monitor; one at a time. */
export function plantSeed(): void {
  planted ??= forkSeed();
}

/**
 * Makes the seed, or a new one where none is planted or it has died, the monitor of `plan`; gives its pid.
 *
 * `fds` stay the caller's to close.
 */
export function growSeed(plan: MonitorPlan, context: NamespaceContext, fds: MonitorFds): number {
  const early = planted;
  planted = undefined;
  if (early) {
    try {
      return handOver(early, { plan, context }, fds);
    } catch (error) {
      // A signal to the command's process group may have met the seed before.
      if (!isErrno(error, EPIPE)) throw error;
    }
  }
  return handOver(forkSeed(), { plan, context }, fds);
}

function forkSeed(): Seed {
  openFamilies(
    "errno",
    "fork",
    "process",
    "credentials",
    "namespaces",
    "file",
    "xattr",
    "mount",
    "signal",
    "poll",
    "socket",
    "memory",
    "clock",
  );
  const [ours, its] = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC);
  const pid = forkChild(() => waitForPlanBlocking(its));
  close(its);
  return { pid, socket: ours };
}

function handOver(seed: Seed, handover: Handover, fds: MonitorFds): number {
  const text = new TextEncoder().encode(JSON.stringify(handover));
  const header = new Uint8Array(HEADER_BYTES);
  new DataView(header.buffer).setUint32(0, text.length);
  try {
    sendWithFds(seed.socket, header, [fds.listen, fds.lock, fds.ready, fds.idMap.request, fds.idMap.reply]);
    writeAll(seed.socket, text);
  } finally {
    close(seed.socket);
  }
  return seed.pid;
}

/** The forked child: ends with the command, or never returns from being a monitor. */
function waitForPlanBlocking(socket: number): number {
  closeAllExcept([socket]);
  setProcessName("skiff: seed");
  const header = new Uint8Array(HEADER_BYTES);
  const { length, fds } = receiveWithFds(socket, header, DESCRIPTORS);
  const [listen, lock, ready, request, reply] = fds;
  if (length !== HEADER_BYTES || fds.length !== DESCRIPTORS) _exit(0);
  const text = new Uint8Array(new DataView(header.buffer).getUint32(0));
  for (let offset = 0; offset < text.length;) {
    const count = read(socket, text.subarray(offset));
    if (count === 0) _exit(0);
    offset += count;
  }
  close(socket);
  const { plan, context } = JSON.parse(new TextDecoder().decode(text)) as Handover;
  runMonitor(plan, context, {
    listen: listen!,
    lock: lock!,
    ready: ready!,
    idMap: { request: request!, reply: reply! },
  });
}
