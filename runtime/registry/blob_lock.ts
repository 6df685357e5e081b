/**
 * One process at a time downloads a blob; others wait, then find it there.
 * The lock file goes with its last holder, so that a store holds nothing but content.
 *
 * @see flock(2)
 */
import { type Digest, digestHex } from "../spec/digest.ts";
import { pause } from "./watchdog.ts";

const FIRST_PAUSE_MS = 2;
const LONGEST_PAUSE_MS = 100;

/**
 * Waits for the lock of a blob.
 * @param onWait called once when somebody else holds it
 */
export async function lockBlob(
  locksFolder: string,
  digest: Digest,
  options: { signal?: AbortSignal; onWait?: () => void } = {},
): Promise<Disposable> {
  const path = `${locksFolder}/blob-${digestHex(digest)}.lock`;
  for (let pauseMs = FIRST_PAUSE_MS, waited = false;;) {
    options.signal?.throwIfAborted();
    const lock = tryLock(path);
    if (lock === "lost") continue;
    if (lock !== null) return lock;
    if (!waited) options.onWait?.();
    waited = true;
    await pause(pauseMs, options.signal);
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
  }
}

/** "lost": between opening and locking, the holder removed the file, and what we hold is nobody's. */
function tryLock(path: string): Disposable | "lost" | null {
  const file = Deno.openSync(path, { read: true, write: true, create: true, mode: 0o600 });
  if (!file.tryLockSync(true)) {
    file.close();
    return null;
  }
  const held = file.statSync().ino;
  if (inodeOf(path) !== held) {
    file.close();
    return "lost";
  }
  return {
    [Symbol.dispose]() {
      if (inodeOf(path) === held) Deno.removeSync(path);
      file.close();
    },
  };
}

function inodeOf(path: string): number | null {
  try {
    return Deno.lstatSync(path).ino;
  } catch {
    return null;
  }
}
