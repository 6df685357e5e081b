/**
 * Short work as root of the user's namespace: extracting a layer, copying or removing what subordinate
 * ids own. A child of the command, which dies with it.
 */

import { Child } from "../../ffi/child.ts";
import { closeAllExcept } from "../../ffi/file.ts";
import { forkChild, prepareFork } from "../../ffi/fork.ts";
import { openFamilies } from "../../ffi/libc.ts";
import { getpid, getppid, prctl } from "../../ffi/process.ts";
import { PR_SET_PDEATHSIG } from "../../ffi/constants/prctl.ts";
import { SIGKILL } from "../../ffi/constants/signal.ts";
import type { NamespaceContext } from "./context.ts";
import {
  awaitUserNamespace,
  descriptorsOf,
  enterUserNamespaceBlocking,
  forkOver,
  leaveUserNamespace,
  openNamespaceChannel,
} from "./user_namespace.ts";

/**
 * Runs `task` in a forked child that is root of the user's namespace (as real root: plain root).
 *
 * Everything in `task` is synchronous, and was imported and opened before. Descriptors from 3 on are
 * closed but for `inherit`, which stay the caller's to close in the parent.
 *
 * @returns the child, whose status is what the task gives, 125 where it throws
 * @throws {HostError} where the namespace cannot be had
 */
export async function forkInUserNamespace(
  context: NamespaceContext,
  inherit: readonly number[],
  task: () => number,
): Promise<Child> {
  prepareFork();
  openFamilies("file", "process", "credentials", "namespaces");
  const channel = openNamespaceChannel(context);
  const parent = getpid();
  const run = () => {
    closeAllExcept([...inherit, ...descriptorsOf(channel)]);
    const membership = enterUserNamespaceBlocking(context, channel);
    // Set after the ids changed, which clears it; a parent that died before is noticed by its number.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() !== parent) return 125;
    try {
      return task();
    } finally {
      leaveUserNamespace(membership);
    }
  };
  const pid = forkOver(channel, () => forkChild(run));
  const child = new Child(pid);
  try {
    await awaitUserNamespace(channel);
  } catch (error) {
    child.kill();
    await child.wait();
    throw error;
  }
  return child;
}
