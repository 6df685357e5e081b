/** What README.md, "For scripts", promises: streams, exit codes, --quiet, documents, forms to repeat, signals. */

import { assert, assertEquals, assertMatch, type Host, hostTest, waitFor } from "./harness.ts";

const REGISTRY = { needs: ["registry" as const] };
const QUIET = ["-q", "--network", "none", "--stop-timeout", "0"];

async function sleeper(host: Host, name: string): Promise<string> {
  const image = await host.image();
  const script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done";
  return await host.ok("run", "-d", ...QUIET, "--name", name, image, "sh", "-c", script);
}

hostTest("stdout holds results only, stderr all the rest", REGISTRY, async (host) => {
  const image = await host.image();
  const pulled = await host.skiff([
    "run",
    "--rm",
    "--network",
    "none",
    image,
    "sh",
    "-c",
    "echo result; echo note >&2",
  ]);
  assertEquals([pulled.code, pulled.stdout], [0, "result\n"]);
  assertMatch(pulled.stderr, /^Trying to pull|Copying blob [^]*note\n$/);
  // what could not be done is told on stderr, what could on stdout, and all is tried
  await host.ok("create", ...QUIET, "--name", "a", image);
  const mixed = await host.skiff(["rm", "nosuch", "a", "nosuch2"]);
  assertEquals([mixed.code, mixed.stdout], [1, "a\n"]);
  assertEquals(mixed.stderr.match(/^Error: /gm)?.length, 2);
  const inspected = await host.skiff(["inspect", "nosuch"]);
  assertEquals([inspected.code, inspected.stdout], [125, "[]\n"]);
});

hostTest("--quiet prints ids only, and no progress", REGISTRY, async (host) => {
  const image = await host.image();
  const { stdout, stderr } = await host.skiff(["pull", "-q", image]);
  assertMatch(stdout, /^[0-9a-f]{64}\n$/);
  assertEquals(stderr, "");
  const created = await host.skiff(["create", ...QUIET, image]);
  assertMatch(created.stdout, /^[0-9a-f]{64}\n$/);
  assertEquals(created.stderr, "");
  assertMatch(await host.ok("ps", "-aq"), /^[0-9a-f]{12}$/);
  assertMatch(await host.ok("ps", "-aq", "--no-trunc"), /^[0-9a-f]{64}$/);
  assertMatch(await host.ok("images", "-q"), /^[0-9a-f]{12}$/);
});

/** Members that scripts read: they stay. More may come. */
const MEMBERS: [words: string, members: string][] = [
  [
    "ps -a --format json",
    "AutoRemove Command CreatedAt Exited ExitedAt ExitCode Id Image ImageID IsInfra Labels Mounts Names Networks Pid " +
    "Pod PodName StartedAt State Status",
  ],
  [
    "images --format json",
    "Id ParentId RepoTags RepoDigests Size SharedSize VirtualSize Labels Containers Names Digest Created CreatedAt",
  ],
  [
    "container inspect c",
    "Id Created Path Args State Image ImageDigest ImageName Name RestartCount Driver Mounts NetworkSettings Config " +
    "HostConfig",
  ],
  [
    "image inspect IMAGE",
    "Id Digest RepoTags RepoDigests Created Config Architecture Os Size VirtualSize RootFS Labels History",
  ],
  ["volume ls --format json", "Name Driver Mountpoint CreatedAt Labels Scope Options"],
  ["history --format json IMAGE", "id created CreatedBy size tags"],
  ["system df --format json", "Type Total Active RawSize RawReclaimable Size Reclaimable"],
];

hostTest("documents keep their members", REGISTRY, async (host) => {
  const image = await host.image();
  await host.ok("create", ...QUIET, "-v", "v:/v", "--name", "c", image);
  for (const [words, members] of MEMBERS) {
    const text = await host.ok(...words.replace("IMAGE", image).split(" "));
    const [document] = JSON.parse(text) as Record<string, unknown>[];
    assertEquals([words, members.split(" ").filter((name) => !(name in document!))], [words, []]);
  }
  assert("Version" in JSON.parse(await host.ok("version", "--format", "json")).Client);
  const { host: machine, store, version } = JSON.parse(await host.ok("info", "--format", "json"));
  assert(machine && store && version);
});

hostTest("what is to be so may be said twice", REGISTRY, async (host) => {
  const image = await host.image();
  for (const _again of [1, 2]) {
    await host.ok("create", ...QUIET, "--replace", "--name", "c", image, "true");
    await host.ok("tag", image, "mine:1");
    await host.ok("start", "c");
    await host.ok("wait", "c");
  }
  for (const _again of [1, 2]) {
    await host.ok("stop", "--ignore", "c");
    await host.ok("rm", "--ignore", "c");
    await host.ok("rm", "--force", "c");
    await host.ok("rmi", "--ignore", "mine:1");
    assertEquals((await host.skiff(["container", "exists", "c"])).code, 1);
    assertEquals((await host.skiff(["image", "exists", "mine:1"])).code, 1);
  }
  assertEquals(await host.ok("wait", "--ignore", "c"), "-1");
});

