/** Layers with a table of contents put together of what is fetched and of files that layers here have. */
import { deepStrictEqual as assertEquals, match, ok, rejects } from "node:assert";
import type { PullOptions } from "../runtime/registry/pull.ts";
import { fetchMissingBlob } from "../runtime/registry/fetch_blobs.ts";
import type { Digest } from "../runtime/spec/digest.ts";
import { MEDIA_TYPE } from "../runtime/spec/image.ts";
import { blobPath, hasBlob, removeBlob } from "../runtime/storage/blobs.ts";
import { readPartialMark } from "../runtime/storage/file_index.ts";
import { layerPath, removeLayer } from "../runtime/storage/layers.ts";
import { blobReply, encode, FakeRegistry } from "./fake_registry.ts";
import { makePullRig, type PullRig } from "./pull_rig.ts";
import {
  digest,
  estargzLayer,
  type LayerMember,
  type TocLayer,
  type TocLayerOptions,
  zstdChunkedLayer,
} from "./toc_layers.ts";
import { describeTree } from "./tree.ts";

const noise = (bytes: number) => {
  const content = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += 65536) {
    crypto.getRandomValues(content.subarray(at, Math.min(bytes, at + 65536)));
  }
  return content;
};
const SHARED = noise(300_000), OTHER = noise(100_000), FRESH = noise(50_000);
const file = (name: string, data: Uint8Array<ArrayBuffer>, more: Partial<LayerMember> = {}): LayerMember => ({
  name,
  type: "file",
  mode: 0o644,
  data,
  mtime: 1_600_000_000,
  ...more,
});
/** As long as FRESH. */
const TRAP = noise(FRESH.length);
const FIRST = [file("usr/lib/shared", SHARED), file("old", OTHER), file("trap", TRAP)];
const SECOND: LayerMember[] = [
  { name: "opt/", type: "directory", mode: 0o750, mtime: 7 },
  file("opt/moved", SHARED, { mode: 0o4755, mtime: 9 }),
  file("fresh", FRESH),
  file("tiny", encode("tiny\n")),
  file("old", OTHER, { mode: 0o600 }),
  { name: "link", type: "hardlink", linkname: "opt/moved" },
  { name: "sym", type: "symlink", linkname: "fresh" },
];

async function addImage(registry: FakeRegistry, name: string, layer: TocLayer): Promise<TocLayer> {
  registry.blobs.set(layer.descriptor.digest, layer.blob);
  const config = await registry.addBlob(
    encode({
      architecture: Deno.build.arch === "aarch64" ? "arm64" : "amd64",
      os: "linux",
      rootfs: { type: "layers", diff_ids: [layer.diffId] },
    }),
    MEDIA_TYPE.ociConfig,
  );
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.ociManifest,
    config,
    layers: [layer.descriptor],
  };
  await registry.addManifest(name, encode(manifest), MEDIA_TYPE.ociManifest);
  return layer;
}

interface Case {
  registry: FakeRegistry;
  rig: PullRig;
  second: TocLayer;
  /** Pulls the second image; gives how many bytes of its blob were sent and what was said. */
  pull(options?: PullOptions): Promise<{ sent: number; said: string }>;
  /** Its tree, as text. */
  tree(): string[];
}

