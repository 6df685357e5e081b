import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { resolveLifecycle } from "./lifecycle_options.ts";
import { updateLifecycle } from "./lifecycle_update.ts";

const checked = resolveLifecycle(
  {
    restart: "always",
    healthCmd: "true",
    healthInterval: "disable",
    healthStartupCmd: '["CMD","up","now"]',
    healthStartupRetries: 3,
    healthOnFailure: "kill",
    healthMaxLogCount: 7,
    timeoutSeconds: 9,
  },
  undefined,
  false,
)!;

Deno.test("what is not named stays, to the last field", () => {
  assertEquals(updateLifecycle(checked, {}, false), checked);
  assertEquals(updateLifecycle(checked, { healthRetries: 8 }, false), {
    ...checked,
    health: { ...checked.health!, retries: 8 },
  });
  // of an image: shorter than an option may ask for
  const short = resolveLifecycle({}, { Test: ["CMD", "x"], Timeout: 1e8 }, false)!;
  assertEquals(updateLifecycle(short, { healthInterval: "3s" }, false), {
    health: { ...short.health!, intervalMs: 3000 },
  });
});

Deno.test("a restart policy is replaced, and taken away", () => {
  assertEquals(updateLifecycle(undefined, { restart: "on-failure:5" }, false), {
    restart: { policy: "on-failure", retries: 5 },
  });
  assertEquals(
    updateLifecycle({ restart: { policy: "always", retries: 0 } }, { restart: "never" }, false),
    undefined,
  );
  assertEquals(updateLifecycle(checked, { restart: "no" }, false)!.restart, undefined);
  throws(
    () => updateLifecycle(undefined, { restart: "always" }, true),
    /--rm option conflicts with --restart/,
  );
  throws(() => updateLifecycle(undefined, { restart: "often" }, false), /not a valid restart policy/);
});

Deno.test("without a command there is nothing to change of a check", () => {
  for (
    const [key, value] of Object.entries({ healthInterval: "1s", healthRetries: 2, healthOnFailure: "kill" })
  ) {
    throws(() => updateLifecycle(undefined, { [key]: value }, false), {
      message: "healthcheck command is not set",
    });
  }
  for (const key of ["healthStartupInterval", "healthStartupTimeout"]) {
    throws(() =>
      updateLifecycle({ health: checked.health && { ...checked.health, startup: undefined } }, {
        [key]: "2s",
      }, false), { message: "startup healthcheck command is not set" });
  }
  throws(
    () => updateLifecycle(undefined, { healthStartupCmd: "x" }, false),
    /when there is no regular healthcheck/,
  );
});

Deno.test("checks are switched off, and on again by a command", () => {
  const off = updateLifecycle(checked, { noHealthcheck: true }, false)!;
  assertEquals(off, { restart: checked.restart, timeoutSeconds: 9, healthIsOff: true });
  throws(() => updateLifecycle(checked, { noHealthcheck: true, healthRetries: 1 }, false), {
    message: "cannot specify both --no-healthcheck and other HealthCheck flags",
  });
  const on = updateLifecycle(off, { healthCmd: "echo" }, false)!;
  assertEquals([on.healthIsOff, on.health!.test], [undefined, ["CMD-SHELL", "echo"]]);
});
