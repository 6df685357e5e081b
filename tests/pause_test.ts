/** restart, pause, unpause, rename, port, prune: the states between and what each verb makes of them. */

import { assertEquals, assertIncludes, assertMatch, type Host, hostTest, waitFor } from "./harness.ts";

const NEEDS = { needs: ["registry", "busybox"] as ("registry" | "busybox")[] };

/** Counts into a file, with a child that does so as well. */
const COUNT = [
  "sh",
  "-c",
  "(while :; do echo c >> /count; sleep 0.01; done) & while :; do echo p >> /count; sleep 0.01; done",
];

const stateOf = (host: Host, name: string) => host.ok("inspect", "-f", "{{.State.Status}}", name);

async function refusal(host: Host, ...words: string[]): Promise<string> {
  const { code, stderr } = await host.skiff(words);
  assertEquals(code === 0, false, words.join(" "));
  return stderr.split("\n")[0]!;
}

async function pausesAndGoesOn(host: Host, image: string): Promise<void> {
  await host.run("-q", "-d", "--name", "c", image, ...COUNT);
  const count = async () => {
    const state = await Deno.readTextFile(
      `/proc/${await host.ok("inspect", "-f", "{{.State.Pid}}", "c")}/status`,
    );
    const file = `/proc/${/^Pid:\s*(\d+)/m.exec(state)![1]}/root/count`;
    return (await Deno.stat(file)).size;
  };
  await waitFor("it counts", async () => await count() > 20);
  await host.ok("pause", "c");
  // what a process in the kernel (D) was about to write is still written
  const still = await waitFor("it stands still", async () => {
    const before = await count();
    return before === await count() && before;
  });
  await host.skiff(["ps"]);
  assertEquals(await count(), still);
  assertEquals(await stateOf(host, "c"), "paused");
  assertEquals(await host.ok("inspect", "-f", "{{.State.Paused}} {{.State.Running}}", "c"), "true true");
  assertEquals(await host.ok("ps", "--format", "{{.Names}} {{.Status}} {{.State}}"), "c Paused paused");
  assertEquals(
    await refusal(host, "exec", "c", "true"),
    'Error: exec in container "c": it is not running, its state is paused',
  );
  assertIncludes(await refusal(host, "attach", "c"), "its state is paused");
  assertIncludes(await refusal(host, "pause", "c"), "it is already paused");
  assertIncludes(
    await refusal(host, "rm", "c"),
    "it is paused - running or paused containers cannot be removed",
  );
  await host.ok("unpause", "c");
  assertEquals(await stateOf(host, "c"), "running");
  await waitFor("it goes on", async () => await count() > still + 20);
  assertIncludes(await refusal(host, "unpause", "c"), "it is not paused");
  // each verb that ends a container lets it run for that
  await host.ok("pause", "--all");
  await host.ok("stop", "-t", "0", "c");
  assertEquals(await stateOf(host, "c"), "exited");
  await host.ok("start", "c");
  await host.ok("pause", "c");
  await host.ok("kill", "c");
  assertEquals(await host.ok("wait", "c"), "137");
  await host.ok("start", "c");
  assertEquals(await stateOf(host, "c"), "running");
  await host.ok("pause", "c");
  await host.ok("restart", "-t", "0", "c");
  assertEquals(await stateOf(host, "c"), "running");
  await host.ok("pause", "c");
  await host.ok("unpause", "--all");
  assertEquals(await stateOf(host, "c"), "running");
  await host.ok("pause", "c");
  await host.ok("rm", "-f", "c");
}

hostTest("a paused container stands still with all its processes, and says so once", NEEDS, async (host) => {
  const image = await host.image();
  await host.run("-q", "-d", "--name", "first", image, "sleep", "600");
  assertIncludes((await host.skiff(["pause", "first"])).stderr, "stopped by a signal");
  await host.ok("unpause", "first");
  assertEquals((await host.skiff(["pause", "first"])).stderr, "");
  await host.ok("rm", "-f", "first");
  await pausesAndGoesOn(host, image);
});

