/** What the host tests share: the folder of all test files, one registry a process, images made once. */
import { debianImage, type DebianVariant } from "./debian.ts";
import { type BuiltImage, busyboxImage, pushImage } from "./images.ts";
import { LocalRegistry } from "./local_registry.ts";
import { testIds } from "./needs.ts";

/** Everything of the tests is below it; each user has one, for who tests as himself. */
export const BASE = Deno.uid() === 0 ? "/tmp/skiff-test" : `/tmp/skiff-test-${Deno.uid()}`;
const FIXTURES = `${BASE}/fixtures`;

export type ImageName = "busybox" | DebianVariant;

/** The base folder, the fixtures and the cache that all homes share, so that the executable unpacks once. */
export function makeBase(): Promise<void> {
  base ??= prepareBase();
  return base;
}

let base: Promise<void> | undefined;

async function prepareBase(): Promise<void> {
  const ids = testIds()!;
  await Deno.mkdir(FIXTURES, { recursive: true });
  await Deno.chmod(BASE, 0o755);
  await Deno.mkdir(`${BASE}/cache`, { recursive: true, mode: 0o700 });
  if (Deno.uid() === 0) await Deno.chown(`${BASE}/cache`, ids.uid, ids.gid);
  await forgetOldExecutables(`${BASE}/cache/skiff`);
}

/** Each build unpacks 100 MB; what was unpacked more than two hours ago is another build's. */
async function forgetOldExecutables(folder: string): Promise<void> {
  const limit = Date.now() - 2 * 3600_000;
  const names = await Array.fromAsync(Deno.readDir(folder)).catch(() => []);
  for (const { name } of names) {
    const { mtime } = await Deno.lstat(`${folder}/${name}`).catch(() => ({ mtime: null }));
    if (mtime !== null && mtime.getTime() < limit) {
      await Deno.remove(`${folder}/${name}`, { recursive: true }).catch(() => {});
    }
  }
}

let registry: Promise<LocalRegistry> | undefined;

/** The registry of this process; it ends with it. Its storage outlives it, so that uploads happen once. */
export function sharedRegistry(): Promise<LocalRegistry> {
  registry ??= makeBase().then(() => LocalRegistry.start({ storage: `${FIXTURES}/registry` })).then(
    (started) => {
      globalThis.addEventListener("unload", () => started.kill());
      return started;
    },
  );
  return registry;
}

const pushed = new Map<ImageName, Promise<string>>();

/** Gives the reference of the image in the shared registry. */
export function sharedImage(name: ImageName): Promise<string> {
  let reference = pushed.get(name);
  if (reference === undefined) {
    reference = (async () => {
      const target = await sharedRegistry();
      const image: BuiltImage = name === "busybox" ? await busyboxImage() : await debianImage(FIXTURES, name);
      return await pushImage(target, name, "latest", image);
    })();
    pushed.set(name, reference);
  }
  return reference;
}