/** The first image is here, the second in the registry. */
async function withTwo(
  fn: (it: Case) => Promise<void>,
  options: TocLayerOptions & { tarSplit?: boolean } = {},
) {
  await using registry = FakeRegistry.start();
  await using rig = await makePullRig();
  await addImage(registry, "test/app:1", zstdChunkedLayer(FIRST, { chunkSize: 65_000 }));
  const second = await addImage(
    registry,
    "test/app:2",
    zstdChunkedLayer(SECOND, { chunkSize: 65_000, ...options }),
  );
  await rig.pull(`${registry.host}/test/app:1`, { tlsVerify: false });
  const path = `/blobs/${second.descriptor.digest}`;
  await fn({
    registry,
    rig,
    second,
    async pull(options = {}) {
      let sent = 0;
      const { hook } = registry;
      registry.hook = (request) => {
        const reply = hook(request);
        if (!request.path.endsWith(path)) return reply;
        const answer = reply ?? blobReply(second.blob, request.headers.range);
        sent += answer.body?.length ?? 0;
        return answer;
      };
      await rig.pull(`${registry.host}/test/app:2`, { tlsVerify: false, ...options });
      registry.hook = hook;
      const said = rig.events.map((event) => event.kind === "status" ? event.text : "").join("\n");
      return { sent, said };
    },
    tree: () => describeTree(layerPath(rig.folders, second.diffId, rig.context.form)),
  });
}

/** What a whole pull of the second image makes. */
const wholeTree = (() => {
  let made: Promise<string[]> | undefined;
  return () => made ??= wholePull();
})();

async function wholePull(): Promise<string[]> {
  await using registry = FakeRegistry.start();
  await using rig = await makePullRig();
  const { diffId } = await addImage(registry, "test/app:2", zstdChunkedLayer(SECOND));
  await rig.pull(`${registry.host}/test/app:2`, { tlsVerify: false });
  return describeTree(layerPath(rig.folders, diffId, rig.context.form));
}

Deno.test("only what no layer here has is fetched, and the layer is the same", async () => {
  for (const tarSplit of [false, true]) {
    await withTwo(async ({ registry, rig, second, pull, tree }) => {
      const { sent, said } = await pull({ authFile: "logins.json" });
      ok(sent < FRESH.length + 10_000, `${sent} bytes were sent of ${second.blob.length}`);
      match(said, /were here already/);
      assertEquals(tree(), await wholeTree());
      assertEquals(hasBlob(rig.folders, second.descriptor.digest), false);
      // a second pull asks for nothing more
      assertEquals((await pull()).sent, 0);
      assertEquals((await rig.leftovers()).filter((path) => /partial\/|locks\/blob|tmp/.test(path)), []);

      // who needs the blob gets it from where it was pulled, as it was pulled, in whatever folder he is
      const mark = readPartialMark(rig.folders, second.diffId, rig.context.form);
      assertEquals(mark?.authFile, `${Deno.cwd()}/logins.json`);
      const layer = { ...second.descriptor, diffId: second.diffId };
      const fetchIt = () => fetchMissingBlob(rig.folders, rig.context.form, layer, { sources: rig.sources });
      assertEquals(await fetchIt(), true);
      assertEquals(await Deno.readFile(blobPath(rig.folders, layer.digest)), second.blob);
      await removeBlob(rig.folders, layer.digest);
      registry.hook = (request) => request.path.includes("/blobs/") ? { status: 404 } : undefined;
      await rejects(fetchIt(), /pulled in part.*does not have it/);
      registry.hook = () => ({ status: 200, body: new Uint8Array(second.blob.length) });
      await rejects(fetchIt(), /its digest is another/);
      assertEquals(hasBlob(rig.folders, layer.digest), false);
    }, { tarSplit });
  }
});

Deno.test("by a login that nobody keeps a layer is pulled whole: its blob is here then", () =>
  withTwo(async ({ rig, second, pull }) => {
    const { sent } = await pull({ credentials: { username: "me", password: "secret" } });
    assertEquals(sent, second.blob.length);
    assertEquals(hasBlob(rig.folders, second.descriptor.digest), true);
  }));

Deno.test("what was put together serves the next layer", () =>
  withTwo(async ({ registry, rig, pull }) => {
    await pull();
    const third = await addImage(
      registry,
      "test/app:3",
      zstdChunkedLayer([file("again", FRESH), file("z", noise(9))]),
    );
    registry.requests.length = 0;
    await rig.pull(`${registry.host}/test/app:3`, { tlsVerify: false });
    assertEquals(hasBlob(rig.folders, third.descriptor.digest), false);
    const path = `${layerPath(rig.folders, third.diffId, rig.context.form)}/again`;
    assertEquals(await Deno.readFile(path), FRESH);
  }));

