/** build, end to end: from a Dockerfile to an image that runs, here and elsewhere. */
import {
  assert,
  assertEquals,
  assertIncludes,
  assertMatch,
  driverTest,
  type Host,
  hostTest,
  waitFor,
} from "./harness.ts";
import { makeContext } from "./build_context.ts";
import { configurePodman, runLines } from "./podman_parity/engines.ts";

const NEEDS = ["registry", "busybox"] as const;

/** Every step of it is asked for in the tests by its number. */
const APPLICATION = `# an application in two stages
ARG BASE
FROM $BASE AS build
WORKDIR /src
COPY lib lib
RUN cat lib/* > library && echo "built as $(id -u)"
COPY main .
RUN cat library main > program && chmod 755 program

FROM $BASE
ARG VERSION=1
LABEL version=$VERSION
ENV GREETING="hello \${VERSION}"
RUN echo app:x:4321:4321::/:/bin/sh >> /etc/passwd && mkdir /data && chown app /data
COPY --from=build --chown=app /src/program /usr/local/bin/
USER app
VOLUME /data
EXPOSE 8080/tcp
HEALTHCHECK --interval=5s CMD true
ENTRYPOINT ["program"]
CMD ["world"]
`;

const applicationFiles = (main = 'echo "$GREETING $1 $(id -un)"\n') => ({
  Dockerfile: APPLICATION,
  "lib/a.sh": "#!/bin/sh\n",
  "lib/b.sh": "# a library\n",
  main,
});

