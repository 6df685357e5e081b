/** Lists of images: made, changed, pushed, run, and what podman and skopeo find of them. */
import {
  assert,
  assertEquals,
  assertIncludes,
  assertMatch,
  type Host,
  hostTest,
  LocalRegistry,
} from "./harness.ts";
import { makeContext } from "./build_context.ts";
import { FakeRegistry } from "./fake_registry.ts";
import { busyboxEntries } from "./images.ts";

const NATIVE = Deno.build.arch === "aarch64" ? "arm64" : "amd64";
const FOREIGN = NATIVE === "amd64" ? "arm64" : "amd64";

interface Entry {
  digest: string;
  mediaType: string;
  size: number;
  platform?: Record<string, unknown>;
  annotations?: Record<string, string>;
}

interface Index {
  mediaType: string;
  manifests: Entry[] | null;
  annotations?: Record<string, string>;
}

async function inspected(host: Host, list: string): Promise<Index> {
  return JSON.parse(await host.ok("manifest", "inspect", list));
}

/** What another program makes of the list at its place. */
async function raw(host: Host, reference: string): Promise<Index> {
  const { stdout, stderr } = await host.program([
    ...["skopeo", "inspect", "--raw", "--tls-verify=false", "--no-creds", reference],
  ]);
  assert(stdout !== "", stderr);
  return JSON.parse(stdout);
}

/** The same files for another processor, in a registry. */
async function image(host: Host, architecture: string, word: string): Promise<string> {
  const config = { Cmd: ["echo", word], Env: ["PATH=/bin"] };
  const layers = [{ entries: busyboxEntries() }, { entries: [{ path: "word", content: word }] }];
  return await host.makeImage({ layers, config, architecture });
}

hostTest("a list is made, described, named, run and removed like an image", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const native = await image(host, NATIVE, "native");
  const foreign = await image(host, FOREIGN, "foreign");
  await host.ok("pull", "-q", native);
  await host.ok("pull", "-q", "--platform", `linux/${FOREIGN}`, foreign);
  const id = await host.ok("manifest", "create", "--annotation", "of=list", "app:1");
  assertMatch(id, /^[0-9a-f]{64}$/);
  assertEquals(await inspected(host, "app:1"), {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: null,
    annotations: { of: "list" },
  } as unknown as Index);
  // the order is that of the words
  assertEquals(await host.ok("manifest", "add", "--annotation", "a=b", "app:1", foreign, native), id);
  const { manifests } = await inspected(host, "localhost/app:1");
  assertEquals(manifests!.map(({ platform }) => platform), [
    { architecture: FOREIGN, os: "linux" },
    { architecture: NATIVE, os: "linux" },
  ]);
  const [first, second] = manifests as [Entry, Entry];
  assertEquals(first.annotations, { a: "b" });
  const more = ["--variant", "v9", "--os-version", "1.2", "--os-features", "x,y", "--features", "sse"];
  assertEquals(
    await host.ok("manifest", "annotate", ...more, "--annotation", "c=d", "app:1", first.digest),
    id,
  );
  await host.ok("manifest", "annotate", "--index", "--annotation", "q=r", "app:1");
  const changed = await inspected(host, "app:1");
  assertEquals(changed.annotations, { of: "list", q: "r" });
  assertEquals(changed.manifests![0], {
    ...first,
    annotations: { a: "b", c: "d" },
    platform: {
      architecture: FOREIGN,
      os: "linux",
      "os.version": "1.2",
      "os.features": ["x", "y"],
      variant: "v9",
      features: ["sse"],
    },
  });
  // what is in it already is described anew, and what is asked for by its name is this machine's
  await host.ok("manifest", "add", "--variant", "v3", "app:1", native);
  assertEquals((await inspected(host, "app:1")).manifests!.length, 2);
  await host.ok("manifest", "add", "app:1", native);
  assertEquals((await host.run("--rm", "app:1")).stdout, "native\n");
  assertEquals(await host.ok("inspect", "--format", "{{.Architecture}}", "app:1"), NATIVE);
  assertEquals((await host.ok("history", "-q", "app:1")).split("\n").length > 0, true);
  await host.ok("save", "-q", "-o", `${host.home}/app.tar`, "app:1");
  // names and rows
  await host.ok("tag", "app:1", "other:2");
  const rows = JSON.parse(await host.ok("images", "--format", "json", "--filter", "manifest=true"));
  assertEquals(rows.length, 1);
  assertEquals([rows[0].Id, rows[0].IsManifestList, rows[0].Names], [id, true, [
    "localhost/app:1",
    "localhost/other:2",
  ]]);
  assertEquals((await host.skiff(["image", "exists", "other:2"])).code, 0);
  // of an image in a list nothing is garbage, and it does not dangle
  await host.ok("untag", foreign);
  assertEquals(await host.ok("images", "-q", "--filter", "dangling=true"), "");
  await host.ok("image", "prune", "-f");
  assertEquals((await host.skiff(["system", "check"])).code, 0);
  assertEquals(await host.ok("manifest", "remove", "app:1", second.digest), id);
  assertEquals((await inspected(host, "other:2")).manifests!.map(({ digest }) => digest), [first.digest]);
  const none = await host.run("--rm", "other:2");
  assertEquals(none.code, 125);
  assertIncludes(none.stderr, `choose an image of other:2: there is none for linux/${NATIVE}`);
  assertEquals(await host.ok("rmi", "app:1"), "Untagged: localhost/app:1");
  assertEquals(await host.ok("manifest", "rm", "other:2"), `Untagged: localhost/other:2\nDeleted: ${id}`);
  assertEquals(await host.ok("images", "-q", "--no-trunc").then((text) => text.includes(id)), false);
  assertEquals((await host.skiff(["system", "check"])).code, 0);
});

