/** The library from a program of its own: no V8 flag, nothing but `deno run -A`. */

import { assertEquals, type Host, hostTest, type Result } from "./harness.ts";
import { readableSources } from "./sources.ts";

const ROOT = new URL("..", import.meta.url).pathname;

/** The first TypeScript example of the README. */
function readmeExample(): string {
  const readme = Deno.readTextFileSync(`${ROOT}README.md`);
  const example = /^## As a library\n.*?^```ts\n(.*?)^```$/ms.exec(readme)?.[1];
  if (!example) throw new Error("the README has no example of the library");
  return example;
}

/** What the comments behind `console.log` promise. */
function promisedOutput(example: string): string[] {
  return Array.from(example.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm), ([, text]) => text!);
}

/** The examples in the documentation of mod.ts. */
function moduleExamples(): string[] {
  const [documentation = ""] = Deno.readTextFileSync(`${ROOT}mod.ts`).split("*/");
  return Array.from(
    documentation.matchAll(/^ \* ```ts\n(.*?)^ \* ```$/gms),
    ([, text]) => text!.replace(/^ \* ?/gm, ""),
  );
}

/** Runs a program of the test user's that imports "./mod.ts". */
async function runProgram(
  host: Host,
  source: string,
  within: string[] = [],
  env: Record<string, string> = { SKIFF_BINARY: host.binary },
): Promise<Result> {
  const { root, deno } = await readableSources();
  const file = `${host.home}/program.ts`;
  await Deno.writeTextFile(file, source.replaceAll('"./mod.ts"', JSON.stringify(`${root}mod.ts`)));
  await host.own(file);
  return await host.program([...within, deno, "run", "-A", "--no-lock", "--no-config", file], { env });
}

hostTest("the README's example of the library does what its comments say", {}, async (host) => {
  const example = readmeExample();
  const { code, stdout, stderr } = await runProgram(host, example);
  assertEquals(
    { code, lines: stdout.trim().split("\n") },
    { code: 0, lines: promisedOutput(example) },
    stderr,
  );
});

hostTest("a program starts containers from the sources alone, on each kind of network", {}, async (host) => {
  const { code, stdout, stderr } = await runProgram(
    host,
    `import { Skiff } from "./mod.ts";
    using skiff = new Skiff();
    await skiff.networks.create("web");
    const words = { image: "host", command: ["ls", "/sys/class/net"] };
    for (const more of [{}, { networks: ["web"] }, { init: true }, { healthCmd: "true" }]) {
      const { exitCode, stdout } = await skiff.run({ ...words, ...more });
      console.log(exitCode, stdout.trim().split("\\n").join(" "));
    }`,
    [],
    {},
  );
  assertEquals([code, stdout], [0, "0 eth0 lo\n".repeat(4)], stderr);
});

hostTest("the examples of mod.ts do what their comments say", {}, async (host) => {
  const examples = moduleExamples();
  assertEquals(examples.length, 2);
  for (const example of examples) {
    const { code, stdout, stderr } = await runProgram(host, example);
    const promised = promisedOutput(example).flatMap((line) => line.split(", "));
    assertEquals({ code, lines: stdout.trim().split("\n") }, { code: 0, lines: promised }, stderr);
  }
});