hostTest("root pauses with the freezer", { ...NEEDS, asRoot: true }, async (host) => {
  const image = await host.image();
  await host.run("-q", "-d", "--name", "first", image, "sleep", "600");
  const cgroup = async () =>
    await Deno.readTextFile(`/proc/${await host.ok("inspect", "-f", "{{.State.Pid}}", "first")}/cgroup`);
  const before = await cgroup();
  await host.ok("pause", "first");
  assertIncludes(await cgroup(), "/skiff-paused-");
  await host.ok("unpause", "first");
  assertEquals(await cgroup(), before);
  await host.ok("rm", "-f", "first");
  await pausesAndGoesOn(host, image);
});

hostTest("restart stops and starts; a container of --rm stays for it", NEEDS, async (host) => {
  const image = await host.image();
  const trap = ["sh", "-c", "trap 'echo down; exit 0' TERM; echo up; while :; do sleep 0.05; done"];
  await host.run("-q", "-d", "--rm", "--name", "r", image, ...trap);
  await waitFor("it is up", async () => (await host.ok("logs", "r")) === "up");
  const pid = await host.ok("inspect", "-f", "{{.State.Pid}}", "r");
  assertEquals(await host.ok("restart", "r"), "r");
  await waitFor("it is up again", async () => (await host.ok("logs", "r")) === "up\ndown\nup");
  assertEquals(pid === await host.ok("inspect", "-f", "{{.State.Pid}}", "r"), false);
  await host.ok("stop", "r");
  assertEquals(await host.ok("ps", "-aq"), "");
  await host.ok("create", "--name", "idle", image, "sleep", "600");
  assertEquals(await host.ok("restart", "--running"), "");
  assertEquals(await stateOf(host, "idle"), "created");
  await host.ok("restart", "--all");
  assertEquals(await stateOf(host, "idle"), "running");
  assertIncludes(await refusal(host, "restart", "nobody"), 'no container with name or ID "nobody" found');
  const told = await host.ok("events", "--stream=false", "-f", "container=r", "--format", "{{.Status}}");
  assertMatch(told, /start\nrestart\ndied\nstop\ninit\nstart\n/);
});

hostTest("rename, port, prune and what cannot be had", NEEDS, async (host) => {
  const image = await host.image();
  await host.run("-q", "-d", "--name", "a", image, "sleep", "600");
  await host.ok("create", "--name", "b", "-l", "keep=1", image, "true");
  await host.ok("create", "--name", "c", image, "true");
  await host.ok("rename", "a", "web");
  assertEquals(await host.ok("inspect", "-f", "{{.Name}}", "web"), "web");
  assertEquals(await host.ok("rename", "web", "web"), "");
  assertIncludes(await refusal(host, "rename", "web", "b"), 'the container name "b" is already in use');
  assertIncludes(await refusal(host, "rename", "web", "a b"), "a b");
  assertIncludes(await refusal(host, "rename", "gone", "d"), 'no container with name or ID "gone" found');
  assertEquals(await host.ok("port", "web"), "");
  assertEquals(await host.ok("port", "-a"), "");
  assertEquals(await refusal(host, "port"), "Error: you must supply a running container name or id");
  assertIncludes(await refusal(host, "port", "web", "80/foo"), 'failed to find published port "80/foo"');
  assertIncludes(await refusal(host, "container", "checkpoint", "web"), "it needs CRIU");
  assertIncludes(await refusal(host, "container", "restore", "web"), "it needs CRIU");
  const asked = await host.skiff(["container", "prune"], { stdin: "n\n" });
  assertEquals([asked.code, asked.stdout], [
    0,
    "WARNING! This will remove all non running containers.\nAre you sure you want to continue? [y/N] ",
  ]);
  const id = await host.ok("inspect", "-f", "{{.Id}}", "c");
  assertEquals(await host.ok("container", "prune", "-f", "--filter", "label!=keep"), id);
  assertEquals(await host.ok("container", "prune", "-f", "--filter", "until=1h"), "");
  assertIncludes(
    await refusal(host, "container", "prune", "-f", "--filter", "foo=bar"),
    "foo is an invalid filter",
  );
  assertEquals(await host.ok("ps", "-a", "--format", "{{.Names}}"), "b\nweb");
  // its monitor tells the new name, too
  await host.ok("stop", "-t", "0", "web");
  assertEquals(await host.ok("events", "--stream=false", "-f", "event=died", "--format", "{{.Name}}"), "web");
});
