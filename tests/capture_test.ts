/** A changed tree becomes a layer that unpacks to exactly that tree. The store alone: commit_test.ts has containers. */
import { archiveOf, type Member } from "../runtime/archive/tar/testing.ts";
import type { RootfsPlan } from "../runtime/monitor/plan.ts";
import { blobPath, hasBlob } from "../runtime/storage/blobs.ts";
import { captureUpper, ensureBlob, settleArchives } from "../runtime/storage/capture.ts";
import { layerForm, layerPath } from "../runtime/storage/layers.ts";
import { fsetxattr } from "../ffi/xattr.ts";
import { Fd, open } from "../ffi/file.ts";
import { O_RDONLY } from "../ffi/constants/fcntl.ts";
import { assert, assertEquals, assertIncludes, messageOf } from "./assertions.ts";
import { type LayerRig, layerTest, makeLayerRig } from "./layer_rig.ts";
import { describeTree, type TreeOptions } from "./tree.ts";

const folder = (name: string, more: Partial<Member> = {}): Member => ({
  name,
  type: "directory",
  mode: 0o755,
  mtime: 1000,
  ...more,
});
const file = (name: string, data: string, more: Partial<Member> = {}): Member => ({
  name,
  type: "file",
  mode: 0o644,
  mtime: 2000,
  mtimeNs: 5,
  data,
  ...more,
});

const BASE = archiveOf(
  folder("etc/"),
  file("etc/passwd", "root"),
  folder("gone/"),
  file("gone/x", "x"),
  folder("again/"),
  file("again/old", "x"),
  folder("same/", { mtime: 77 }),
);

/** What an upper folder can hold, in the order that the archive of it has. */
const CHANGES: Member[] = [
  folder("again/", { mode: 0o700 }),
  { name: "again/.wh..wh..opq", type: "file", mode: 0, size: 0 },
  file("again/new", "n"),
  folder("etc/"),
  { name: "etc/.wh.passwd", type: "file", mode: 0, size: 0 },
  folder("new/", { uid: 7, gid: 8, mode: 0o1777 }),
  file("new/a\xffb", "bytes", { mode: 0o4755, uid: 3, gid: 4 }),
  file("new/b", "linked", { xattrs: new Map([["user.k", new Uint8Array([1, 2])]]) }),
  { name: "new/c", type: "hardlink", linkname: "new/b", mode: 0o644, mtime: 2000, mtimeNs: 5 },
  { name: "new/d", type: "symlink", linkname: "../etc/passwd", mode: 0o777, mtime: 5 },
  { name: "new/e", type: "fifo", mode: 0o600, mtime: 6 },
  { name: "new/f", type: "char", mode: 0o666, mtime: 6, devmajor: 1, devminor: 3 },
  file("new/sparse", "x", {
    size: 100_000_000,
    sparse: [{ offset: 50_003_968, length: 1 }, { offset: 100_000_000, length: 0 }],
  }),
];
const { sparse: _sparse, ...PLAIN } = CHANGES.at(-1)!;

/** The tree of an archive as an upper folder over the base. */
async function upperOf(rig: LayerRig, tar: Uint8Array<ArrayBuffer>, baseTar = BASE) {
  const form = layerForm(rig.context.namespaces);
  const base = await rig.job(baseTar);
  await rig.unpack(baseTar);
  const unpacked = await rig.unpack(tar);
  await rig.synced();
  const upper = `${rig.dir}/upper`;
  await Deno.rename(unpacked, upper);
  const lower = [layerPath(rig.context.folders, base.diffId, form)];
  const plan: RootfsPlan = {
    kind: "overlay",
    lower,
    upper,
    work: "",
    target: "",
    userxattr: rig.context.namespaces.isRootless,
    volatile: true,
  };
  // a root that the archive has no entry for is an upper folder of the image's root
  await Deno.chmod(upper, 0o755);
  return { upper, root: { plan, layers: [{ diffId: base.diffId }] } };
}

/** A whiteout's own times mean nothing. */
const describeMeaning = (top: string, options?: TreeOptions) =>
  describeTree(top, options).map((line) => line.replace(/( char 0 0:0 1 0) \S+ 0:0/, "$1 - 0:0"));

