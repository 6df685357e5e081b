/** Artifacts: made of files, sent around, extracted; and what a hostile one must not do. */
import {
  assert,
  assertEquals,
  assertIncludes,
  assertMatch,
  type Host,
  hostTest,
  type LocalRegistry,
} from "./harness.ts";
import { FakeRegistry } from "./fake_registry.ts";
import { sha256 } from "./images.ts";

const TITLE = "org.opencontainers.image.title";
const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";

interface Layer {
  mediaType: string;
  digest: string;
  size: number;
  annotations?: Record<string, string>;
}

async function files(host: Host, contents: Record<string, string | Uint8Array>): Promise<string> {
  const folder = `${host.home}/files-${crypto.randomUUID().slice(0, 8)}`;
  await Deno.mkdir(folder);
  for (const [name, content] of Object.entries(contents)) {
    await Deno.writeFile(
      `${folder}/${name}`,
      typeof content === "string" ? new TextEncoder().encode(content) : content,
    );
    await host.own(`${folder}/${name}`);
  }
  await host.own(folder);
  return folder;
}

async function layersOf(host: Host, name: string): Promise<Layer[]> {
  return JSON.parse(await host.ok("artifact", "inspect", name)).Manifest.layers;
}

hostTest("an artifact is made of files, goes to a registry and comes back the same", {
  needs: ["registry", "busybox", "skopeo"],
}, async (host) => {
  const { address } = await host.registry();
  const name = `${address}/artifacts/${crypto.randomUUID()}:1`;
  const folder = await files(host, {
    "notes.txt": "hello\n",
    "data.gz": new Uint8Array([0x1f, 0x8b, 8, 0, 1]),
  });
  const add = ["artifact", "add", "--type", "application/x-notes", "--annotation", "a=b"];
  const digest = await host.ok(...add, name, `${folder}/notes.txt`, `${folder}/data.gz`);
  assertMatch(digest, /^[0-9a-f]{64}$/);
  const { Manifest, Name, Digest } = JSON.parse(await host.ok("artifact", "inspect", name));
  assertEquals([Name, Digest, Manifest.artifactType], [name, `sha256:${digest}`, "application/x-notes"]);
  // as podman 5 writes it
  assertEquals(Manifest.config, {
    mediaType: "application/vnd.oci.empty.v1+json",
    digest: await sha256(new TextEncoder().encode("{}")),
    size: 2,
    data: "e30=",
  });
  assertEquals(Manifest.layers, [
    {
      mediaType: "text/plain; charset=utf-8",
      digest: await sha256(new TextEncoder().encode("hello\n")),
      size: 6,
      annotations: { a: "b", [TITLE]: "notes.txt" },
    },
    {
      mediaType: "application/x-gzip",
      digest: await sha256(new Uint8Array([0x1f, 0x8b, 8, 0, 1])),
      size: 5,
      annotations: { a: "b", [TITLE]: "data.gz" },
    },
  ]);
  const refused = async (message: string, ...words: string[]) => {
    const { code, stderr } = await host.skiff(["artifact", ...words]);
    assertEquals([words, code, stderr.split("\n")[0]], [words, 125, `Error: ${message}`]);
  };
  await refused(`artifact ${name} already exists`, "add", name, `${folder}/notes.txt`);
  await refused(
    "append option is not compatible with type option",
    "add",
    "-a",
    "--type",
    "x/y",
    name,
    `${folder}/data.gz`,
  );
  await refused("no artifact found with name or digest of nope", "inspect", "nope");
  await refused(`open ${folder}/nope: no such file or directory`, "add", "x", `${folder}/nope`);
  await refused(`add "${folder}": it is no regular file`, "add", "x", folder);
  // whatever is cleared up, it stays
  await host.ok("system", "prune", "-af");
  await host.ok("image", "prune", "-af");
  assertEquals((await host.skiff(["system", "check", "--max", "0s"])).code, 0);
  // to the registry, and what another program finds there
  const file = `${host.home}/digest`;
  await host.ok("artifact", "push", "-q", "--digestfile", file, name);
  assertEquals(await Deno.readTextFile(file), `sha256:${digest}`);
  const raw = await host.program([
    "skopeo",
    "inspect",
    "--raw",
    "--tls-verify=false",
    "--no-creds",
    `docker://${name}`,
  ]);
  assertEquals(JSON.parse(raw.stdout), Manifest, raw.stderr);
  await host.ok("artifact", "push", "-q", name, `${name}-copy`);
  assertEquals(await host.ok("artifact", "rm", digest.slice(0, 12)), digest);
  assertEquals(await host.ok("artifact", "ls", "-n"), "");
  const left = [...Deno.readDirSync(`${host.data}/blobs/sha256`)].map((entry) => entry.name);
  assertEquals(left, []);
  assertEquals(await host.ok("artifact", "pull", "-q", `${name}-copy`), digest);
  assertEquals(await layersOf(host, digest), Manifest.layers);
  // into a folder, and to one path
  const out = await files(host, { "notes.txt": "old" });
  await host.ok("artifact", "extract", digest, out);
  assertEquals(await Deno.readTextFile(`${out}/notes.txt`), "hello\n");
  assertEquals((await Deno.stat(`${out}/data.gz`)).size, 5);
  await host.ok("artifact", "extract", "--title", "notes.txt", digest, `${out}/one`);
  assertEquals(await Deno.readTextFile(`${out}/one`), "hello\n");
  const dataDigest = Manifest.layers[1].digest;
  await host.ok("artifact", "extract", "--digest", dataDigest, digest, out);
  assertEquals((await Deno.stat(`${out}/${dataDigest.replace(":", "-")}`)).size, 5);
  const several = await host.skiff(["artifact", "extract", digest, `${out}/none`]);
  assertEquals(several.code, 125);
  assertIncludes(several.stderr, "the artifact consists of several blobs");
  await refused('no blob with the title "x"', "extract", "--title", "x", digest, out);
  await refused(
    "cannot specify both digest and title",
    "extract",
    "--title",
    "x",
    "--digest",
    dataDigest,
    digest,
    out,
  );
  // more files, in their place, and lists
  const more = await files(host, { "more.txt": "more" });
  await host.ok(
    "artifact",
    "add",
    "--append",
    "--file-type",
    "text/x-more",
    `${name}-copy`,
    `${more}/more.txt`,
  );
  const appended = await layersOf(host, `${name}-copy`);
  assertEquals(appended.map(({ mediaType }) => mediaType), [
    "text/plain; charset=utf-8",
    "application/x-gzip",
    "text/x-more",
  ]);
  await refused(
    `add "${more}/more.txt": the artifact has a file more.txt already`,
    ...["add", "--append", `${name}-copy`, `${more}/more.txt`],
  );
  await host.ok("artifact", "add", "--replace", `${name}-copy`, `${more}/more.txt`);
  assertEquals((await layersOf(host, `${name}-copy`)).length, 1);
  const rows = JSON.parse(await host.ok("artifact", "ls", "--format", "json"));
  assertEquals(rows.map((row: { Name: string; Size: number }) => [row.Name, row.Size]), [[
    `${name}-copy`,
    4,
  ]]);
  assertMatch(
    await host.ok("artifact", "ls"),
    /^REPOSITORY +TAG +DIGEST +SIZE\n.* 1-copy +[0-9a-f]{12} +4B$/,
  );
  assertEquals(await host.ok("artifact", "ls", "--format", "{{.Tag}}"), "1-copy");
  assertEquals(await host.ok("artifact", "inspect", "--format", "{{.Name}}", `${name}-copy`), `${name}-copy`);
  await host.ok("artifact", "rm", "--all");
  await host.ok("artifact", "rm", "--ignore", "nope");
  // to the byte what podman 5.4.2 makes of them
  const same = await files(host, { "a.txt": "hi\n" });
  assertEquals(
    await host.ok("artifact", "add", "--type", "application/x-test", "localhost/same:1", `${same}/a.txt`),
    "f7e04092584aa7be354987a985e0ff72026eca4687785eecc0c70f3022dccc6e",
  );
  await host.ok("manifest", "create", "same");
  await host.ok(
    "manifest",
    "add",
    "--artifact",
    "--artifact-type",
    "application/x-t",
    "same",
    `${same}/a.txt`,
  );
  assertEquals(
    JSON.parse(await host.ok("manifest", "inspect", "same")).manifests[0].digest,
    "sha256:4ba6f2e6a4498b4504150d58185af3b6de629a5ee915bfea53a6929b8fd386ec",
  );
  await host.ok("manifest", "rm", "same");
  await host.ok("artifact", "rm", "--all");
  // an artifact that only a list knows
  await host.ok("manifest", "create", "list");
  const words = ["--artifact", "--artifact-type", "application/x-notes", "--annotation", "k=v"];
  await host.ok("manifest", "add", ...words, "list", `${folder}/notes.txt`);
  await host.ok("image", "prune", "-f");
  const [entry] = JSON.parse(await host.ok("manifest", "inspect", "list")).manifests;
  assertEquals([entry.artifactType, entry.annotations, entry.files], ["application/x-notes", { k: "v" }, [
    `${folder}/notes.txt`,
  ]]);
  await host.ok("manifest", "push", "-q", "--rm", "list", `${name}-list`);
  await host.ok("artifact", "pull", "-q", `${name.replace(/:1$/, "")}@${entry.digest}`);
  assertEquals((await layersOf(host, entry.digest)).map(({ annotations }) => annotations![TITLE]), [
    "notes.txt",
  ]);
});

