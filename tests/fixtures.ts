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
export async function makeBase(): Promise<void> {
  const ids = testIds()!;
  await Deno.mkdir(FIXTURES, { recursive: true });
  await Deno.chmod(BASE, 0o755);
  await Deno.mkdir(`${BASE}/cache`, { recursive: true, mode: 0o700 });
  if (Deno.uid() === 0) await Deno.chown(`${BASE}/cache`, ids.uid, ids.gid);
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
