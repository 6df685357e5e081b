/** What each option of `exec` does. */

import {
  assertEquals,
  assertIncludes,
  assertMatch,
  driverTest,
  type Host,
  hostTest,
  waitFor,
} from "./harness.ts";

const REGISTRY = { needs: ["registry" as const] };

async function startContainer(host: Host, ...options: string[]): Promise<void> {
  const image = await host.image();
  await host.ok(
    "run",
    "-q",
    "--net=none",
    "-d",
    "--name",
    "c",
    ...options,
    image,
    "sleep",
    "1000",
  );
}

driverTest("exec runs in the container's root, namespaces and limits", REGISTRY, async (host) => {
  await startContainer(host, "-e", "FROM=container", "-w", "/tmp", "--hostname", "box");
  assertEquals(await host.ok("exec", "c", "sh", "-c", "echo $FROM $PWD $(hostname)"), "container /tmp box");
  for (const name of ["pid", "net", "ipc", "uts", "mnt", "user", "cgroup"]) {
    const own = await host.ok("exec", "c", "readlink", `/proc/self/ns/${name}`);
    assertEquals(own, await host.ok("exec", "c", "readlink", `/proc/1/ns/${name}`), name);
  }
  const fields = "sed -n '/^Cap\\|^Seccomp:\\|^NoNewPrivs/p' ";
  assertEquals(
    await host.ok("exec", "c", "sh", "-c", `${fields} /proc/self/status`),
    await host.ok("exec", "c", "sh", "-c", `${fields} /proc/1/status`),
  );
  await host.ok("exec", "c", "touch", "/made");
  await host.ok("exec", "c", "test", "-e", "/made");
});

hostTest("-e, --env-file, -w, -u and --privileged", REGISTRY, async (host) => {
  await startContainer(host);
  const file = `${host.home}/vars`;
  await Deno.writeTextFile(file, "A=file\nB=file\n");
  await host.own(file);
  assertEquals(
    await host.ok("exec", "--env-file", file, "-e", "B=line", "c", "sh", "-c", "echo $A $B"),
    "file line",
  );
  assertEquals(await host.ok("exec", "-w", "/etc", "c", "pwd"), "/etc");
  assertEquals(await host.ok("exec", "-u", "5:6", "c", "sh", "-c", "id -u; id -g"), "5\n6");
  const capabilities = (...options: string[]) =>
    host.ok("exec", ...options, "c", "sed", "-n", "s/^CapEff:[^0-9a-f]*//p", "/proc/self/status");
  assertEquals(await capabilities(), "00000000a80425fb");
  assertMatch(await capabilities("--privileged"), /ffffffff$/);
});

hostTest("-i passes stdin on, without it there is none", REGISTRY, async (host) => {
  await startContainer(host);
  assertEquals((await host.skiff(["exec", "-i", "c", "cat"], { stdin: "words" })).stdout, "words");
  assertEquals((await host.skiff(["exec", "c", "cat"], { stdin: "words" })).stdout, "");
});

hostTest("-d returns at once, and the program goes on", REGISTRY, async (host) => {
  await startContainer(host);
  assertMatch(await host.ok("exec", "-d", "c", "sh", "-c", "sleep 0.3; touch /done"), /^[0-9a-f]{64}$/);
  await waitFor(
    "the program has done its work",
    async () => (await host.skiff(["exec", "c", "test", "-e", "/done"])).code === 0,
  );
  const { code, stderr } = await host.skiff(["exec", "-d", "c", "nosuch"]);
  assertEquals(code, 127);
  assertIncludes(stderr, "nosuch");
});

hostTest("the exit code is the program's, 126 and 127", REGISTRY, async (host) => {
  await startContainer(host);
  assertEquals((await host.skiff(["exec", "c", "sh", "-c", "exit 42"])).code, 42);
  assertEquals((await host.skiff(["exec", "c", "sh", "-c", "kill -TERM $$"])).code, 143);
  assertEquals((await host.skiff(["exec", "c", "/etc"])).code, 126);
  assertEquals((await host.skiff(["exec", "c", "nosuch"])).code, 127);
  assertEquals((await host.skiff(["exec", "--latest", "true"])).code, 0);
});

hostTest("a program ends with its container", REGISTRY, async (host) => {
  await startContainer(host, "--stop-timeout", "0");
  const running = host.spawn(["exec", "c", "sh", "-c", "echo up; sleep 1000"]);
  await waitFor("the program is up", () => running.output.stdout.includes("up"));
  await host.ok("stop", "c");
  assertEquals((await running.result).code, 137);
  const late = await host.skiff(["exec", "c", "true"]);
  assertEquals(late.code, 125);
  assertIncludes(late.stderr, "it is not running");
});

hostTest("a session without a record lives as long as its monitor", REGISTRY, async (host) => {
  await startContainer(host);
  const id = await host.ok("exec", "-d", "c", "sleep", "1000");
  const folder = `${host.data}/containers/${host.containers()[0]}/exec/${id}`;
  const { monitorPid } = await waitFor("it has a record", () => {
    try {
      return JSON.parse(Deno.readTextFileSync(`${folder}/state.json`));
    } catch {
      return undefined;
    }
  });
  // as on a disk that is full
  Deno.removeSync(`${folder}/state.json`);
  Deno.utimeSync(folder, 1000, 1000);
  const sessions = () => host.ok("inspect", "--format", "{{len .ExecIDs}}", "c");
  assertEquals(await sessions(), "1");
  Deno.kill(monitorPid, "SIGKILL");
  await waitFor("it has ended", async () => await sessions() === "0");
});
