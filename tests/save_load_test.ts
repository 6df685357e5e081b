/** Images out of the store and into it again, and the archives of other tools. */
import { busyboxEntries, concat, makeImage, makeTar, sha256 } from "./images.ts";
import { assertEquals, assertIncludes, assertMatch, type Host, hostTest } from "./harness.ts";
import { writeLayout } from "./oci_layout.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const hex = (digest: string) => digest.slice("sha256:".length);

/** Id and digest of the only image. */
async function onlyImage(host: Host): Promise<{ id: string; digest: string; names: string[] }> {
  const images = JSON.parse(await host.ok("images", "--format", "json"));
  assertEquals(images.length, 1);
  return { id: images[0].Id, digest: images[0].Digest, names: images[0].Names };
}

async function packed(
  bytes: Uint8Array<ArrayBuffer>,
  ...command: string[]
): Promise<Uint8Array<ArrayBuffer>> {
  const child = new Deno.Command(command[0]!, { args: command.slice(1), stdin: "piped", stdout: "piped" })
    .spawn();
  const writer = child.stdin.getWriter();
  const [{ stdout }] = await Promise.all([child.output(), writer.write(bytes).then(() => writer.close())]);
  return stdout;
}

hostTest("what is saved is read by skopeo and loads as the same image", {
  needs: ["registry", "busybox", "skopeo"],
  timeoutMs: 180_000,
}, async (host) => {
  const reference = await host.image();
  await host.ok("pull", "-q", reference);
  const before = await onlyImage(host);
  const transports = {
    "docker-archive": "docker-archive",
    "oci-archive": "oci-archive",
    "oci-dir": "oci",
    "docker-dir": "dir",
  };
  for (const [format, transport] of Object.entries(transports)) {
    const path = `${host.home}/${format}`;
    assertEquals(await host.ok("save", "-q", "--format", format, "-o", path, reference), "");
    const looked = await host.program(["skopeo", "inspect", `${transport}:${path}`]);
    assertEquals(looked.code, 0, looked.stderr);
    if (transport.startsWith("oci")) assertEquals(JSON.parse(looked.stdout).Digest, before.digest);
    // a copy reads every blob and compares its digest
    const copied = await host.program(["skopeo", "copy", "-q", `${transport}:${path}`, `dir:${path}.copy`]);
    assertEquals(copied.code, 0, copied.stderr);

    await host.ok("rmi", "-f", before.id);
    const name = format.endsWith("archive") || format === "oci-dir" ? reference : `localhost${path}:latest`;
    assertEquals(await host.ok("load", "-q", "-i", path), `Loaded image: ${name}`);
    const after = await onlyImage(host);
    assertEquals([after.id, after.names], [before.id, [name]]);
    if (transport.startsWith("oci")) assertEquals(after.digest, before.digest);
    const ran = await host.run("--rm", before.id, "echo", format);
    assertEquals(ran.stdout, `${format}\n`);
    await host.ok("rmi", before.id);
    await host.ok("pull", "-q", reference);
  }
  // saved again from what was loaded: byte for byte the same archive
  const first = `${host.home}/docker-archive`;
  await host.ok("rmi", before.id);
  await host.ok("load", "-q", "-i", first);
  await host.ok("save", "-q", "-o", `${host.home}/again`, reference);
  assertEquals(
    await sha256(await Deno.readFile(`${host.home}/again`)),
    await sha256(await Deno.readFile(first)),
  );
  // …and by way of a layout, whose manifest has another dialect than the loaded one
  await host.ok("save", "-q", "--format", "oci-archive", "-o", `${host.home}/other`, before.id);
  const looked = await host.program(["skopeo", "inspect", "--raw", `oci-archive:${host.home}/other`]);
  assertIncludes(looked.stdout, "application/vnd.oci.image.layer.v1.tar");
  // packed layers where they are asked for
  await host.ok("save", "-q", "--compress", "--format", "docker-dir", "-o", `${host.home}/small`, before.id);
  const { layers } = JSON.parse(await Deno.readTextFile(`${host.home}/small/manifest.json`));
  assertEquals(layers.map(({ mediaType }: { mediaType: string }) => mediaType), [
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
  ]);
  const copied = await host.program([
    "skopeo",
    "copy",
    "-q",
    `dir:${host.home}/small`,
    `dir:${host.home}/smaller`,
  ]);
  assertEquals(copied.code, 0, copied.stderr);
});

