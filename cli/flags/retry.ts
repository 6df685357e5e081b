/** How often what may pass is tried again. */

import { parseDelay } from "../../runtime/spec/duration.ts";
import type { Flags, Values } from "../command.ts";

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
  return { retries: retry, retryDelayMs: delay ? parseDelay(delay) : undefined };
}
