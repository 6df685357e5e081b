/** Dockerfiles of several files and from an address, and how layers are packed that leave the store. */
import { assertEquals, assertIncludes, type Host, hostTest } from "./harness.ts";
import { makeContext } from "./build_context.ts";

async function build(host: Host, ...words: string[]): Promise<void> {
  const { code, stderr } = await host.skiff(["build", "-q", "--network", "none", ...words]);
  assertEquals(code, 0, stderr);
}

hostTest("several Dockerfiles are one, and one may come from an address", {}, async (host) => {
  const folder = await makeContext(host, {
    "base.Dockerfile": "FROM scratch AS base\nLABEL first=1",
    "Dockerfile": "FROM base\nLABEL second=2\nCOPY file /file\n",
    file: "content\n",
  });
  const served = "FROM scratch\nLABEL served=yes\nCOPY file /file\n";
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) =>
      new URL(request.url).pathname === "/x/Dockerfile"
        ? new Response(served)
        : new Response("no", { status: request.url.includes("/v2/") ? 403 : 404 }),
  );
  const address = `http://127.0.0.1:${(server.addr as Deno.NetAddr).port}/x/Dockerfile`;
  const labels = async (name: string) =>
    JSON.parse(await host.ok("inspect", "--format", "{{json .Config.Labels}}", name));
  await build(host, "-f", `${folder}/base.Dockerfile`, "-f", `${folder}/Dockerfile`, "-t", "both", folder);
  assertEquals(await labels("both"), { first: "1", second: "2" });
  await build(host, "-f", address, "-t", "served", folder);
  assertEquals(await labels("served"), { served: "yes" });
  // a mistake in the second is told with its own lines
  await Deno.writeTextFile(`${folder}/wrong.Dockerfile`, "FROM base\nBOGUS x\n");
  await host.own(`${folder}/wrong.Dockerfile`);
  const wrong = await host.skiff([
    "build",
    "-f",
    `${folder}/base.Dockerfile`,
    "-f",
    `${folder}/wrong.Dockerfile`,
    folder,
  ]);
  assertEquals(wrong.code, 1);
  assertIncludes(wrong.stderr, "BOGUS x");
  const missing = await host.skiff(["build", "-f", `${address}-not`, folder]);
  assertEquals(missing.code === 0, false);
  assertIncludes(missing.stderr, "there is no such file");
  const isFolder = await host.skiff(["build", "-f", folder, folder]);
  assertEquals(isFolder.code, 1);
  assertIncludes(isFolder.stderr, `Error: failed to read dockerfile: read ${folder}: is a directory\n`);
  // the error names the image, wherever it was asked for
  const image = `127.0.0.1:${(server.addr as Deno.NetAddr).port}/none:1`;
  const refused = await host.skiff(["build", "--tls-verify=false", "--from", image, folder]);
  assertEquals(refused.code, 1);
  assertIncludes(refused.stderr, `Error: failed to resolve source metadata for ${image}: `);
});

hostTest("what a build writes out is packed as it is asked to be", {
  needs: ["registry", "busybox", "skopeo"],
}, async (host) => {
  const { address } = await host.registry();
  const base = await host.image();
  const folder = await makeContext(host, {
    Dockerfile: `FROM ${base}\nCOPY file /file\n`,
    file: "content\n".repeat(99),
  });
  const name = `${address}/packed/${crypto.randomUUID()}:1`;
  const kinds = async (reference: string) => {
    const words = ["skopeo", "inspect", "--raw", "--tls-verify=false", "--no-creds", reference];
    const { stdout, stderr } = await host.program(words);
    assertEquals(stdout !== "", true, stderr);
    return JSON.parse(stdout).layers.map(({ mediaType }: { mediaType: string }) =>
      mediaType.replace(/^.*\./, "")
    );
  };
  // layers of the base image stay as they are
  const [below] = await kinds(`docker://${base}`);
  for (const [compression, kind] of [["zstd", "tar+zstd"], ["gzip", "tar+gzip"], ["uncompressed", "tar"]]) {
    const archive = `${host.home}/${compression}.tar`;
    const level = compression === "uncompressed" ? "" : ",compression-level=9";
    await build(host, "-o", `type=oci,dest=${archive},compression=${compression}${level}`, folder);
    assertEquals(await kinds(`oci-archive:${archive}`), [below, kind]);
    await host.ok("load", "-q", "-i", archive);
  }
  await build(host, "-o", `type=registry,name=${name},compression=zstd`, folder);
  assertEquals(await kinds(`docker://${name}`), [below, "tar+zstd"]);
  await host.ok("pull", "-q", name);
  assertEquals((await host.run("--rm", name, "wc", "-l", "/file")).stdout, "99 /file\n");
  const cases: [string, string][] = [
    ["type=oci,dest=x,compression=lzma", "compression is gzip, zstd or uncompressed"],
    ["type=oci,dest=x,compression=gzip,compression-level=10", "the level of gzip is 1 to 9"],
    ["type=docker,dest=x,compression=zstd", "its layers are not packed"],
    ["type=registry,name=x,compression=uncompressed", "layers are pushed packed"],
  ];
  for (const [output, message] of cases) {
    const refused = await host.skiff(["build", "-o", output, folder]);
    assertEquals(refused.code === 0, false);
    assertIncludes(refused.stderr, message);
  }
});

