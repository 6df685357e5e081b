/** A file system of a test's own that shares blocks between files. */
import { assert } from "./assertions.ts";
import type { Host } from "./host.ts";

/** An xfs in a file, mounted where skiff keeps its data; taken away at the end. Quotas not every kernel has for it. */
export async function mountXfs(host: Host, size = "600M"): Promise<{ hasQuotas: boolean } & AsyncDisposable> {
  const image = `${host.folder}/xfs`;
  const run = async (...words: string[]) =>
    (await new Deno.Command(words[0]!, { args: words.slice(1), stderr: "null" }).output()).success;
  const mount = (options: string) => run("mount", "-o", options, image, host.data);
  assert(await run("truncate", "-s", size, image) && await run("mkfs.xfs", "-q", "-m", "reflink=1", image));
  const hasQuotas = await mount("loop,prjquota");
  assert(hasQuotas || await mount("loop"), "the xfs cannot be mounted");
  await Deno.chmod(host.data, 0o700);
  return { hasQuotas, [Symbol.asyncDispose]: async () => void await run("umount", "-l", host.data) };
}
