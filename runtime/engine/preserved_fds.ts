/** Which descriptors of this process its caller has passed. @see podman-run(1), --preserve-fds */

import { F_GETFD, FD_CLOEXEC } from "../../ffi/constants/fcntl.ts";
import { EBADF, isErrno } from "../../ffi/errno.ts";
import { fcntl } from "../../ffi/file.ts";
import { InvalidArgumentError } from "../errors.ts";

/** So many go over a socket in one message, and the number behind the last is one byte. @see unix(7), SCM_MAX_FD */
const LIMIT = 253 - 3;

export interface PreservedFds {
  /** So many from 3 on. */
  count?: number;
  /** Or these. */
  numbers?: readonly number[];
}

/** Those that came from the caller; they stay as they are. undefined for none. @throws {InvalidArgumentError} */
export function preservedFds({ count = 0, numbers = [] }: PreservedFds): number[] | undefined {
  if (count > 0 && numbers.length > 0) {
    throw new InvalidArgumentError("cannot specify both --preserve-fds and --preserve-fd");
  }
  if (count > LIMIT) {
    throw new InvalidArgumentError(`pass ${count} file descriptors: at most ${LIMIT} can be`);
  }
  const option = count > 0 ? "preserve-fds" : "preserve-fd";
  const asked = count > 0 ? Array.from({ length: count }, (_, at) => 3 + at) : [...new Set(numbers)];
  for (const fd of asked) {
    if (fd < 3) throw new InvalidArgumentError(`cannot preserve FD ${fd}: it is one of the standard streams`);
    if (fd >= LIMIT + 3) {
      throw new InvalidArgumentError(`pass file descriptor ${fd}: only those below ${LIMIT + 3} can be`);
    }
    if (isInherited(fd)) continue;
    throw new InvalidArgumentError(
      `file descriptor ${fd} is not available - the ${option} option requires that file descriptors must be passed`,
    );
  }
  return asked.length > 0 ? asked : undefined;
}

/** What this process has opened itself is close-on-exec, and what it was started with cannot be. */
function isInherited(fd: number): boolean {
  try {
    return (fcntl(fd, F_GETFD, 0) & FD_CLOEXEC) === 0;
  } catch (error) {
    if (isErrno(error, EBADF)) return false;
    throw error;
  }
}
