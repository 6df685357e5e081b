/** Words and exit codes of the command line, as podman 4.3.1 and docker 28 have them. */

import { assert, assertEquals, assertIncludes, assertMatch, hostTest } from "./harness.ts";

const SEE_RUN = "See 'skiff run --help'\n";

/** Command line to exit code and stderr. Those marked with the same words were recorded from podman. */
const REFUSED: [words: string, code: number, stderr: string][] = [
  ["run --foo x", 125, `Error: unknown flag: --foo\n${SEE_RUN}`],
  ["run -Z x", 125, `Error: unknown shorthand flag: 'Z' in -Z\n${SEE_RUN}`],
  ["run --name", 125, `Error: flag needs an argument: --name\n${SEE_RUN}`],
  ["run -e", 125, `Error: flag needs an argument: 'e' in -e\n${SEE_RUN}`],
  [
    "run --rm=maybe x",
    125,
    `Error: invalid argument "maybe" for "--rm" flag: strconv.ParseBool: parsing "maybe": invalid syntax\n${SEE_RUN}`,
  ],
  ["run", 125, "Error: requires at least 1 arg(s), only received 0\n"],
  [
    "run --memory 1g x",
    125,
    `Error: --memory is not available yet: resource limits are not set yet\n${SEE_RUN}`,
  ],
  [
    "run -a stdfoo host",
    125,
    'Error: invalid stream "stdfoo" for --attach - must be one of stdin, stdout, or stderr: invalid argument\n',
  ],
  ["run -d -a stdout host", 125, "Error: conflicting options: cannot specify both --attach and --detach\n"],
  ["run --replace host", 125, "Error: cannot replace container without --name being set\n"],
  ["ps x", 125, "Error: `skiff ps` takes no arguments\n"],
  ["ps --filter foo", 125, 'Error: invalid filter "foo"\n'],
  ["ps --filter foo=bar", 125, "Error: foo is an invalid filter\n"],
  ["ps --format {{.Foo", 125, "Error: template: ps:2: unclosed action\n"],
  ["foo", 125, "Error: unrecognized command `skiff foo`\nTry 'skiff --help' for more information\n"],
  ["farm ls", 125, "Error: `skiff farm` is not available yet\nTry 'skiff --help' for what is\n"],
  [
    "image foo",
    125,
    "Error: unrecognized command `skiff image foo`\nTry 'skiff image --help' for more information\n",
  ],
  ["rm", 125, "Error: you must provide at least one name or id\n"],
  ["rm nosuch", 1, 'Error: no container with name or ID "nosuch" found: no such container\n'],
  ["rm -f nosuch", 0, ""],
  ["rmi nosuch", 1, "Error: nosuch: image not known\n"],
  ["stop", 125, "Error: you must provide at least one name or id\n"],
  ["stop -a x", 125, "Error: no arguments are needed with --all\n"],
  ["stop nosuch", 125, 'Error: no container with name or ID "nosuch" found: no such container\n'],
  ["stop --ignore nosuch", 0, ""],
  ["kill -s FOO x", 125, "Error: invalid signal: FOO\n"],
  ["start", 125, "Error: start requires at least one argument\n"],
  ["start nosuch", 125, 'Error: no container with name or ID "nosuch" found: no such container\n'],
  ["logs", 125, "Error: specify at least one container name or ID to log\n"],
  ["logs nosuch", 125, 'Error: no container with name or ID "nosuch" found: no such container\n'],
  ["exec", 125, "Error: exec requires the name or ID of a container or the --latest flag\n"],
  ["exec nosuch ls", 125, 'Error: no container with name or ID "nosuch" found: no such container\n'],
  ["attach", 125, 'Error: "skiff attach" requires a name, id, or the "--latest" flag\n'],
  ["attach a b", 125, "Error: `skiff attach` accepts at most one argument\n"],
  ["wait", 125, 'Error: "skiff wait" requires a name, id, or the "--latest" flag\n'],
  ["wait nosuch", 125, 'Error: no container with name or ID "nosuch" found: no such container\n'],
  ["inspect", 125, "Error: no names or ids specified\n"],
  [
    "inspect --type foo x",
    125,
    'Error: invalid type "foo": must be "image", "container", "pod", "network", "volume", or "all"\n',
  ],
  ["tag a", 125, "Error: requires at least 2 arg(s), only received 1\n"],
  ["tag a b", 125, "Error: a: image not known\n"],
  ["image exists a b", 125, "Error: accepts 1 arg(s), received 2\n"],
  ["image exists nosuch", 1, ""],
  ["container exists nosuch", 1, ""],
  ["pull", 125, "Error: requires at least 1 arg(s), only received 0\n"],
  ["images a b", 125, "Error: accepts at most 1 arg(s), received 2\n"],
];