/** Progress as it is when neither times nor identifiers count. */
const stepsOf = (stderr: string) =>
  stderr.split("\n").filter((line) => /^#\d+ (\[[^i]|CACHED|DONE)/.test(line));

/** `CACHED` or `DONE` by what stands in the step's name. */
function outcomesOf(stderr: string): Map<string, string> {
  const names = new Map<string, string>();
  const outcomes = new Map<string, string>();
  for (const line of stepsOf(stderr)) {
    const [, number, text] = /^(#\d+) (.*)$/.exec(line)!;
    if (text!.startsWith("[")) names.set(number!, text!);
    else if (names.has(number!)) outcomes.set(names.get(number!)!, text!.split(" ")[0]!);
  }
  return outcomes;
}

async function build(host: Host, ...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await host.skiff(["build", "--network", "none", ...words]);
  assertEquals(code, 0, stderr);
  assertEquals(stdout, "", "progress goes to stderr");
  return stderr;
}

driverTest("an application is built, runs, and is built again from the cache", {
  needs: [...NEEDS],
}, async (host) => {
  const base = await host.image("busybox");
  const folder = await makeContext(host, applicationFiles());
  const words = ["-t", "app", "-t", "other:2", "--build-arg", `BASE=${base}`, folder];
  const first = await build(
    host,
    ...["--build-arg", "VERSION=2", "--label", "by=test", "--iidfile", `${host.home}/iid`],
    ...["--metadata-file", `${host.home}/metadata.json`, ...words],
  );
  assertIncludes(first, "built as 0\n");
  assertEquals((await host.run("--rm", "app")).stdout, "hello 2 world app\n");
  assertEquals((await host.run("--rm", "other:2", "you")).stdout, "hello 2 you app\n");
  const [image] = JSON.parse(await host.ok("image", "inspect", "app"));
  const { Labels, User, ExposedPorts, Volumes, Healthcheck, Entrypoint, Cmd } = image.Config;
  assertEquals(Labels, { by: "test", version: "2" });
  assertEquals([User, Entrypoint, Cmd], ["app", ["program"], ["world"]]);
  assertEquals([ExposedPorts, Volumes], [{ "8080/tcp": {} }, { "/data": {} }]);
  assertEquals(Healthcheck.Interval, 5_000_000_000);
  const iid = await Deno.readTextFile(`${host.home}/iid`);
  assertEquals(iid, `sha256:${image.Id}`);
  const metadata = JSON.parse(await Deno.readTextFile(`${host.home}/metadata.json`));
  assertEquals(metadata["containerimage.config.digest"], iid);
  assertEquals(metadata["containerimage.digest"], image.Digest);
  assertEquals(metadata["image.name"], "localhost/app:latest,localhost/other:2");
  assertMatch(await host.ok("history", "--format", "{{.CreatedBy}}", "app"), /^CMD \["world"\]\nENTRYPOINT/);

  const again = await build(host, "--build-arg", "VERSION=2", "--label", "by=test", ...words);
  const outcomes = [...outcomesOf(again)].filter(([name]) => !name.includes("FROM"));
  assertEquals(outcomes.length, 7, again);
  for (const [name, outcome] of outcomes) assertEquals(outcome, "CACHED", name);
  const sameConfig = await host.ok("image", "inspect", "-f", "{{json .RootFS.Layers}}", "app");
  assertEquals(JSON.parse(sameConfig), image.RootFS.Layers);

  // a late file: what stands before it, and what does not read it, stays
  await Deno.writeTextFile(`${folder}/main`, 'echo "changed $1"\n');
  const late = outcomesOf(await build(host, "--build-arg", "VERSION=2", "--label", "by=test", ...words));
  const done = [...late].filter(([, outcome]) => outcome === "DONE").map(([name]) => name);
  assertEquals(done.filter((name) => !name.includes("FROM")).map((name) => name.replace(/^\S+ \S+ /, "")), [
    "COPY main .",
    "RUN cat library main > program && chmod 755 program",
    "COPY --from=build --chown=app /src/program /usr/local/bin/",
  ]);
  assertEquals((await host.run("--rm", "app")).stdout, "changed world\n");
  assertEquals(await host.ok("ps", "-aq"), "", "containers of steps are gone");
});

hostTest("a build's image goes to podman by an archive and by a registry", {
  needs: [...NEEDS, "root", "podman", "crun", "python3"],
}, async (host) => {
  const base = await host.image("busybox");
  const registry = await host.registry();
  const folder = await makeContext(host, applicationFiles());
  const name = `${registry.address}/build/${crypto.randomUUID()}:1`;
  const words = ["--build-arg", `BASE=${base}`, folder];
  const pushed = await build(host, "-t", name, "--push", "--metadata-file", `${host.home}/m.json`, ...words);
  assertIncludes(pushed, `naming to ${name} done\n`);
  const [, digest] = pushed.match(/pushing manifest for \S+@(sha256:[0-9a-f]{64}) /) ?? [];
  assertEquals(
    await host.ok("image", "inspect", "-f", "{{json .RepoDigests}}", name).then((text) =>
      JSON.parse(text).some((one: string) => one.endsWith(`@${digest}`))
    ),
    true,
  );
  await build(host, "-t", "app", "-o", `type=oci,dest=${host.home}/app.oci.tar`, ...words);
  await build(host, "-t", "app", "-o", `type=docker,dest=${host.home}/app.docker.tar`, ...words);
  const metadata = JSON.parse(await Deno.readTextFile(`${host.home}/m.json`));
  assertEquals(metadata["containerimage.digest"], digest);
  await configurePodman(host);
  const outcomes = await runLines(host, "podman", name, [
    "E pull -q $I",
    "E run --rm --network none $I",
    "E image inspect --format '{{.Digest}}' $I",
    `E load -q -i ${host.home}/app.oci.tar`,
    "E run --rm --network none localhost/app there",
    `E load -q -i ${host.home}/app.docker.tar`,
    "E run --rm --network none localhost/app again",
    "E rm -fa -t 0; E system migrate",
  ]);
  const [, ran, seen, , fromOci, , fromDocker] = outcomes;
  for (const { code, stderr } of outcomes) assertEquals(code, 0, stderr);
  assertEquals(ran!.stdout, "hello 1 world app\n");
  assertEquals(seen!.stdout, `${digest}\n`);
  assertEquals(fromOci!.stdout, "hello 1 there app\n");
  assertEquals(fromDocker!.stdout, "hello 1 again app\n");
  // what was pushed is what is pulled
  await host.ok("rmi", name);
  await host.ok("pull", "-q", name);
  assertEquals((await host.run("--rm", name, "back")).stdout, "hello 1 back app\n");
});

hostTest("files of a build are written out as the caller's, or as a tar with their owners", {
  needs: [...NEEDS],
}, async (host) => {
  const base = await host.image("busybox");
  const folder = await makeContext(host, {
    Dockerfile: `FROM ${base} AS make
RUN mkdir /out /out/d && echo one > /out/d/f && chown -R 5:6 /out/d && chmod 750 /out/d && ln -s d/f /out/link && echo two > /out/run && chmod 6755 /out/run
FROM scratch
COPY --from=make /out /
`,
  });
  await build(host, "-o", `${host.home}/files`, folder);
  assertEquals(await Deno.readTextFile(`${host.home}/files/d/f`), "one\n");
  assertEquals(await Deno.readLink(`${host.home}/files/link`), "d/f");
  const { uid, mode } = await Deno.stat(`${host.home}/files/d`);
  assertEquals([uid, mode! & 0o777], [host.ids.uid, 0o750]);
  // what runs as its owner would run as the caller
  assertEquals((await Deno.stat(`${host.home}/files/run`)).mode! & 0o7777, 0o755);
  assertEquals(
    await host.ok("images", "-q"),
    (await host.ok("images", "-q", base)).trim(),
    "no image is made",
  );
  const tar = await host.sh(`$SKIFF build -q -o - ${folder} | tar -tv --numeric-owner`);
  assertEquals(tar.code, 0, tar.stderr);
  assertMatch(
    tar.stdout,
    /^drwxr-x--- 5\/6 .* d\/\n-rw-r--r-- 5\/6 .* d\/f\nlrwxrwxrwx 0\/0 .* link -> d\/f\n-rwsr-sr-x 0\/0 .* run\n$/,
  );
  await build(host, "-o", `type=tar,dest=${host.home}/files.tar`, folder);
  assert((await Deno.stat(`${host.home}/files.tar`)).size > 0);
});

hostTest("what is wrong is told with its place, and nothing of it is left", {
  needs: [...NEEDS],
}, async (host) => {
  const base = await host.image("busybox");
  const folder = await makeContext(host, {
    Dockerfile:
      `FROM ${base}\nRUN echo first\nRUN echo to stdout && \\\n    echo to stderr >&2; \\\n    exit 3\n`,
    "typo.Dockerfile": `FROM ${base}\n\nCOPI a b\n`,
    "missing.Dockerfile": `FROM ${base}\nCOPY nowhere /\n`,
    "lower.Dockerfile": `FROM ${base} as Stage\nCOPY Dockerfile /\n`,
  });
  const failed = await host.skiff(["build", "--network", "none", "-t", "none", folder]);
  assertEquals([failed.code, failed.stdout], [1, ""]);
  const command = "echo to stdout &&     echo to stderr >&2;     exit 3";
  const words = `process "/bin/sh -c ${command}" did not complete successfully: exit code: 3`;
  assertIncludes(failed.stderr, ` ERROR: ${words}\n`);
  assertMatch(
    failed.stderr,
    /------\n > \[3\/3\] RUN .*:\n[\d.]+ to std(out|err)\n[\d.]+ to std(out|err)\n------\n/,
  );
  assertIncludes(
    failed.stderr,
    [
      "Dockerfile:3",
      "--------------------",
      "   2 |     RUN echo first",
      "   3 | >>> RUN echo to stdout && \\",
      "   4 | >>>     echo to stderr >&2; \\",
      "   5 | >>>     exit 3",
      "   6 |",
      "--------------------",
      `Error: ${words}\n`,
    ].join("\n"),
  );
  assertEquals((await host.skiff(["image", "exists", "none"])).code, 1);
  assertEquals(host.containers(), []);
  const wrong = async (...more: string[]) => {
    const { code, stderr } = await host.skiff(["build", "-q", "--network", "none", ...more, folder]);
    return [code, stderr.trimEnd().split("\n").at(-1)];
  };
  const file = (name: string) => ["-f", `${folder}/${name}.Dockerfile`];
  assertEquals(await wrong(...file("typo")), [
    1,
    "Error: dockerfile parse error on line 3: unknown instruction: COPI (did you mean COPY?)",
  ]);
  const [code, last] = await wrong(...file("missing"));
  assertEquals(code, 1);
  assertIncludes(String(last), '"/nowhere": not found');
  assertIncludes(String((await wrong("--target", "nobody"))[1]), 'target stage "nobody" could not be found');
  assertIncludes(
    String((await wrong("-f", `${folder}/none`))[1]),
    "failed to read dockerfile: open",
  );
  const checked = await host.skiff(["build", "--check", ...file("lower"), folder]);
  assertEquals(checked.code, 1, checked.stderr);
  assertIncludes(checked.stdout, "WARNING: StageNameCasing - https://docs.docker.com/go/dockerfile/rule/");
  assertMatch(checked.stdout, /Check complete, \d+ warnings have been found!\n$/);
  const json = await host.skiff(["build", "--call", "check,format=json", ...file("lower"), folder]);
  const { warnings } = JSON.parse(json.stdout);
  assert(warnings.some(({ ruleName }: { ruleName: string }) => ruleName === "FromAsCasing"), json.stdout);
  const strict = ["--build-arg", "BUILDKIT_DOCKERFILE_CHECK=error=true"];
  const refused = await host.skiff([
    "build",
    "--call",
    "check,format=json",
    ...strict,
    ...file("lower"),
    folder,
  ]);
  assertEquals([refused.code, JSON.parse(refused.stdout).warnings], [1, warnings]);
  assertMatch(
    JSON.parse(refused.stdout).buildError.message,
    /^lint violation found for rules: .*FromAsCasing/,
  );
  const clean = await host.skiff(["build", "--check", ...file("missing"), folder]);
  assertEquals([clean.code, clean.stdout], [0, "Check complete, no warnings found.\n"]);
});

hostTest("contexts and Dockerfiles come by stdin; options change what is built", {
  needs: [...NEEDS],
}, async (host) => {
  const base = await host.image("busybox");
  const folder = await makeContext(host, {
    Dockerfile:
      `FROM ${base}\nARG WHO\nENV WHO=$WHO\nCOPY file /\nRUN echo "$WHO $EXTRA" >> /file\nRUN echo b > /b\n`,
    file: "content\n",
    args: "# arguments\nWHO=file\n",
    ".dockerignore": "args\n",
  });
  const idOf = async (script: string) => {
    const { code, stdout, stderr } = await host.sh(script, { env: { F: folder, B: base } });
    assertEquals(code, 0, stderr);
    assertMatch(stdout, /^sha256:[0-9a-f]{64}\n$/);
    return stdout.trim();
  };
  const cat = async (image: string, ...paths: string[]) =>
    (await host.run("--rm", image, "cat", ...paths)).stdout;
  const none = "build -q --network none";
  const fromTar = await idOf(`tar -C $F -czf - . | $SKIFF ${none} --build-arg WHO=tar -`);
  assertEquals(await cat(fromTar, "/file"), "content\ntar \n");
  const fromText = await idOf(`printf 'FROM %s\\nRUN echo text > /t\\n' $B | $SKIFF ${none} -`);
  assertEquals(await cat(fromText, "/t"), "text\n");
  const both = await idOf(`printf 'FROM %s\\nCOPY file /f\\n' $B | $SKIFF ${none} -f - $F`);
  assertEquals(await cat(both, "/f"), "content\n");
  const options = await idOf(
    `EXTRA=caller $SKIFF ${none} --build-arg-file $F/args --env EXTRA --unsetenv WHO --squash -t opt $F`,
  );
  assertEquals(await cat("opt", "/file", "/b"), "content\nfile caller\nb\n");
  const [image] = JSON.parse(await host.ok("image", "inspect", options));
  const baseLayers = JSON.parse(
    await host.ok("image", "inspect", "-f", "{{json .RootFS.Layers}}", base),
  ) as string[];
  assertEquals(image.RootFS.Layers.length, baseLayers.length + 1);
  assertEquals(image.RootFS.Layers.slice(0, -1), baseLayers);
  assertEquals(image.Config.Env.filter((word: string) => /^(WHO|EXTRA)=/.test(word)), ["EXTRA=caller"]);
  const environment = image.History.filter((entry: { created_by: string }) =>
    /^ENV EXTRA/.test(entry.created_by)
  );
  assertEquals(environment.length, 1);
  const single = await idOf(`$SKIFF ${none} --squash-all --format docker --omit-history $F`);
  const [one] = JSON.parse(await host.ok("image", "inspect", single));
  assertEquals([one.RootFS.Layers.length, one.History?.length ?? 0], [1, 0]);
  assertEquals(one.ManifestType, "application/vnd.docker.distribution.manifest.v2+json");
  assertEquals(await cat(single, "/b"), "b\n");
  const from = await idOf(
    `$SKIFF ${none} --from opt -f - . <<E\nFROM nowhere.invalid/none\nRUN cat /b > /c\nE`,
  );
  assertEquals(await cat(from, "/c"), "b\n");
  const raw = await host.sh(`$SKIFF build --network none --progress rawjson $F`, { env: { F: folder } });
  const lines = raw.stderr.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert(lines.some(({ vertexes }) => vertexes?.[0].name.includes("RUN echo b > /b")), raw.stderr);
});

hostTest("two builds in two places give one digest", { needs: [...NEEDS] }, async (host) => {
  const base = await host.image("busybox");
  const digests: string[] = [];
  for (const place of ["one", "two"]) {
    const home = `${host.home}/${place}`;
    await Deno.mkdir(home);
    await host.own(home);
    const folder = await makeContext(host, applicationFiles(), `${place}-context`);
    const { code, stderr } = await host.skiff([
      ...["build", "--network", "none", "--no-cache", "-t", "app", "--metadata-file", `${home}/m.json`],
      ...["--build-arg", `BASE=${base}`, folder],
    ], {
      env: {
        SOURCE_DATE_EPOCH: "1700000000",
        XDG_DATA_HOME: home,
        HOSTNAME: place,
        TZ: place === "one" ? "UTC" : "Asia/Tokyo",
      },
    });
    assertEquals(code, 0, stderr);
    const metadata = JSON.parse(await Deno.readTextFile(`${home}/m.json`));
    digests.push(metadata["containerimage.digest"], metadata["containerimage.config.digest"]);
  }
  assertEquals(digests.slice(0, 2), digests.slice(2));
  await build(
    host,
    "--timestamp",
    "86400",
    "-t",
    "old",
    "--build-arg",
    `BASE=${base}`,
    `${host.home}/one-context`,
  );
  assertEquals(await host.ok("image", "inspect", "-f", "{{.Created}}", "old"), "1970-01-02T00:00:00Z");
  const seen = await host.run("--rm", "--entrypoint", "stat", "old", "-c", "%Y", "/usr/local/bin/program");
  assertEquals(seen.stdout, "86400\n");
});

hostTest("a build on a terminal is shown live; an interrupt ends it and leaves nothing but cache", {
  needs: [...NEEDS],
}, async (host) => {
  const base = await host.image("busybox");
  const folder = await makeContext(host, {
    Dockerfile: `FROM ${base}\nRUN echo kept > /kept\nRUN echo started; sleep 600\n`,
  });
  const session = host.pty(["build", "--network", "none", folder], { rows: 20, cols: 70 });
  await session.expect("# started");
  await session.write("\x03");
  const code = await session.wait();
  const output = session.text;
  assertEquals(code, 130, output);
  assertIncludes(output, "[+] Building ");
  assertIncludes(output, " => CANCELED [3/3] RUN echo started");
  assertIncludes(output, "interrupted by SIGINT");
  await waitFor("the step's container is gone", () => host.containers().length === 0);
  // what was done before is in the cache
  await Deno.writeTextFile(`${folder}/Dockerfile`, `FROM ${base}\nRUN echo kept > /kept\n`);
  const outcomes = outcomesOf(await build(host, "-t", "kept", folder));
  assertEquals(outcomes.get("[2/2] RUN echo kept > /kept"), "CACHED");
  assertEquals((await host.skiff(["system", "check"])).code, 0);
});

hostTest(
  "several platforms make an index; what must run needs an emulator",
  { needs: [...NEEDS] },
  async (host) => {
    const registry = await host.registry();
    const folder = await makeContext(host, {
      Dockerfile: "FROM scratch\nARG TARGETARCH\nLABEL arch=$TARGETARCH\nCOPY file /file\n",
      "run.Dockerfile": 'FROM --platform=linux/s390x scratch\nCOPY file /file\nRUN ["/file"]\n',
      file: "content\n",
    });
    const name = `${registry.address}/build/${crypto.randomUUID()}:1`;
    const platforms = ["--platform", "linux/amd64,linux/s390x"];
    const archive = `type=oci,dest=${host.home}/index.tar`;
    await build(host, ...platforms, "-t", name, "--push", "-o", archive, folder);
    const index = JSON.parse(
      await (await fetch(
        `http://${registry.address}/v2/${name.split(/[/:]/).slice(2, 4).join("/")}/manifests/1`,
        {
          headers: { accept: "application/vnd.oci.image.index.v1+json" },
        },
      )).text(),
    );
    type Entry = { platform: { architecture: string } };
    assertEquals(index.manifests.map(({ platform }: Entry) => platform.architecture), ["amd64", "s390x"]);
    const loaded = await host.sh(
      `skopeo inspect --override-arch s390x --config oci-archive:${host.home}/index.tar | grep -o '"arch": *"[^"]*"'`,
    );
    assertEquals(loaded.stdout, '"arch": "s390x"\n', loaded.stderr);
    const refused = await host.skiff(["build", "-q", "-f", `${folder}/run.Dockerfile`, folder]);
    assertEquals(refused.code, 1);
    assertIncludes(refused.stderr, "run a step for linux/s390x: this machine is linux/");
    assertIncludes(refused.stderr, "run.Dockerfile:3\n");
  },
);
