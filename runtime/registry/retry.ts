/** When and how long to wait before a registry is asked again. */
import { RegistryError } from "../errors.ts";
import { pause } from "./watchdog.ts";

/** A failure that may be gone the next time: a broken connection, silence. */
export class TransientError extends RegistryError {
  override name = "RegistryError";
}

export interface RetryOptions {
  /** Requests in all, the first one included. */
  attempts: number;
  /** The first pause; each further one doubles, up to `maxMs`. */
  baseMs: number;
  maxMs: number;
  /** A server that wants more patience than this is not waited for. */
  maxRetryAfterMs: number;
  pause: (ms: number, signal?: AbortSignal) => Promise<void>;
  random: () => number;
}

export const RETRY_DEFAULTS: RetryOptions = {
  attempts: 5,
  baseMs: 500,
  maxMs: 15_000,
  maxRetryAfterMs: 120_000,
  pause,
  // the function of the moment: that of a kept process was another when this was loaded
  random: () => Math.random(),
};

/** What a command asks for: so many further attempts, and the same pause before each, as podman makes it. */
export function retryOf(
  { retries, retryDelayMs: ms }: { retries?: number; retryDelayMs?: number },
): Partial<RetryOptions> {
  return {
    ...(retries === undefined ? {} : { attempts: retries + 1 }),
    ...(ms === undefined ? {} : { baseMs: ms, maxMs: ms, random: () => 1 }),
  };
}

export const RETRYABLE_STATUS: readonly number[] = [408, 429, 500, 502, 503, 504];

/**
 * The pause before attempt `attempt + 1`: full jitter over a doubling range (so that a hundred clients do not
 * come back at once), never less than the server asks for. Null: do not try again.
 */
export function retryDelayMs(
  attempt: number,
  retryAfter: string | undefined,
  options: RetryOptions,
): number | null {
  if (attempt + 1 >= options.attempts) return null;
  const range = Math.min(options.maxMs, options.baseMs * 2 ** attempt);
  const jittered = range / 2 + options.random() * range / 2;
  const asked = parseRetryAfter(retryAfter, Date.now());
  if (asked === null) return jittered;
  return asked > options.maxRetryAfterMs ? null : Math.max(jittered, asked);
}

/** Seconds or an HTTP date, in milliseconds from now. @see RFC 9110, 10.2.3 */
export function parseRetryAfter(text: string | undefined, nowMs: number): number | null {
  if (text === undefined) return null;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : Math.max(0, date - nowMs);
}
