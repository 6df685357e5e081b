/** `push`: what it sends is what podman and skopeo read, with the digest that it was pulled by. */
import { DatabaseSync } from "node:sqlite";
import {
  assertEquals,
  assertIncludes,
  assertMatch,
  type Host,
  hostTest,
  LocalRegistry,
  type Result,
} from "./harness.ts";
import { busyboxEntries, busyboxImage, makeTar, pushImage } from "./images.ts";
import { startTlsRegistry } from "./tls_registry.ts";

async function digestOf(host: Host, reference: string): Promise<string> {
  const { code, stdout, stderr } = await host.program([
    ...["skopeo", "inspect", "--tls-verify=false", "--no-creds", "--format", "{{.Digest}}", reference],
  ]);
  assertEquals(code, 0, stderr);
  return stdout.trim();
}

async function manifestOf(host: Host, reference: string) {
  const { stdout, stderr } = await host.program([
    "skopeo",
    "inspect",
    "--raw",
    "--no-creds",
    "--tls-verify=false",
    reference,
  ]);
  assertEquals(stdout !== "", true, stderr);
  return JSON.parse(stdout);
}

/** An image whose only layer is not packed, as `import`, `commit` and builds make them. */
async function importedImage(host: Host): Promise<string> {
  const path = `${host.home}/root.tar`;
  await Deno.writeFile(path, makeTar(busyboxEntries()));
  await host.own(path);
  return await host.ok("import", "-q", path, "localhost/made:1");
}

function refused(result: Result, message: string): void {
  assertEquals([result.code, result.stdout, result.stderr.split("\n")[0]], [125, "", `Error: ${message}`]);
}

hostTest("a pulled image keeps its digest wherever it is pushed", {
  needs: ["registry", "busybox", "skopeo"],
}, async (host) => {
  const reference = await host.image();
  const { address } = await host.registry();
  await host.ok("pull", "-q", reference);
  const pulled = await digestOf(host, `docker://${reference}`);
  const name = `${address}/pushed/${crypto.randomUUID()}`;
  const file = `${host.home}/digest`;
  const first = await host.skiff(["push", "--digestfile", file, reference, `docker://${name}:1`]);
  assertEquals([first.code, first.stdout], [0, ""], first.stderr);
  assertMatch(first.stderr, /Copying blob [0-9a-f]{12} skipped: already exists\n/);
  assertIncludes(first.stderr, "Writing manifest to image destination\n");
  assertEquals(await Deno.readTextFile(file), pulled);
  assertEquals(await digestOf(host, `docker://${name}:1`), pulled);
  // by its digest, by one word, and as other tools' transports
  await host.ok("image", "push", "-q", reference, `${name}@${pulled}`);
  await host.ok("tag", reference, `${name}:2`);
  assertEquals((await host.skiff(["push", "-q", `${name}:2`])).stderr, "");
  assertEquals(await digestOf(host, `docker://${name}:2`), pulled);
  for (const to of ["oci:layout:mine", "oci-archive:o.tar:mine", "dir:folder"]) {
    await host.ok("push", "-q", "--digestfile", file, reference, to.replace(":", `:${host.home}/`));
    assertEquals(await Deno.readTextFile(file), pulled);
    assertEquals(await digestOf(host, to.replace(":", `:${host.home}/`)), pulled);
  }
  await host.ok("push", "-q", reference, `docker-archive:${host.home}/d.tar:mine:1`);
  await host.ok("rmi", "-fa");
  for (const path of ["layout", "o.tar", "folder", "d.tar"]) {
    await host.ok("load", "-q", "-i", `${host.home}/${path}`);
    const ran = await host.run("--rm", (await host.ok("images", "-q")).split("\n")[0]!, "echo", path);
    assertEquals(ran.stdout, `${path}\n`);
    if (path === "d.tar") await host.ok("run", "--rm", "--network=none", "docker.io/library/mine:1", "true");
    await host.ok("rmi", "-fa");
  }
});