/** An artifact with these titles, as anybody may push it. */
async function hostile(registry: LocalRegistry, titles: string[]): Promise<string> {
  const repository = `hostile/${crypto.randomUUID()}`;
  const empty = new TextEncoder().encode("{}");
  const config = { mediaType: "application/vnd.oci.empty.v1+json", digest: await sha256(empty), size: 2 };
  await registry.pushBlob(repository, empty, config.digest);
  const layers: Layer[] = [];
  for (const [at, title] of titles.entries()) {
    const bytes = new TextEncoder().encode(`owned ${at}\n`);
    const digest = await sha256(bytes);
    await registry.pushBlob(repository, bytes, digest);
    layers.push({ mediaType: "text/plain", digest, size: bytes.length, annotations: { [TITLE]: title } });
  }
  const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, artifactType: "x/y", config, layers };
  await registry.pushManifest(repository, "1", JSON.stringify(manifest), OCI_MANIFEST);
  return `${registry.address}/${repository}:1`;
}

hostTest("a title leads nowhere but into the folder (attack 12)", { needs: ["registry"] }, async (host) => {
  const registry = await host.registry();
  const place = await files(host, { canary: "alive\n" });
  const out = `${place}/out`;
  await Deno.mkdir(out);
  await host.own(out);
  // live: nothing but skiff stands in the way of such names
  const control = await host.sh(
    `echo dead >"${out}/../canary" && ln -s ../canary "${out}/link" && echo dead >>"${out}/link"`,
  );
  assertEquals(control.code, 0);
  assertEquals(await Deno.readTextFile(`${place}/canary`), "dead\ndead\n");
  await Deno.writeTextFile(`${place}/canary`, "alive\n");

  const titles = [
    ...[
      "../canary",
      "/tmp/absolute",
      "..",
      ".",
      "a/b",
      "a/../../canary",
      "x\ny",
      "\x1b[31mred",
      "nul\0",
      "\x9b2J",
    ],
    "x".repeat(256),
  ];
  for (const title of titles) {
    const name = await hostile(registry, ["innocent", title]);
    await host.ok("artifact", "pull", "-q", name);
    const { code, stderr } = await host.skiff(["artifact", "extract", name, out]);
    assertEquals([title, code], [title, 125]);
    assertIncludes(stderr, "Error: extract a file called ");
    // deno-lint-ignore no-control-regex
    assert(!/[\x00-\x09\x0b-\x1f\x7f-\x9f]/.test(stderr), JSON.stringify(stderr));
    // all or nothing
    assertEquals([...Deno.readDirSync(out)].map((entry) => entry.name), ["link"]);
    if (title !== titles[0]) continue;
    // by its digest it can be had
    const layers = await layersOf(host, name);
    await host.ok("artifact", "extract", "--digest", layers[1]!.digest, name, `${place}/chosen`);
    assertEquals(await Deno.readTextFile(`${place}/chosen`), "owned 1\n");
    await host.ok("artifact", "inspect", name);
  }
  assertEquals(await Deno.readTextFile(`${place}/canary`), "alive\n");
  // a link of that name is replaced, not followed
  const linked = await hostile(registry, ["link"]);
  await host.ok("artifact", "pull", "-q", linked);
  await host.ok("artifact", "extract", linked, out);
  assertEquals((await Deno.lstat(`${out}/link`)).isSymlink, false);
  assertEquals(await Deno.readTextFile(`${out}/link`), "owned 0\n");
  assertEquals(await Deno.readTextFile(`${place}/canary`), "alive\n");
  const twice = await hostile(registry, ["same", "same"]);
  await host.ok("artifact", "pull", "-q", twice);
  assertIncludes(
    (await host.skiff(["artifact", "extract", twice, out])).stderr,
    'two files are called "same"',
  );
  assertEquals((await host.skiff(["system", "check"])).code, 0);
});

