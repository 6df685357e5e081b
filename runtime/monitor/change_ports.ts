/** A client's request to change published ports. */

import type { PortChange } from "./held_ports.ts";
import { requestWithFds } from "./request_with_fds.ts";

/** So many sockets go with one message. @see unix(7), SCM_MAX_FD */
export const SOCKETS_A_CHANGE = 253;

/** `fds` are the sockets of those in `add` that take over none; they stay the caller's. @throws {SkiffError} */
export async function changePorts(
  socketPath: string,
  change: PortChange,
  fds: readonly number[],
): Promise<void> {
  await requestWithFds(socketPath, { op: "ports", ...change }, fds, "change published ports");
}