hostTest("the verbs of the command line, typed", { needs: ["registry"] }, async (host) => {
  const image = await host.image();
  const { code, stdout, stderr } = await runProgram(
    host,
    `import { ConflictError, NotFoundError, Skiff } from "./mod.ts";
     using skiff = new Skiff();
     const image = ${JSON.stringify(image)};
     const show = (...values: unknown[]) => console.log(values.map((value) => JSON.stringify(value)).join(" "));
     const id = await skiff.pull(image);
     show((await skiff.history(image))[0]?.id === id, await skiff.tag(image, "mine:1"), await skiff.untag(image, "mine:1"));
     await skiff.save([image], { output: "image.tar" });
     show((await skiff.load("image.tar"))[0]?.id === id);
     show(/^sha256:/.test(await skiff.push(image, "oci:pushed:mine") ?? ""), await skiff.push(image, "docker-archive:p.tar:mine"));
     show(await skiff.volumes.create("data"), (await skiff.volumes.list()).map(({ Name }) => Name));
     const network = "none";
     const one = await skiff.start({ image, network, name: "one", command: ["sleep", "1000"], volumes: ["data:/data"] });
     await Deno.writeTextFile("file", "copied");
     await one.copyIn("file", "/data/file");
     await one.copyOut("/data/file", "back");
     show(await Deno.readTextFile("back"), (await one.exec({ command: ["touch", "/new"] })).exitCode);
     show((await one.diff()).map((change) => Object.values(change).join(" ")).sort());
     await one.export("root.tar");
     show((await Deno.stat("root.tar")).size > 1000000);
     show((await one.top(["pid", "comm"])).processes);
     const copy = await one.clone({ name: "copy" });
     show((await copy.inspect()).Name, (await skiff.prune({ containers: true })).containers.length, await skiff.exists("copy"));
     await one.healthcheck().catch((error) => show(error.exitCode));
     await one.rename("other");
     await one.restart({ timeoutSeconds: 0 });
     await one.pause();
     show((await skiff.list())[0]?.State);
     await one.unpause();
     show(await one.start().then(() => "started twice"));
     await skiff.volumes.remove("data").catch((error) => show(error instanceof ConflictError));
     const late = AbortSignal.timeout(200);
     await one.wait({ signal: late }).catch((error) => show(error.name));
     const drain = async (items: AsyncIterable<unknown>) => { for await (const _ of items); };
     await drain(one.logs({ follow: true, signal: AbortSignal.timeout(100) })).catch((error) => show(error.name));
     await drain(skiff.events({ signal: AbortSignal.timeout(100) })).catch((error) => show(error.name));
     const gone = AbortSignal.abort();
     for (const wait of [() => skiff.pull(image, { signal: gone }), () => skiff.list({ signal: gone }),
       () => skiff.run({ image, network, command: ["true"] }, { signal: gone }), () => one.remove({ signal: gone })]) {
       await wait().catch((error) => show(error.name));
     }
     await one.remove({ force: true });
     const { volumes } = skiff;
     show(await volumes.snapshot("data@s"), await volumes.clone("data@s", "twin"), (await volumes.snapshots())[0]?.Name);
     await volumes.export("data", "data.tar");
     await volumes.import("twin", "data.tar");
     show(await volumes.restore("data@s"), (await volumes.snapshots("twin")).length);
     await volumes.removeSnapshot("data@s");
     await volumes.remove("twin");
     await skiff.volumes.remove("data");
     const token = await skiff.secrets.create("token", "value", { labels: { a: "b" } });
     show((await skiff.secrets.list())[0]?.ID === token, (await skiff.secrets.inspect("token", { showSecret: true })).SecretData);
     show((await skiff.run({ image, network, secrets: ["token"], command: ["cat", "/run/secrets/token"] })).stdout);
     await skiff.secrets.create("token", new Uint8Array(1)).catch((error) => show(error instanceof ConflictError));
     await skiff.secrets.remove("token");
     show(await skiff.secrets.exists("token"), await skiff.secrets.list({ signal: gone }).catch((error) => error.name));
     await skiff.container("other").catch((error) => show(error instanceof NotFoundError));
     const import_ = await skiff.import("root.tar", { reference: "flat", changes: ["CMD /bin/date"] });
     show((await skiff.inspectImage("flat")).Id === import_, (await skiff.diskUsage()).summaries[0]?.Total);
     const actions = new Set<string>();
     for await (const { action } of skiff.events({ sinceMs: 0, follow: false })) actions.add(action);
     show(["pull", "tag", "untag", "create", "start", "rename", "pause", "remove"].filter((one) => !actions.has(one)));`,
  );
  assertEquals([code, stderr], [0, ""]);
  assertEquals(stdout.split("\n"), [
    'true ["localhost/mine:1"] ["localhost/mine:1"]',
    "true",
    "true ",
    '"data" ["data"]',
    '"copied" 0',
    '["A /data","A /new","C /etc"]',
    "true",
    '[["1","sleep"]]',
    '"copy" 1 false',
    "125",
    '"paused"',
    '"started twice"',
    "true",
    '"TimeoutError"',
    '"TimeoutError"',
    '"TimeoutError"',
    '"AbortError"',
    '"AbortError"',
    '"AbortError"',
    '"AbortError"',
    '"data@s" "twin" "data@s"',
    '"data" 0',
    'true "value"',
    '"value"',
    "true",
    'false "AbortError"',
    "true",
    "true 2",
    "[]",
    "",
  ]);
});