hostTest(
  "of an archive or folder the image is pulled that is asked for",
  { needs: ["registry", "busybox"] },
  async (host) => {
    const reference = await host.image(), path = `${host.home}/x`;
    await host.ok("pull", "-q", reference);
    await host.ok("tag", reference, "localhost/other:1");
    const [{ Id: id }] = JSON.parse(await host.ok("images", "--format", "json"));
    await host.ok("save", "-q", "-m", "-o", path, reference, "localhost/other:1");
    await host.ok("rmi", "-f", id);
    assertEquals(await host.ok("pull", "-q", `docker-archive:${path}:localhost/other:1`), id);
    assertEquals(await host.ok("images", "--format", "{{.Repository}}:{{.Tag}}"), "localhost/other:1");
    assertEquals(await host.ok("pull", "-q", `docker-archive:${path}:@0`), id);
    const folders = { "oci-archive": "oci-archive", "oci-dir": "oci", "docker-dir": "dir" };
    for (const [format, transport] of Object.entries(folders)) {
      const place = `${host.home}/${format}`;
      await host.ok("save", "-q", "--format", format, "-o", place, id);
      await host.ok("rmi", "-f", id);
      assertEquals(await host.ok("pull", "-q", `${transport}:${place}`), id);
      const ran = await host.run(
        "-q",
        "--rm",
        "--network",
        "none",
        `${transport}:${place}`,
        "echo",
        transport,
      );
      assertEquals(ran.stdout, `${transport}\n`, ran.stderr);
    }
    const refusal = async (name: string) => (await host.skiff(["pull", name])).stderr.split("\n")[0];
    assertEquals(
      await refusal(`docker-archive:${path}:@1`),
      `Error: pull "docker-archive:${path}:@1": no image found in archive for reference "@1"`,
    );
    assertEquals(
      await refusal(`oci-archive:${path}`),
      `Error: pull "oci-archive:${path}": it is docker-archive, not oci-archive`,
    );
    assertEquals(await refusal("dir:"), 'Error: pull "dir:": it names no path');

    const other = Deno.build.arch === "aarch64" ? "linux/amd64" : "linux/arm64";
    const own = other === "linux/amd64" ? "linux/arm64" : "linux/amd64";
    await host.ok("save", "-q", "--platform", own, "-o", `${path}.own`, id);
    await host.ok("load", "-q", "--platform", own, "-i", `${path}.own`);
    const wrong = async (...words: string[]) => (await host.skiff(words)).stderr.split("\n")[0]!;
    const refused =
      `Error: image with reference ${id} was found but does not provide the specified platform (${other})`;
    assertEquals(await wrong("save", "--platform", other, "-o", `${path}.other`, id), refused);
    assertEquals(await wrong("history", "--platform", other, id), refused);
    assertIncludes(
      await wrong("load", "--platform", other, "-i", `${path}.own`),
      `is for ${own}, not for ${other}`,
    );
  },
);