Deno.test("a file here that was changed, or is gone, is not taken", async () => {
  for (
    const spoil of [
      (path: string) => Deno.writeFileSync(path, noise(SHARED.length)),
      (path: string) => Deno.writeFileSync(path, noise(10)),
      (path: string) => Deno.removeSync(path),
      (path: string) => (Deno.removeSync(path), Deno.symlinkSync("/etc/passwd", path)),
      (path: string) => (Deno.removeSync(path), Deno.mkdirSync(path)),
    ]
  ) {
    await withTwo(async ({ rig, second, pull, tree }) => {
      const layers = Array.from(Deno.readDirSync(rig.folders.layers), ({ name }) => name);
      spoil(`${rig.folders.layers}/${layers[0]}/${rig.context.form}/usr/lib/shared`);
      const { sent, said } = await pull();
      ok(sent >= second.blob.length, `${sent}`);
      match(said, /is pulled whole: .*its content was changed/);
      assertEquals(tree(), await wholeTree());
      assertEquals(hasBlob(rig.folders, second.descriptor.digest), true);
    });
  }
});

Deno.test("a table that lies makes no layer another: its diff id is checked (attack 22)", () =>
  withTwo(async ({ second, rig, pull, tree }) => {
    const { said } = await pull();
    // the control: by the table alone, the new file would have been another that is here
    match(said, /is pulled whole: .*its content has diff id/);
    assertEquals(tree(), await wholeTree());
    assertEquals(hasBlob(rig.folders, second.descriptor.digest), true);
  }, {
    falsify: (entries) =>
      entries.map((entry) => entry.name === "fresh" ? { ...entry, digest: digest(TRAP) } : entry),
  }));

Deno.test("a registry that lies or fails on parts of a blob: the layer is pulled whole", async () => {
  const ways: [
    RegExp,
    (range: string, blob: Uint8Array<ArrayBuffer>) => ReturnType<typeof blobReply> | undefined,
  ][] = [
    [/whole only/, (_, blob) => blobReply(blob, undefined)],
    [
      /another range/,
      (range, blob) => ({ ...blobReply(blob, range), headers: { "Content-Range": "bytes 0-1/9" } }),
    ],
    [
      /digest/,
      (range, blob) => ({
        ...blobReply(blob, range),
        body: new Uint8Array(blobReply(blob, range).body!.length),
      }),
    ],
    [/416/, () => ({ status: 416 })],
    [/50[03]/, () => ({ status: 500 })],
  ];
  for (const [why, answer] of ways) {
    await withTwo(async (it) => {
      it.registry.hook = ({ path, headers: { range } }) =>
        range !== undefined && path.includes(it.second.descriptor.digest)
          ? answer(range, it.second.blob)
          : undefined;
      const { said } = await it.pull();
      match(said, why);
      assertEquals(it.tree(), await wholeTree());
    });
  }
});

Deno.test("parts can be turned off, and are not asked for where no layer has an index", async () => {
  await withTwo(async ({ rig, registry, second, pull }) => {
    await rig.write(
      ".config/containers/storage.conf",
      '[storage.options.pull_options]\nenable_partial_images = "false"\n',
    );
    await pull();
    assertEquals(registry.asked(second.descriptor.digest).map(({ headers }) => headers.range), [undefined]);
  });
  await withTwo(async ({ rig, registry, second, pull }) => {
    const [hex] = Array.from(Deno.readDirSync(rig.folders.layers), ({ name }) => name);
    await removeLayer(rig.context, `sha256:${hex}` as Digest);
    await pull();
    assertEquals(registry.asked(second.descriptor.digest).map(({ headers }) => headers.range), [undefined]);
  });
});

