import { deepStrictEqual as assertEquals } from "node:assert";
import { lockPath } from "../container/state.ts";
import { imagesLockPath, recordImage } from "../image/store.ts";
import type { Digest } from "../spec/digest.ts";
import { insertContainer } from "../state/containers.ts";
import { tryLock } from "../state/locks.ts";
import { putVolume, putVolumeUse } from "../state/volumes.ts";
import { writeState } from "../monitor/records.ts";
import { containerRow } from "../../tests/container_row.ts";
import { type Engine, openEngine } from "./engine.ts";
import { collectContainerGarbage, collectImageGarbage, discard, forgetContainer } from "./garbage.ts";
import { ps } from "./ps.ts";

const ID = "ab".repeat(32);

async function withEngine(test: (engine: Engine) => Promise<void>): Promise<void> {
  const root = Deno.makeTempDirSync();
  const engine = openEngine({ dataFolder: `${root}/data`, runtimeFolder: `${root}/run` });
  try {
    await test(engine);
  } finally {
    engine[Symbol.dispose]();
    Deno.removeSync(root, { recursive: true });
  }
}

const exists = (path: string) => {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
};

const age = (path: string) => Deno.utimeSync(path, 1, 1);

function makeOrphan(engine: Engine): string {
  const dir = engine.containerDir(ID);
  Deno.mkdirSync(`${dir}/work/work`, { recursive: true });
  Deno.writeTextFileSync(lockPath(dir), "");
  Deno.chmodSync(`${dir}/work/work`, 0);
  return dir;
}

function insertRow(db: Awaited<ReturnType<Engine["database"]>>): void {
  insertContainer(db, containerRow({ id: ID }));
}

Deno.test("a folder whose creator was killed before the row is removed, overlay's closed work folder too", () =>
  withEngine(async (engine) => {
    const dir = makeOrphan(engine);
    await collectContainerGarbage(engine);
    assertEquals(exists(dir), false);
    assertEquals([...Deno.readDirSync(engine.folders.tmp)], []);
  }));

Deno.test("a folder that is being created is left alone", () =>
  withEngine(async (engine) => {
    const dir = makeOrphan(engine);
    using _creator = tryLock(lockPath(dir));
    await collectContainerGarbage(engine);
    assertEquals(exists(dir), true);
  }));

Deno.test("a folder without a lock yet is given a minute", () =>
  withEngine(async (engine) => {
    const dir = engine.containerDir(ID);
    Deno.mkdirSync(dir);
    await collectContainerGarbage(engine);
    assertEquals(exists(dir), true);
    age(dir);
    await collectContainerGarbage(engine);
    assertEquals(exists(dir), false);
  }));

Deno.test("a container with a row keeps its folder", () =>
  withEngine(async (engine) => {
    const dir = makeOrphan(engine);
    insertRow(await engine.database());
    await collectContainerGarbage(engine);
    assertEquals(exists(dir), true);
  }));

Deno.test("an interrupted removal is finished", () =>
  withEngine(async (engine) => {
    discard(engine, makeOrphan(engine));
    assertEquals([...Deno.readDirSync(engine.folders.tmp)].length, 1);
    await collectContainerGarbage(engine);
    assertEquals([...Deno.readDirSync(engine.folders.tmp)], []);
  }));

Deno.test("a removal that was killed between its transactions is finished", () =>
  withEngine(async (engine) => {
    const db = await engine.database();
    insertRow(db);
    db.run("UPDATE containers SET state = 'removing'");
    const dir = makeOrphan(engine);
    {
      using _remover = tryLock(lockPath(dir));
      await collectContainerGarbage(engine);
      assertEquals(exists(dir), true);
    }
    await collectContainerGarbage(engine);
    assertEquals([exists(dir), db.get("SELECT count(*) AS n FROM containers")?.n], [false, 0]);
  }));

Deno.test("a container of --rm that its killed monitor left is gone from the next ps", () =>
  withEngine(async (engine) => {
    const db = await engine.database();
    insertRow(db);
    db.run("UPDATE containers SET auto_remove = 1, state = 'starting'");
    const dir = makeOrphan(engine);
    writeState(dir, {
      version: 1,
      status: "running",
      monitorPid: 4194303,
      initPid: 4194302,
      initStartTime: "1",
      startedAt: "2026-01-01T00:00:00Z",
      bootId: "another",
    });
    await ps(engine, { all: true });
    assertEquals(await ps(engine, { all: true }), []);
    assertEquals(exists(dir), false);
  }));

Deno.test("a container whose folder was removed by hand is gone from the next ps", () =>
  withEngine(async (engine) => {
    insertRow(await engine.database());
    assertEquals(await ps(engine, { all: true }), []);
  }));

