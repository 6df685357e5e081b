/** Volumes that a plugin keeps, with a plugin that is a process of its own, and one that hangs, dies, lies and floods. */
import { assert, assertEquals, assertIncludes, type Host, hostTest, type Need, waitFor } from "./harness.ts";

const NEEDS = { needs: ["registry", "busybox", "uidmap"] as Need[] };

interface Plugin extends AsyncDisposable {
  folder: string;
  socket: string;
  /** Method, volume and id of each request, in order. */
  calls(): string[];
  /** What each volume's mounts are for. */
  mounts(name: string): string[];
  /** From now on: that method hangs, dies, floods or answers so; without words it behaves. */
  misbehave(on?: string, how?: "hang" | "die" | "flood" | { say: unknown }): void;
  start(): Promise<void>;
  stop(): Promise<void>;
  port: string;
}

async function startPlugin(host: Host, listen: string[] = []): Promise<Plugin> {
  const folder = `${host.folder}/plugin-${crypto.randomUUID().slice(0, 8)}`;
  await Deno.mkdir(folder);
  const socket = `${folder}/s.sock`;
  let child: Deno.ChildProcess | undefined;
  const read = (name: string) => {
    try {
      return Deno.readTextFileSync(`${folder}/${name}`);
    } catch {
      return "";
    }
  };
  const plugin: Plugin = {
    folder,
    socket,
    port: "",
    calls: () => read("calls").trim().split("\n"),
    mounts: (name) =>
      new Map<string, { mounts: string[] }>(JSON.parse(read("state.json") || "[]")).get(name)?.mounts ?? [],
    misbehave: (on, how) => {
      const mode = typeof how === "object"
        ? { on, do: "say", what: typeof how.say === "string" ? how.say : JSON.stringify(how.say) }
        : { on, do: how };
      Deno.writeTextFileSync(`${folder}/mode`, JSON.stringify(mode));
    },
    async start() {
      await plugin.stop();
      await Deno.remove(socket).catch(() => {});
      const script = new URL("./volume_plugin.ts", import.meta.url).pathname;
      child = new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "-A",
          "--no-check",
          "--quiet",
          script,
          folder,
          ...listen.length > 0 ? listen : [socket],
        ],
        stdout: "piped",
        stderr: "null",
      }).spawn();
      const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      while (!text.includes("\n")) {
        const { value, done } = await reader.read();
        if (done) throw new Error("the plugin has not come up");
        text += value;
      }
      plugin.port = text.split(" ")[1]!.trim();
      await reader.cancel();
    },
    async stop() {
      try {
        child?.kill("SIGKILL");
      } catch { /* it has died by itself */ }
      await child?.status;
      child = undefined;
    },
    [Symbol.asyncDispose]: () => plugin.stop(),
  };
  await plugin.start();
  return plugin;
}

/** How long a plugin may take: on a busy machine an honest one takes its time. */
async function configure(host: Host, socket?: string, timeoutSeconds = 60): Promise<void> {
  const path = `${host.home}/.config/containers/containers.conf`;
  const plugins = socket === undefined ? "" : `[engine.volume_plugins]\nkeeper = "${socket}"\n`;
  await Deno.writeTextFile(path, `[engine]\nvolume_plugin_timeout = ${timeoutSeconds}\n${plugins}`);
  await host.own(path);
}

/** Declares it to the test's user. */
async function declare(host: Host, name: string, content: string): Promise<void> {
  const folder = `${host.home}/.config/docker/plugins`;
  await Deno.mkdir(folder, { recursive: true });
  await host.own(`${host.home}/.config/docker`, folder);
  await Deno.writeTextFile(`${folder}/${name}`, content);
  await host.own(`${folder}/${name}`);
}

const short = (text: string) => text.replace(/[0-9a-f]{64}/g, "ID");

