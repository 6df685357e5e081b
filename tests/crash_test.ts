/**
 * kill -9 at random moments: whatever dies, the store stays consistent, nothing stays mounted, no process is
 * orphaned, and the next command works and clears up.
 */

import { assert, assertEquals, driverTest, type Host, hostTest, type Running, waitFor } from "./harness.ts";
import { killLeft, type LeftProcess } from "./leaks.ts";

/** With the driver that most people have; the others take a third of the time. */
const POINTS = Number(Deno.env.get("SKIFF_TEST_CRASH_POINTS") ?? 50);

const pointsOf = (host: Host) => host.driver === "overlay" ? POINTS : Math.ceil(POINTS / 3);

const names = (folder: string) => Array.from(Deno.readDirSync(folder), ({ name }) => name);

/** Starts a command, kills it somewhere between its start and its usual end, and waits until it is gone. */
async function killSomewhere(host: Host, args: string[], usualMs: number): Promise<void> {
  const running = host.spawn(args);
  const timer = setTimeout(() => {
    try {
      running.child.kill("SIGKILL");
    } catch {
      // it was faster
    }
  }, Math.random() * usualMs);
  await running.child.status;
  clearTimeout(timer);
}

/** Kills the monitor of the container that `running` starts, at a moment up to `usualMs` after it is first seen. */
async function killMonitorSomewhere(host: Host, running: Running, usualMs: number): Promise<void> {
  let hasEnded = false;
  running.result.finally(() => hasEnded = true);
  const monitors = () => {
    const named = host.processes().filter(({ pid, command }) =>
      pid !== running.pid && command.startsWith("skiff: ")
    );
    const pids = new Set(named.map(({ pid }) => pid));
    // what it forks has its name until execve, or until it takes another: fuse-overlayfs, init
    return named.filter(({ pid, command }) =>
      !/^skiff: (init|exec)/.test(command) && !pids.has(parentOf(pid))
    );
  };
  while (!hasEnded) {
    const [monitor] = monitors();
    if (monitor !== undefined) {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * usualMs));
      const isStill = ({ pid, startTime }: LeftProcess) =>
        pid === monitor.pid && startTime === monitor.startTime;
      if (hasEnded || !monitors().some(isStill)) continue;
      killLeft(monitor);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** How long the command takes here and now. */
async function timeOf(host: Host, args: string[]): Promise<number> {
  const start = performance.now();
  const { code, stderr } = await host.skiff(args);
  assertEquals(code, 0, stderr);
  return performance.now() - start;
}

/** Removes what is there, as a user would, and asserts that nothing is left. */
async function expectCleanAfterRemoval(host: Host): Promise<void> {
  await waitFor("monitors without a command end", async () => {
    const left = (await host.ok("ps", "-aq", "--no-trunc")).split("\n").filter(Boolean);
    if (left.length > 0) await host.ok("rm", "-f", "-v", ...left);
    return left.length === 0 && host.processes().length === 0;
  }, 120_000);
  // what is young may be in the making, for all that the next command knows
  const old = new Date(Date.now() - 3600_000);
  const parts = ["containers", "volumes", "tmp"].map((part) => `${host.data}/${part}`);
  for (const part of parts) {
    for (const name of names(part)) await Deno.utime(`${part}/${name}`, old, old);
  }
  await host.ok("rm", await host.ok("create", "-q", "host", "true"));
  assertEquals(parts.flatMap(names), []);
}

driverTest("run killed at random points", {
  needs: ["registry", "busybox"],
  timeoutMs: 600_000,
}, async (host) => {
  const image = await host.image();
  await host.ok("pull", "-q", image);
  const args = ["run", "--rm", "--network", "none", "-v", "/anonymous", image, "true"];
  const usualMs = await timeOf(host, args);
  for (let point = 0; point < pointsOf(host); point++) await killSomewhere(host, args, usualMs);
  assertEquals((await host.run("--rm", image, "echo", "fine")).stdout, "fine\n");
  await expectCleanAfterRemoval(host);
});

driverTest("monitor killed at random points of run", {
  needs: ["registry", "busybox"],
  timeoutMs: 600_000,
}, async (host) => {
  const image = await host.image();
  await host.ok("pull", "-q", image);
  const args = ["run", "--network", "none", "-v", "/anonymous", image, "sleep", "0.05"];
  const usualMs = await timeOf(host, args);
  for (let point = 0; point < pointsOf(host); point++) {
    const running = host.spawn(args);
    await killMonitorSomewhere(host, running, usualMs);
    const { code, stderr } = await running.result;
    // the program had ended, or it died with its monitor, or it never began: and that is said
    assert(code === 0 || code === 137 || (code > 124 && stderr !== ""), `exit code ${code}: ${stderr}`);
  }
  const states = (await host.ok("ps", "-a", "--format", "{{.State}}")).split("\n");
  assertEquals(states.filter((state) => !["exited", "created"].includes(state)), []);
  assertEquals((await host.run("--rm", image, "echo", "fine")).stdout, "fine\n");
  await expectCleanAfterRemoval(host);
});

driverTest("monitor killed at random points of rm", {
  needs: ["registry", "busybox"],
  timeoutMs: 600_000,
}, async (host) => {
  const image = await host.image();
  await host.ok("pull", "-q", image);
  const start = () => host.ok("run", "-d", "--network", "none", "-v", "/anonymous", image, "sleep", "600");
  const usualMs = await timeOf(host, ["rm", "-f", "-v", await start()]);
  for (let point = 0; point < pointsOf(host); point++) {
    const id = await start();
    const running = host.spawn(["rm", "-f", "-v", id]);
    await killMonitorSomewhere(host, running, usualMs);
    const { code, stderr } = await running.result;
    assertEquals([code, stderr], [0, ""]);
    assertEquals(await host.ok("ps", "-aq"), "");
  }
  await expectCleanAfterRemoval(host);
});

driverTest("rm killed at random points", { timeoutMs: 600_000 }, async (host) => {
  const create = async () =>
    (await host.ok("create", "-v", "/anonymous", "host", "true")).split("\n").at(-1)!;
  const usualMs = await timeOf(host, ["rm", "-v", await create()]);
  for (let point = 0; point < pointsOf(host); point++) {
    const id = await create();
    await killSomewhere(host, ["rm", "-v", id], usualMs);
    // it is there whole, or it is gone
    const { code, stdout, stderr } = await host.skiff([
      "ps",
      "-a",
      "--no-trunc",
      "--format",
      "{{.ID}} {{.State}}",
    ]);
    assertEquals(code, 0, stderr);
    if (stdout.includes(`${id} created`)) await host.ok("inspect", id);
  }
  await expectCleanAfterRemoval(host);
});

hostTest(
  `pull killed at ${POINTS} random points`,
  { needs: ["registry"], timeoutMs: 600_000 },
  async (host) => {
    const image = await host.image("busybox");
    const usualMs = await timeOf(host, ["pull", "-q", image]);
    await host.ok("rmi", image);
    for (let point = 0; point < POINTS; point++) {
      await killSomewhere(host, ["pull", "-q", image], usualMs);
      const { code } = await host.skiff(["image", "exists", image]);
      if (code === 0) {
        // what is there is there whole
        assertEquals(await host.ok("run", "--rm", "--network", "none", image, "echo", "whole"), "whole");
        await host.ok("rmi", image);
      }
    }
    await host.ok("pull", "-q", image);
    assertEquals(await host.ok("run", "--rm", "--network", "none", image, "echo", "fine"), "fine");
    await host.ok("rmi", image);
    assertEquals(names(`${host.data}/layers`), []);
    assertEquals(names(`${host.data}/blobs/sha256`), []);
  },
);

driverTest("a killed monitor takes its container along, and the next command tells it", {}, async (host) => {
  const id = await host.ok("run", "-d", "--network", "none", "--name", "c", "host", "sleep", "600");
  const inspect = async () => JSON.parse(await host.ok("container", "inspect", id))[0].State;
  const state = await inspect();
  host.kill9(state.ConmonPid);
  await waitFor("init has died with its monitor", () => !isAlive(state.Pid));
  const after = await inspect();
  assertEquals([after.Status, after.ExitCode, after.Pid], ["exited", 137, 0]);
  assertEquals(after.Error, "the monitor of the container was killed");
  const mounts = Deno.readTextFileSync("/proc/self/mountinfo");
  assert(!mounts.includes(id), "its root is still mounted");
  await host.ok("start", "c");
  assertEquals((await inspect()).Status, "running");
  await host.ok("rm", "-f", "c");
});

hostTest("a --rm container whose monitor was killed is gone after the next ps", {}, async (host) => {
  const id = await host.ok("run", "-d", "--rm", "--network", "none", "host", "sleep", "600");
  const [{ State: state }] = JSON.parse(await host.ok("container", "inspect", id));
  host.kill9(state.ConmonPid);
  await waitFor("init has died with its monitor", () => !isAlive(state.Pid));
  await host.ok("ps", "-a");
  assertEquals(await host.ok("ps", "-aq"), "");
  assertEquals(names(`${host.data}/containers`), []);
});

driverTest(
  "a hundred parallel run --rm all succeed and leave nothing",
  { timeoutMs: 300_000 },
  async (host) => {
    const results = await Promise.all(
      Array.from(
        { length: 100 },
        () => host.skiff(["run", "--rm", "--network", "none", "host", "true"], { timeoutMs: 280_000 }),
      ),
    );
    const failures = results.filter(({ code }) => code !== 0).map(({ stderr }) => stderr);
    assertEquals(failures, []);
    await waitFor("every monitor has gone", () => names(`${host.data}/containers`).length === 0);
    assertEquals(await host.ok("ps", "-aq"), "");
  },
);

/** NaN when it has gone. */
function parentOf(pid: number): number {
  try {
    return Number(/^PPid:\s+(\d+)/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1]);
  } catch {
    return NaN;
  }
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}
