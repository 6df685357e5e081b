/**
 * Other programs, started with posix_spawn(3): no fork of V8's heap is needed for what is only exec'ed.
 */

import { cstring, cstringArray } from "./cstring.ts";
import { SyscallError } from "./errno.ts";
import { libc } from "./libc.ts";
import { signalSet } from "./signal.ts";

const POSIX_SPAWN_SETSIGDEF = 0x04;
const POSIX_SPAWN_SETSIGMASK = 0x08;
/** Larger than glibc's posix_spawn_file_actions_t (80 bytes) and posix_spawnattr_t (336 bytes). */
const OPAQUE_SIZE = 512;

/** Descriptors of the program, by its number: `{ 0: pipe, 1: log }`. Others must be close-on-exec. */
export type Descriptors = Record<number, number>;

/**
 * Starts `path` with default signal dispositions and an empty mask; gives its pid, which the caller reaps.
 *
 * @throws {SyscallError} ENOENT, EACCES, … as execve(2)
 * @see posix_spawn(3)
 */
export function posix_spawn(
  path: string,
  argv: readonly string[],
  env: readonly string[],
  descriptors: Descriptors = {},
): number {
  const symbols = libc("spawn");
  const actions = new Uint8Array(OPAQUE_SIZE);
  const attributes = new Uint8Array(OPAQUE_SIZE);
  symbols.posix_spawn_file_actions_init(actions);
  symbols.posix_spawnattr_init(attributes);
  try {
    for (const [target, source] of Object.entries(descriptors)) {
      symbols.posix_spawn_file_actions_adddup2(actions, source, Number(target));
    }
    symbols.posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    symbols.posix_spawnattr_setsigdefault(attributes, new Uint8Array(128).fill(0xff));
    symbols.posix_spawnattr_setsigmask(attributes, signalSet([]));
    const pid = new Int32Array(1);
    const [args, vars] = [cstringArray(argv), cstringArray(env)];
    const errno = symbols.posix_spawn(
      new Uint8Array(pid.buffer),
      cstring(path),
      actions,
      attributes,
      new Uint8Array(args.pointers.buffer),
      new Uint8Array(vars.pointers.buffer),
    );
    if (errno !== 0) throw new SyscallError("posix_spawn", errno, path);
    return pid[0]!;
  } finally {
    symbols.posix_spawn_file_actions_destroy(actions);
    symbols.posix_spawnattr_destroy(attributes);
  }
}
