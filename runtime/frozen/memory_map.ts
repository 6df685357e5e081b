/** What a process has mapped, and which of its pages are its own. @see proc_pid_maps(5), proc_pid_pagemap(5) */

/** In bytes. A page of x86-64. */
export const PAGE = 4096;

/** One line of /proc/PID/maps. */
export interface Mapping {
  start: bigint;
  end: bigint;
  /** PROT_READ 1, PROT_WRITE 2, PROT_EXEC 4. */
  rights: number;
  isShared: boolean;
  /** Where in the file, in bytes. */
  offset: bigint;
  /** A path, a name like `[vdso]`, or nothing. */
  name: string;
}

export function parseMaps(text: string): Mapping[] {
  return text.trimEnd().split("\n").map((line) => {
    const fields = line.match(/^([0-9a-f]+)-([0-9a-f]+) (....) ([0-9a-f]+) \S+ \d+ *(.*)$/);
    if (!fields) throw new SyntaxError(`read the memory map: ${line}`);
    const [, start, end, rights, offset, name] = fields as unknown as [string, ...string[]];
    return {
      start: BigInt(`0x${start}`),
      end: BigInt(`0x${end}`),
      rights: (rights![0] === "r" ? 1 : 0) | (rights![1] === "w" ? 2 : 0) | (rights![2] === "x" ? 4 : 0),
      isShared: rights![3] === "s",
      offset: BigInt(`0x${offset}`),
      name: name!,
    };
  });
}

/** What the kernel maps itself, the same way into every process of a boot, though at other addresses. */
export function isKernels({ name }: Mapping): boolean {
  return ["[vvar]", "[vvar_vclock]", "[vdso]", "[vsyscall]"].includes(name);
}

const PRESENT = 1n << 63n, SWAPPED = 1n << 62n, OF_FILE = 1n << 61n;

/** Whether a page, by its entry of /proc/PID/pagemap, has content that is neither a file's nor zero. */
export function isOwnPage(entry: bigint): boolean {
  return (entry & SWAPPED) !== 0n || ((entry & PRESENT) !== 0n && (entry & OF_FILE) === 0n);
}

/** A stretch of pages: the index of the first, and how many. */
export interface Run {
  first: number;
  count: number;
}

/** The stretches of `isWanted` pages; gaps of up to `gap` others are taken in, for each stretch costs a call. */
export function wantedRuns(count: number, isWanted: (page: number) => boolean, gap: number): Run[] {
  const runs: Run[] = [];
  for (let page = 0; page < count; page++) {
    if (!isWanted(page)) continue;
    const last = runs.at(-1);
    if (last && page - (last.first + last.count) <= gap) last.count = page + 1 - last.first;
    else runs.push({ first: page, count: 1 });
  }
  return runs;
}
