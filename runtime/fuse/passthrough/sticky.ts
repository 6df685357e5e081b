/**
 * Whose entries of a sticky folder (as /tmp is one) may be taken away by whom.
 *
 * The kernel has judged that already, by what it remembers: the entry may be another's by now, whom it has not been told
 * of. So who takes something away is judged by its owner of now.
 *
 * @see unlink(2), EPERM; check_sticky() and capable_wrt_inode_uidgid() of the kernel
 */

import { EPERM } from "../../../ffi/errno.ts";
import { S_ISVTX } from "../../../ffi/constants/stat.ts";
import type { Request } from "../request.ts";
import type { Name } from "./calls.ts";
import type { Tree } from "./tree.ts";

/** Whether the asker may take `name` out of the folder: 0 or EPERM. What is not there is nobody's. */
export function mayTakeAway({ facts }: Tree, request: Request, folder: number, name: Name): number {
  if (!facts.ofDescriptor(folder) || (facts.mode & S_ISVTX) === 0) return 0;
  const folderOwner = facts.attributes.uid;
  if (!facts.ofEntry(folder, name)) return 0;
  const { uid, gid } = facts.attributes;
  if (request.uid === uid || request.uid === folderOwner) return 0;
  const status = statusOf(request.pid);
  return status !== undefined && isAboveOwners(status, { uid, gid }) ? 0 : EPERM;
}

/** What /proc tells of a process: its capabilities, and the ids of its user namespace. */
export interface ProcessStatus {
  status: string;
  uidMap: string;
  gidMap: string;
  /** Of the server, whose namespace the owners are told in. */
  ownUidMap: string;
}

/** Of who waits for his answer; undefined where he has gone. */
function statusOf(pid: number): ProcessStatus | undefined {
  const read = (process: number | "self", file: string) => Deno.readTextFileSync(`/proc/${process}/${file}`);
  try {
    return {
      status: read(pid, "status"),
      uidMap: read(pid, "uid_map"),
      gidMap: read(pid, "gid_map"),
      ownUidMap: read("self", "uid_map"),
    };
  } catch {
    return undefined;
  }
}

const CAP_FOWNER = 3n;

/** Whether the process has CAP_FOWNER over a file of these owners: both have a number in its user namespace. */
export function isAboveOwners(process: ProcessStatus, { uid, gid }: { uid: number; gid: number }): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(process.status)?.[1];
  if (effective === undefined || (BigInt(`0x${effective}`) >> CAP_FOWNER & 1n) === 0n) return false;
  // of a namespace below, the outer ids are those of the reader's
  return process.uidMap === process.ownUidMap ||
    hasOuter(process.uidMap, uid) && hasOuter(process.gidMap, gid);
}

/** @see user_namespaces(7), uid_map */
function hasOuter(map: string, id: number): boolean {
  return map.trim().split("\n").some((line) => {
    const [, outer, size] = line.trim().split(/\s+/).map(Number);
    return id >= outer! && id < outer! + size!;
  });
}
