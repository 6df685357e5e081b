/** The library's sources and Deno where the test user can read them, whatever the permissions of the checkout are. */
import { BASE, makeBase } from "./fixtures.ts";
import { testIds } from "./needs.ts";

const root = new URL("..", import.meta.url).pathname;

export interface Sources {
  /** Ends with a slash. */
  root: string;
  deno: string;
}

let found: Promise<Sources> | undefined;

export function readableSources(): Promise<Sources> {
  found ??= findSources();
  return found;
}

async function findSources(): Promise<Sources> {
  const asIs = { root, deno: Deno.execPath() };
  if (Deno.uid() !== 0) return asIs;
  const { uid, gid } = testIds()!;
  const check = 'test -r "$1/mod.ts" && test -x "$2"';
  const { success } = await new Deno.Command("/usr/bin/setpriv", {
    args: [
      `--reuid=${uid}`,
      `--regid=${gid}`,
      "--clear-groups",
      "/bin/sh",
      "-c",
      check,
      "sh",
      root,
      asIs.deno,
    ],
  }).output();
  if (success) return asIs;
  await makeBase();
  const folder = await Deno.makeTempDir({ dir: BASE, prefix: "sources-" });
  const script =
    'cd "$1" && cp -r mod.ts deno.json deno.lock cli runtime ffi "$3" && cp "$2" "$3/deno" && chmod -R a+rX "$3"';
  const copied = await new Deno.Command("/bin/sh", { args: ["-c", script, "sh", root, asIs.deno, folder] })
    .output();
  if (!copied.success) throw new Error(new TextDecoder().decode(copied.stderr));
  globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
  return { root: `${folder}/`, deno: `${folder}/deno` };
}