layerTest("a layer of every kind of entry unpacks to the tree that it was made of", async (rig) => {
  const { upper, root } = await upperOf(rig, archiveOf(...CHANGES));
  const wanted = describeMeaning(upper, { root: false });
  const layer = await captureUpper(rig.context, root, { omit: [], keepBlob: false });
  assert(layer !== null, "no layer");
  const path = layerPath(rig.context.folders, layer.diffId, layerForm(rig.context.namespaces));
  assertEquals(describeMeaning(path, { root: false }), wanted);
  assert(!hasBlob(rig.context.folders, layer.digest), "there is a blob");
  await ensureBlob(rig.context, layer);
  const blob = await Deno.readFile(blobPath(rig.context.folders, layer.digest));
  assertEquals(blob.length, layer.size);
  await using other = await makeLayerRig();
  const again = await other.unpack(blob);
  assertEquals(describeMeaning(again), describeMeaning(path));
  // a tree that is not what it was is found out
  await rig.synced();
  await Deno.remove(blobPath(rig.context.folders, layer.digest));
  await Deno.writeTextFile(`${path}/new/b`, "LINKED");
  assertIncludes(await messageOf(() => ensureBlob(rig.context, layer)), "its files are not what they were");
});

layerTest("a kept tree and a renamed one give the same layer", async (rig) => {
  const { upper, root } = await upperOf(rig, archiveOf(...CHANGES.slice(0, -1), { ...PLAIN, size: 1 }));
  const before = describeMeaning(upper);
  const kept = await captureUpper(rig.context, root, { omit: [], keepBlob: true, keepTree: true });
  assertEquals(describeMeaning(upper), before);
  await Deno.remove(blobPath(rig.context.folders, kept!.digest));
  // one that does not wait for the disk is there when it is asked for
  const renamed = await captureUpper(rig.context, root, { omit: [], keepBlob: "later" });
  assertEquals(renamed, kept);
  await ensureBlob(rig.context, renamed!);
  assert(hasBlob(rig.context.folders, kept!.digest, kept!.size), "no blob");
  await settleArchives();
  const partial = [...Deno.readDirSync(`${rig.context.folders.blobs}/partial`)].map(({ name }) => name);
  assertEquals(partial.filter((name) => name.startsWith("layer-")), []);
});

layerTest("mount points, unchanged folders and the overlay's own marks are left out", async (rig) => {
  const { upper, root } = await upperOf(
    rig,
    archiveOf(
      folder("etc/", { mtime: 9999 }),
      file("etc/hosts", "", { mtime: 9999 }),
      folder("run/", { mtime: 9999 }),
      folder("run/secrets/", { mtime: 9999 }),
      folder("same/", { mtime: 77 }),
    ),
  );
  {
    using fd = new Fd(open(`${upper}/same`, O_RDONLY));
    const prefix = rig.context.namespaces.isRootless ? "user" : "trusted";
    fsetxattr(fd.number, `${prefix}.overlay.impure`, new Uint8Array([0x79]));
    fsetxattr(fd.number, `${prefix}.overlay.opaque`, new Uint8Array([0x79]));
  }
  const omit = ["/etc/hosts", "/run/secrets", "/dev"];
  // opaque over a folder that is there: a change, and the only one
  const layer = await captureUpper(rig.context, root, { omit, keepBlob: true });
  const path = layerPath(rig.context.folders, layer!.diffId, layerForm(rig.context.namespaces));
  const [, ...lines] = describeMeaning(path);
  assertEquals(lines.length, 1);
  assertIncludes(lines[0]!, "same");
  assert(!lines[0]!.includes("impure"), lines[0]!);
});

layerTest("what was mounted behind links of the image is left out as well", async (rig) => {
  const base = archiveOf(
    folder("run/"),
    folder("var/"),
    { name: "var/run", type: "symlink", linkname: "../run", mode: 0o777, mtime: 5 },
    { name: "loop", type: "symlink", linkname: "loop", mode: 0o777, mtime: 5 },
    { name: "abs", type: "symlink", linkname: "/var/run/../run", mode: 0o777, mtime: 5 },
  );
  const tar = archiveOf(
    folder("run/", { mtime: 9999 }),
    folder("run/a/"),
    folder("run/a/b/"),
    file("run/one", ""),
  );
  const { root } = await upperOf(rig, tar, base);
  const omit = ["/var/run/a/b", "/abs/one", "/loop/x"];
  assertEquals(await captureUpper(rig.context, root, { omit, keepBlob: true }), null);
});

