/** Which descriptors of this process its caller has passed. @see podman-run(1), --preserve-fds */

import { F_GETFD, FD_CLOEXEC } from "../../ffi/constants/fcntl.ts";
import { EBADF, isErrno } from "../../ffi/errno.ts";
import { fcntl } from "../../ffi/file.ts";
import { InvalidArgumentError } from "../errors.ts";

/** So many go over a socket in one message. @see unix(7), SCM_MAX_FD */
const LIMIT = 253 - 3;

/** Whether 3 to `count` + 2 came from the caller; they stay as they are. @throws {InvalidArgumentError} */
export function checkPreservedFds(count: number): void {
  if (count > LIMIT) {
    throw new InvalidArgumentError(`pass ${count} file descriptors: at most ${LIMIT} can be`);
  }
  for (let fd = 3; fd < 3 + count; fd++) {
    if (isInherited(fd)) continue;
    throw new InvalidArgumentError(
      `file descriptor ${fd} is not available - the preserve-fds option requires that file descriptors must be passed`,
    );
  }
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
