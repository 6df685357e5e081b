import { deepStrictEqual as assertEquals } from "node:assert";
import { namespaceContext } from "../../namespaces/context.ts";
import { openFolders } from "../../state/folders.ts";
import { tryLock } from "../../state/locks.ts";
import { type CacheMount, openCacheMounts } from "./cache_mounts.ts";

const MOUNT: CacheMount = {
  type: "cache",
  target: "/cache",
  id: "a",
  source: "/",
  readOnly: false,
  sharing: "locked",
  mode: 0o755,
  uid: 0,
  gid: 0,
};

Deno.test("a cache mount is locked, is told as used, and outlasts a prune that it waits for", async () => {
  const dir = await Deno.makeTempDir({ prefix: "skiff-cache-mount-" });
  await Deno.mkdir(`${dir}/data`, { mode: 0o700 });
  const folders = openFolders({ data: `${dir}/data`, run: `${dir}/data/run` });
  const services = { folders, namespaces: namespaceContext(folders.run) };
  const { signal } = new AbortController();
  const open = async () => (await openCacheMounts(services, [MOUNT], signal))[0]!;

  const first = await open();
  const folder = first.path.slice(0, first.path.lastIndexOf("/"));
  assertEquals(tryLock(`${folder}/lock`), null);
  first[Symbol.dispose]();
  await Deno.utime(`${folder}/lock`, 1000, 1000);
  (await open())[Symbol.dispose]();
  assertEquals((await Deno.stat(`${folder}/lock`)).mtime!.getTime() > 1_000_000, true);

  const pruning = tryLock(`${folder}/lock`)!;
  const waiting = open();
  // a third one makes the folder anew before the one that waits has its turn: nothing is awaited in between
  Deno.renameSync(folder, `${dir}/trash`);
  Deno.mkdirSync(folder);
  Deno.writeTextFileSync(`${folder}/lock`, "");
  pruning[Symbol.dispose]();
  const second = await waiting;
  assertEquals(tryLock(`${folder}/lock`), null);
  second[Symbol.dispose]();
  await Deno.remove(dir, { recursive: true });
});