hostTest(
  "volumes of a plugin are made, mounted while containers run, listed, found again and removed",
  NEEDS,
  async (host) => {
    await using plugin = await startPlugin(host);
    await declare(host, "keeper.spec", `unix://${plugin.socket}\n`);
    await configure(host);
    const image = await host.image();
    await host.ok("pull", "-q", image);
    assertEquals(
      await host.ok("volume", "create", "-d", "keeper", "-o", "speed=fast", "-l", "a=b", "data"),
      "data",
    );
    const again = await host.skiff(["volume", "create", "-d", "keeper", "data"]);
    assertEquals([again.code, again.stderr], [
      125,
      "Error: volume with name data already exists: volume already exists\n",
    ]);
    const show =
      "{{.Name}} {{.Driver}} {{.Scope}} {{.Options.speed}} {{.Labels.a}} {{.Status.mounts}} {{.Mountpoint}}";
    assertEquals(await host.ok("volume", "inspect", "-f", show, "data"), "data keeper global fast b 0 ");
    assertEquals(await host.ok("volume", "ls", "-q", "--filter", "driver=keeper"), "data");

    const run = ["run", "-d", "--network", "none", "-v", "data:/d", image];
    const first = await host.ok(...run, "sh", "-c", "echo kept >/d/file; echo up; exec sleep 600");
    await host.untilLogged(first);
    const second = await host.ok(...run, "sleep", "600");
    assertEquals(plugin.mounts("data"), [first, second]);
    assertEquals(Deno.readTextFileSync(`${plugin.folder}/volumes/data/file`), "kept\n");
    assertEquals(
      await host.ok("volume", "inspect", "-f", show, "data"),
      `data keeper global fast b 2 ${plugin.folder}/volumes/data`,
    );
    assertEquals(
      await host.ok("inspect", "-f", "{{range .Mounts}}{{.Driver}} {{.Name}}{{end}}", first),
      "keeper data",
    );
    assertEquals((await host.skiff(["volume", "rm", "data"])).code, 2);
    // one goes by itself, one with its monitor; nobody else's mount goes with them
    await host.ok("stop", "-t", "0", first);
    await waitFor("the monitor's unmount", () => Promise.resolve(plugin.mounts("data").length === 1));
    assertEquals(plugin.mounts("data"), [second]);
    host.kill9(Number(await host.ok("inspect", "-f", "{{.State.ConmonPid}}", second)));
    await waitFor("the next command's unmount", async () => {
      await host.ok("ps", "-a");
      return plugin.mounts("data").length === 0;
    });
    assertEquals(
      await host.ok(
        "start",
        "-a",
        await host.ok("create", "--network", "none", "-v", "data:/d", image, "cat", "/d/file"),
      ),
      "kept",
    );
    await waitFor("the unmount", () => Promise.resolve(plugin.mounts("data").length === 0));
    await host.ok("rm", "-f", "-t", "0", "-a");

    // made by the options of a container, anonymous ones gone with it
    const made = [
      "-v",
      "/anonymous",
      "--volume-driver",
      "keeper",
      "--mount",
      "type=volume,src=local,dst=/l,volume-driver=local",
    ];
    assertEquals(
      (await host.run("--rm", ...made, image, "sh", "-c", "echo x >/anonymous/file; ls /anonymous")).stdout,
      "file\n",
    );
    assertEquals(await host.ok("volume", "inspect", "-f", "{{.Driver}}", "local"), "local");
    await waitFor("the anonymous volume's removal", async () => {
      await host.ok("rm", "-f", "nobody-of-this-name").catch(() => {});
      await host.skiff(["rm", await host.ok("create", image, "true")]);
      return await host.ok("volume", "ls", "-q", "--filter", "driver=keeper") === "data";
    });
    assertEquals([...Deno.readDirSync(`${plugin.folder}/volumes`)].map(({ name }) => name), ["data"]);
    // one that the plugin keeps for now is removed later, and is in nobody's way
    plugin.misbehave("VolumeDriver.Remove", { say: { Err: "not now" } });
    await host.run("--rm", "-v", "/anonymous", "--volume-driver", "keeper", image, "true");
    const tried = async () => {
      await host.ok("rm", await host.ok("create", image, "true"));
      return [...Deno.readDirSync(`${host.data}/volume-mounts`)].map(({ name }) => name)
        .find((name) => name.startsWith(".tried-removal."));
    };
    await waitFor("the attempt to remove it", async () => await tried() !== undefined);
    const mark = (await tried())!;
    await host.ok("volume", "create", "free");
    const pruned = await host.skiff(["volume", "prune", "-f"]);
    assert(pruned.code === 125 && pruned.stdout.includes("free\n"), JSON.stringify(pruned));
    assertIncludes(pruned.stderr, "not now");
    assertIncludes(await host.ok("volume", "ls", "-q"), mark.split(".").at(-1)!);
    plugin.misbehave();
    await Deno.utime(`${host.data}/volume-mounts/${mark}`, 1, 1);
    await waitFor("its removal", async () => await tried() === undefined);
    assertEquals(await host.ok("volume", "ls", "-q", "--filter", "driver=keeper"), "data");

    // by hand
    assertEquals(await host.ok("volume", "mount", "data"), `${plugin.folder}/volumes/data`);
    assertEquals(plugin.mounts("data").length, 1);
    assertEquals(await host.ok("volume", "unmount", "data"), "data");
    assertEquals(plugin.mounts("data"), []);
    for (const args of [["clone", "data", "x"], ["rename", "data", "x"], ["export", "data"]]) {
      const { code, stderr } = await host.skiff(["volume", ...args]);
      assert(code === 125 && stderr.includes('the plugin "keeper"'), `${args}: ${code} ${stderr}`);
    }
    // what the plugin has by itself, and has no more
    await host.sh(
      `curl -s --unix-socket ${plugin.socket} -d '{"Name":"foreign"}' http://p/VolumeDriver.Create`,
    );
    const other = await fetchPlugin(plugin, "VolumeDriver.Create", { Name: "other", Opts: {} });
    assertEquals(other, "{}");
    const found = await host.ok("volume", "reload");
    assertIncludes(found, "Added:\n");
    assertIncludes(found, "other");
    await fetchPlugin(plugin, "VolumeDriver.Remove", { Name: "other" });
    assertIncludes(await host.ok("volume", "reload"), "Removed:\nother");
    assertIncludes((await host.ok("volume", "prune", "-f")).split("\n").sort().join(" "), "data");
    assertEquals([...Deno.readDirSync(`${plugin.folder}/volumes`)].map(({ name }) => name), []);
    assertEquals(
      short(plugin.calls().filter((call) => call.includes("Mount") && call.includes("data")).join(" "))
        .includes("Mount data ID"),
      true,
    );
  },
);