hostTest("a program makes pods, and looks after them", { needs: ["registry"] }, async (host) => {
  const image = await host.image();
  const { code, stdout, stderr } = await runProgram(
    host,
    `import { ConflictError, Skiff } from "./mod.ts";
     using skiff = new Skiff();
     const image = ${JSON.stringify(image)};
     const network = "none";
     const show = (...values: unknown[]) => console.log(values.map((value) => JSON.stringify(value)).join(" "));
     const { pods } = skiff;
     const pod = await pods.create({ name: "web", network, labels: { a: "b" } });
     const inPod = await skiff.create({ image, pod: "web", command: ["sleep", "1000"] });
     await pods.start("web");
     show((await pods.inspect("web")).State, (await pods.list())[0]?.Id === pod, (await pods.top("web", ["comm"])).processes);
     show((await skiff.run({ image, pod, autoRemove: true, command: ["hostname"] })).stdout);
     await pods.pause("web");
     show((await pods.list())[0]?.Status);
     await pods.unpause("web");
     await pods.restart("web", { timeoutSeconds: 0 });
     await pods.remove("web").catch((error) => show(error instanceof ConflictError));
     await pods.kill("web", "HUP");
     await pods.stop("web", { timeoutSeconds: 0 });
     await inPod.wait();
     show((await pods.prune()).length, await pods.exists("web"), await pods.remove("web", { signal: AbortSignal.abort() }).catch((error) => error.name));`,
  );
  assertEquals([code, stderr], [0, ""]);
  assertEquals(stdout.split("\n"), [
    '"Running" true [["pause"],["sleep"]]',
    '"web\\n"',
    '"Paused"',
    "true",
    '1 false "AbortError"',
    "",
  ]);
});

hostTest("a program mounts containers and images in a session, and compares them", {
  needs: ["registry"],
}, async (host) => {
  const image = await host.image();
  const program = (body: string) =>
    `import { ConflictError, Skiff } from "./mod.ts";
     using skiff = new Skiff();
     const image = ${JSON.stringify(image)};
     const show = (...values: unknown[]) => console.log(values.map((value) => JSON.stringify(value)).join(" "));
     ${body}`;
  await host.ok("create", "--name", "one", "--network", "none", image, "true");
  const outside = await runProgram(
    host,
    program(`const one = await skiff.container("one");
     await one.mount().catch((error) => show(error instanceof ConflictError));
     await skiff.mountImage(image).catch((error) => show(error instanceof ConflictError));
     const { names, layers } = await skiff.imageTree(image);
     show(names, layers.length, layers.at(-1)?.topLayerOf, (await skiff.imageDiff(image)).length > 0);
     show(await skiff.imageDiff(image, { against: image }), await skiff.mountedImages());`),
  );
  assertEquals([outside.code, outside.stderr], [0, ""]);
  assertEquals(outside.stdout.split("\n"), ["true", "true", `["${image}"] 1 ["${image}"] true`, "[] []", ""]);
  const inside = await runProgram(
    host,
    program(`const one = await skiff.container("one");
     const folder = await one.mount();
     await Deno.writeTextFile(folder + "/made", "here");
     const [mounted] = await skiff.mountedContainers();
     show(mounted?.Names, mounted?.mountpoint === folder);
     const { mountpoint } = await skiff.mountImage(image);
     await Deno.writeTextFile(mountpoint + "/made", "").catch((error) => show(error.code));
     show((await skiff.mountedImages()).map(({ names }) => names));
     await skiff.unmountImage(image);
     await one.unmount();
     show(await skiff.mountedImages(), await skiff.mountedContainers());
     show(await one.diff(), await one.diff({ against: image }));`),
    [host.binary, "unshare"],
  );
  assertEquals([inside.code, inside.stderr], [0, ""]);
  assertEquals(inside.stdout.split("\n"), [
    '["one"] true',
    '"EROFS"',
    `[["${image}"]]`,
    "[] []",
    '[{"kind":"A","path":"/made"}] [{"kind":"A","path":"/made"}]',
    "",
  ]);
});