layerTest("a whole copy shows changes that have left size and time alone", async (rig) => {
  const entries = (bytes: string, target: string, value: number) => [
    folder("d/"),
    file("d/bytes", bytes),
    file("d/marked", "m", { xattrs: new Map([["user.k", new Uint8Array([value])]]) }),
    file("d/same", "s", { xattrs: new Map([["user.k", new Uint8Array([1])]]) }),
    { name: "d/link", type: "symlink", linkname: target, mode: 0o777, mtime: 5 } as Member,
  ];
  const base = await rig.job(archiveOf(...entries("one12", "here", 1)));
  await rig.unpack(archiveOf(...entries("one12", "here", 1)));
  const copyOf = async (tar: Uint8Array<ArrayBuffer>) => {
    const source = `${rig.dir}/copy-${crypto.randomUUID()}`;
    const unpacked = await rig.unpack(tar);
    await rig.synced();
    await Deno.rename(unpacked, source);
    return { plan: { kind: "directory", source, target: "" } as const, layers: [{ diffId: base.diffId }] };
  };
  const changed = await copyOf(archiveOf(...entries("one34", "away", 2)));
  const layer = await captureUpper(rig.context, changed, { omit: [], keepBlob: true });
  const path = layerPath(rig.context.folders, layer!.diffId, layerForm(rig.context.namespaces));
  assertEquals([...Deno.readDirSync(`${path}/d`)].map(({ name }) => name).sort(), [
    "bytes",
    "link",
    "marked",
  ]);
  assertEquals(Deno.readTextFileSync(`${path}/d/bytes`), "one34");
  // what no layer has is a change, and nothing else of the same tree is one
  const more = await copyOf(archiveOf(...entries("one12", "here", 1), file("new", "n")));
  const small = await captureUpper(rig.context, more, { omit: [], keepBlob: true });
  const shown = layerPath(rig.context.folders, small!.diffId, layerForm(rig.context.namespaces));
  assertEquals([...Deno.readDirSync(shown)].map(({ name }) => name), ["new"]);
});

layerTest("a tree without changes gives no layer, and times are set as asked", async (rig) => {
  const nothing = await upperOf(rig, archiveOf(folder("etc/", { mtime: 9999 }), file("etc/hosts", "")));
  assertEquals(await captureUpper(rig.context, nothing.root, { omit: ["/etc/hosts"], keepBlob: true }), null);
  await Deno.remove(nothing.upper, { recursive: true });
  await rig.clear();
  const { root } = await upperOf(rig, archiveOf(folder("new/", { mtime: 5000 }), file("new/x", "x")));
  const layer = await captureUpper(rig.context, root, {
    omit: [],
    keepBlob: true,
    times: { seconds: 3000, apply: "later" },
  });
  const path = layerPath(rig.context.folders, layer!.diffId, layerForm(rig.context.namespaces));
  const times = ["new", "new/x"].map((name) => Deno.statSync(`${path}/${name}`).mtime!.getTime());
  assertEquals(times, [3_000_000, 2_000_000]);
  await using other = await makeLayerRig();
  const blob = await Deno.readFile(blobPath(rig.context.folders, layer!.digest));
  assertEquals(describeMeaning(await other.unpack(blob)), describeMeaning(path));
});

layerTest("a file whose name is that of a whiteout is refused", async (rig) => {
  const { upper, root } = await upperOf(rig, archiveOf(folder("new/")));
  await Deno.writeTextFile(`${upper}/new/.wh.x`, "");
  const message = await messageOf(() => captureUpper(rig.context, root, { omit: [], keepBlob: false }));
  assertIncludes(message, 'capture layer: "/new/.wh.x": a layer cannot hold names that begin with .wh.');
});
