/**
 * Host tests: each runs the built executable as an unprivileged user, in a home of its own, and must leave
 * nothing behind.
 *
 *     hostTest("run gives the program's exit code", { needs: ["registry"] }, async (host) => {
 *       const image = await host.image("busybox");
 *       const { code } = await host.run("--rm", image, "sh", "-c", "exit 7");
 *       assertEquals(code, 7);
 *     });
 *     driverTest(…) does the same once with each storage driver.
 *
 * SKIFF_BINARY picks the executable, SKIFF_TEST_KEEP=1 keeps the files, SKIFF_TEST_MUST_RUN=1 turns every
 * skip into a failure.
 */
import { Host, type HostOptions } from "./host.ts";
import { type Need, whatIsMissing } from "./needs.ts";

export { Host, type Result, type Running, type RunOptions } from "./host.ts";
export { type ImageSpec, makeImage } from "./images.ts";
export { LocalRegistry } from "./local_registry.ts";
export { PtySession } from "./pty.ts";
export { hasFilesystem, type Need, testIds, whatIsMissing } from "./needs.ts";
export * from "./assertions.ts";

export type DriverName = "overlay" | "fuse-overlayfs" | "vfs";
export const DRIVERS: readonly DriverName[] = ["overlay", "fuse-overlayfs", "vfs"];

export interface TestOptions extends HostOptions {
  /** What the machine must have; else the test is skipped, and the reason is in its name. */
  needs?: Need[];
  /** What no package could bring to this kind of machine: the test is named so, and does not run even in CI. */
  notHere?: string | null;
  /** Default 400 s: a bound for what hangs, not for what a loaded machine makes slow. */
  timeoutMs?: number;
}

type HostTest = (host: Host) => Promise<void> | void;

/** Registers one test. After `fn` the containers are removed, and what then still lives or is mounted fails it. */
export function hostTest(name: string, options: TestOptions, fn: HostTest): void {
  const missing = whatIsMissing(["user", ...(options.needs ?? [])]);
  const mustRun = Deno.env.get("SKIFF_TEST_MUST_RUN") === "1";
  if (options.notHere) return Deno.test.ignore(`${name} [this machine has ${options.notHere}]`, () => {});
  Deno.test({
    name: missing === null ? name : `${name} [needs ${missing}]`,
    ignore: missing !== null && !mustRun,
    sanitizeExit: true,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      if (missing !== null) throw new Error(`cannot run: ${missing}`);
      const host = await Host.make(options);
      const failures: unknown[] = [];
      try {
        await withTimeout(options.timeoutMs ?? 400_000, () => fn(host));
      } catch (error) {
        failures.push(error);
      }
      try {
        await host.close();
      } catch (error) {
        failures.push(error);
      }
      if (failures.length === 1) throw failures[0];
      if (failures.length > 1) throw new AggregateError(failures, failures.map(String).join("\n"));
    },
  });
}

/** Registers the test once for each storage driver; `host.run` then names it to the engine. */
export function driverTest(name: string, options: TestOptions, fn: HostTest): void {
  for (const driver of DRIVERS) {
    const needs: Need[] = driver === "fuse-overlayfs" ? ["fuse-overlayfs"] : [];
    hostTest(`${name} (${driver})`, { ...options, driver, needs: [...needs, ...(options.needs ?? [])] }, fn);
  }
}

async function withTimeout(ms: number, fn: () => Promise<void> | void): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the test took longer than ${ms / 1000} s`)), ms);
  });
  try {
    await Promise.race([fn(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits until `condition` gives something; asks again every 10 ms. */
export async function waitFor<T>(
  what: string,
  condition: () => Promise<T | undefined | null | false> | T | undefined | null | false,
  timeoutMs = 60_000,
): Promise<T> {
  const end = Date.now() + timeoutMs;
  while (true) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited ${timeoutMs / 1000} s in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