hostTest("a program makes networks, and puts containers on them", {}, async (host) => {
  const { code, stdout, stderr } = await runProgram(
    host,
    `import { ConflictError, NotFoundError, Skiff } from "./mod.ts";
     using skiff = new Skiff();
     const show = (...values: unknown[]) => console.log(values.map((value) => JSON.stringify(value)).join(" "));
     const { networks } = skiff;
     show(await networks.create("web", { subnets: ["10.203.1.0/24"], labels: { a: "b" } }), await networks.create());
     show((await networks.inspect("web")).Subnets, await networks.exists("nosuch"));
     await networks.create("web").catch((error) => show(error instanceof ConflictError));
     const one = await skiff.create({ image: "host", command: ["true"], networks: ["web:ip=10.203.1.9", "skiff2"], networkAliases: ["x"] });
     show(Object.keys((await one.inspect()).NetworkSettings.Networks));
     await networks.disconnect("web", one.id);
     await networks.connect("web", one.id, { ip: "10.203.1.8", aliases: ["y"] });
     show((await one.inspect()).NetworkSettings.Networks.web?.IPAMConfig, (await skiff.list({ all: true }))[0]?.Networks);
     await networks.update("web", { dnsAdd: ["192.0.2.1"] });
     show((await networks.list()).map(({ Name, NetworkDNSServers }) => [Name, ...NetworkDNSServers].join(" ")));
     await networks.remove("web").catch((error) => show(error instanceof ConflictError));
     await networks.reload(one.id).catch((error) => show(error instanceof ConflictError));
     show(await networks.prune());
     await networks.remove("web", { force: true });
     await networks.inspect("web").catch((error) => show(error instanceof NotFoundError));
     show((await skiff.prune({ networks: true })).networks);`,
  );
  assertEquals([code, stderr], [0, ""]);
  assertEquals(stdout.trim().split("\n"), [
    '"web" "skiff2"',
    '[{"Subnet":"10.203.1.0/24","Gateway":"10.203.1.1"}] false',
    "true",
    '["web","skiff2"]',
    '{"IPv4Address":"10.203.1.8"} ["skiff2","web"]',
    '["bridge","host","none","skiff2","web 192.0.2.1"]',
    "true",
    "true",
    "[]",
    "true",
    '["skiff2"]',
  ]);
});

hostTest("a program publishes ports, and changes them", {}, async (host) => {
  const { code, stdout, stderr } = await runProgram(
    host,
    `import { ConflictError, NotFoundError, Skiff } from "./mod.ts";
     using skiff = new Skiff();
     const show = (...values: unknown[]) => console.log(values.map((value) => JSON.stringify(value)).join(" "));
     const asked = { image: "host", command: ["sleep", "1000"], publish: ["127.0.0.1::80"], expose: ["90"] };
     const web = await skiff.start({ ...asked, publishAll: true });
     const [{ hostPort, ...http }, { hostPort: _, ...other }] = await web.ports() as [any, any];
     show(http, other);
     const after = await web.update({ publishAdd: ["127.0.0.1::81/udp"], publishRm: ["90"] });
     show(after.map(({ containerPort, protocol }) => \`\${containerPort}/\${protocol}\`));
     await web.update({ publishRm: ["70"] }).catch((error) => show(error instanceof NotFoundError));
     await skiff.start({ ...asked, publish: [\`127.0.0.1:\${hostPort}:80\`] })
       .catch((error) => show(error instanceof ConflictError));
     await web.remove({ force: true });`,
  );
  assertEquals([code, stderr], [0, ""]);
  assertEquals(stdout.split("\n"), [
    '{"protocol":"tcp","hostAddress":"127.0.0.1","containerPort":80,"count":1} ' +
    '{"protocol":"tcp","hostAddress":"","containerPort":90,"count":1}',
    '["80/tcp","81/udp"]',
    "true",
    "true",
    "",
  ]);
});

