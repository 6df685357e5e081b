/** The descriptors that a command passes on to the program. @see podman-run(1), --preserve-fds */

/** As they are numbered in the command, and in the program. */
export function passedFds({ passedFds = 0 }: { passedFds?: number }): number[] {
  return Array.from({ length: passedFds }, (_, at) => 3 + at);
}
