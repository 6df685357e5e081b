/** How often what may pass is tried again. */

import type { Flags, Values } from "../command.ts";
import { parseDuration } from "../output/time_argument.ts";

export const RETRY_FLAGS = {
  retry: { kind: "uint", value: "COUNT", help: "Attempts after one that failed (default 4)" },
  "retry-delay": {
    kind: "string",
    value: "DURATION",
    help: "Wait between attempts (default: longer each time)",
  },
} as const satisfies Flags;

export function retriesFrom(
  { retry, "retry-delay": delay }: Values<typeof RETRY_FLAGS>,
): { retries?: number; retryDelayMs?: number } {
  return { retries: retry, retryDelayMs: delay === undefined ? undefined : parseDuration(delay) };
}
