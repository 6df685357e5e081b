/** The build cache: what is a hit and what is not, that stages go on side by side, and that nothing breaks it. */

import { assert, assertEquals, type Host, hostTest, waitFor } from "./harness.ts";
import { mountsOf } from "./leaks.ts";

const POINTS = Number(Deno.env.get("SKIFF_TEST_CRASH_POINTS") ?? 30);

/** A context of its own, and what its builds did. */
class Project {
  readonly path: string;

  private constructor(readonly host: Host, name: string) {
    this.path = `${host.home}/${name}`;
  }

  static async make(host: Host, name: string, files: Record<string, string>): Promise<Project> {
    const project = new Project(host, name);
    await project.write(files);
    return project;
  }

  async write(files: Record<string, string>): Promise<void> {
    for (const [name, text] of Object.entries(files)) {
      const path = `${this.path}/${name}`;
      await Deno.mkdir(path.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(path, text);
    }
    await this.host.own(this.path, ...Object.keys(files).map((name) => `${this.path}/${name}`));
  }

  /** Builds, and gives the image's id with the names of the steps that ran and of those that were cached. */
  async build(...options: string[]): Promise<{ id: string; ran: string[]; cached: string[] }> {
    const iidfile = `${this.path}.iid`;
    const args = ["build", "--progress", "plain", "--iidfile", iidfile, "--network", "none", ...options];
    const { code, stderr } = await this.host.skiff([...args, this.path]);
    assertEquals({ code, stderr: code === 0 ? "" : stderr }, { code: 0, stderr: "" });
    return { id: (await Deno.readTextFile(iidfile)).trim(), ...stepsOf(stderr) };
  }
}

/** `#7 [2/3] RUN x`, then `#7 CACHED` or `#7 DONE 0.1s`: instructions alone, sorted. */
function stepsOf(plain: string): { ran: string[]; cached: string[] } {
  const names = new Map<string, string>();
  const cached = new Set<string>();
  for (const line of plain.split("\n")) {
    const [, number, rest] = /^#(\d+) (.*)$/.exec(line) ?? [];
    if (number === undefined || rest === undefined) continue;
    const step = /^\[(?:\S+ +)?\d+\/\d+\] (.*)$/.exec(rest.replace(/ +(?=\d+\/)/, " "))?.[1];
    if (step !== undefined && !step.startsWith("FROM ")) names.set(number, step);
    else if (rest === "CACHED") cached.add(number);
  }
  const list = (isCached: boolean) =>
    [...names].filter(([number]) => cached.has(number) === isCached).map(([, name]) => name).sort();
  return { ran: list(false), cached: list(true) };
}

const needs = ["registry", "busybox"] as const;

hostTest("a step is cached by what it does and reads, not by times, names or places", {
  needs: [...needs],
}, async (host) => {
  const image = await host.image();
  const dockerfile = (more: { run?: string; label?: string; stage?: string } = {}) =>
    `FROM ${image} AS ${more.stage ?? "app"}
ARG V=1
WORKDIR /w
COPY src ./src
RUN echo ${more.run ?? "made"} > made
LABEL l=${more.label ?? "x"}
COPY late.txt .
RUN cat late.txt src/a > both
`;
  const project = await Project.make(host, "one", {
    Dockerfile: dockerfile(),
    "src/a": "a\n",
    "src/deep/b": "b\n",
    "late.txt": "late\n",
  });
  const all = [
    "COPY late.txt .",
    "COPY src ./src",
    "RUN cat late.txt src/a > both",
    "RUN echo made > made",
    "WORKDIR /w",
  ];
  const first = await project.build();
  assertEquals(first.ran, all);
  const again = await project.build();
  assertEquals(again, { id: first.id, ran: [], cached: all });

  // times are nothing, and neither is where the files are
  await host.program(["touch", "-d", "2001-01-01", `${project.path}/src/a`, `${project.path}/late.txt`]);
  assertEquals((await project.build()).ran, []);
  const copy = await Project.make(host, "two", {
    Dockerfile: dockerfile({ stage: "another", label: "y" }),
    "src/a": "a\n",
    "src/deep/b": "b\n",
    "late.txt": "late\n",
    "unused": "nobody reads it",
  });
  const other = await copy.build();
  assertEquals(other.ran, []);
  assert(other.id !== first.id);

  // a late file: only what comes after it
  await project.write({ "late.txt": "later\n" });
  assertEquals((await project.build()).ran, ["COPY late.txt .", "RUN cat late.txt src/a > both"]);
  // a mode counts
  await host.program(["chmod", "755", `${project.path}/late.txt`]);
  assertEquals((await project.build()).ran[0], "COPY late.txt .");
  // an argument that is declared counts for what runs after its ARG, and what stands on that
  assertEquals((await project.build("--build-arg", "V=2")).ran, [
    "COPY late.txt .",
    "RUN cat late.txt src/a > both",
    "RUN echo made > made",
  ]);
  await project.write({ Dockerfile: dockerfile({ run: "other" }) });
  assertEquals((await project.build()).ran, [
    "COPY late.txt .",
    "RUN cat late.txt src/a > both",
    "RUN echo other > made",
  ]);
  // asked for, everything is done again, or what one stage does
  assertEquals((await project.build("--no-cache")).cached, []);
  assertEquals((await project.build()).ran, []);
  assertEquals((await project.build("--no-cache-filter", "app")).cached, []);
  assertEquals((await project.build("--no-cache-filter", "none")).ran, []);
});

hostTest("mounts and stages count by their content; caches, secrets and unused stages do not", {
  needs: [...needs],
}, async (host) => {
  const image = await host.image();
  const dockerfile = (tool: string) =>
    `FROM ${image} AS tool
RUN echo ${tool} > /noise && echo fixed > /tool
FROM ${image} AS unused
RUN exit 1
FROM ${image}
COPY --from=tool /tool /tool
RUN --mount=type=bind,source=in,target=/in cat /in/f > /f
RUN --mount=type=cache,target=/c echo x >> /c/log && wc -l < /c/log > /count
RUN --mount=type=secret,id=s cat /run/secrets/s > /dev/null
COPY --link out /out
`;
  const project = await Project.make(host, "mounts", {
    Dockerfile: dockerfile("one"),
    "in/f": "1\n",
    "out": "o\n",
    "s1": "first",
    "s2": "second",
  });
  const secret = (name: string) => ["--secret", `id=s,src=${project.path}/${name}`];
  const first = await project.build(...secret("s1"));
  assertEquals(first.ran.length, 6);
  assertEquals(first.ran.some((step) => step.includes("exit 1")), false);
  // another secret's content is no reason; a stage whose files come out the same is none either
  assertEquals((await project.build(...secret("s2"))).ran, []);
  await project.write({ Dockerfile: dockerfile("two") });
  assertEquals((await project.build(...secret("s1"))).ran, ["RUN echo two > /noise && echo fixed > /tool"]);
  // what a bind mount shows is read
  await project.write({ "in/f": "2\n" });
  assertEquals((await project.build(...secret("s1"))).ran, [
    "RUN --mount=type=bind,source=in,target=/in cat /in/f > /f",
    "RUN --mount=type=cache,target=/c echo x >> /c/log && wc -l < /c/log > /count",
    "RUN --mount=type=secret,id=s cat /run/secrets/s > /dev/null",
  ]);
  // the cache mount was kept: its second line was written by the second build that ran the step
  const { id } = await project.build(...secret("s1"));
  assertEquals((await host.run("--rm", id, "cat", "/count")).stdout.trim(), "2");
});

hostTest(
  "stages that need nothing of each other run at the same time",
  { needs: [...needs] },
  async (host) => {
    const image = await host.image();
    // each waits for the other's word: one after the other they would wait for ever
    const wait = (own: string, other: string) =>
      `RUN --mount=type=cache,id=meet,target=/m touch /m/${own}; until [ -e /m/${other} ]; do sleep 0.05; done`;
    const project = await Project.make(host, "parallel", {
      Dockerfile: `FROM ${image} AS left
${wait("left", "right")}
FROM ${image} AS right
${wait("right", "left")}
FROM scratch
COPY --from=left /bin/busybox /left
COPY --from=right /bin/busybox /right
`,
    });
    assertEquals((await project.build()).ran.length, 4);
  },
);

hostTest(
  "the cache outlives its image; what is pruned or gone is made again",
  { needs: [...needs] },
  async (host) => {
    const image = await host.image();
    const project = await Project.make(host, "prune", {
      Dockerfile: `FROM ${image}\nRUN echo a > /a\nRUN --mount=type=cache,target=/c echo b > /b\n`,
    });
    const steps = ["RUN --mount=type=cache,target=/c echo b > /b", "RUN echo a > /a"];
    const first = await project.build("-t", "cached:1");
    await host.ok("rmi", "cached:1");
    const again = await project.build("-t", "cached:1");
    assertEquals(again, { id: first.id, ran: [], cached: steps });
    assertEquals((await host.run("--rm", "cached:1", "cat", "/a", "/b")).stdout, "a\nb\n");

    // while an image shares it, only cache mounts go
    const kinds = async () => {
      const usage = JSON.parse(await host.ok("system", "df", "--format", "json")) as {
        Type: string;
        Total: number;
      }[];
      return usage.find(({ Type }) => Type === "Build Cache")?.Total ?? 0;
    };
    assertEquals(await kinds(), 3);
    await host.ok("builder", "prune", "--force");
    assertEquals(await kinds(), 2);
    assertEquals((await project.build()).ran, []);
    await host.ok("builder", "prune", "--all", "--force");
    assertEquals(await kinds(), 0);
    assertEquals((await host.run("--rm", "cached:1", "cat", "/b")).stdout, "b\n");
    assertEquals((await project.build("-t", "cached:1")).ran, steps);

    // what was changed behind its back is found, and mended of the archive
    const layersOf = async () =>
      JSON.parse(await host.ok("image", "inspect", "cached:1"))[0].RootFS.Layers as string[];
    const folder = `${host.data}/layers/${(await layersOf()).at(-1)!.replace("sha256:", "")}`;
    await host.ok("rmi", "cached:1");
    const damaged = await host.sh(`"$SKIFF" unshare sh -c 'echo evil | tee ${folder}/*/b'`);
    assertEquals(damaged.code, 0, damaged.stderr);
    assert((await host.skiff(["system", "check"])).code !== 0);
    await host.ok("system", "check", "--repair");
    assertEquals((await project.build("-t", "cached:1")).ran, []);
    assertEquals((await host.run("--rm", "cached:1", "cat", "/b")).stdout, "b\n");

    // a layer that somebody took away is a miss, and no error
    await host.ok("rmi", "cached:1");
    const moved = await host.sh(`"$SKIFF" unshare rm -rf "${folder}"`);
    assertEquals(moved.code, 0);
    assertEquals((await project.build("-t", "cached:1")).ran, [steps[0]]);
    assertEquals(await host.ok("system", "check"), "");
  },
);

hostTest("a cache goes to a folder, a registry or an image, and comes from there to another store", {
  needs: [...needs],
}, async (host) => {
  const image = await host.image();
  const { address } = await host.registry();
  const name = `${address}/cache/${crypto.randomUUID()}`;
  const project = await Project.make(host, "travel", {
    Dockerfile: `FROM ${image} AS helper
RUN echo helper > /h
FROM ${image}
RUN head -c 8 /dev/urandom > /random
RUN true
COPY --from=helper /h /h
`,
  });
  const all = [
    "COPY --from=helper /h /h",
    "RUN echo helper > /h",
    "RUN head -c 8 /dev/urandom > /random",
    "RUN true",
  ];
  const folder = `${host.home}/cache`;
  const first = await project.build(
    ...["--cache-to", `type=local,dest=${folder},mode=max`],
    ...["--cache-to", `type=registry,ref=${name}:max,mode=max`],
    ...["--cache-to", `type=local,dest=${folder}-min`],
  );
  assertEquals(first.ran, all);
  const forget = async () => {
    await host.ok("builder", "prune", "--all", "--force");
    await host.ok("image", "prune", "--all", "--force");
    assertEquals(await host.ok("images", "--quiet", "--all"), "");
  };
  for (const from of [`type=local,src=${folder}`, `type=registry,ref=${name}:max`, `${name}:max`]) {
    await forget();
    assertEquals(await project.build("--cache-from", from), { id: first.id, ran: [], cached: all }, from);
    // it is here now
    assertEquals((await project.build()).ran, [], from);
  }
  await forget();
  // the least is what the image itself is made of; the helper has to run for its digest
  const least = await project.build("--cache-from", `type=local,src=${folder}-min`);
  assertEquals(least.ran, ["RUN echo helper > /h"]);

  await forget();
  await project.build("--cache-to", "type=inline", "-t", `${name}:inline`, "--push");
  await forget();
  assertEquals((await project.build("--cache-from", `${name}:inline`)).ran, ["RUN echo helper > /h"]);

  // one that is damaged or not there is told of, and the build goes on
  await Deno.writeTextFile(`${folder}/index.json`, "{");
  const args = [
    "build",
    "--progress",
    "plain",
    "--network",
    "none",
    "--cache-from",
    `type=local,src=${folder}`,
  ];
  const { code, stderr } = await host.skiff([...args, "--cache-from", `${name}:gone`, project.path]);
  assertEquals(code, 0, stderr);
  assert(stderr.includes(`import cache from ${folder}: `), stderr);
  assert(stderr.includes(`import cache from ${name}:gone: `), stderr);
});

hostTest(
  "two builds of the same steps at once come to the same image",
  { needs: [...needs] },
  async (host) => {
    const image = await host.image();
    await host.ok("pull", image);
    // what they make differs from run to run, but the cache has room for one
    const dockerfile = `FROM ${image}\nRUN head -c 16 /dev/urandom > /random\nRUN cat /random > /copy\n`;
    const [one, two] = await Promise.all(
      ["race1", "race2"].map((name) => Project.make(host, name, { Dockerfile: dockerfile })),
    ) as [Project, Project];
    const [first, second] = await Promise.all([one.build(), two.build()]);
    assertEquals(second.id, first.id);
    assertEquals((await two.build()).id, first.id);
  },
);

hostTest("a build that is interrupted anywhere leaves a store that is whole", {
  needs: [...needs],
  timeoutMs: 1_200_000,
}, async (host) => {
  const image = await host.image();
  await host.ok("pull", image);
  const project = await Project.make(host, "crash", { Dockerfile: "", "a/b": "x".repeat(100_000) });
  const write = (nonce: number) =>
    project.write({
      Dockerfile: `FROM ${image} AS a
ENV N=${nonce}
WORKDIR /w
COPY a /w
RUN --mount=type=cache,target=/c dd if=/dev/zero of=/w/big bs=65536 count=40 2>/dev/null; date >> /c/log
FROM ${image} AS b
ENV N=${nonce}
RUN echo b > /b
FROM scratch
COPY --from=a /w /w
COPY --from=b /b /b
`,
    });
  await write(0);
  const begun = performance.now();
  const first = await host.skiff(["build", "--progress", "plain", "--network", "none", project.path]);
  assertEquals(first.code, 0, first.stderr);
  const usualLines = first.stderr.split("\n").length;
  const usualMs = performance.now() - begun;
  for (let point = 1; point <= POINTS; point++) {
    await write(point);
    const running = host.spawn(["build", "--progress", "plain", "--network", "none", project.path]);
    const signal = point % 3 === 0 ? "SIGINT" : "SIGKILL";
    const kill = () => {
      try {
        running.child.kill(signal);
      } catch {
        // it was faster
      }
    };
    // by the clock, or by what it has told: so there are points in every step, however fast the machine is
    const byClock = point % 2 === 0;
    const timer = byClock ? setTimeout(kill, Math.random() * usualMs) : undefined;
    const lines = 1 + Math.floor(Math.random() * usualLines);
    const told = () => running.output.stderr.split("\n").length > lines;
    let hasEnded = false;
    const ended = running.result.finally(() => hasEnded = true);
    if (!byClock) {
      await waitFor("the build to get there", () => told() || hasEnded, 300_000);
      kill();
    }
    const { code } = await ended;
    clearTimeout(timer);
    if (signal === "SIGINT") assert(code === 0 || code === 130 || code === 1, `exit code ${code}`);
    if (point % 10 !== 0) continue;
    await untilQuiet(host);
    assertEquals(mountsOf(host.folder), []);
    assertEquals(await host.ok("system", "check"), "");
    assertEquals((await project.build()).id.length > 0, true);
    assertEquals(await host.ok("ps", "--all", "--quiet"), "");
  }
  const left = (name: string) => Array.from(Deno.readDirSync(`${host.data}/${name}`), (entry) => entry.name);
  // what is young may be in the making, for all that the next command knows
  const old = new Date(Date.now() - 3600_000);
  for (const name of ["containers", "tmp"]) {
    for (const entry of left(name)) await Deno.utime(`${host.data}/${name}/${entry}`, old, old);
  }
  await host.ok("ps", "--all");
  await host.ok("builder", "prune", "--all", "--force");
  await host.ok("image", "prune", "--all", "--force");
  assertEquals([left("layers"), left("blobs/sha256"), left("containers")], [[], [], []]);
});

/** What was killed takes its children along, which takes a moment. */
async function untilQuiet(host: Host): Promise<void> {
  const end = Date.now() + 60_000;
  while (host.processes().length > 0) {
    if (Date.now() > end) throw new Error(`left: ${JSON.stringify(host.processes())}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