hostTest("what cannot be done is refused in podman's words, with its exit code", {}, async (host) => {
  const wrong: string[] = [];
  for (const [words, code, stderr] of REFUSED) {
    const got = await host.skiff(words.split(" "));
    if (got.code !== code || got.stderr !== stderr) {
      wrong.push(
        `skiff ${words}: ${got.code} ${JSON.stringify(got.stderr)}, not ${code} ${JSON.stringify(stderr)}`,
      );
    }
  }
  assertEquals(wrong.join("\n"), "");
});

hostTest("a missing object leaves an empty list on stdout", {}, async (host) => {
  const { code, stdout, stderr } = await host.skiff(["inspect", "nosuch"]);
  assertEquals([code, stdout, stderr], [125, "[]\n", 'Error: inspecting object: no such object: "nosuch"\n']);
});

hostTest("help is printed alone, with --help, with -h and by help", {}, async (host) => {
  const main = await host.ok();
  assertIncludes(main, "Usage:\n  skiff [options] COMMAND [ARG...]\n");
  assertEquals(await host.ok("--help"), main);
  assertEquals(await host.ok("help"), main);
  const ps = await host.ok("ps", "--help");
  assertEquals(await host.ok("ps", "-h"), ps);
  assertEquals(await host.ok("help", "ps"), ps);
  assertIncludes(await host.ok("container", "ls", "--help"), "Usage:\n  skiff container list [options]\n");
  const group = await host.skiff(["image"]);
  assertEquals([group.code, group.stdout], [125, ""]);
  assertIncludes(group.stderr, "Error: missing command 'skiff image COMMAND'\n");
  assertEquals((await host.skiff(["image", "--help"])).code, 0);
});

hostTest("versions and information are documents", {}, async (host) => {
  assertMatch(await host.ok("--version"), /^skiff version \d+\.\d+\.\d+$/);
  assertMatch(await host.ok("version"), /^Client: +skiff\nVersion: +\d+\.\d+\.\d+\n/);
  assertMatch(await host.ok("version", "--format", "{{.Client.Version}}"), /^\d+\.\d+\.\d+$/);
  assertEquals(JSON.parse(await host.ok("version", "--format", "json")).Client.Os, "linux");
  assertEquals(await host.ok("info", "--format", "{{.Host.OS}} {{.Store.GraphRoot}}"), `linux ${host.data}`);
  assertEquals(JSON.parse(await host.ok("info", "--format", "json")).store.graphRoot, host.data);
  assertIncludes(await host.ok("system", "info"), "\nstore:\n");
});

hostTest("a reader that goes away ends the command quietly", {}, async (host) => {
  const { stdout, stderr } = await host.sh('{ "$SKIFF" --help; echo "code $?" >&2; } | head -n 1');
  assertEquals(stdout, "skiff runs OCI containers without root and without a daemon.\n");
  // The text may fit into the pipe before head has gone.
  assertMatch(stderr, /^code (0|141)\n$/);
});

hostTest("an empty store lists headings only", {}, async (host) => {
  assertEquals(
    await host.ok("ps"),
    "CONTAINER ID  IMAGE       COMMAND     CREATED     STATUS      PORTS       NAMES",
  );
  assertEquals(await host.ok("image", "ls"), "REPOSITORY  TAG         IMAGE ID    CREATED     SIZE");
  assertEquals(await host.ok("ps", "-aq"), "");
  assertEquals(await host.ok("ps", "-a", "--format", "json"), "[]");
});

hostTest("run gives the program's exit code, output and errors", { needs: ["registry"] }, async (host) => {
  const image = await host.image();
  const { code, stdout, stderr } = await host.run(
    "-q",
    "--rm",
    image,
    "sh",
    "-c",
    "echo out; echo err >&2; exit 7",
  );
  assertEquals([code, stdout, stderr], [7, "out\n", "err\n"]);
  assertEquals((await host.run("--rm", "--init", image, "sh", "-c", "kill -9 $$")).code, 137);
  const missing = await host.run("--rm", image, "nosuch");
  assertEquals(missing.code, 127);
  assertMatch(missing.stderr, /^Error: .*nosuch.*\n$/);
  assertEquals((await host.run("--rm", image, "/etc")).code, 126);
  assertEquals(
    (await host.skiff(["run", "--network", "none", "-i", "--rm", image, "cat"], { stdin: "a\0b" })).stdout,
    "a\0b",
  );
  assertEquals(
    (await host.skiff(["run", "--network", "none", "--rm", image, "cat"], { stdin: "unread" })).stdout,
    "",
  );
  const onlyErrors = await host.run("--rm", "-a", "stderr", image, "sh", "-c", "echo out; echo err >&2");
  assertEquals([onlyErrors.stdout, onlyErrors.stderr], ["", "err\n"]);
  assertEquals(host.containers(), []);
});

