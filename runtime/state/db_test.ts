import { deepStrictEqual as assertEquals, rejects } from "node:assert";
import { foldLongLogs, openDatabase } from "./db.ts";
import { MIGRATIONS } from "./migrations.ts";
import { findImageByName, listImages, listReferencedContent, putImage, putName } from "./images.ts";

const image = (id: string) => ({
  id,
  digest: `sha256:m${id}`,
  indexDigest: null,
  architecture: "amd64",
  os: "linux",
  created: "2026-01-01T00:00:00Z",
  recordedAt: "2026-01-02T00:00:00Z",
  size: 3,
  config: "{}",
});
const layer = { digest: "sha256:b", diffId: "sha256:d", size: 3, mediaType: "x" };

Deno.test("a new database has every migration and is private", async () => {
  const folder = Deno.makeTempDirSync();
  using db = await openDatabase(`${folder}/skiff.db`);
  assertEquals(
    db.get("PRAGMA user_version"),
    Object.assign(Object.create(null), { user_version: MIGRATIONS.length }),
  );
  assertEquals(Deno.statSync(`${folder}/skiff.db`).mode! & 0o777, 0o600);
  assertEquals(Deno.statSync(`${folder}/skiff.db-wal`).mode! & 0o777, 0o600);
  Deno.removeSync(folder, { recursive: true });
});

Deno.test("a log that commands without an end leave is folded in once it is long", async () => {
  const folder = Deno.makeTempDirSync();
  const path = `${folder}/skiff.db`;
  const logSize = () => Deno.statSync(`${path}-wal`).size;
  using db = await openDatabase(path);
  const record = (id: string) =>
    db.transaction(() => putImage(db, { ...image(id), config: "x".repeat(1000) }, []));
  await record("short");
  const short = logSize();
  foldLongLogs();
  assertEquals(logSize(), short);
  for (let count = 0; logSize() <= 256 * 1024; count++) await record(`i${count}`);
  const images = listImages(db).length;
  foldLongLogs();
  assertEquals(logSize(), 0);
  assertEquals(listImages(db).length, images);
  Deno.removeSync(folder, { recursive: true });
});

Deno.test("the log has room on the disk beyond its end", async () => {
  const folder = Deno.makeTempDirSync();
  const path = `${folder}/skiff.db`;
  using db = await openDatabase(path);
  await db.transaction(() => putImage(db, image("one"), []));
  const before = Deno.statSync(`${path}-wal`);
  foldLongLogs();
  const after = Deno.statSync(`${path}-wal`);
  assertEquals(after.size, before.size);
  assertEquals(before.blocks! * 512 < 1024 * 1024, true);
  assertEquals(after.blocks! * 512 >= 1024 * 1024, true);
  Deno.removeSync(folder, { recursive: true });
});

Deno.test("a database of a newer skiff is refused in one sentence", async () => {
  const folder = Deno.makeTempDirSync();
  const path = `${folder}/skiff.db`;
  (await openDatabase(path)).exec("PRAGMA user_version = 999");
  await rejects(() => openDatabase(path), {
    message:
      `open database "${path}": it was written by a newer skiff (schema 999, this one knows ${MIGRATIONS.length})`,
  });
  Deno.removeSync(folder, { recursive: true });
});

Deno.test("a file that is no database is named", async () => {
  const path = Deno.makeTempFileSync();
  Deno.writeTextFileSync(path, "x".repeat(4096));
  await rejects(() => openDatabase(path), { message: `open database "${path}": file is not a database` });
  Deno.removeSync(path);
});

Deno.test("a transaction that throws leaves nothing behind", async () => {
  const folder = Deno.makeTempDirSync();
  using db = await openDatabase(`${folder}/skiff.db`);
  await rejects(() =>
    db.transaction(() => {
      putImage(db, image("aa"), [layer]);
      throw new Error("killed");
    }), { message: "killed" });
  assertEquals(listImages(db), []);
  Deno.removeSync(folder, { recursive: true });
});

Deno.test("two connections write in turn and see each other", async () => {
  const folder = Deno.makeTempDirSync();
  using one = await openDatabase(`${folder}/skiff.db`);
  using two = await openDatabase(`${folder}/skiff.db`);
  await Promise.all(Array.from({ length: 20 }, (_, i) => {
    const db = i % 2 ? one : two;
    return db.transaction(() => putImage(db, image(`${i}`), []));
  }));
  assertEquals(listImages(one).length, 20);
  Deno.removeSync(folder, { recursive: true });
});

Deno.test("a write waits for another connection's transaction without blocking the event loop", async () => {
  const folder = Deno.makeTempDirSync();
  using one = await openDatabase(`${folder}/skiff.db`);
  using two = await openDatabase(`${folder}/skiff.db`);
  one.exec("BEGIN IMMEDIATE");
  const write = two.transaction(() => putImage(two, image("aa"), []));
  await new Promise((resolve) => setTimeout(resolve, 20));
  one.exec("COMMIT");
  await write;
  assertEquals(listImages(one).length, 1);
  Deno.removeSync(folder, { recursive: true });
});

Deno.test("a name moves to the image that got it last", async () => {
  const folder = Deno.makeTempDirSync();
  using db = await openDatabase(`${folder}/skiff.db`);
  putImage(db, image("aa"), [layer]);
  putImage(db, image("bb"), [layer]);
  putName(db, "docker.io/library/x:latest", "aa");
  putName(db, "docker.io/library/x:latest", "bb");
  assertEquals(findImageByName(db, "docker.io/library/x:latest")?.id, "bb");
  assertEquals(listReferencedContent(db), {
    blobs: new Set(["sha256:aa", "sha256:maa", "sha256:bb", "sha256:mbb", "sha256:b"]),
    diffIds: new Set(["sha256:d"]),
  });
  Deno.removeSync(folder, { recursive: true });
});