hostTest("save writes several images and names to files and pipes", {
  needs: ["busybox"],
}, async (host) => {
  const make = async (name: string, text: string) => {
    const layers = [{ entries: busyboxEntries() }, { entries: [{ path: "who", content: text }] }];
    await writeLayout(
      `${host.folder}/${name}`,
      await makeImage({ layers, config: { Cmd: ["cat", "/who"] } }),
    );
    await host.ok("load", "-q", "-i", `${host.folder}/${name}`);
    await host.ok("tag", `localhost${host.folder}/${name}`, `${name}:1`);
    await host.ok("rmi", `localhost${host.folder}/${name}`);
  };
  await make("web", "the web\n");
  await make("db", "the db\n");
  const moved = await host.sh(
    "set -e; $SKIFF save -q web:1 db:1 also:2 | gzip > all.tar.gz; $SKIFF rmi -a >&2; $SKIFF load -q < all.tar.gz",
  );
  assertEquals(moved.code, 0, moved.stderr);
  assertEquals(moved.stdout.split("\n"), [
    "Loaded image: localhost/web:1",
    "Loaded image: localhost/also:2",
    "Loaded image: localhost/db:1",
    "",
  ]);
  assertEquals((await host.run("--rm", "db:1")).stdout, "the db\n");
  // both share the busybox layer, which is in the archive once
  const list = await host.sh(
    "$SKIFF save -q -m -o both.tar web:1 also:2 db:1 && tar tf both.tar && tar xOf both.tar manifest.json",
  );
  assertEquals(
    list.stdout.split("\n").filter((line) => line.endsWith(".tar")).length,
    3,
    list.stdout + list.stderr,
  );
  const manifest = JSON.parse(list.stdout.slice(list.stdout.indexOf("[{")));
  assertEquals(manifest.map(({ RepoTags }: { RepoTags: string[] }) => RepoTags), [
    ["localhost/web:1", "localhost/also:2"],
    ["localhost/db:1"],
  ]);
  // a layout takes one image after the other
  for (const name of ["web:1", "db:1", "web:1"]) {
    await host.ok("save", "-q", "--format", "oci-dir", "-o", `${host.home}/layout`, name);
  }
  await host.ok("rmi", "-a");
  assertEquals((await host.ok("load", "-q", "-i", `${host.home}/layout`)).split("\n").toSorted(), [
    "Loaded image: localhost/db:1",
    "Loaded image: localhost/web:1",
  ]);

  const refused = async (words: string[], message: string) => {
    const { code, stdout, stderr } = await host.skiff(["save", ...words]);
    assertEquals([code, stdout, stderr.split("\n")[0]], [125, "", `Error: ${message}`]);
  };
  await refused([], "need at least 1 argument");
  await refused(["nope"], "nope: image not known");
  await refused(["-m", "web:1", "nope", "-o", "x"], "nope: image not known");
  await refused(
    ["--format", "foo", "web:1"],
    "format value must be one of oci-dir oci-archive docker-dir docker-archive",
  );
  await refused(["--compress", "web:1"], "--compress can only be set when --format is 'docker-dir'");
  await refused(
    ["--format", "oci-dir", "web:1"],
    "--output is needed with --format oci-dir, which is a folder",
  );
  await refused(["-o", "/nope/x", "web:1"], 'save to "/nope/x": No such file or directory');
  await refused(
    ["--format", "oci-dir", "-o", host.home, "web:1"],
    `save to "${host.home}": the folder is not empty and no oci-dir`,
  );
  await refused(["host"], 'save image "host": it is built in, made of this machine\'s own folders');
  // an unset variable's empty name is no file, but stdout and stdin
  const unset = await host.sh('$SKIFF save -q -o "" web:1 | $SKIFF load -q -i ""');
  assertEquals([unset.code, unset.stdout], [0, "Loaded image: localhost/web:1\n"], unset.stderr);
  const terminal = host.pty(["save", "web:1"]);
  await terminal.expect("refusing to save to terminal. Use -o flag or redirect");
  assertEquals(await terminal.wait(), 125);

  // what has rotted is noticed, and the archive that was there stays
  await host.ok("save", "-q", "-o", `${host.home}/web.tar`, "web:1");
  const archive = await sha256(await Deno.readFile(`${host.home}/web.tar`));
  const { Digest } = JSON.parse(await host.ok("image", "inspect", "web:1"))[0];
  const stored = JSON.parse(await Deno.readTextFile(`${host.data}/blobs/sha256/${hex(Digest)}`));
  const blob = `${host.data}/blobs/sha256/${hex(stored.layers[0].digest)}`;
  const bytes = await Deno.readFile(blob);
  bytes[bytes.length >> 1]! ^= 1;
  await Deno.writeFile(blob, bytes);
  const rotten = await host.skiff(["save", "-q", "-o", `${host.home}/web.tar`, "web:1"]);
  assertEquals(rotten.code, 125);
  assertMatch(rotten.stderr, /^Error: save blob sha256:\S+: its content was changed: /);
  assertEquals(await sha256(await Deno.readFile(`${host.home}/web.tar`)), archive);
  assertEquals([...Deno.readDirSync(host.home)].filter(({ name }) => name.startsWith("web.tar")).length, 1);
});