hostTest("options end at the image, in every spelling", { needs: ["registry"] }, async (host) => {
  const image = await host.image();
  const script = 'echo "$A|$B|$C|$*"';
  const { stdout } = await host.skiff([
    ...["container", "run", "--rm=true", "-q", "--net=none", "-eA=1", "-e", "B=2,3", "--env=C=x=y", image],
    ...["sh", "-c", script, "sh", "--rm", "-e", "D", "--"],
  ]);
  assertEquals(stdout, "1|2,3|x=y|--rm -e D --\n");
});

hostTest(
  "a container is listed, inspected, logged, stopped and removed",
  { needs: ["registry"] },
  async (host) => {
    const image = await host.image();
    const script = "trap 'exit 5' TERM; echo two >&2; echo one; while :; do sleep 0.1; done";
    const id = (await host.run("-d", "--name", "web", "-l", "tier=front", image, "sh", "-c", script)).stdout
      .trim();
    assertMatch(id, /^[0-9a-f]{64}$/);
    for (const text of ["one", "two"]) await host.untilLogged("web", text);
    assertMatch(
      await host.ok("ps"),
      new RegExp(`\\n${id.slice(0, 12)}  \\S+  sh -c trap 'exit \\.\\.\\.  .* ago +Up .* +web$`),
    );
    assertEquals(await host.ok("ps", "-q", "--no-trunc", "--filter", "label=tier=front"), id);
    assertEquals(
      await host.ok("ps", "--format", '{{.Names}} {{.State}} {{.Label "tier"}} {{.Labels}}'),
      "web running front map[tier:front]",
    );
    assertMatch(
      await host.ok("container", "ls", "--format", "table {{.Names}}\t{{.ID}}"),
      /^NAMES +CONTAINER ID\nweb +[0-9a-f]{12}$/,
    );
    assertEquals(
      await host.ok("inspect", "-f", '{{.Id}} {{.State.Running}} {{index .Config.Labels "tier"}}', "web"),
      `${id} true front`,
    );
    assertEquals(JSON.parse(await host.ok("container", "inspect", "web"))[0].Name, "web");
    assertMatch(
      (await host.skiff(["inspect", "-f", "{{.Nope}}", "web"])).stderr,
      /can't evaluate field Nope in type/,
    );
    assertEquals(
      await host.ok("exec", "-e", "X=1", "-w", "/tmp", "web", "sh", "-c", "echo $X $PWD"),
      "1 /tmp",
    );
    assertEquals((await host.skiff(["exec", "web", "sh", "-c", "exit 9"])).code, 9);
    assertEquals((await host.skiff(["exec", "web", "nosuch"])).code, 127);
    const logs = await host.skiff(["logs", "web"]);
    assertEquals([logs.stdout, logs.stderr], ["one\n", "two\n"]);
    assertMatch(await host.ok("logs", "-t", "--tail", "all", "web"), /^\d{4}-\d\d-\d\dT\S+ one$/);
    const running = await host.skiff(["rm", "web"]);
    assertEquals(running.code, 2);
    assertIncludes(running.stderr, "running containers cannot be removed without force");
    const inUse = await host.skiff(["rmi", image]);
    assertEquals(inUse.code, 2);
    assertEquals(await host.ok("stop", "web"), "web");
    assertEquals(await host.ok("wait", "web"), "5");
    assertMatch(await host.ok("ps", "-a", "--format", "{{.Status}}"), /^Exited \(5\) .* ago$/);
    assertEquals(await host.ok("ps", "-q"), "");
    assertEquals((await host.skiff(["kill", "web"])).code, 125);
    assertEquals((await host.skiff(["container", "exists", "web"])).code, 0);
    assertEquals(await host.ok("rm", "web"), "web");
    assertEquals((await host.skiff(["container", "exists", "web"])).code, 1);
  },
);