hostTest("what a registry says of an artifact is checked (attacks 20 to 22)", {}, async (host) => {
  await using registry = FakeRegistry.start();
  await host.declareInsecure(registry.host);
  const content = new TextEncoder().encode("content\n");
  const empty = new TextEncoder().encode("{}");
  const digest = await sha256(content);
  const config = { mediaType: "application/vnd.oci.empty.v1+json", digest: await sha256(empty), size: 2 };
  const layer = { mediaType: "text/plain", digest, size: content.length };
  const honest = { schemaVersion: 2, mediaType: OCI_MANIFEST, artifactType: "x/y", config, layers: [layer] };
  registry.blobs.set(digest, content);
  registry.blobs.set(config.digest, empty);
  const pull = async (manifest: unknown, mediaType = OCI_MANIFEST) => {
    const bytes = new TextEncoder().encode(JSON.stringify(manifest));
    registry.manifests.set("test/art/1", { bytes, mediaType });
    return await host.skiff(["artifact", "pull", "-q", "--retry", "0", `${registry.host}/test/art:1`]);
  };
  // live: the same, honest, is taken
  const taken = await pull(honest);
  assertEquals(taken.code, 0, taken.stderr);
  await host.ok("artifact", "rm", "-a");

  const outside = "sha256:../../../../../../tmp/x";
  const cases: [unknown, string, string?][] = [
    [{ ...honest, layers: [{ ...layer, digest: outside }] }, "malformed digest"],
    [{ ...honest, config: { ...config, digest: outside } }, "malformed digest"],
    [{ ...honest, layers: [{ ...layer, digest: digest.toUpperCase() }] }, "malformed digest"],
    [{ ...honest, layers: [{ ...layer, digest: digest.slice(0, 40) }] }, "malformed digest"],
    [{ ...honest, layers: [{ ...layer, size: -1 }] }, "negative size"],
    [{ ...honest, layers: [{ ...layer, size: content.length + 1 }] }, ""],
    [{ ...honest, layers: [{ ...layer, size: content.length - 1 }] }, ""],
    [{ ...honest, layers: [layer, { ...layer, size: 1 }] }, "described in two ways"],
    [{ ...honest, manifests: [] }, "it has both manifests and layers"],
    [honest, "it was sent as application/vnd.oci.image.index", "application/vnd.oci.image.index.v1+json"],
  ];
  for (const [manifest, message, mediaType] of cases) {
    const { code, stderr } = await pull(manifest, mediaType);
    assertEquals([message, code], [message, 125], stderr);
    assertIncludes(stderr, message);
  }
  // another content under the digest, whole and of the right length
  registry.blobs.set(digest, new TextEncoder().encode("CONTENT\n"));
  const swapped = await pull(honest);
  assertEquals(swapped.code, 125);
  assertIncludes(swapped.stderr, "its digest is another");
  assertEquals(await host.ok("artifact", "ls", "-n"), "");
  // what was refused is not in the way of what is right
  registry.blobs.set(digest, content);
  assertEquals((await pull(honest)).code, 0);
  assertEquals((await host.skiff(["system", "check"])).code, 0);
});