hostTest("a program makes lists and artifacts, searches a registry, and empties the build cache", {
  needs: ["registry"],
}, async (host) => {
  const image = await host.image();
  const { address } = await host.registry();
  const own = crypto.randomUUID();
  const { code, stdout, stderr } = await runProgram(
    host,
    `import { ConflictError, NotFoundError, Skiff } from "./mod.ts";
     using skiff = new Skiff();
     const [image, place] = ${JSON.stringify([image, `${address}/library/${own}`])};
     const show = (...values: unknown[]) => console.log(values.map((value) => JSON.stringify(value)).join(" "));
     const id = await skiff.pull(image);
     const { manifests, artifacts } = skiff;
     const list = await manifests.create("list:1", [image], { annotations: { of: "all" } });
     await Deno.writeTextFile("notes.txt", "notes");
     show(await manifests.addFiles("list:1", ["notes.txt"], { type: "text/x-notes" }) === list);
     type Index = { manifests: { digest: string; platform?: { variant?: string } }[]; annotations: unknown };
     const read = async () => (await manifests.inspect("list:1")).document as Index;
     const first = (await read()).manifests[0]!.digest;
     await manifests.annotate("list:1", first, { variant: "v9" });
     const { annotations, manifests: entries } = await read();
     show(entries.length, entries[0]?.platform?.variant, annotations, await manifests.exists("list:1"));
     await manifests.exists(image).catch((error) => show(error instanceof ConflictError));
     const digest = await manifests.push("list:1", place + ":list", { all: true });
     const there = await manifests.inspect(place + ":list");
     show(/^sha256:/.test(digest), there.isList, (there.document as Index).manifests.length);
     await manifests.removeEntry("list:1", first);
     show((await read()).manifests.length, (await manifests.remove(["list:1"])).deleted.length);
     await manifests.remove(["list:1"]).catch((error) => show(error instanceof NotFoundError));
     await skiff.pull(image); // the list's entry was all that its name had

     const made = await artifacts.add("notes:1", ["notes.txt"], { type: "text/x-notes" });
     show((await artifacts.list()).map(({ Name, Size }) => Name + " " + Size), (await artifacts.inspect("notes:1")).Digest === made);
     show(await artifacts.push("notes:1", place + ":notes") === made, await artifacts.remove(["notes:1"]).then((gone) => gone[0] === made));
     await artifacts.inspect("notes:1").catch((error) => show(error instanceof NotFoundError));
     show(await artifacts.pull(place + ":notes") === made);
     await Deno.mkdir("out");
     await artifacts.extract(place + ":notes", "out");
     show(await Deno.readTextFile("out/notes.txt"));
     const found = await skiff.search(place.replace("library/", ""), { limit: 10 }).catch((error) => error);
     show((await skiff.searchTags(place)).sort(), found.results?.map(({ Name }: { Name: string }) => Name === place));

     await Deno.mkdir("context");
     await Deno.writeTextFile("context/Dockerfile", "FROM scratch\\nCOPY Dockerfile /\\n");
     await skiff.build({ context: "context" });
     show((await skiff.buildCache()).map(({ Description, InUse }) => [Description, InUse]));
     show((await skiff.pruneBuildCache({ all: true })).removed.length, (await skiff.buildCache()).length);
     await skiff.volumes.create("data");
     await Deno.writeTextFile(await skiff.volumes.mount("data") + "/file", "");
     await skiff.volumes.unmount("data");
     show(await skiff.volumes.reload(), (await skiff.checkSystem({ quick: true })).length, typeof await skiff.info());
     await skiff.login(${
      JSON.stringify(address)
    }, { username: "me", password: "any" }, { authFile: "auth.json", tlsVerify: false });
     await skiff.logout(${JSON.stringify(address)}, { authFile: "auth.json" });
     await skiff.logout(${
      JSON.stringify(address)
    }, { authFile: "auth.json" }).catch((error) => show(error instanceof NotFoundError));`,
  );
  assertEquals([code, stderr], [0, ""]);
  assertEquals(stdout.split("\n"), [
    "true",
    '2 "v9" {"of":"all"} true',
    "true",
    "true true 2",
    "1 1",
    "true",
    '["localhost/notes:1 5"] true',
    "true true",
    "true",
    "true",
    '"notes"',
    '["list","notes"] [true]',
    '[["[1/1] COPY Dockerfile /",false]]',
    "1 0",
    '{"added":[],"removed":[],"errors":[]} 0 "object"',
    "true",
    "",
  ]);
});

