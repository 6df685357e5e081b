/**
 * The runtime's own databases (Deno's code cache), which a forked child must never touch.
 *
 * SQLite does not survive a fork: the child would write through descriptor numbers that mean other files by
 * then, and into an index that is shared memory. So before anything else runs in a child, the descriptors
 * become /dev/null and the shared pages become empty private ones. Should the runtime look for cached code
 * there after all, it finds an empty database and goes on without.
 *
 * @see https://www.sqlite.org/howtocorrupt.html#_carrying_an_open_database_connection_across_a_fork_
 */

import { dup3, keepOpen, open } from "./file.ts";
import { check } from "./errno.ts";
import { libc, openFamilies } from "./libc.ts";
import { O_CLOEXEC, O_RDWR } from "./constants/fcntl.ts";

/**
 * `v8_code_cache_v2`, `dep_analysis_cache_v2`, … with SQLite's `-wal` and `-shm`. No regular expression: this runs in every
 * child, and compiling one takes longer than all the rest.
 */
function isRuntimeDatabase(path: string): boolean {
  const at = path.lastIndexOf("_cache_v");
  if (at < 0) return false;
  const [version, part = "wal"] = path.slice(at + "_cache_v".length).split("-", 2);
  return version! > "0" && version! < ":" && (part === "wal" || part === "shm");
}

const PROT_READ_WRITE = 3;
const MAP_PRIVATE_FIXED_ANONYMOUS = 0x32;

export interface RuntimeFiles {
  fds: number[];
  /** Shared mappings. */
  pages: { start: Deno.PointerValue; length: bigint }[];
}

/** Looks at this process. */
export function findRuntimeFiles(): RuntimeFiles {
  openFamilies("file", "memory");
  const maps = Deno.readTextFileSync("/proc/self/maps");
  const pages = maps.split("\n").flatMap((line) => {
    if (!isRuntimeDatabase(line)) return [];
    const [range, rights] = line.split(" ", 2);
    const [start, end] = range!.split("-", 2);
    if (!end || rights?.[3] !== "s") return [];
    const from = BigInt(`0x${start}`);
    return [{ start: Deno.UnsafePointer.create(from), length: BigInt(`0x${end}`) - from }];
  });
  const fds: number[] = [];
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      if (isRuntimeDatabase(Deno.readLinkSync(`/proc/self/fd/${name}`))) fds.push(Number(name));
    } catch {
      // Closed meanwhile, as the folder's own descriptor is.
    }
  }
  return { fds, pages };
}

/** In a child, at once. The descriptors stay taken, so that their numbers never come to mean other files. */
export function sealRuntimeFiles({ fds, pages }: RuntimeFiles): void {
  if (fds.length > 0) {
    const nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (const fd of fds) dup3(nothing, fd, O_CLOEXEC);
    libc("file").close(nothing);
    keepOpen(fds);
  }
  for (const { start, length } of pages) {
    const mapped = libc("memory").mmap(start, length, PROT_READ_WRITE, MAP_PRIVATE_FIXED_ANONYMOUS, -1, 0n);
    check("mmap", Deno.UnsafePointer.equals(mapped, start) ? 0 : -1);
  }
}