hostTest("layers that are not packed are packed, once", {
  needs: ["registry", "busybox", "skopeo"],
}, async (host) => {
  const id = await importedImage(host);
  const { address } = await host.registry();
  const name = `${address}/pushed/${crypto.randomUUID()}`;
  const told = async (...words: string[]) => {
    const { code, stderr } = await host.skiff(["push", ...words]);
    assertEquals(code, 0, stderr);
    return stderr.match(/Copying blob [0-9a-f]{12} (.*)\n/)![1]!;
  };
  assertEquals(await told("made:1", `${name}:gzip`), "done");
  assertEquals(await told("made:1", `${name}:gzip`), "skipped: already exists");
  assertEquals(await told("--compression-format=zstd", "made:1", `${name}:zstd`), "done");
  assertEquals(await told("--compression-format=zstd", "made:1", `${name}:zstd`), "skipped: already exists");
  const chunked = ["--compression-format=zstd:chunked", "made:1", `${name}:chunked`];
  assertEquals(await told(...chunked), "done");
  const { layers: [{ annotations }] } = await manifestOf(host, `docker://${name}:chunked`);
  assertMatch(annotations["io.github.containers.zstd-chunked.manifest-position"], /^\d+:\d+:\d+:1$/);
  // what is remembered has them, too
  assertEquals(await told(...chunked), "skipped: already exists");
  assertEquals(
    (await manifestOf(host, `docker://${name}:chunked`)).layers[0].annotations,
    annotations,
  );
  // containers.conf has its word where nobody else has
  const withConf = async (engine: string, ...words: string[]) => {
    const conf = `${host.home}/push.conf`;
    await Deno.writeTextFile(conf, `[engine]\n${engine}\n`);
    return await host.skiff(["push", "-q", ...words, "made:1", `${name}:conf`], {
      env: { CONTAINERS_CONF: conf },
    });
  };
  const usual = 'compression_format = "zstd"';
  for (const [kind, ...words] of [["zstd"], ["gzip", "-f", "v2s2"], ["gzip", "--compression-format=gzip"]]) {
    const { code, stderr } = await withConf(usual, ...words);
    assertEquals(code, 0, stderr);
    const { layers: [layer] } = await manifestOf(host, `docker://${name}:conf`);
    assertEquals(layer.mediaType.split(/[+.]/).at(-1), kind);
  }
  for (
    const [engine, why] of [
      ['compression_format = "lz4"', 'containers.conf: compression_format: cannot find compressor for "lz4"'],
      ["compression_level = 10", "containers.conf: compression_level of gzip is 1 to 9"],
    ] as const
  ) {
    const { code, stderr } = await withConf(engine);
    assertEquals(code, 125);
    assertIncludes(stderr, why);
  }
  const level = ["--compression-format=gzip", "--compression-level=1"];
  assertEquals(await told(...level, "made:1", `${name}:fast`), "done");
  assertEquals(await told("-f", "v2s2", "made:1", `${name}:docker`), "skipped: already exists");
  // another repository has it: taken over
  assertEquals(await told("made:1", `${name}/other:1`), "skipped: already exists");
  // what was remembered is made again where a registry does not have it
  await using empty = await LocalRegistry.start({ storage: await Deno.makeTempDir({ dir: host.folder }) });
  await host.declareInsecure(empty.address);
  assertEquals(await told("made:1", `${empty.address}/a:1`), "done");

  // what is remembered may have been packed by another zlib: then the image is another one there
  const other = `${empty.address}/b:1`;
  const remembered = new DatabaseSync(`${host.data}/skiff.db`);
  remembered.exec(`UPDATE packed_layers SET digest = 'sha256:${"0".repeat(64)}'`);
  remembered.close();
  await host.ok("push", "-q", "made:1", other);
  const pushed = (await manifestOf(host, `docker://${other}`)).layers[0].digest;
  assertEquals(pushed, (await manifestOf(host, `docker://${name}:gzip`)).layers[0].digest);

  const types: [string, string, string][] = [
    ["gzip", "oci.image.manifest.v1+json", "oci.image.layer.v1.tar+gzip"],
    ["zstd", "oci.image.manifest.v1+json", "oci.image.layer.v1.tar+zstd"],
    ["chunked", "oci.image.manifest.v1+json", "oci.image.layer.v1.tar+zstd"],
    ["docker", "docker.distribution.manifest.v2+json", "docker.image.rootfs.diff.tar.gzip"],
  ];
  for (const [tag, manifest, layer] of types) {
    const { mediaType, layers: [{ mediaType: layerType }], config } = await manifestOf(
      host,
      `docker://${name}:${tag}`,
    );
    assertEquals([mediaType, layerType], [manifest, layer].map((end) => `application/vnd.${end}`));
    assertEquals(config.digest, `sha256:${id.replace(/^sha256:/, "")}`);
    // skopeo reads every blob and compares its digest
    const copied = await host.program([
      ...[
        "skopeo",
        "copy",
        "-q",
        "--src-tls-verify=false",
        "--src-no-creds",
        `docker://${name}:${tag}`,
        `dir:${host.home}/${tag}`,
      ],
    ]);
    assertEquals(copied.code, 0, copied.stderr);
  }
  await host.ok("rmi", "-fa");
  for (
    const reference of [
      `${name}:gzip`,
      `${name}:zstd`,
      `${name}:chunked`,
      `${name}:docker`,
      `${empty.address}/a:1`,
    ]
  ) {
    await host.ok("pull", "-q", reference);
    const ran = await host.run("--rm", reference, "echo", "it runs");
    assertEquals(ran.stdout, "it runs\n", ran.stderr);
    await host.ok("rmi", "-fa");
  }

  // a layer whose content is not what it was is found out, whatever is remembered of it
  await importedImage(host);
  await using another = await LocalRegistry.start({ storage: await Deno.makeTempDir({ dir: host.folder }) });
  await host.declareInsecure(another.address);
  const [layer] = JSON.parse(await host.ok("image", "inspect", "-f", "{{json .RootFS.Layers}}", "made:1"));
  const blob = `${host.data}/blobs/sha256/${layer.slice("sha256:".length)}`;
  const bytes = await Deno.readFile(blob);
  bytes[600]! ^= 1;
  await Deno.writeFile(blob, bytes);
  const changed = await host.skiff(["push", "-q", "made:1", `${another.address}/c:1`]);
  assertMatch(changed.stderr, /^Error: pack layer sha256:.*: its content was changed: its digest is sha256:/);
  assertEquals([changed.code, changed.stdout], [125, ""]);
  assertEquals([...Deno.readDirSync(`${host.data}/blobs/partial`)], []);
});