/** As somebody else asks it. */
async function fetchPlugin(plugin: Plugin, method: string, body: unknown): Promise<string> {
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path: plugin.socket } });
  try {
    const answer = await fetch(`http://plugin/${method}`, {
      client,
      method: "POST",
      body: JSON.stringify(body),
    });
    return await answer.text();
  } finally {
    client.close();
  }
}

hostTest("a plugin that hangs, dies, floods, answers nonsense or lies about paths does no harm", {
  ...NEEDS,
  timeoutMs: 240_000,
}, async (host) => {
  await using plugin = await startPlugin(host);
  await configure(host, plugin.socket);
  const image = await host.image();
  await host.ok("pull", "-q", image);
  await host.ok("volume", "create", "-d", "keeper", "data");
  const refusal = async (...args: string[]) => {
    const { code, stderr } = await host.skiff(args);
    assert(code === 125, `${args}: ${code}`);
    return stderr.split("\n").find((line) => line.startsWith("Error: ")) ?? stderr;
  };
  const run = ["run", "--rm", "--network", "none", "-v", "data:/d", image, "cat", "/d/file"];
  assertEquals(
    await refusal("volume", "create", "-d", "keeper", "-o", "refuse=full", "x"),
    'Error: volume plugin "keeper": no volume for you: full',
  );
  assertIncludes(
    await refusal("volume", "create", "-d", "nobody", "x"),
    'no volume plugin with name "nobody" found',
  );
  assertIncludes(await refusal("volume", "create", "-d", "../keeper", "x"), "names must match");

  await configure(host, plugin.socket, 2);
  plugin.misbehave("Plugin.Activate", "hang");
  assertEquals(
    await refusal(...run),
    'Error: volume plugin "keeper": Plugin.Activate: it did not answer within 2 s',
  );
  await configure(host, plugin.socket);
  plugin.misbehave("VolumeDriver.Mount", "flood");
  assertIncludes(await refusal(...run), "its answer has more than 1048576 bytes");
  const nonsense: [answer: unknown, error: string][] = [
    ["<html>", "its answer is no JSON"],
    ["null", "its answer is malformed"],
    [[], "its answer is malformed"],
    [{ Mountpoint: 7 }, "its answer is malformed: Mountpoint"],
    [{ Err: "\u001b[31mno\u0007" }, 'volume plugin "keeper": \\u001b[31mno\\u0007'],
  ];
  for (const [answer, error] of nonsense) {
    plugin.misbehave("VolumeDriver.Mount", { say: answer });
    assertIncludes((await refusal(...run)).replaceAll("\\x", "\\u00"), error);
  }
  // paths: none of them is shown to a container, and the host's own are as they were
  await host.sh(
    `mkdir -p secret open/inner; echo canary >secret/file; ln -s ${host.data} link; chmod 777 open`,
  );
  const lies: [path: string, error: string][] = [
    ["", "is empty"],
    ["relative/path", "is no absolute path"],
    [`${host.home}/secret/../secret`, "climbs by .."],
    ["/proc/self/root", "holds skiff's own folder"],
    ["/proc/1", "lies in /proc"],
    ["/sys/kernel", "lies in /sys"],
    ["/", "holds skiff's own folder"],
    [host.home, "holds skiff's own folder"],
    [`${host.data}/volumes`, "lies in skiff's own folder"],
    [`${host.home}/link`, "lies in skiff's own folder"],
    [`${host.home}/secret/file`, "is no folder"],
    [`${host.home}/nowhere`, "is not there"],
    [`${host.home}/open/inner`, "can be exchanged by others"],
  ];
  for (const [path, error] of lies) {
    plugin.misbehave("VolumeDriver.Mount", { say: { Mountpoint: path } });
    assertIncludes(await refusal(...run), error);
  }
  // Control: such a path is shown where nothing is wrong with it, so the lie would have worked.
  await host.sh("mkdir honest; echo honest >honest/file");
  plugin.misbehave("VolumeDriver.Mount", { say: { Mountpoint: `${host.home}/honest` } });
  assertEquals((await host.skiff(run)).stdout, "honest\n");
  plugin.misbehave();

  // it dies while a container runs, and is asked again when it is back
  const id = await host.ok("run", "-d", "--network", "none", "-v", "data:/d", image, "sleep", "600");
  await plugin.stop();
  await host.ok("stop", "-t", "0", id);
  assertEquals(plugin.mounts("data"), [id]);
  assertIncludes(await refusal("start", id), 'volume plugin "keeper": Plugin.Activate: ');
  await plugin.start();
  await host.ok("start", id);
  assertEquals(plugin.mounts("data"), [id], "the former mount was taken back");
  plugin.misbehave("VolumeDriver.Unmount", "die");
  await host.ok("rm", "-f", "-t", "0", id);
  plugin.misbehave();
  await plugin.start();
  plugin.misbehave("VolumeDriver.Remove", { say: { Err: "still busy" } });
  await Deno.remove(`${host.data}/volume-mounts`, { recursive: true });
  assertEquals(await refusal("volume", "rm", "data"), 'Error: volume plugin "keeper": still busy');
  assertEquals((await host.skiff(["volume", "exists", "data"])).code, 0, "it is not forgotten");
  plugin.misbehave();
  await fetchPlugin(plugin, "VolumeDriver.Unmount", { Name: "data", ID: id });
  await host.ok("volume", "rm", "data");
});