hostTest("create, start -a and start give what run gives", { needs: ["registry"] }, async (host) => {
  const image = await host.image();
  const cidfile = `${host.home}/cid`;
  const id = await host.ok(
    "create",
    "--net",
    "none",
    "-q",
    "--name",
    "c",
    "--cidfile",
    cidfile,
    image,
    "sh",
    "-c",
    "echo hi; exit 4",
  );
  assertEquals(await Deno.readTextFile(cidfile), id);
  assertEquals(await host.ok("ps", "-a", "--format", "{{.State}}"), "created");
  const attached = await host.skiff(["start", "--attach", "c"]);
  assertEquals([attached.code, attached.stdout], [4, "hi\n"]);
  assertEquals(await host.ok("start", "c"), "c");
  assertEquals(await host.ok("wait", "--latest"), "4");
  assertEquals(await host.ok("rm", "--cidfile", cidfile), id);
});

hostTest("images are pulled, listed, tagged and removed", { needs: ["registry"] }, async (host) => {
  const image = await host.image();
  const pulled = await host.skiff(["pull", image]);
  assertEquals(pulled.code, 0);
  assertMatch(pulled.stdout, /^[0-9a-f]{64}\n$/);
  assertMatch(pulled.stderr, /Copying blob [0-9a-f]{12} done\n/);
  assert(!pulled.stderr.includes("\x1b"), "there are no terminal codes in a pipe");
  const id = pulled.stdout.trim();
  const quiet = await host.skiff(["pull", "-q", image]);
  assertEquals([quiet.stdout, quiet.stderr], [`${id}\n`, ""]);
  const repository = image.replace(/:[^:/]*$/, "");
  assertMatch(
    await host.ok("images"),
    new RegExp(`\\n${repository} +latest +${id.slice(0, 12)} +.* ago +[\\d.]+ [kM]B$`),
  );
  assertEquals(await host.ok("images", "-q", "--no-trunc"), `sha256:${id}`);
  assertEquals(await host.ok("images", "--format", "{{.Repository}}:{{.Tag}}", "busybox"), image);
  assertEquals(await host.ok("tag", image, "mine:1"), "");
  assertEquals(await host.ok("image", "ls", "--sort", "tag", "--format", "{{.Tag}}"), "1\nlatest");
  assertEquals(await host.ok("image", "inspect", "-f", "{{.Id}} {{len .RepoTags}}", "mine:1"), `${id} 2`);
  assertEquals((await host.skiff(["image", "exists", "mine:1"])).code, 0);
  assertEquals(await host.ok("rmi", "mine:1"), "Untagged: localhost/mine:1");
  assertEquals(await host.ok("image", "rm", image), `Untagged: ${image}\nDeleted: ${id}`);
  assertEquals((await host.skiff(["image", "exists", image])).code, 1);
});

hostTest(
  "a hostile label cannot command the terminal that lists it",
  { needs: ["registry"] },
  async (host) => {
    const image = await host.image();
    await host.ok("create", "--net", "none", "-q", "--name", "c", image, "echo", "\x1b]0;owned\x07\x9b2J");
    const table = await host.ok("ps", "-a");
    assertIncludes(table, "echo \\x1b]0;owned");
    // deno-lint-ignore no-control-regex
    assert(!/[\x1b\x07\x9b]/.test(table), "the table is free of control characters");
    const error = await host.skiff(["inspect", "\x1b[2Jnone"]);
    assertIncludes(error.stderr, "\\x1b[2Jnone");
  },
);

hostTest(
  "several containers are told in their order, and all are tried",
  { needs: ["registry"] },
  async (host) => {
    const image = await host.image();
    for (const [name, script] of [["slow", "sleep 0.5; exit 1"], ["fast", "exit 2"], ["on", "sleep 1000"]]) {
      await host.run("-d", "-q", "--name", name!, image, "sh", "-c", script!);
    }
    assertEquals(await host.ok("wait", "slow", "fast"), "1\n2");
    const mixed = await host.skiff(["wait", "nosuch", "fast"]);
    assertEquals([mixed.code, mixed.stdout], [125, "2\n"]);
    const removed = await host.skiff(["rm", "on", "nosuch", "fast"]);
    assertEquals([removed.code, removed.stdout], [2, "fast\n"]);
    assertEquals(await host.ok("ps", "-a", "--sort", "names", "--format", "{{.Names}}"), "on\nslow");
    assertEquals(await host.ok("ps", "-n", "1", "--format", "{{.Names}}"), "on");
    const all = (await host.ok("rm", "-fa")).split("\n");
    assertEquals(all.length, 2);
  },
);