hostTest(
  "mistakes with lists are told in podman's words",
  { needs: ["registry", "busybox"] },
  async (host) => {
    const reference = await image(host, NATIVE, "native");
    await host.ok("pull", "-q", reference);
    await host.ok("tag", reference, "plain:1");
    const id = await host.ok("manifest", "create", "app");
    const digest = `sha256:${"0".repeat(64)}`;
    const cases: [string, number, string][] = [
      [
        "create app",
        125,
        `creating image to hold manifest list: image name "localhost/app:latest" is already associated with image ` +
        `"${id}": that name is already in use`,
      ],
      ["exists plain:1", 125, "localhost/plain:1: image is not a manifest list"],
      ["add nope plain:1", 125, "nope: image not known"],
      ["add app", 125, "requires at least 2 arg(s), only received 1"],
      ["annotate app foo", 125, 'invalid image digest "foo": invalid checksum digest format'],
      [
        `annotate --arch x app ${digest}`,
        125,
        `no OCI manifest matching digest "${digest}" was found in list: no image instance matching the specified ` +
        "digest was found in the list or index",
      ],
      [
        `remove app ${digest}`,
        125,
        `removing from manifest list app: no instance matching digest "${digest}" found in manifest list: ` +
        "file does not exist",
      ],
      ["rm nope", 1, "nope: image not known"],
      ["rm plain:1", 125, "localhost/plain:1: image is not a manifest list"],
      ["push plain:1 dir:x", 125, "localhost/plain:1: image is not a manifest list"],
      ["add app oci:x", 125, 'add "oci:x": a list has images of the store or of registries'],
      [
        "push app docker-archive:x",
        125,
        'push to "docker-archive:x": a docker-archive has no list of images',
      ],
    ];
    for (const [words, code, message] of cases) {
      const result = await host.skiff(["manifest", ...words.split(" ")]);
      assertEquals([words, result.code, result.stdout], [words, code, ""]);
      assertEquals(result.stderr.split("\n")[0], `Error: ${message}`, words);
    }
    assertEquals((await host.skiff(["manifest", "exists", "nope"])).code, 1);
    assertEquals((await host.skiff(["manifest", "exists", "app"])).code, 0);
    assertEquals(await host.ok("manifest", "create", "--amend", "app"), id);
    assertEquals(await host.ok("manifest", "rm", "--ignore", "nope"), "");
    // where an image is not found no list is left
    const failed = await host.skiff(["manifest", "create", "fresh", "containers-storage:nope"]);
    assertEquals(failed.code, 125);
    assertEquals((await host.skiff(["manifest", "exists", "fresh"])).code, 1);
  },
);