/** Watching commands: a signal ends them and nothing else. */
const WATCHING = ["logs -f c", "wait c", "attach --sig-proxy=false c", "events"];

hostTest("a signal ends who only looks on", REGISTRY, async (host) => {
  await sleeper(host, "c");
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    const ends = WATCHING.map(async (words) => {
      const watcher = host.spawn(words.split(" "));
      // it handles no signal, so it may get one at any time
      if (words.startsWith("logs")) await waitFor("the log", () => watcher.output.stdout === "ready\n");
      watcher.child.kill(signal);
      const { code, signal: by } = await watcher.result;
      return [words, by ?? code];
    });
    const wanted = signal === "SIGINT" ? 130 : 143;
    for (const [words, end] of await Promise.all(ends)) {
      // events, like podman's, handles SIGINT where it comes late enough
      const isOwn = words === "events" && signal === "SIGINT" && end === 1;
      assert(
        isOwn || end === signal || end === wanted || end === 0,
        `${words} ended with ${end} on ${signal}`,
      );
    }
  }
  assertEquals(await host.ok("inspect", "-f", "{{.State.Running}}", "c"), "true");
});

hostTest("a signal goes on to the program of run, start -a, attach and exec", REGISTRY, async (host) => {
  const image = await host.image();
  const script = "trap 'echo told; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
  await host.ok("create", ...QUIET, "--name", "s", image, "sh", "-c", script);
  await sleeper(host, "x");
  for (
    const words of [
      ["run", "--rm", ...QUIET, image, "sh", "-c", script],
      ["start", "-a", "s"],
      ["exec", "x", "sh", "-c", script],
    ]
  ) {
    const running = host.spawn(words);
    await waitFor(`${words[0]} to be ready`, () => running.output.stdout.startsWith("ready\n"));
    running.child.kill("SIGTERM");
    const { code, stdout } = await running.result;
    assertEquals([words[0], code, stdout], [words[0], 9, "ready\ntold\n"]);
  }
  const attached = host.spawn(["attach", "x"]);
  await waitFor("the attachment", async () => {
    const { stdout } = await host.program(["/bin/cat", `/proc/${attached.pid}/status`]);
    // it has taken SIGTERM over
    return (parseInt(/^SigCgt:\s+([0-9a-f]+)/m.exec(stdout)?.[1]?.slice(-8) ?? "0", 16) & (1 << 14)) !== 0;
  });
  attached.child.kill("SIGTERM");
  assertEquals((await attached.result).code, 9);
});

hostTest("exit codes tell who failed", REGISTRY, async (host) => {
  const image = await host.image();
  const codes: [words: string[], code: number][] = [
    [["run", "--rm", ...QUIET, image, "sh", "-c", "exit 5"], 5],
    [["run", "--rm", ...QUIET, "--init", image, "sh", "-c", "kill -KILL $$"], 137],
    [["run", "--rm", ...QUIET, image, "nosuch"], 127],
    [["run", "--rm", ...QUIET, image, "/etc/passwd"], 126],
    [["run", "--rm", ...QUIET, "--nosuch", image], 125],
    [["run", "--rm", ...QUIET, "--pull=never", "nosuch"], 125],
    [["container", "exists", "nosuch"], 1],
    [["rm", "nosuch"], 1],
    [["rmi", "nosuch"], 1],
    [["stop", "nosuch"], 125],
  ];
  for (const [words, code] of codes) assertEquals([words, (await host.skiff(words)).code], [words, code]);
  await sleeper(host, "on");
  assertEquals((await host.skiff(["rm", "on"])).code, 2);
  assertEquals((await host.skiff(["rmi", image])).code, 2);
  await host.ok("volume", "create", "kept");
  const sick = ["--health-cmd", "exit 3", "--health-interval", "1h", "-v", "kept:/kept", "--name", "sick"];
  await host.ok("run", "-d", ...QUIET, ...sick, image, "sleep", "1000");
  assertEquals((await host.skiff(["healthcheck", "run", "sick"])).code, 1);
  assertEquals((await host.skiff(["volume", "rm", "kept"])).code, 2);
  assertEquals((await host.skiff(["volume", "rm", "nosuch"])).code, 1);
  assertEquals((await host.skiff(["volume", "exists", "kept"])).code, 0);
  assertEquals((await host.skiff(["volume", "exists", "nosuch"])).code, 1);
  await host.ok("volume", "create", "--ignore", "kept");
});

hostTest("an archive that nobody reads to its end is no failure of ours", REGISTRY, async (host) => {
  const image = await host.image();
  await host.ok("create", "-q", "--name", "box", image, "true");
  for (const command of [`save ${image}`, "export box", "cp box:/bin -"]) {
    const { stderr } = await host.sh(`{ "$SKIFF" ${command}; echo "code $?" >&2; } | head -c 10 >/dev/null`);
    assertEquals([command, stderr], [command, "code 141\n"]);
  }
});
