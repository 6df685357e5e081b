/**
 * Advisory locks on files, which end with their holder, however it ends.
 *
 * Everything here tries without blocking and waits in between, so that a waiting command stays abortable.
 * @see flock(2)
 */

/** Held until disposed (or until the process ends). */
export interface HeldLock extends Disposable {
  readonly path: string;
  /** Whether the file is still the one at its path: whoever removes it makes room for another, with a holder of its own. */
  isCurrent(): boolean;
}

export interface LockOptions {
  /** Several may hold a shared lock at once; the default is exclusive. */
  shared?: boolean;
  signal?: AbortSignal;
  /** Give up after this time; the default waits for ever. */
  timeoutMs?: number;
}

/** Takes the lock at once, or returns null. The file is made where missing. */
export function tryLock(path: string, options: { shared?: boolean } = {}): HeldLock | null {
  const file = Deno.openSync(path, { read: true, write: true, create: true, mode: 0o600 });
  if (!file.tryLockSync(!options.shared)) {
    file.close();
    return null;
  }
  return held(path, file);
}

function held(path: string, file: Deno.FsFile): HeldLock {
  return {
    path,
    isCurrent() {
      try {
        const [own, there] = [file.statSync(), Deno.lstatSync(path)];
        return own.ino === there.ino && own.dev === there.dev;
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return false;
        throw error;
      }
    },
    [Symbol.dispose]: () => file.close(),
  };
}

/** Waits for the lock; null only when `timeoutMs` is over. */
export async function takeLock(path: string, options: LockOptions = {}): Promise<HeldLock | null> {
  const deadline = options.timeoutMs === undefined ? Infinity : performance.now() + options.timeoutMs;
  for (let pauseMs = 1;; pauseMs = Math.min(pauseMs * 2, 50)) {
    options.signal?.throwIfAborted();
    const lock = tryLock(path, options);
    if (lock) return lock;
    if (performance.now() + pauseMs > deadline) return null;
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

export type LockInspection = { state: "held" } | { state: "missing" } | { state: "free"; lock: HeldLock };

/**
 * Whether somebody holds the exclusive lock, asked with a shared one, so that two askers do not take each
 * other for a holder. Where it is free the shared lock is handed out: as long as the asker keeps it, nobody
 * can take the exclusive one. The file is not made.
 */
export function inspectLock(path: string): LockInspection {
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path, { read: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { state: "missing" };
    throw error;
  }
  if (file.tryLockSync(false)) return { state: "free", lock: held(path, file) };
  file.close();
  return { state: "held" };
}