hostTest("a list goes to registries and files with its images, wherever these are", {
  needs: ["registry", "busybox", "skopeo", "root"],
}, async (host) => {
  const { address } = await host.registry();
  const native = await image(host, NATIVE, "native");
  const foreign = await image(host, FOREIGN, "foreign");
  await host.ok("pull", "-q", native);
  await host.ok("manifest", "create", "app", native, `docker://${foreign}`);
  await host.ok("manifest", "annotate", "--index", "--annotation", "of=list", "app");
  const local = await inspected(host, "app");
  const there = `${address}/lists/${crypto.randomUUID()}`;
  const file = `${host.home}/digest`;
  await host.ok("manifest", "push", "-q", "--digestfile", file, "app", `docker://${there}:1`);
  const pushed = await raw(host, `docker://${there}:1`);
  // the very images, and what is said of them
  assertEquals(pushed.manifests, local.manifests);
  assertEquals(pushed.annotations, { of: "list" });
  assertEquals(
    (await raw(host, `docker://${there}@${await Deno.readTextFile(file)}`)).manifests,
    local.manifests,
  );
  await host.ok("push", "-q", "app", `${there}:2`);
  assertEquals((await raw(host, `docker://${there}:2`)).manifests, local.manifests);
  await host.ok("manifest", "push", "-q", "--format", "v2s2", "app", `${there}:docker`);
  const docker = await raw(host, `docker://${there}:docker`);
  assertEquals(docker.mediaType, "application/vnd.docker.distribution.manifest.list.v2+json");
  assertEquals(
    new Set(docker.manifests!.map(({ mediaType }) => mediaType)),
    new Set([
      "application/vnd.docker.distribution.manifest.v2+json",
    ]),
  );
  // a registry that can take nothing over gets the bytes of the other
  const folder = await Deno.makeTempDir({ prefix: "skiff-list-" });
  try {
    await using other = await LocalRegistry.start({ storage: folder });
    await host.ok("manifest", "push", "-q", "--tls-verify=false", "app", `${other.address}/app:1`);
    assertEquals((await raw(host, `docker://${other.address}/app:1`)).manifests, local.manifests);
    const copied = await host.sh(
      `skopeo copy -q --all --src-no-creds --src-tls-verify=false docker://${other.address}/app:1 oci:$HOME/copied:1`,
    );
    assertEquals(copied.code, 0, copied.stderr);
    // index alone: the images are there
    await host.ok(
      "manifest",
      "push",
      "-q",
      "--all=false",
      "--tls-verify=false",
      "app",
      `${other.address}/app:2`,
    );
    assertEquals((await raw(host, `docker://${other.address}/app:2`)).manifests, local.manifests);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  for (const to of ["oci:layout:mine", "oci-archive:o.tar:mine", "dir:folder"]) {
    const place = to.replace(":", `:${host.home}/`);
    await host.ok("manifest", "push", "-q", "app", place);
    assertEquals((await raw(host, place)).manifests, local.manifests, to);
    const copied = await host.sh(`skopeo copy -q --all ${place} dir:$HOME/again-${to.slice(0, 3)}`);
    assertEquals(copied.code, 0, copied.stderr);
  }
  assertEquals((await Array.fromAsync(Deno.readDir(`${host.data}/blobs/partial`))).length, 0);
  // with --rm it is gone, and its images are not
  await host.ok("manifest", "push", "-q", "--rm", "app", `${there}:3`);
  assertEquals((await host.skiff(["manifest", "exists", "app"])).code, 1);
  assertEquals((await host.run("--rm", native)).stdout, "native\n");
});

hostTest("manifest push --add-compression adds each image in another form, once", {
  needs: ["registry", "busybox", "skopeo"],
}, async (host) => {
  const { address } = await host.registry();
  const [native, foreign] = [await image(host, NATIVE, "native"), await image(host, FOREIGN, "foreign")];
  await host.ok("pull", "-q", native);
  // one is here, one at the registry alone
  await host.ok("manifest", "create", "app", native, `docker://${foreign}`);
  const local = await inspected(host, "app");
  const there = `${address}/lists/${crypto.randomUUID()}`;
  const push = ["manifest", "push", "-q"];
  const shownOf = async (reference: string) =>
    await Promise.all(
      (await raw(host, reference)).manifests!.map(async ({ digest, platform, annotations }) => {
        const one = JSON.parse(
          (await host.program([
            ...[
              "skopeo",
              "inspect",
              "--raw",
              "--tls-verify=false",
              "--no-creds",
              `docker://${there}@${digest}`,
            ],
          ])).stdout,
        ) as { layers: { mediaType: string }[] };
        const kinds = new Set(one.layers.map(({ mediaType }) => mediaType.split(/[+.]/).at(-1)));
        return [platform!.architecture, [...kinds].join(), annotations ?? {}];
      }),
    );
  const zstd = { "io.github.containers.compression.zstd": "true" };
  await host.ok(...push, "--add-compression", "zstd", "--add-compression=gzip", "app", `${there}:1`);
  const pushed = await raw(host, `docker://${there}:1`);
  // who knows nothing of zstd finds the images as they were, first
  assertEquals(pushed.manifests!.slice(0, 2), local.manifests);
  assertEquals(await shownOf(`docker://${there}:1`), [
    [NATIVE, "gzip", {}],
    [FOREIGN, "gzip", {}],
    [NATIVE, "zstd", zstd],
    [FOREIGN, "zstd", zstd],
  ]);
  // the same again, which needs nothing
  await host.ok(...push, "--add-compression", "zstd", "app", `${there}:2`);
  assertEquals(await raw(host, `docker://${there}:2`), pushed);
  await host.ok(
    ...[...push, "--compression-format", "zstd", "--add-compression", "gzip", "app", `${there}:3`],
  );
  assertEquals(await shownOf(`docker://${there}:3`), [
    [NATIVE, "gzip", {}],
    [FOREIGN, "gzip", {}],
    [NATIVE, "zstd", zstd],
    [FOREIGN, "zstd", zstd],
  ]);
  await host.ok(...push, "--add-compression", "zstd", "app", `oci:${host.home}/layout:mine`);
  assertEquals((await raw(host, `oci:${host.home}/layout:mine`)).manifests, pushed.manifests);
  assertEquals((await Array.fromAsync(Deno.readDir(`${host.data}/blobs/partial`))).length, 0);
  await host.ok("rmi", "-f", native);
  assertEquals((await host.run("--rm", `${there}:1`)).stdout, "native\n");
  for (
    const [words, why] of [
      [["--add-compression", "lzma"], 'cannot find compressor for "lzma"'],
      [["--add-compression", "zstd", "--all=false"], "pushed alone"],
      [["--add-compression", "zstd", "--format", "v2s2"], "a v2s2 manifest has no layers packed with zstd"],
    ] as const
  ) {
    const { code, stderr } = await host.skiff([...push, ...words, "app", `${there}:4`]);
    assertEquals(code, 125);
    assertIncludes(stderr, why);
  }
});

hostTest("of a registry's list every image is added, and what is not here is pulled when it runs", {
  needs: ["registry", "busybox", "skopeo"],
}, async (host) => {
  const { address } = await host.registry();
  const native = await image(host, NATIVE, "native");
  const foreign = await image(host, FOREIGN, "foreign");
  const there = `${address}/lists/${crypto.randomUUID()}:1`;
  await host.ok("manifest", "create", "first", `docker://${native}`, `docker://${foreign}`);
  await host.ok("manifest", "push", "-q", "--rm", "first", there);
  const remote = await inspected(host, there);
  assertEquals(remote.manifests!.length, 2);
  await host.ok("manifest", "create", "--all", "all", there);
  assertEquals((await inspected(host, "all")).manifests!.map(({ digest }) => digest), [
    ...remote.manifests!.map(({ digest }) => digest),
  ]);
  await host.ok("manifest", "create", "one");
  await host.ok("manifest", "add", "--arch", FOREIGN, "one", there);
  assertEquals((await inspected(host, "one")).manifests!.map(({ platform }) => platform!.architecture), [
    FOREIGN,
  ]);
  assertEquals(await host.ok("images", "-q", "--filter", "manifest=false"), "");
  // a list of a list has what it has
  await host.ok("manifest", "create", "--all", "copy", "containers-storage:all");
  assertEquals((await inspected(host, "copy")).manifests, (await inspected(host, "all")).manifests);
  assertEquals((await host.run("--rm", "-q", "copy")).stdout, "native\n");
  const never = await host.run("--rm", "--pull=never", "one");
  assertEquals(never.code, 125);
  const single = await host.skiff(["manifest", "inspect", native]);
  assertEquals(JSON.parse(single.stdout).config.mediaType.includes("config"), true);
  assertIncludes(single.stderr, "Warning: it is the manifest of a single image");
});

hostTest("build --manifest and --platform record what they build in a list", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const folder = await makeContext(host, {
    Dockerfile: "FROM scratch\nARG TARGETARCH\nLABEL arch=$TARGETARCH\nCOPY file /file\n",
    file: "content\n",
  });
  const platforms = async (list: string) =>
    (await inspected(host, list)).manifests!.map(({ platform }) => platform!.architecture).sort();
  await host.ok(
    "build",
    "-q",
    "--platform",
    `linux/${NATIVE},linux/s390x`,
    "-t",
    "app:1",
    "-t",
    "app:2",
    folder,
  );
  assertEquals(await platforms("app:1"), [NATIVE, "s390x"].sort());
  assertEquals(await platforms("app:2"), [NATIVE, "s390x"].sort());
  assertEquals(await host.ok("inspect", "--format", "{{.Config.Labels.arch}}", "app:2"), NATIVE);
  // one after another into one list; what is built again takes the place of what was
  await host.ok("build", "-q", "--manifest", "all", "--platform", "linux/riscv64", folder);
  await host.ok("build", "-q", "--manifest", "all", "-t", "mine", folder);
  assertEquals(await platforms("all"), [NATIVE, "riscv64"].sort());
  const before = await inspected(host, "all");
  await host.ok("build", "-q", "--manifest", "all", "--label", "new=1", "-t", "mine", folder);
  assertEquals(await platforms("all"), [NATIVE, "riscv64"].sort());
  assert(JSON.stringify(before) !== JSON.stringify(await inspected(host, "all")));
  assertEquals(await host.ok("inspect", "--format", "{{.Config.Labels.new}}", "mine"), "1");
  assertEquals(await host.ok("inspect", "--format", "{{.Config.Labels.new}}", "all"), "1");
  const taken = await host.skiff(["build", "-q", "--manifest", "mine", folder]);
  assertEquals(taken.code, 125);
  assertIncludes(taken.stderr, "the name is that of an image, not of a manifest list");
  assertEquals((await host.skiff(["system", "check"])).code, 0);
});