hostTest("plugins are found in spec files with TLS, and not where others can put them", {
  needs: ["user", "openssl"],
}, async (host) => {
  const made = await host.sh(
    "openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 2 -subj /CN=127.0.0.1 " +
      "-addext subjectAltName=IP:127.0.0.1 2>&1",
  );
  assertEquals(made.code, 0, made.stdout);
  await configure(host);
  await using plugin = await startPlugin(host, ["0", `${host.home}/cert`, `${host.home}/key`]);
  const spec = (tls: unknown) =>
    JSON.stringify({ Name: "far", Addr: `tcp://127.0.0.1:${plugin.port}`, ...tls ? { TLSConfig: tls } : {} });
  await declare(host, "far.json", spec({ CAFile: `${host.home}/cert` }));
  assertEquals(await host.ok("volume", "create", "-d", "far", "one"), "one");
  await declare(host, "far.json", spec({ InsecureSkipVerify: true }));
  assertEquals(await host.ok("volume", "create", "-d", "far", "two"), "two");
  await declare(host, "far.json", spec({}));
  assertEquals((await host.skiff(["volume", "create", "-d", "far", "three"])).code, 125);
  assert(!plugin.calls().some((call) => call.includes("three")), "nothing was said to a stranger");
  // an address alone: only what the machine trusts counts
  await declare(host, "plain.spec", `https://127.0.0.1:${plugin.port}`);
  const plain = ["volume", "create", "-d", "plain", "three"];
  const untrusted = await host.skiff(plain);
  assertEquals(untrusted.code, 125);
  assertIncludes(untrusted.stderr, 'volume plugin "plain": Plugin.Activate: connect to 127.0.0.1:');
  assertIncludes(untrusted.stderr, "\nname its authority in its specification: TLSConfig, CAFile\n");
  assert(!plugin.calls().some((call) => call.includes("three")), "nothing was said to a stranger");
  const signed = await host.sh(
    "openssl req -x509 -newkey rsa:2048 -nodes -keyout key2 -out leaf -days 2 -subj /CN=plugin -CA cert -CAkey key " +
      "-addext basicConstraints=critical,CA:FALSE -addext subjectAltName=IP:127.0.0.1 2>&1",
  );
  assertEquals(signed.code, 0, signed.stdout);
  await using other = await startPlugin(host, ["0", `${host.home}/leaf`, `${host.home}/key2`]);
  await declare(host, "plain.spec", `https://127.0.0.1:${other.port}`);
  const trusted = await host.skiff(plain, { env: { SSL_CERT_FILE: `${host.home}/cert` } });
  assertEquals([trusted.code, trusted.stdout], [0, "three\n"], trusted.stderr);
  for (
    const content of [
      "tcp://user:word@127.0.0.1:1",
      "ftp://127.0.0.1",
      "unix://relative",
      "",
      "tcp://127.0.0.1:1/path?x",
    ]
  ) {
    await declare(host, "odd.spec", content);
    const { code, stderr } = await host.skiff(["volume", "create", "-d", "odd", "three"]);
    assert(code === 125 && stderr.includes("want unix:///PATH or tcp://HOST:PORT"), `${content}: ${stderr}`);
  }
  await Deno.chmod(`${host.home}/.config/docker/plugins/far.json`, 0o666);
  const { code, stderr } = await host.skiff(["volume", "create", "-d", "far", "four"]);
  assert(code === 125 && stderr.includes("can be changed by other users"), stderr);
});
