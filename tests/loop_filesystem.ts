/** A file system of a test's own, in a file of the test's and mounted where skiff keeps its data. */
import { assert } from "./assertions.ts";
import type { Host } from "./host.ts";

export type LoopType = "xfs" | "ext4" | "btrfs";

/** Of each what mkfs is told besides, for shared blocks and for quotas. */
const MKFS: Record<LoopType, string[]> = {
  xfs: ["-q", "-m", "reflink=1"],
  ext4: ["-q", "-F", "-O", "project,quota"],
  btrfs: ["-q"],
};

const QUOTAS = "prjquota";

export interface LoopOptions {
  /** 600M where not given; xfs wants 300 at least. */
  size?: string;
  hasQuotas?: boolean;
}

/** Taken away at the end. */
export async function mountLoop(
  host: Host,
  type: LoopType,
  { size = "600M", hasQuotas = false }: LoopOptions = {},
): Promise<AsyncDisposable> {
  const image = `${host.folder}/${type}`;
  assert(makeImage(image, type, size), `${type} cannot be made`);
  const options = hasQuotas ? `loop,${QUOTAS}` : "loop";
  assert(run("mount", "-o", options, image, host.data), `${type} cannot be mounted with ${options}`);
  await Deno.chmod(host.data, 0o700);
  return { [Symbol.asyncDispose]: () => Promise.resolve(void run("umount", "-l", host.data)) };
}

/** Null where this kernel keeps limits of projects on such a file system; found out by mounting one. */
export function whyNoQuotas(type: LoopType): string | null {
  const reason = `no project quotas on ${type}`;
  if (Deno.uid() !== 0) return reason;
  const folder = Deno.makeTempDirSync();
  try {
    const image = `${folder}/image`;
    Deno.mkdirSync(`${folder}/mounted`);
    // the namespace takes the mount along
    const canMount = makeImage(image, type, "300M") &&
      run(
        ..."unshare -m --propagation private mount -o".split(" "),
        `loop,${QUOTAS}`,
        image,
        `${folder}/mounted`,
      );
    return canMount ? null : reason;
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

function makeImage(path: string, type: LoopType, size: string): boolean {
  return run("truncate", "-s", size, path) && run(`mkfs.${type}`, ...MKFS[type], path);
}

function run(...[program, ...args]: [string, ...string[]] | string[]): boolean {
  try {
    return new Deno.Command(program!, { args, stdout: "null", stderr: "null" }).outputSync().success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
