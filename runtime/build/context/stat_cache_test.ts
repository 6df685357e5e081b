import { StatCache } from "./stat_cache.ts";
import type { Stat } from "../../../ffi/file.ts";
import { assertEquals } from "../../../tests/assertions.ts";

const STAT: Stat = {
  mode: 0o100644,
  nlink: 1,
  uid: 0,
  gid: 0,
  ino: 77n,
  size: 5,
  blocks: 8,
  atimeSec: 0,
  atimeNsec: 0,
  mtimeSec: 1000,
  mtimeNsec: 5,
  ctimeSec: 1000,
  ctimeNsec: 123_456_789,
  rdevMajor: 0,
  rdevMinor: 0,
  devMajor: 8,
  devMinor: 1,
  attributes: 0,
};
const HASH = new Uint8Array(32).fill(7);
const LATER_MS = 1_000_200;

async function withFile(fn: (path: string) => void): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    fn(`${folder}/records`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a digest is found again as long as nothing of the file has changed", () =>
  withFile((path) => {
    const first = new StatCache(path);
    assertEquals(first.find(STAT), undefined);
    first.add(STAT, HASH, LATER_MS);
    first.save();
    assertEquals(new StatCache(path).find(STAT)?.slice(), HASH);
    const changes: Partial<Stat>[] = [
      { ino: 78n },
      { size: 6 },
      { mtimeSec: 1001 },
      { mtimeNsec: 6 },
      { ctimeSec: 1001 },
      { ctimeNsec: 123_456_790 },
      { devMinor: 2 },
    ];
    for (const change of changes) assertEquals(new StatCache(path).find({ ...STAT, ...change }), undefined);
  }));

Deno.test("a file that changed just before it was read is not trusted", () =>
  withFile((path) => {
    const cache = new StatCache(path);
    cache.add(STAT, HASH, 1_000_130);
    // a file system with times of whole milliseconds, or seconds
    cache.add({ ...STAT, ino: 79n, ctimeNsec: 0 }, HASH, 1_001_900);
    cache.save();
    assertEquals(new StatCache(path).find(STAT), undefined);
    assertEquals(new StatCache(path).find({ ...STAT, ino: 79n, ctimeNsec: 0 }), undefined);
  }));

Deno.test("records of other files stay, those of a changed file are replaced", () =>
  withFile((path) => {
    const first = new StatCache(path);
    first.add(STAT, HASH, LATER_MS);
    first.add({ ...STAT, ino: 1n }, HASH, LATER_MS);
    first.save();
    const second = new StatCache(path);
    second.add({ ...STAT, size: 9 }, HASH, LATER_MS);
    second.save();
    const third = new StatCache(path);
    assertEquals(third.find(STAT), undefined);
    assertEquals(third.find({ ...STAT, size: 9 })?.slice(), HASH);
    assertEquals(third.find({ ...STAT, ino: 1n })?.slice(), HASH);
    assertEquals(Deno.statSync(path).size, 160);
  }));

Deno.test("a file of records that is damaged is as if it were not there", () =>
  withFile((path) => {
    Deno.writeTextFileSync(path, "no records");
    assertEquals(new StatCache(path).find(STAT), undefined);
  }));