hostTest("load reads what other tools write", { needs: ["busybox", "zstd"] }, async (host) => {
  const base = makeTar(busyboxEntries());
  const top = makeTar([{ path: "who", content: "someone\n" }]);
  const diffIds = [await sha256(base), await sha256(top)];
  const config = encode(JSON.stringify({
    architecture: Deno.build.arch === "x86_64" ? "amd64" : "arm64",
    os: "linux",
    config: { Cmd: ["cat", "/who"] },
    rootfs: { type: "layers", diff_ids: diffIds },
  }));
  const id = hex(await sha256(config));
  const loads = async (archive: Uint8Array<ArrayBuffer>, printed: string[], options: string[] = []) => {
    await Deno.writeFile(`${host.home}/archive`, archive);
    const output = await host.ok("load", "-q", ...options, "-i", `${host.home}/archive`);
    assertEquals(output.split("\n"), printed.map((name) => `Loaded image: ${name}`));
    assertEquals((await onlyImage(host)).id, id);
    assertEquals((await host.run("--rm", id)).stdout, "someone\n");
    await host.ok("rmi", "-f", id);
    assertEquals([...Deno.readDirSync(`${host.data}/blobs/sha256`)].length, 0);
    assertEquals([...Deno.readDirSync(`${host.data}/blobs/partial`)].length, 0);
  };
  const manifest = (RepoTags: string[] | null, Layers: string[], Config = `${id}.json`) => ({
    path: "manifest.json",
    content: JSON.stringify([{ Config, RepoTags, Layers }]),
  });

  // docker before 25: folders by legacy ids, a layer that is a link to another's
  const legacy = makeTar([
    { path: "aaa/" },
    { path: "aaa/VERSION", content: "1.0" },
    { path: "aaa/json", content: "{}" },
    { path: "aaa/layer.tar", content: base },
    { path: "bbb/layer.tar", link: "../ccc/layer.tar" },
    { path: "ccc/layer.tar", content: top },
    { path: `${id}.json`, content: config },
    { path: "repositories", content: "{}" },
    manifest(["someone:1", "quay.io/some/one:2"], ["aaa/layer.tar", "bbb/layer.tar"]),
  ]);
  const names = ["docker.io/library/someone:1", "quay.io/some/one:2"];
  await loads(legacy, names);
  await loads(await packed(legacy, "gzip", "-1nc"), names);
  await loads(await packed(legacy, "zstd", "-1qc"), names);
  // bazel, jib and ko pack the layers, and name nothing after what is in it
  await loads(
    makeTar([
      manifest(null, ["0.tar.gz", "1.tar.zst"], "config"),
      { path: "config", content: config },
      { path: "0.tar.gz", content: await packed(base, "gzip", "-1nc") },
      { path: "./1.tar.zst", content: await packed(top, "zstd", "-1qc") },
    ]),
    [`sha256:${id}`],
  );
  // docker from 25 on: a layout, and beside it a manifest.json with the same blobs
  const blob = (digest: string, content: Uint8Array) => ({ path: `blobs/sha256/${hex(digest)}`, content });
  const ociManifest = encode(JSON.stringify({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: {
      mediaType: "application/vnd.oci.image.config.v1+json",
      digest: `sha256:${id}`,
      size: config.length,
    },
    layers: [base, top].map((tar, at) => ({
      mediaType: "application/vnd.oci.image.layer.v1.tar",
      digest: diffIds[at],
      size: tar.length,
    })),
  }));
  const ociDigest = await sha256(ociManifest);
  const descriptor = {
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    digest: ociDigest,
    size: ociManifest.length,
  };
  const both = makeTar([
    blob(diffIds[0]!, base),
    blob(diffIds[1]!, top),
    blob(`sha256:${id}`, config),
    blob(ociDigest, ociManifest),
    {
      path: "index.json",
      content: JSON.stringify({
        schemaVersion: 2,
        manifests: [{
          ...descriptor,
          annotations: {
            "io.containerd.image.name": "docker.io/library/someone:1",
            "org.opencontainers.image.ref.name": "1",
          },
        }],
      }),
    },
    manifest(["someone:1"], diffIds.map((digest) => `blobs/sha256/${hex(digest)}`), `blobs/sha256/${id}`),
    { path: "oci-layout", content: '{"imageLayoutVersion":"1.0.0"}' },
  ]);
  await loads(both, ["docker.io/library/someone:1"]);

  // an index of platforms, and buildkit's attestation beside it
  const index = encode(JSON.stringify({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [
      { ...descriptor, digest: `sha256:${"0".repeat(64)}`, platform: { os: "linux", architecture: "s390x" } },
      {
        ...descriptor,
        platform: { os: "linux", architecture: JSON.parse(new TextDecoder().decode(config)).architecture },
      },
      {
        ...descriptor,
        digest: `sha256:${"1".repeat(64)}`,
        platform: { os: "unknown", architecture: "unknown" },
        annotations: { "vnd.docker.reference.type": "attestation-manifest" },
      },
    ],
  }));
  const platforms = makeTar([
    { path: "oci-layout", content: '{"imageLayoutVersion":"1.0.0"}' },
    {
      path: "index.json",
      content: JSON.stringify({
        schemaVersion: 2,
        manifests: [{
          mediaType: "application/vnd.oci.image.index.v1+json",
          digest: await sha256(index),
          size: index.length,
          annotations: { "org.opencontainers.image.ref.name": "latest" },
        }],
      }),
    },
    blob(await sha256(index), index),
    blob(ociDigest, ociManifest),
    blob(`sha256:${id}`, config),
    blob(diffIds[0]!, base),
    blob(diffIds[1]!, top),
  ]);
  await loads(platforms, ["localhost/latest:latest"]);
  // from a pipe, in the order of a stream
  await Deno.writeFile(`${host.home}/archive`, platforms);
  const piped = await host.sh("cat archive | $SKIFF load");
  assertEquals([piped.code, piped.stdout], [0, "Loaded image: localhost/latest:latest\n"], piped.stderr);
  // the same image again, its layers packed in another way, is not stored twice
  const { digest } = await onlyImage(host);
  await Deno.writeFile(`${host.home}/archive`, legacy);
  await host.ok("load", "-i", `${host.home}/archive`);
  assertEquals((await onlyImage(host)).digest, digest);
  assertEquals((await onlyImage(host)).names.length, 3);

  const refused = async (archive: Uint8Array, message: RegExp) => {
    await Deno.writeFile(`${host.home}/archive`, archive);
    const { code, stderr } = await host.skiff(["load", "-i", `${host.home}/archive`]);
    assertEquals(code, 125);
    assertMatch(stderr, message);
  };
  await refused(base, /payload does not match any of the supported image formats: it has neither/);
  await refused(encode("no tar at all"), /payload does not match .*: truncated archive/);
  await refused(await packed(legacy, "xz", "-0c"), /it is packed with xz, which cannot be read here\n/);
  await refused(legacy.slice(0, 5000), /payload does not match .*: truncated archive/);
  await refused(concat([legacy, encode("x")]), /data after the end of the archive/);
  const missing = await host.skiff(["load", "-i", "/nope"]);
  assertEquals([missing.code, missing.stderr], [125, 'Error: load "/nope": no such file or directory\n']);
  const terminal = host.pty(["load"]);
  await terminal.expect("cannot read from terminal, use command-line redirection");
  assertEquals(await terminal.wait(), 125);
});

