/** Where the holder of the bridges listens, and the locks beside it; all in the user's runtime folder. */

import { SOCK_NONBLOCK, SOCK_SEQPACKET, SOCK_STREAM } from "../../../ffi/constants/socket.ts";
import { ENOENT, isErrno } from "../../../ffi/errno.ts";
import { close } from "../../../ffi/file.ts";
import { listenUnix } from "../../../ffi/socket.ts";
import type { HolderPlan } from "../plan.ts";
import { bridgeSocketPath } from "./client.ts";

type Folders = Pick<HolderPlan, "run" | "data">;

export interface HolderPaths {
  /** Of commands, see client.ts. */
  requests: string;
  /** Of monitors, see messages.ts. */
  members: string;
  /** Held while the holder comes or goes. */
  lock: string;
  /** Held, by a descriptor that monitors keep, while the bridges' namespace lives. */
  alive: string;
  /** What was changed of this machine, see host_record.ts. */
  record: string;
}

export function holderPaths(folders: Folders): HolderPaths {
  const requests = bridgeSocketPath(folders);
  return {
    requests,
    members: `${requests}.members`,
    lock: `${requests}.lock`,
    alive: `${requests}.alive`,
    record: `${requests}.host`,
  };
}

export interface HolderListeners {
  requests: number;
  members: number;
}

const BACKLOG = 512;

/** Binds both sockets, in place of those that a killed holder has left. To be called with the lock. */
export function listenForHolder(folders: Folders): HolderListeners {
  const paths = holderPaths(folders);
  removeHolderSockets(folders);
  const members = listenUnix(paths.members, BACKLOG, SOCK_SEQPACKET | SOCK_NONBLOCK);
  try {
    return { members, requests: listenUnix(paths.requests, BACKLOG, SOCK_STREAM | SOCK_NONBLOCK) };
  } catch (error) {
    close(members);
    throw error;
  }
}

export function removeHolderSockets(folders: Folders): void {
  const { requests, members } = holderPaths(folders);
  for (const path of [requests, members]) {
    try {
      Deno.removeSync(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound) && !isErrno(error, ENOENT)) throw error;
    }
  }
}

/** The network namespace of this process: `net:[4026531840]`. */
export function ownNetns(): string {
  return Deno.readLinkSync("/proc/self/ns/net");
}
