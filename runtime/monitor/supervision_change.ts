/**
 * What `update` changes for a monitor that runs: JSON in a memory file, which comes with the request. A health check's
 * plan can be longer than a frame, and may hold secrets that are not for the disk.
 */

import { lseek, read } from "../../ffi/file.ts";
import { SkiffError } from "../errors.ts";
import type { EnvChange } from "../spec/environment.ts";
import type { SupervisionPlan } from "./plan.ts";

export interface SupervisionChange {
  /** Absent: as it is. */
  plan?: Pick<SupervisionPlan, "restart" | "health">;
  /** For the runs that the restart policy begins. */
  env?: EnvChange;
}

const LARGEST_BYTES = 16 * 1024 * 1024;

/** @throws {SkiffError} where it is no change */
export function readSupervisionChange(fd: number): SupervisionChange {
  const size = lseek(fd, 0, 2);
  if (size > LARGEST_BYTES) throw new SkiffError("read supervision: it is too long");
  lseek(fd, 0, 0);
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size;) {
    const count = read(fd, bytes.subarray(at));
    if (count === 0) throw new SkiffError("read supervision: it is cut off");
    at += count;
  }
  return JSON.parse(new TextDecoder().decode(bytes));
}
