import { assertEquals } from "../../tests/assertions.ts";
import { lsetxattr } from "../../ffi/xattr.ts";
import { captureHere, type CaptureJob } from "./capture_task.ts";
import { surveyUpper } from "./upper_survey.ts";

const ROOMY = { copy: { entries: 100, bytes: 1 << 20 }, archiveBytes: 1 << 20 };

/** A tree of two files in a folder, and what is below the folder that it is copied in and that of the layers. */
function makeRig() {
  const dir = Deno.makeTempDirSync();
  for (const name of ["upper/inner", "tmp", "layers"]) Deno.mkdirSync(`${dir}/${name}`, { recursive: true });
  for (const name of ["inner/a", "inner/b"]) Deno.writeTextFileSync(`${dir}/upper/${name}`, "x".repeat(100));
  const owner = { uid: Deno.uid()!, gid: Deno.gid()! };
  const job: CaptureJob = {
    kind: "overlay",
    path: `${dir}/upper`,
    lower: [],
    form: "full",
    publish: { layersDir: `${dir}/layers`, copyIn: `${dir}/tmp` },
    omit: [],
    owner,
    ids: (ids) => ids,
  };
  const list = (name: string) => [...Deno.readDirSync(`${dir}/${name}`)].map((entry) => entry.name);
  return { dir, job, list, [Symbol.dispose]: () => Deno.removeSync(dir, { recursive: true }) };
}

async function failure(captured: Promise<unknown>): Promise<string | undefined> {
  return await captured.then(() => undefined, (error: Error) => error.message);
}

/** Those of the files below `dir`. */
function openFiles(dir: string): string[] {
  return [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
    try {
      const link = Deno.readLinkSync(`/proc/self/fd/${name}`);
      return link.startsWith(dir) ? [link] : [];
    } catch {
      return []; // that of the listing
    }
  });
}

Deno.test("a tree that has grown since it was looked at is not captured here, and no copy of it stays", async () => {
  using rig = makeRig();
  const limits = (copy: { entries: number; bytes: number }) => ({ ...ROOMY, copy });
  const tooLarge = "copy layer: it is larger than it may be";
  assertEquals(await failure(captureHere(rig.job, limits({ entries: 2, bytes: 1 << 20 }))), tooLarge);
  assertEquals(await failure(captureHere(rig.job, limits({ entries: 3, bytes: 199 }))), tooLarge);
  assertEquals([rig.list("tmp"), rig.list("layers"), openFiles(rig.dir)], [[], [], []]);
  const captured = await captureHere(rig.job, limits({ entries: 3, bytes: 1 << 20 }));
  assertEquals(rig.list("layers"), [captured!.diffId.slice("sha256:".length)]);
});

Deno.test("extended attributes count as what files hold", async () => {
  using rig = makeRig();
  const upper = `${rig.dir}/upper`;
  const size = () => surveyUpper(upper, rig.job.owner!, 1 << 20)!.bytes;
  const before = size();
  const value = new Uint8Array(1000);
  for (const name of ["inner/a", "inner"]) lsetxattr(`${upper}/${name}`, "user.large", value);
  assertEquals(size() - before, 2 * (value.length + "user.large".length));
  assertEquals(surveyUpper(upper, rig.job.owner!, before), undefined);
  // 200 bytes of files
  const limits = (bytes: number) => ({ ...ROOMY, copy: { entries: 3, bytes } });
  const tooLarge = "copy layer: it is larger than it may be";
  assertEquals(await failure(captureHere(rig.job, limits(200 + 2 * 1010 - 1))), tooLarge);
  assertEquals([rig.list("tmp"), rig.list("layers"), openFiles(rig.dir)], [[], [], []]);
  assertEquals(await failure(captureHere(rig.job, limits(4096))), undefined);
});

Deno.test("where a file of the copy cannot be opened, those that were are closed", async () => {
  using rig = makeRig();
  const capturing = captureHere(rig.job, ROOMY);
  // it has read the copy, and waits for the archive's digest
  const copy = rig.list("tmp").find((name) => name.startsWith("steps-"))!;
  Deno.removeSync(`${rig.dir}/tmp/${copy}/tree/inner/b`);
  assertEquals(/^openat `b`: No such file/.test(await failure(capturing) ?? ""), true);
  assertEquals([rig.list("tmp"), rig.list("layers"), openFiles(rig.dir)], [[], [], []]);
});
