/** fuse-overlayfs(1) as a child of the monitor, which dies with it. */

import { MFD_CLOEXEC } from "../../ffi/constants/memfd.ts";
import { ENOENT, isErrno } from "../../ffi/errno.ts";
import { closeAllExcept, dup2, Fd, memfd_create, open, pread } from "../../ffi/file.ts";
import { forkChild } from "../../ffi/fork.ts";
import { filesystemType } from "../../ffi/mount.ts";
import { pollBlocking } from "../../ffi/poll.ts";
import { execve, getpid, getppid, prctl, waitpid } from "../../ffi/process.ts";
import { ownStatus } from "../../ffi/own_status.ts";
import { resetSignalDispositions, setSignalMask } from "../../ffi/signal.ts";
import { O_CLOEXEC, O_PATH, O_RDWR } from "../../ffi/constants/fcntl.ts";
import { PR_SET_PDEATHSIG } from "../../ffi/constants/prctl.ts";
import { SIGKILL, WNOHANG } from "../../ffi/constants/signal.ts";
import { HostError } from "../errors.ts";
import type { RootfsPlan } from "../monitor/plan.ts";
import type { IdMapping } from "../spec/runtime.ts";

/** @see linux/magic.h */
const FUSE_SUPER_MAGIC = 0x65735546;

/** How long a mount may take to appear, in ms. */
const MOUNT_TIMEOUT_MS = 10_000;

/** Starts the program in the foreground and waits until its file system is there; gives its pid. */
export function mountFuseOverlay(plan: Extract<RootfsPlan, { kind: "fuse-overlayfs" }>): number {
  const options = [
    `lowerdir=${plan.lower.map(escapeOption).join(":")}`,
    `upperdir=${escapeOption(plan.upper)}`,
    `workdir=${escapeOption(plan.work)}`,
  ];
  if (plan.uidMappings) options.push(`uidmapping=${formatMapping(plan.uidMappings)}`);
  if (plan.gidMappings) options.push(`gidmapping=${formatMapping(plan.gidMappings)}`);
  const argv = [plan.program, "-f", "-o", options.join(","), plan.target];
  const parent = getpid();
  using said = new Fd(memfd_create("fuse-overlayfs", MFD_CLOEXEC));
  const pid = forkChild(() => {
    // The command's own streams would stay open as long as the container runs.
    const nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (const fd of [0, 1]) dup2(nothing, fd);
    dup2(said.number, 2);
    closeAllExcept([]);
    setSignalMask([]);
    resetSignalDispositions(ownStatus().ignoredSignals);
    // Its process would keep the monitor's mount namespace alive, and so the mount, after a kill -9.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() !== parent) return 1;
    execve(plan.program, argv, ["PATH=/usr/bin:/bin:/usr/sbin:/sbin"]);
  });
  for (let waitedMs = 0; waitedMs < MOUNT_TIMEOUT_MS; waitedMs++) {
    if (isFuse(plan.target)) return pid;
    const ended = waitpid(pid, WNOHANG);
    if (ended) {
      const text = new TextDecoder().decode(readFrom(said.number)).trim().split("\n").at(-1);
      throw new HostError(
        `mount ${plan.target} with ${plan.program}: ${text || `exit status ${ended.status}`}`,
        {
          hint: "/dev/fuse must exist and be writable for this user (mode 0666)",
        },
      );
    }
    pollBlocking(-1, 0, 1);
  }
  throw new HostError(
    `mount ${plan.target} with ${plan.program}: no file system after ${MOUNT_TIMEOUT_MS} ms`,
  );
}

function readFrom(memfd: number): Uint8Array {
  const text = new Uint8Array(4096);
  return text.subarray(0, pread(memfd, text, 0));
}

function isFuse(path: string): boolean {
  try {
    using fd = new Fd(open(path, O_PATH | O_CLOEXEC));
    return filesystemType(fd.number) === FUSE_SUPER_MAGIC;
  } catch (error) {
    if (isErrno(error, ENOENT)) throw error;
    return false;
  }
}

/** `,` and `:` separate, `\` escapes. */
function escapeOption(path: string): string {
  return path.replace(/[\\,:]/g, "\\$&");
}

/** On disk : shown : count. The layers hold the ids of the image, which are the container's. */
function formatMapping(mappings: readonly IdMapping[]): string {
  return mappings.map((one) => `${one.containerID}:${one.hostID}:${one.size}`).join(":");
}