hostTest("a registry with login and TLS", {
  needs: ["registry", "busybox", "skopeo", "openssl"],
}, async (host) => {
  const { registry: started, certificate } = await startTlsRegistry(host);
  await using registry = started;
  const certs = `${host.home}/certs`;
  await Deno.mkdir(certs);
  await Deno.copyFile(certificate, `${certs}/ca.crt`);
  await host.own(certs, `${certs}/ca.crt`);
  await importedImage(host);
  const name = `${registry.address}/team/app:1`;
  const push = (...words: string[]) => host.skiff(["push", "-q", ...words, "made:1", name]);

  const untrusted = await push("--creds", "me:secret");
  assertEquals(untrusted.code, 125);
  assertMatch(untrusted.stderr, /certificate/);
  const anonymous = await push("--cert-dir", certs);
  refused(anonymous, `push ${name}: log in at ${registry.address}: there is no login for it`);
  const wrong = await push("--cert-dir", certs, "--creds", "me:wrong");
  assertEquals(wrong.code, 125);
  assertEquals(wrong.stderr.includes("wrong"), false, wrong.stderr);
  assertEquals((await push("--cert-dir", certs, "--creds", "me:secret")).code, 0);
  const authFile = `${host.home}/logins.json`;
  await Deno.writeTextFile(
    authFile,
    JSON.stringify({ auths: { [registry.address]: { auth: btoa("me:secret") } } }),
  );
  await host.own(authFile);
  const again = await push("--tls-verify=false", "--authfile", authFile);
  assertEquals([again.code, again.stderr], [0, ""]);
  const seen = await host.program([
    ...["skopeo", "inspect", "--creds", "me:secret", "--cert-dir", certs, `docker://${name}`],
  ]);
  assertEquals(seen.code, 0, seen.stderr);
});

