/** Layers in the store: there whole or not at all, whoever is killed, gives up or does the same at once. */
import { archiveOf } from "../runtime/archive/tar/testing.ts";
import { digestHex } from "../runtime/spec/digest.ts";
import {
  hasLayer,
  layerBytes,
  layerPath,
  removeAbandonedLayers,
  removeLayer,
  startExtraction,
} from "../runtime/storage/layers.ts";
import { flattenLayers } from "../runtime/storage/flatten.ts";
import { ensureShiftedLayers } from "../runtime/storage/shifted_layers.ts";
import { createVolume, listVolumeFolders, removeVolumes, volumePath } from "../runtime/storage/volumes.ts";
import { assert, assertEquals, assertIncludes, messageOf } from "./assertions.ts";
import { layerTest } from "./layer_rig.ts";
import { describeTree, differences } from "./tree.ts";

const random = crypto.getRandomValues(new Uint8Array(60_000));
const TAR = archiveOf(
  { name: "d", type: "directory", mode: 0o750, uid: 5, gid: 6, mtime: 7, mtimeNs: 8 },
  ...Array.from({ length: 100 }, (_, index) => ({
    name: `d/${index}`,
    type: "file" as const,
    mode: 0o4751,
    uid: index,
    gid: 100,
    mtime: 1000,
    mtimeNs: index,
    xattrs: new Map([["user.number", new Uint8Array([index])]]),
    data: random,
  })),
  { name: "d/link", type: "hardlink", linkname: "d/5" },
  { name: "d/symlink", type: "symlink", linkname: "5", mode: 0o777, uid: 9, gid: 9, mtime: 3 },
  {
    name: "d/holes",
    type: "file",
    mode: 0o644,
    size: 9_000_000,
    sparse: [{ offset: 8_000_000, length: 1 }],
    data: "x",
  },
  { name: "d/.wh.gone", type: "file" },
  { name: "o", type: "directory", mode: 0o755 },
  { name: "o/.wh..wh..opq", type: "file" },
);

layerTest("a layer is unpacked while its blob still grows, and appears when it is whole", async (rig) => {
  const job = await rig.job(TAR);
  const bytes = await Deno.readFile(job.blobFile);
  await Deno.truncate(job.blobFile, 0);
  const progress: number[] = [];
  const extraction = await startExtraction(rig.context, job, { onProgress: (done) => progress.push(done) });
  using file = await Deno.open(job.blobFile, { write: true });
  for (let at = 0; at < bytes.length; at += 100_000) {
    await file.write(bytes.subarray(at, at + 100_000));
    extraction.grow(Math.min(at + 100_000, bytes.length));
    assertEquals(hasLayer(rig.context.folders, job.diffId, job.form), false);
  }
  await extraction.finish();
  assertEquals(rig.layers(), [`${digestHex(job.diffId)}/root`]);
  assert(progress.length > 0 && progress.every((done) => done <= bytes.length));
});

layerTest("a download that is given up leaves nothing", async (rig) => {
  const job = await rig.job(TAR);
  const extraction = await startExtraction(rig.context, job);
  extraction.grow(job.size >> 1);
  await extraction.abort();
  assertEquals(rig.layers(), []);
});

layerTest("a layer that nobody wants any more is given up, though its blob is complete", async (rig) => {
  const job = await rig.job(TAR);
  const extraction = await startExtraction(rig.context, job);
  extraction.grow(job.size);
  const message = await messageOf(() => extraction.finish(AbortSignal.abort(new Error("interrupted"))));
  assertEquals([message, rig.layers()], ["interrupted", []]);
});

layerTest("a layer knows the size of its archive", async (rig) => {
  const job = await rig.job(TAR);
  await rig.unpack(TAR);
  assertEquals(layerBytes(rig.context.folders, job.diffId, job.form), TAR.length);
});

layerTest("four that unpack the same layer at once all succeed, and one layer is there", async (rig) => {
  const job = await rig.job(TAR);
  const all = await Promise.all(Array.from({ length: 4 }, () => startExtraction(rig.context, job)));
  for (const one of all) one.grow(job.size);
  await Promise.all(all.map((one) => one.finish()));
  assertEquals(rig.layers(), [`${digestHex(job.diffId)}/root`]);
});