hostTest(
  "what was used least recently goes where builds keep too much",
  { needs: ["registry", "busybox"] },
  async (host) => {
    const image = await host.image();
    const folder = await makeContext(host, {
      Dockerfile:
        `FROM ${image}\nARG N\nRUN dd if=/dev/urandom of=/data bs=1k count=1000 && echo $N >>/data\n`,
    });
    const once = async (n: string, limit: string, ...words: string[]) => {
      const { code, stderr } = await host.skiff([
        ...["build", "--progress", "plain", "--network", "none", "--build-arg", `N=${n}`, ...words, folder],
      ], { env: { SKIFF_BUILD_CACHE: limit } });
      assertEquals(code, 0, stderr);
      return /\[2\/2\] RUN dd[^\n]*\n#\d+ CACHED/.test(stderr);
    };
    const kept = async () =>
      JSON.parse(await host.ok("system", "df", "--format", "json"))
        .find(({ Type }: { Type: string }) => Type === "Build Cache")?.Total ?? 0;
    // each makes a megabyte; an image keeps what it shares
    for (const n of ["1", "2", "3"]) {
      assertEquals(
        await once(n, "0", ...n === "1" ? ["-t", "keep"] : []),
        false,
      );
    }
    await host.ok("image", "prune", "-f");
    assertEquals(await kept(), 3);
    assertEquals(await once("3", "2500k", "-o", "type=cacheonly"), true);
    assertEquals(await kept(), 2);
    assertEquals(await once("1", "0", "-o", "type=cacheonly"), true);
    assertEquals(await once("3", "0", "-o", "type=cacheonly"), true);
    assertEquals(await once("2", "0", "-o", "type=cacheonly"), false);
    const wrong = await host.skiff(["build", folder], { env: { SKIFF_BUILD_CACHE: "much" } });
    assertEquals(wrong.code, 125);
    assertIncludes(wrong.stderr, 'SKIFF_BUILD_CACHE="much": it is no size');
    assertEquals((await host.skiff(["system", "check"])).code, 0);
  },
);

hostTest(
  "an image is pushed by its digest alone, and a cache that cannot be written is no failure where that is said",
  {
    needs: ["registry"],
  },
  async (host) => {
    const { address } = await host.registry();
    const folder = await makeContext(host, { Dockerfile: "FROM scratch\nCOPY Dockerfile /\n" });
    const name = `${address}/by-digest/${crypto.randomUUID()}`;
    const metadata = `${host.home}/metadata.json`;
    const digests: string[] = [];
    for (const platforms of ["linux/amd64", "linux/amd64,linux/arm64"]) {
      const words = ["--platform", platforms, "--metadata-file", metadata];
      await build(
        host,
        ...words,
        "-o",
        `type=image,name=${name},push-by-digest=true,name-canonical=true,push=true`,
        folder,
      );
      digests.push(JSON.parse(await Deno.readTextFile(metadata))["containerimage.digest"]);
    }
    const manifests = await Promise.all(digests.map(async (digest) => {
      const response = await fetch(`http://${name.replace("/", "/v2/")}/manifests/${digest}`, {
        headers: {
          accept: "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json",
        },
      });
      return (await response.json()).manifests?.length;
    }));
    assertEquals(manifests, [undefined, 2]);
    const tags = await fetch(`http://${name.replace("/", "/v2/")}/tags/list`);
    assertEquals((await tags.json()).tags ?? null, null);
    const shown = await host.ok("images", "--format", "{{.Tag}}", "--filter", `reference=${name}`);
    assertEquals(shown.trim(), "<none>");
    assertEquals((await host.ok("pull", "-q", `${name}@${digests[0]}`)).trim().length, 64);

    const cache = (more: string) => ["--cache-to", `type=local,dest=${folder}/Dockerfile/x${more}`, folder];
    assertEquals((await host.skiff(["build", ...cache("")])).code !== 0, true);
    const ignored = await host.skiff(["build", "--progress", "plain", ...cache(",ignore-error=true")]);
    assertEquals(ignored.code, 0, ignored.stderr);
    assertIncludes(ignored.stderr, "the cache was not exported to ");
  },
);

