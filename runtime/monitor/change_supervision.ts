/** A client's request to change what looks after a program that runs. */

import { MFD_CLOEXEC } from "../../ffi/constants/memfd.ts";
import { Fd, memfd_create, writeAll } from "../../ffi/file.ts";
import { requestWithFds } from "./request_with_fds.ts";
import type { SupervisionChange } from "./supervision_change.ts";

/** @throws {SkiffError} where the monitor refuses it; a ConflictError where it has ended */
export async function changeSupervision(socketPath: string, change: SupervisionChange): Promise<void> {
  using file = new Fd(memfd_create("skiff-update", MFD_CLOEXEC));
  writeAll(file.number, new TextEncoder().encode(JSON.stringify(change)));
  await requestWithFds(socketPath, { op: "supervise" }, [file.number], "update container");
}