layerTest(
  "what a killed child left is removed by the next command, what a living one does is not",
  async (rig) => {
    const job = await rig.job(TAR);
    const before = children();
    const killed = await startExtraction(rig.context, job);
    killed.grow(job.size >> 1);
    const victims = children().filter((pid) => !before.includes(pid));
    const living = await startExtraction(rig.context, await rig.job(TAR));
    living.grow(job.size >> 1);
    while (rig.layers().length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    for (const pid of victims) Deno.kill(pid, "SIGKILL");
    assertIncludes(await messageOf(() => killed.finish()), "ended without a result");
    assertEquals(rig.layers().length, 2);
    await removeAbandonedLayers(rig.context);
    assertEquals(rig.layers().length, 1);
    living.grow(job.size);
    await living.finish();
    assertEquals(rig.layers(), [`${digestHex(job.diffId)}/root`]);
  },
);

layerTest("a layer that a crash of the machine caught before its sync is unpacked again", async (rig) => {
  const path = await rig.unpack(TAR);
  await rig.synced();
  const { diffId, form } = await rig.job(TAR);
  assertEquals([...Deno.readDirSync(path.slice(0, path.lastIndexOf("/")))].map(({ name }) => name).sort(), [
    "root",
    "root.bytes",
  ]);
  // What another boot left: a mark, and a file that never reached the disk.
  await Deno.writeTextFile(`${path}.unsynced`, "another boot");
  await Deno.truncate(`${path}/d/5`);
  assertEquals(hasLayer(rig.context.folders, diffId, form), false);
  await rig.unpack(TAR);
  await rig.synced();
  assertEquals([hasLayer(rig.context.folders, diffId, form), Deno.statSync(`${path}/d/5`).size], [
    true,
    60_000,
  ]);
  assertEquals(rig.layers(), [`${digestHex(diffId)}/root`]);

  await Deno.writeTextFile(`${path}.unsynced`, "another boot");
  await removeAbandonedLayers(rig.context);
  assertEquals(rig.layers(), []);
});

layerTest("a shifted copy differs in its ids alone", async (rig) => {
  const path = await rig.unpack(TAR);
  const { diffId } = await rig.job(TAR);
  const map = [{ containerID: 0, hostID: 1000, size: 500 }, { containerID: 500, hostID: 0, size: 10 }];
  const form = await ensureShiftedLayers(rig.context, [diffId], { uid: map, gid: map });
  const shifted = layerPath(rig.context.folders, diffId, form);
  const back = (id: number) => id - 1000;
  // A whiteout belongs to nobody.
  const skip = (kind: string) => kind === "char";
  const [a, b] = [describeTree(path, { skip }), describeTree(shifted, { uid: back, gid: back, skip })];
  assertEquals(differences(a, b), []);
  assert(Deno.statSync(`${shifted}/d/holes`).blocks! <= 16, "the copy has lost its holes");
  assert(Deno.lstatSync(`${shifted}/d/gone`).isCharDevice, "the copy has lost its whiteout");
});

layerTest("a copy that meets an id without a place says so and leaves nothing", async (rig) => {
  await rig.unpack(TAR);
  const { diffId } = await rig.job(TAR);
  const map = [{ containerID: 0, hostID: 1000, size: 50 }];
  const message = await messageOf(() => ensureShiftedLayers(rig.context, [diffId], { uid: map, gid: map }));
  assertIncludes(message, "is not in the container's user namespace");
  assertEquals(rig.layers(), [`${digestHex(diffId)}/root`]);
});

layerTest("layers are merged with whiteouts and opaque folders performed", async (rig) => {
  const text = (name: string, data: string) => ({ name, type: "file" as const, mode: 0o644, data });
  const lower = await rig.unpack(archiveOf(
    { name: "d", type: "directory", mode: 0o700 },
    text("d/gone", "x"),
    text("d/kept", "kept"),
    { name: "o", type: "directory", mode: 0o700 },
    text("o/hidden", "x"),
    text("replaced", "x"),
  ));
  const upper = await rig.unpack(archiveOf(
    { name: "d", type: "directory", mode: 0o711 },
    text("d/.wh.gone", ""),
    { name: "o", type: "directory", mode: 0o755 },
    text("o/.wh..wh..opq", ""),
    text("o/new", "new"),
    { name: "replaced", type: "directory", mode: 0o755 },
  ));
  await flattenLayers(rig.context, [upper, lower], rig.dir, "flat");
  const paths = describeTree(`${rig.dir}/flat`, { root: false }).map((line) =>
    line.split(" ").slice(0, 3).join(" ")
  );
  assertEquals(paths, [
    "d folder 711",
    "d/kept file 644",
    "o folder 755",
    "o/new file 644",
    "replaced folder 755",
  ]);
  assertEquals([...Deno.readDirSync(rig.dir)].filter(({ name }) => name.includes(".tmp-")), []);
});

layerTest("a layer is removed with all its forms", async (rig) => {
  await rig.unpack(TAR);
  const { diffId } = await rig.job(TAR);
  await removeLayer(rig.context, diffId);
  assertEquals([...Deno.readDirSync(rig.context.folders.layers)], []);
});

layerTest("a tree deeper than a path can be long is removed", async (rig) => {
  const { folders } = rig.context;
  createVolume(folders, "deep");
  const script =
    "i=0; while [ $i -lt 600 ]; do mkdir abcdefgh && cd -P abcdefgh || exit 1; i=$((i+1)); done; touch f";
  const { code } = await new Deno.Command("bash", { args: ["-c", script], cwd: volumePath(folders, "deep") })
    .output();
  assertEquals(code, 0);
  await removeVolumes(rig.context, ["deep"]);
  assertEquals(listVolumeFolders(folders), []);
  assertEquals([...Deno.readDirSync(folders.volumes)], []);
});

layerTest("removing a tree does not follow its links", async (rig) => {
  const { folders } = rig.context;
  createVolume(folders, "v");
  const before = rig.outside();
  Deno.symlinkSync(`${rig.dir}/outside`, `${volumePath(folders, "v")}/link`);
  Deno.symlinkSync(rig.canary, `${volumePath(folders, "v")}/canary`);
  await removeVolumes(rig.context, ["v"]);
  assertEquals(rig.outside(), before);
  assertEquals(await messageOf(() => removeVolumes(rig.context, ["v"])), "no such volume: v");
});

/** pids whose parent is this process. */
function children(): number[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).filter((pid) => {
    try {
      return Deno.readTextFileSync(`/proc/${pid}/status`).includes(`\nPPid:\t${Deno.pid}\n`);
    } catch {
      return false; // No process, or it has ended.
    }
  });
}