Deno.test("a socket that nobody listens on is removed when it is no longer young", () =>
  withEngine(async (engine) => {
    const path = `${engine.folders.run}/c/dead`;
    Deno.listen({ transport: "unix", path }).close();
    if (!exists(path)) Deno.writeTextFileSync(path, "");
    await collectContainerGarbage(engine);
    assertEquals(exists(path), true);
    age(path);
    await collectContainerGarbage(engine);
    assertEquals(exists(path), false);
  }));

function makeVolume(engine: Engine, name: string): string {
  const path = `${engine.folders.volumes}/${name}`;
  Deno.mkdirSync(`${path}/_data`, { recursive: true });
  return path;
}

Deno.test("anonymous volumes go with their last container, named and shared ones stay", () =>
  withEngine(async (engine) => {
    const db = await engine.database();
    insertRow(db);
    const volumes = [["own", true], ["shared", true], ["named", false]] as const;
    for (const [name, anonymous] of volumes) {
      makeVolume(engine, name);
      putVolume(db, { name, createdAt: "", labels: {}, anonymous });
      putVolumeUse(db, ID, name);
    }
    db.run(
      "INSERT INTO containers SELECT 'cd', 'other', image_id, image_name, command, created_at, state, '', '', 0, '', 0, 0, 0, labels, mounts, network, restart_policy, ports, pod FROM containers",
    );
    putVolumeUse(db, "cd", "shared");
    await forgetContainer(engine, ID, true);
    assertEquals(Array.from(Deno.readDirSync(engine.folders.volumes), ({ name }) => name).sort(), [
      "named",
      "shared",
    ]);
  }));

Deno.test("without being asked no volume goes with its container", () =>
  withEngine(async (engine) => {
    const db = await engine.database();
    insertRow(db);
    const path = makeVolume(engine, "own");
    putVolume(db, { name: "own", createdAt: "", labels: {}, anonymous: true });
    putVolumeUse(db, ID, "own");
    await forgetContainer(engine, ID, false);
    age(path);
    await collectContainerGarbage(engine);
    assertEquals(exists(path), true);
  }));

Deno.test("a volume's folder that never got a row is removed when it is no longer young", () =>
  withEngine(async (engine) => {
    const path = makeVolume(engine, "orphan");
    await collectContainerGarbage(engine);
    assertEquals(exists(path), true);
    age(path);
    await collectContainerGarbage(engine);
    assertEquals(exists(path), false);
  }));

function putContent(engine: Engine): { blob: string; layer: string; partial: string } {
  const hex = "cd".repeat(32);
  const paths = {
    blob: `${engine.folders.blobs}/sha256/${hex}`,
    layer: `${engine.folders.layers}/${hex}`,
    partial: `${engine.folders.blobs}/partial/${hex}`,
  };
  Deno.writeTextFileSync(paths.blob, "");
  Deno.writeTextFileSync(paths.partial, "");
  Deno.mkdirSync(`${paths.layer}/full`, { recursive: true });
  return paths;
}

Deno.test("content that no image refers to goes, a download that may be resumed stays", () =>
  withEngine(async (engine) => {
    const { blob, layer, partial } = putContent(engine);
    await collectImageGarbage(engine);
    assertEquals([exists(blob), exists(layer), exists(partial)], [false, false, true]);
    age(partial);
    await collectImageGarbage(engine);
    assertEquals(exists(partial), false);
  }));

Deno.test("nothing is collected while a pull is on its way", () =>
  withEngine(async (engine) => {
    const { blob, layer } = putContent(engine);
    {
      using _pull = tryLock(imagesLockPath(engine.folders), { shared: true });
      await collectImageGarbage(engine);
      assertEquals([exists(blob), exists(layer)], [true, true]);
    }
    await collectImageGarbage(engine);
    assertEquals([exists(blob), exists(layer)], [false, false]);
  }));

Deno.test("content of a recorded image stays", () =>
  withEngine(async (engine) => {
    const { blob, layer } = putContent(engine);
    const digest = `sha256:${"cd".repeat(32)}` as Digest;
    await recordImage(await engine.database(), {
      name: "docker.io/library/x:latest",
      digest: `sha256:${"01".repeat(32)}`,
      imageId: `sha256:${"02".repeat(32)}`,
      config: { architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [digest] } },
      layers: [{ digest, size: 0, mediaType: "x", diffId: digest }],
      size: 0,
    });
    await collectImageGarbage(engine);
    assertEquals([exists(blob), exists(layer)], [true, true]);
  }));