hostTest(
  "import makes an image of a tar, a pipe or a web address",
  { needs: ["busybox", "zstd"] },
  async (host) => {
    const tar = makeTar(busyboxEntries());
    const file = `${host.home}/rootfs.tar`;
    await Deno.writeFile(file, tar);
    await host.own(file);
    const diffId = await sha256(tar);
    const layersOf = async (id: string) => JSON.parse(await host.ok("image", "inspect", id))[0].RootFS.Layers;

    const id = await host.ok("import", "-q", "rootfs.tar");
    assertMatch(id, /^sha256:[0-9a-f]{64}$/);
    assertEquals(await layersOf(id), [diffId]);
    assertEquals(
      await host.ok("history", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Comment}}", id),
      `/bin/sh -c #(nop) ADD file:${hex(diffId)} in /|imported from tarball`,
    );
    assertEquals((await host.run("--rm", id, "echo", "plain")).stdout, "plain\n");
    for (
      const script of [
        "gzip -c rootfs.tar | $SKIFF import -q -",
        "zstd -qc rootfs.tar > r.zst && $SKIFF import -q r.zst",
      ]
    ) {
      const { code, stdout, stderr } = await host.sh(script);
      assertEquals([code, await layersOf(stdout.trim())], [0, [diffId]], stderr);
    }
    const changes = [
      'CMD ["sh", "-c", "echo $GREETING"]',
      "ENV GREETING='hello you'",
      "LABEL a=b",
      "USER 1000",
      "WORKDIR /tmp",
    ];
    const options = [
      "--message",
      "from afar",
      "--arch",
      "arm64",
      ...changes.flatMap((change) => ["-c", change]),
    ];
    await host.ok("import", "-q", ...options, "rootfs.tar", "mine:1");
    const [image] = JSON.parse(await host.ok("image", "inspect", "mine:1"));
    assertEquals(
      [image.RepoTags, image.Architecture, image.Comment, image.Labels, image.Config.User, image.Config.Env],
      [["localhost/mine:1"], "arm64", "from afar", { a: "b" }, "1000", ["GREETING=hello you"]],
    );
    assertEquals((await host.run("--rm", "mine:1")).stdout, "hello you\n");

    const server = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen: () => {} },
      (request) =>
        new URL(request.url).pathname === "/rootfs.tar"
          ? new Response(tar)
          : new URL(request.url).pathname === "/moved"
          ? Response.redirect(new URL("/rootfs.tar", request.url))
          : new Response("no", { status: 404 }),
    );
    try {
      const base = `http://127.0.0.1:${server.addr.port}`;
      const got = await host.skiff(["import", `${base}/moved`]);
      assertEquals([got.code, await layersOf(got.stdout.trim())], [0, [diffId]], got.stderr);
      assertIncludes(got.stderr, `Downloading from "${base}/moved"\n`);
      const missing = await host.skiff(["import", `${base}/nope`]);
      assertEquals([missing.code, missing.stdout], [125, ""]);
      assertIncludes(missing.stderr, `Error: download ${base}/nope: there is no such file\n`);
    } finally {
      await server.shutdown();
    }

    const refused = async (words: string[], message: string) => {
      const { code, stdout, stderr } = await host.skiff(["import", "-q", ...words]);
      assertEquals([code, stdout, stderr.split("\n")[0]], [125, "", `Error: ${message}`]);
    };
    await refused([], "accepts between 1 and 2 arg(s), received 0");
    await refused(["nope"], 'import "nope": No such file or directory');
    await refused(
      ["--platform", "bogus", "rootfs.tar"],
      'parse platform "bogus": it is neither an operating system nor an architecture',
    );
    await refused(["-c", "FOO x", "rootfs.tar"], 'invalid change "FOO x" - invalid instruction FOO');
    await refused(["rootfs.tar", "A:b"], 'parse image reference "A:b": the name must be lower case');
    await Deno.writeTextFile(`${host.home}/text`, "this is no tar at all\n".repeat(100));
    const text = await host.skiff(["import", "text"]);
    assertMatch(text.stderr, /^Error: import "text": bad checksum in header\n/);
    assertEquals([...Deno.readDirSync(`${host.data}/blobs/partial`)].length, 0);
  },
);
