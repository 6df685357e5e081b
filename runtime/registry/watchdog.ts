/** Time limits and aborts on a connection: whatever is awaited on it ends when the connection is closed. */

/** Runs `onExpire` when nobody touched it for `limitMs`; one timer, however often it is touched. */
export class Watchdog {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lastMs = 0;
  expired = false;

  constructor(private readonly limitMs: number, private readonly onExpire: () => void) {}

  start(): void {
    this.#lastMs = performance.now();
    if (this.#timer === undefined) this.#arm(this.limitMs);
  }

  touch(): void {
    this.#lastMs = performance.now();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const left = this.#lastMs + this.limitMs - performance.now();
      if (left > 0) return this.#arm(left);
      this.expired = true;
      this.onExpire();
    }, ms);
  }
}

/**
 * Waits for something that cannot be cancelled, up to a limit; what arrives too late is handed to `discard`.
 * @throws what `onTimeout` returns, or the signal's reason
 */
export async function withLimit<T>(
  work: Promise<T>,
  limits: { ms: number; signal?: AbortSignal; onTimeout: () => Error; discard: (late: T) => void },
): Promise<T> {
  limits.signal?.throwIfAborted();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let onAbort: (() => void) | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(limits.onTimeout()), limits.ms);
    onAbort = () => reject(limits.signal!.reason);
    limits.signal?.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([work, limit]);
  } catch (error) {
    work.then(limits.discard, () => {});
    throw error;
  } finally {
    clearTimeout(timer);
    if (onAbort !== undefined) limits.signal?.removeEventListener("abort", onAbort);
  }
}

/** Pauses; an abort ends it with the signal's reason. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
