import { deepStrictEqual as assertEquals, ok, throws } from "node:assert";
import fc from "fast-check";
import { parseDelay } from "../spec/duration.ts";
import { parseRetryAfter, RETRY_DEFAULTS, retryDelayMs, retryOf } from "./retry.ts";

Deno.test("pauses double, jitter, and end", () => {
  const delays = (random: number) =>
    [0, 1, 2, 3, 4].map((attempt) =>
      retryDelayMs(attempt, undefined, { ...RETRY_DEFAULTS, random: () => random })
    );
  assertEquals(delays(0), [250, 500, 1000, 2000, null]);
  assertEquals(delays(1), [500, 1000, 2000, 4000, null]);
});

Deno.test("Retry-After is obeyed in seconds and dates, and not beyond patience", () => {
  assertEquals(retryDelayMs(0, "7", RETRY_DEFAULTS), 7000);
  assertEquals(retryDelayMs(0, "3600", RETRY_DEFAULTS), null);
  const now = Date.parse("Fri, 20 Nov 2026 23:00:00 GMT");
  assertEquals(parseRetryAfter("Fri, 20 Nov 2026 23:00:09 GMT", now), 9000);
  assertEquals(parseRetryAfter("Fri, 20 Nov 2026 22:00:00 GMT", now), 0);
  for (const text of [undefined, "", "soon", "-1"]) ok((parseRetryAfter(text, now) ?? 0) === 0);
});

Deno.test("no header makes a pause negative, endless or NaN", () => {
  fc.assert(fc.property(fc.string(), fc.nat(10), (text, attempt) => {
    const delay = retryDelayMs(attempt, text, RETRY_DEFAULTS);
    return delay === null || (delay >= 0 && delay <= RETRY_DEFAULTS.maxRetryAfterMs);
  }));
});

Deno.test("a command's own attempts and pauses stand instead of the usual", () => {
  const how = (options: Parameters<typeof retryOf>[0]) => ({ ...RETRY_DEFAULTS, ...retryOf(options) });
  const delays = (options: Parameters<typeof retryOf>[0]) =>
    [0, 1, 2, 3].map((attempt) => retryDelayMs(attempt, undefined, how(options)));
  assertEquals(delays({ retries: 0 }), [null, null, null, null]);
  assertEquals(delays({ retries: 2, retryDelayMs: parseDelay("1.5s") }), [1500, 1500, null, null]);
  for (const bad of ["x", "5", "-1s"]) {
    throws(() => parseDelay(bad), { message: `time: invalid duration "${bad}"` });
  }
});
