import { assertEquals, messageOf } from "../../tests/assertions.ts";
import { parseRestartPolicy, resolveLifecycle } from "./lifecycle_options.ts";

const healthOf = (healthCmd: string) => resolveLifecycle({ healthCmd }, undefined, false)?.health?.test;

for (
  const [text, test] of [
    ["curl -f localhost", ["CMD-SHELL", "curl -f localhost"]],
    ['["CMD", "a", "b c"]', ["CMD", "a", "b c"]],
    ['["CMD-SHELL", "a b"]', ["CMD-SHELL", "a b"]],
    ['["a", "b"]', ["CMD", "a", "b"]],
    ['["a b"]', ["CMD-SHELL", "a b"]],
    ["CMD a b", ["CMD", "a", "b"]],
    ["CMD-SHELL a b", ["CMD-SHELL", "a b"]],
    ["none", undefined],
    ['["NONE"]', undefined],
  ] as [string, string[] | undefined][]
) Deno.test(`--health-cmd '${text}'`, () => assertEquals(healthOf(text), test));

Deno.test("options win over what the image says, one by one", async () => {
  const image = { Test: ["CMD", "check"], Interval: 7e9, Retries: 5 };
  assertEquals(resolveLifecycle({ healthInterval: "1m30s", healthOnFailure: "stop" }, image, false)?.health, {
    test: ["CMD", "check"],
    intervalMs: 90_000,
    timeoutMs: 30_000,
    startPeriodMs: 0,
    startIntervalMs: 5000,
    retries: 5,
    onFailure: "stop",
  });
  // podman's least time is for what a user asks
  assertEquals(resolveLifecycle({}, { ...image, Timeout: 5e8 }, false)?.health?.timeoutMs, 500);
  assertEquals(
    await messageOf(() => resolveLifecycle({ healthTimeout: "500ms" }, image, false)),
    "healthcheck-timeout must be at least 1 second",
  );
  assertEquals(resolveLifecycle({ noHealthcheck: true }, image, false), undefined);
  assertEquals(resolveLifecycle({}, { Test: ["NONE"] }, false), undefined);
});

Deno.test("restart policies", async () => {
  assertEquals(parseRestartPolicy("no"), undefined);
  assertEquals(parseRestartPolicy("on-failure:7"), { policy: "on-failure", retries: 7 });
  assertEquals(parseRestartPolicy("unless-stopped"), { policy: "unless-stopped", retries: 0 });
  assertEquals(
    await messageOf(() => parseRestartPolicy("on-failure:x")),
    'parsing restart policy retry count: "x" is no number',
  );
});