hostTest("what a list is about to refer to is not swept away meanwhile", {}, async (host) => {
  await using registry = FakeRegistry.start();
  await host.declareInsecure(registry.host);
  const { config } = await registry.addImage("test/app:1");
  const name = `${registry.host}/test/app:1`;
  for (const words of [["manifest", "add", "app:1"], ["manifest", "create", "app:2"]]) {
    await host.ok("manifest", "create", "-a", "app:1");
    let swept: Promise<string> | undefined;
    registry.hook = ({ path }) => {
      if (!path.endsWith(config.digest)) return undefined;
      // the manifest is in the store by then
      swept ??= host.ok("image", "prune", "-f");
      return { status: 200, body: config.bytes, after: swept };
    };
    await host.ok(...words, `docker://${name}`);
    assertEquals(await swept, "");
    registry.hook = () => undefined;
    const list = words.at(-1)!;
    await host.ok("manifest", "push", "-q", list, `dir:${host.home}/${list.replace(":", "-")}`);
    await host.ok("rmi", list);
  }
});

hostTest("--tls-verify=false of a push is for its destination", {}, async (host) => {
  await using registry = FakeRegistry.start();
  await registry.addImage("test/app:1");
  const name = `docker://${registry.host}/test/app:1`;
  await host.declareInsecure(registry.host);
  await host.ok("manifest", "create", "app:1", name);
  await host.sh("rm .config/containers/registries.conf");
  registry.requests.splice(0);
  const { code, stderr } = await host.skiff([
    ...["manifest", "push", "-q", "--tls-verify=false", "app:1", `dir:${host.home}/refused`],
  ]);
  assertEquals(code, 125);
  assertIncludes(stderr, registry.host);
  assertEquals(registry.requests, []);
  // the control: where the source was added so, it is asked so
  await host.ok("manifest", "create", "--tls-verify=false", "app:2", name);
  await host.ok("manifest", "push", "-q", "app:2", `dir:${host.home}/pushed`);
});