hostTest("errors reach a program with their type and exit code", { needs: ["uidmap"] }, async (host) => {
  const { stdout, stderr } = await runProgram(
    host,
    `import { CommandNotFoundError, NotFoundError, Skiff } from "./mod.ts";
     using skiff = new Skiff();
     const tell = (error: unknown) => console.log(
       error instanceof CommandNotFoundError, error instanceof NotFoundError, (error as { exitCode: number }).exitCode);
     await skiff.run({ image: "host", command: ["no-such-program"] }).catch(tell);
     await skiff.run({ image: "no/such/image", command: ["true"], pull: "never" }).catch(tell);
     await skiff.container("none").catch(tell);
     // a lock that was taken for what failed is let go
     for (let round = 0; round < 2; round++) {
       await skiff.create({ image: "host", command: ["true"], userns: "auto:size=4000000000" }).catch(tell);
     }
     console.log((await skiff.list({ all: true })).length);`,
  );
  const told = ["true false 127", "false true 125", "false true 125", "false false 125", "false false 125"];
  assertEquals(stdout, [...told, "0\n"].join("\n"), stderr);
});

hostTest(
  "a build, with its progress, its failure and its abort",
  { needs: ["registry", "busybox"] },
  async (host) => {
    const image = await host.image();
    const { code, stdout, stderr } = await runProgram(
      host,
      `import { BuildError, Skiff } from "./mod.ts";
     using skiff = new Skiff();
     const show = (...values: unknown[]) => console.log(values.map((value) => JSON.stringify(value)).join(" "));
     await Deno.mkdir("context");
     const write = (...lines: string[]) => Deno.writeTextFile("context/Dockerfile", lines.join("\\n"));
     await write("FROM " + ${JSON.stringify(image)}, "ARG WHO", "RUN echo hello $WHO | tee /greeting");
     const decoder = new TextDecoder();
     const said: string[] = [];
     const request = { context: "context", network: "none", tags: ["mine"], buildArgs: { WHO: "you" } };
     const built = await skiff.build(request, {
       progress: (event) => { if (event.kind === "log") said.push(decoder.decode(event.log.data)); },
     });
     show(built.names, said, (await skiff.inspectImage("mine")).Id === built.imageId);
     const names: string[] = [];
     const events = skiff.buildEvents({ ...request, tags: [] });
     for (let next = await events.next();; next = await events.next()) {
       if (next.done) { show(next.value.imageId === built.imageId); break; }
       if (next.value.kind === "vertex" && next.value.vertex.cached) names.push(next.value.vertex.name);
     }
     show(names.at(-1));
     await write("FROM " + ${JSON.stringify(image)}, "RUN exit 7");
     await skiff.build(request).catch((error) => show(error instanceof BuildError, error.source.location, error.message));
     await write("FROM " + ${JSON.stringify(image)}, "RUN echo up; sleep 1000");
     const given = new AbortController();
     await skiff.build(request, {
       signal: given.signal,
       progress: (event) => { if (event.kind === "log") given.abort(); },
     }).catch((error) => show(error.name));
     for await (const event of skiff.buildEvents(request)) if (event.kind === "log") break;`,
    );
    assertEquals([code, stderr], [0, ""]);
    assertEquals(stdout.split("\n"), [
      '["localhost/mine:latest"] ["hello you\\n"] true',
      "true",
      '"[2/2] RUN echo hello you | tee /greeting"',
      'true {"startLine":2,"endLine":2} "process \\"/bin/sh -c exit 7\\" did not complete successfully: exit code: 7"',
      '"AbortError"',
      "",
    ]);
  },
);