Deno.test("files of an eStargz layer serve a zstd:chunked one", async () => {
  await using registry = FakeRegistry.start();
  await using rig = await makePullRig();
  await addImage(registry, "test/app:1", estargzLayer(FIRST));
  const second = await addImage(registry, "test/app:2", zstdChunkedLayer(SECOND));
  for (const tag of [1, 2]) await rig.pull(`${registry.host}/test/app:${tag}`, { tlsVerify: false });
  assertEquals(hasBlob(rig.folders, second.descriptor.digest), false);
  assertEquals(describeTree(layerPath(rig.folders, second.diffId, rig.context.form)), await wholeTree());
});

/** The first image is here, the second in the registry, both eStargz. */
async function pullSecondEstargz(members: readonly LayerMember[], options: TocLayerOptions = {}) {
  await using registry = FakeRegistry.start();
  await using rig = await makePullRig();
  await addImage(registry, "test/app:1", estargzLayer(FIRST, { chunkSize: 65_000 }));
  const second = await addImage(
    registry,
    "test/app:2",
    estargzLayer(members, { chunkSize: 65_000, ...options }),
  );
  await rig.pull(`${registry.host}/test/app:1`, { tlsVerify: false });
  let sent = 0;
  registry.hook = ({ path, headers: { range } }) => {
    if (!path.endsWith(`/blobs/${second.descriptor.digest}`)) return undefined;
    const answer = blobReply(second.blob, range);
    sent += answer.body!.length;
    return answer;
  };
  await rig.pull(`${registry.host}/test/app:2`, { tlsVerify: false });
  const said = rig.events.map((event) => event.kind === "status" ? event.text : "").join("\n");
  const tree = describeTree(layerPath(rig.folders, second.diffId, rig.context.form));
  return { sent, said, tree, blob: second.blob, hasBlob: hasBlob(rig.folders, second.descriptor.digest) };
}

/** But for what eStargz adds. */
function withoutOwnFiles(tree: readonly string[]): string[] {
  return tree.filter((line) => !/landmark|stargz\.index\.json/.test(line));
}

Deno.test("of an eStargz layer, too, only what no layer here has is fetched", async () => {
  for (const options of [{}, { prefetch: ["fresh"] }, { minMemberSize: 20_000 }]) {
    const { sent, said, tree, hasBlob } = await pullSecondEstargz(SECOND, options);
    // what shares a member with what is new comes with it
    const limit = FRESH.length + ("minMemberSize" in options ? 2 * 65_000 : 0) + 10_000;
    ok(sent < limit, `${sent} bytes were sent: ${said}`);
    match(said, /were here already/);
    assertEquals(withoutOwnFiles(tree), withoutOwnFiles(await wholeTree()));
    assertEquals(hasBlob, false);
  }
});

Deno.test("headers that another program wrote are fetched, with what is packed with them", async () => {
  // the very first header shows that they are others
  const sooner = [file("exact", encode("x"), { mtimeNs: 5 }), ...SECOND];
  const pulled = await pullSecondEstargz(sooner);
  match(pulled.said, /were here already/);
  // all pieces of the large file but the last
  const left = Math.floor(SHARED.length / 65_000) + Math.floor(OTHER.length / 65_000);
  const about = pulled.blob.length - left * 65_000;
  ok(Math.abs(pulled.sent - about) < 5_000, `${pulled.sent} bytes were sent, ${about} expected`);
  assertEquals(withoutOwnFiles(pulled.tree).length, withoutOwnFiles(await wholeTree()).length + 1);

  // one far behind, which nobody could know: the digest tells, and the layer is pulled whole
  const later = [...SECOND, file("exact", encode("x"), { mtimeNs: 5 }), file("end", OTHER)];
  const whole = await pullSecondEstargz(later);
  match(whole.said, /is pulled whole: .*its content has diff id/);
  assertEquals(whole.hasBlob, true);
  ok(whole.tree.length > 0);
});