hostTest("what no step could be run with is refused, though none is run", {}, async (host) => {
  const folder = await makeContext(host, { Dockerfile: "FROM scratch\nCOPY Dockerfile /\n" });
  const cases: [words: string[], message: string][] = [
    [["--add-host", "bad"], 'bad format for add-host: "bad"'],
    [["--ulimit", "nofile=x"], "invalid ulimit argument: nofile=x"],
    [["--cap-add", "bogus"], '"CAP_BOGUS": unknown capability'],
    [["--dns", "bad"], "bad is not an ip address"],
    [["--device", "/dev/nope"], "stat /dev/nope: no such file or directory"],
    [["-v", "/nonexist:/x"], "statfs /nonexist: no such file or directory"],
    [["--security-opt", "seccomp=/nonexist"], 'read seccomp profile "/nonexist": no such file or directory'],
    [["--secret", "id=x,src=/nonexist"], "read secret x: stat /nonexist: no such file or directory"],
    [["--ssh", "default"], "ssh agent default: make sure SSH_AUTH_SOCK is set"],
    [["--ssh", "a=/nonexist"], "ssh agent a: stat /nonexist: no such file or directory"],
  ];
  for (const [words, message] of cases) {
    const { code, stderr } = await host.skiff(["build", ...words, folder], { env: { SSH_AUTH_SOCK: "" } });
    assertEquals([code !== 0, stderr.split("\n")[0]], [true, `Error: ${message}`]);
  }
  await build(host, "--add-host", "good:10.0.0.1", "--ulimit", "nofile=9", "--cap-drop", "all", folder);
});

hostTest("arguments of the builder's own", { needs: ["registry", "busybox"] }, async (host) => {
  const image = await host.image();
  const folder = await makeContext(host, {
    Dockerfile:
      `FROM ${image} AS made\nRUN --mount=type=cache,target=/c echo $(hostname) $(ls /c) >/name && touch /c/kept\n` +
      "FROM scratch\nCOPY --from=made /name /\n",
  });
  const build = async (out: string, ...args: string[]) => {
    const words = args.flatMap((arg) => ["--build-arg", arg]);
    const { code, stderr } = await host.skiff(["build", "--progress", "plain", ...words, "-o", out, folder]);
    return { code, stderr };
  };
  const read = (path: string) => Deno.readTextFile(`${host.home}/${path}`);
  assertEquals((await build(`${host.home}/plain`)).code, 0);
  assertEquals(await read("plain/name"), "buildkitsandbox\n");
  // another name is another step, and another namespace another cache
  assertEquals((await build(`${host.home}/named`, "BUILDKIT_SANDBOX_HOSTNAME=box")).code, 0);
  assertEquals(await read("named/name"), "box kept\n");
  const own = ["BUILDKIT_SANDBOX_HOSTNAME=box", "BUILDKIT_CACHE_MOUNT_NS=mine"];
  assertEquals((await build(`${host.home}/own`, ...own)).code, 0);
  assertEquals(await read("own/name"), "box\n");

  // one platform as if it were several
  const platform = (await host.ok("inspect", "--format", "{{.Os}}_{{.Architecture}}", image)).trim();
  const { stderr } = await build(`${host.home}/many`, "BUILDKIT_MULTI_PLATFORM=1");
  assertEquals(await read(`many/${platform}/name`), "buildkitsandbox\n");
  assertIncludes(stderr, `[${platform.replace("_", "/")} made 2/2] RUN`);
  await build("type=image,name=many:1", "BUILDKIT_MULTI_PLATFORM=1");
  assertEquals(JSON.parse(await host.ok("manifest", "inspect", "many:1")).manifests.length, 1);
  const wrong = await build(`${host.home}/wrong`, "BUILDKIT_MULTI_PLATFORM=maybe");
  assertEquals(wrong.code, 125);
  assertIncludes(
    wrong.stderr,
    'Error: build argument BUILDKIT_MULTI_PLATFORM: "maybe" is not true or false\n',
  );
});

hostTest("a Dockerfile tells its targets, and what one of them is given", {}, async (host) => {
  const folder = await makeContext(host, {
    Dockerfile: "# base what all stand on\nFROM scratch AS base\n# MODE of the build\nARG MODE=fast\n" +
      "RUN --mount=type=secret,id=token,required=true true\nFROM base AS app\n",
  });
  const call = (...words: string[]) => host.ok("build", "--call", ...words, folder);
  assertEquals(
    (await call("targets")).split("\n").map((line) => line.split(/ {2,}/).map((word) => word.trim())),
    [
      ["TARGET", "DESCRIPTION"],
      ["base", "what all stand on"],
      ["app (default)", ""],
    ],
  );
  const outline = await call("outline", "--build-arg", "MODE=slow");
  for (const pattern of [/^TARGET: +app$/m, /^MODE +slow +of the build$/m, /^token +true$/m]) {
    assertEquals([pattern.source, pattern.test(outline)], [pattern.source, true], outline);
  }
  const { targets } = JSON.parse(await call("targets,format=json"));
  assertEquals(
    targets.map(({ name, default: isDefault }: { name: string; default?: boolean }) => [name, isDefault]),
    [
      ["base", undefined],
      ["app", true],
    ],
  );
  const missing = await host.skiff(["build", "--call", "outline", "--target", "nope", folder]);
  assertEquals(missing.code, 1);
  assertIncludes(missing.stderr, 'target stage "nope" could not be found');
});
