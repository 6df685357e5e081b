/**
 * Archives that only a program of this machine unpacks: xz and bzip2, by absolute path, with a bare environment, never
 * one of the image's (CVE-2019-14271). Synchronous, for forked children.
 */

import type { ByteSource } from "../archive/chunks.ts";
import { HostError, VerificationError } from "../errors.ts";
import { close, closeAllExcept, dup2, memfd_create, open, pipe2, pread, read } from "../../ffi/file.ts";
import { forkChild } from "../../ffi/fork.ts";
import { execve, getpid, getppid, prctl, waitpidBlocking } from "../../ffi/process.ts";
import { ownStatus } from "../../ffi/own_status.ts";
import { resetSignalDispositions, setSignalMask } from "../../ffi/signal.ts";
import { O_CLOEXEC, O_RDONLY } from "../../ffi/constants/fcntl.ts";
import { MFD_CLOEXEC } from "../../ffi/constants/memfd.ts";
import { PR_SET_NO_NEW_PRIVS, PR_SET_PDEATHSIG } from "../../ffi/constants/prctl.ts";
import { SIGKILL } from "../../ffi/constants/signal.ts";

const PROGRAM_FOLDERS = ["/usr/bin", "/bin", "/usr/local/bin"];

/** Inflates the file `fd` from its beginning; the program ends with this process, or when its output has ended. */
export function openWithProgram(name: "xz" | "bzip2", fd: number): ByteSource {
  const program = findProgram(name);
  if (program === undefined) {
    throw new HostError(
      `unpack archive: it is packed with ${name}, and ${name} is not installed on this machine`,
      {
        hint: `install ${name}, or pack the archive with gzip or zstd`,
      },
    );
  }
  // with an offset of its own: one that was only asked for the beginning still reads
  const archive = open(`/proc/self/fd/${fd}`, O_RDONLY | O_CLOEXEC);
  const said = memfd_create(name, MFD_CLOEXEC);
  const [output, input] = pipe2(O_CLOEXEC);
  const parent = getpid();
  const pid = forkChild(() => {
    dup2(archive, 0);
    dup2(input, 1);
    dup2(said, 2);
    closeAllExcept([]);
    setSignalMask([]);
    resetSignalDispositions(ownStatus().ignoredSignals);
    prctl(PR_SET_NO_NEW_PRIVS, 1);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() !== parent) return 1;
    execve(program, [name, "-dc"], ["PATH=/usr/bin:/bin"]);
  });
  close(archive);
  close(input);
  let hasEnded = false;
  return {
    read(into) {
      if (hasEnded) return 0;
      const count = read(output, into);
      if (count > 0) return count;
      hasEnded = true;
      close(output);
      const { status } = waitpidBlocking(pid);
      if (status !== 0) {
        throw new VerificationError(
          `unpack archive: ${readText(said) || `${name} ended with status ${status}`}`,
        );
      }
      close(said);
      return 0;
    },
  };
}

function findProgram(name: string): string | undefined {
  return PROGRAM_FOLDERS.map((folder) => `${folder}/${name}`).find((path) => {
    try {
      const info = Deno.statSync(path);
      return info.isFile && ((info.mode ?? 0) & 0o111) !== 0;
    } catch {
      return false;
    }
  });
}

function readText(fd: number): string {
  const text = new Uint8Array(1024);
  return new TextDecoder().decode(text.subarray(0, pread(fd, text, 0))).trim().split("\n").at(-1) ?? "";
}