hostTest("what a push cannot do is said before anything is sent", {
  needs: ["registry", "busybox"],
}, async (host) => {
  await importedImage(host);
  const cases: [string[], string][] = [
    [["nosuch"], "nosuch: image not known"],
    [["host"], `push image "host": it is built in, made of this machine's own folders`],
    [["made:1", "docker-daemon:x:1"], `push to "docker-daemon:x:1": skiff does not talk to Docker's daemon`],
    [
      ["made:1", "containers-storage:x"],
      `push to "containers-storage:x": that is the store of podman and buildah, which is theirs to write to`,
    ],
    [["made:1", "foo:/x"], `Invalid image name "foo:/x", unknown transport "foo"`],
    [["made:1", "oci:"], `push to "oci:": it names no path`],
    [["--compression-format", "lz4", "made:1"], `cannot find compressor for "lz4"`],
    [
      ["--compression-format", "gzip", "--compression-level", "10", "made:1"],
      "--compression-level of gzip is 1 to 9",
    ],
    [["-f", "v2s2", "made:1", "oci:x"], `push to "oci:x": an OCI layout has OCI manifests`],
    [
      ["--sign-by-sq-fingerprint", "me", "made:1"],
      "--sign-by-sq-fingerprint is not available yet: skiff signs by gpg, not by Sequoia",
    ],
    [
      ["made:1", `127.0.0.1:1/x@sha256:${"a".repeat(64)}`],
      "Digest of source image's manifest would not match destination reference",
    ],
  ];
  for (const [words, message] of cases) refused(await host.skiff(["push", ...words]), message);
  // nobody listens there
  const lost = await host.skiff(["push", "--retry", "1", "--retry-delay", "10ms", "made:1", "127.0.0.1:1/x"]);
  assertEquals(lost.code, 125);
  assertMatch(lost.stderr, /^Error: connect to 127\.0\.0\.1:1: connection refused$/m);
  // registries.conf: a mirror is only pulled from, a blocked place is none
  const { address } = await host.registry();
  const conf = `${host.home}/.config/containers/registries.conf`;
  const name = `mirrored/${crypto.randomUUID()}`;
  await Deno.writeTextFile(
    conf,
    (await Deno.readTextFile(conf)) +
      `[[registry]]\nprefix = "here.test"\nlocation = "${address}"\ninsecure = true\n` +
      `[[registry.mirror]]\nlocation = "127.0.0.1:1"\n` +
      `[[registry]]\nlocation = "blocked.test"\nblocked = true\n`,
  );
  await host.ok("push", "-q", "made:1", `here.test/${name}:1`);
  await host.ok("pull", "-q", `${address}/${name}:1`);
  assertMatch((await host.skiff(["push", "made:1", "blocked.test/x"])).stderr, /blocks this registry/);
  // the same of what a pull cannot read
  const stores = {
    "docker-daemon:x:1": "skiff does not talk to Docker's daemon",
    "containers-storage:x": "that is the store of podman and buildah, which skiff does not read",
  };
  for (const [reference, why] of Object.entries(stores)) {
    for (const verb of ["pull", "run", "create"]) {
      refused(await host.skiff([verb, reference]), `pull "${reference}": ${why}`);
    }
  }
});

hostTest("all platforms of an index", { needs: ["registry", "busybox", "skopeo"] }, async (host) => {
  const { address } = await host.registry();
  const repository = `many/${crypto.randomUUID()}`;
  const registry = await host.registry();
  const manifests = [];
  for (const architecture of ["amd64", "arm64"]) {
    const tagged = await pushImage(
      registry,
      repository,
      architecture,
      await busyboxImage({ Labels: { architecture } }),
    );
    const { stdout } = await host.program([
      "skopeo",
      "inspect",
      "--raw",
      "--no-creds",
      "--tls-verify=false",
      `docker://${tagged}`,
    ]);
    const bytes = new TextEncoder().encode(stdout);
    const digest = await digestOf(host, `docker://${tagged}`);
    const mediaType = JSON.parse(stdout).mediaType;
    manifests.push({ mediaType, digest, size: bytes.length, platform: { os: "linux", architecture } });
  }
  const indexType = "application/vnd.oci.image.index.v1+json";
  const index = JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests });
  const digest = await registry.pushManifest(repository, "all", index, indexType);
  const source = `${address}/${repository}:all`;
  const name = `${address}/${repository}-2`;
  await host.ok("pull", "-q", "--platform", "linux/arm64", source);
  const partial = await host.skiff(["push", "--all", source, `${name}:1`]);
  assertEquals(partial.code, 125);
  assertMatch(partial.stderr, /push all platforms: sha256:[0-9a-f]{64} for linux\/amd64 is not in the store/);
  await host.ok("pull", "-q", "--platform", "linux/amd64", source);
  await host.ok("push", "-q", "--all", source, `${name}:1`);
  assertEquals(await digestOf(host, `docker://${name}:1`), digest);
  await host.ok("push", "-q", "--all", "--compression-format=zstd", source, `${name}:zstd`);
  const { manifests: found } = await manifestOf(host, `docker://${name}:zstd`);
  assertEquals(
    found.map((one: { platform: unknown }) => one.platform),
    manifests.map(({ platform }) => platform),
  );
});
