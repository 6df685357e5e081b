/**
 * A container's whole life on paper, from its plan to its end: by the seed that becomes its monitor, and by its init.
 * @see ffi/paper_kernel.ts
 */

import { close } from "../../ffi/file.ts";
import { onPaper } from "../../ffi/paper_kernel.ts";
import { socketpair } from "../../ffi/socket.ts";
import { AF_UNIX, SOCK_CLOEXEC, SOCK_STREAM } from "../../ffi/constants/socket.ts";
import { answerInit, openControl, sendPlan } from "../init/handshake.ts";
import { runEarlyInit } from "../init/init.ts";
import { sendJson } from "./handover.ts";
import type { MonitorPlan } from "./plan.ts";
import { openNamespaceChannel } from "../namespaces/user_namespace.ts";
import { type Soil, waitForPlanBlocking } from "./seed.ts";

/** Stand for descriptors that are passed on: nobody reads them, and what is written is lost. */
const STDIN = 0, SINK = 1;

/** `soil` is what was known ahead of the plan. Changes nothing but what is below `folder`. */
export function rehearseContainer(plan: MonitorPlan, soil: Soil, folder: string): void {
  rehearseMonitor(plan, soil, folder);
  rehearseInit(plan, soil, folder);
}

function rehearseMonitor(plan: MonitorPlan, soil: Soil, folder: string): void {
  const [command, seed] = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC);
  try {
    // nobody will attach
    const atOnce = { ...plan, stdio: { ...plan.stdio, startOnAttach: false } };
    sendJson(command, atOnce, [SINK, SINK, SINK]);
    // init is ready, and then executes its program
    onPaper(folder, [["R"]], () => {
      const channel = openNamespaceChannel(soil.context);
      waitForPlanBlocking(seed, { soil, channel });
    });
  } finally {
    close(command);
    close(seed);
  }
}

function rehearseInit({ init: plan, rootfs }: MonitorPlan, { mounts = [], tun }: Soil, folder: string): void {
  const [monitor, init] = openControl();
  try {
    const stdio = { stdin: STDIN, stdout: SINK, stderr: SINK };
    sendPlan(monitor, { plan, rootTarget: rootfs.target, stdio, isPrivileged: false });
    answerInit(monitor, "mounted");
    answerInit(monitor, "go");
    onPaper(folder, [], () => runEarlyInit(init, 1, mounts, tun));
  } finally {
    close(monitor);
    close(init);
  }
}
