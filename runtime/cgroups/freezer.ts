/**
 * A cgroup that holds processes still, where one can be had: cgroup2's `cgroup.freeze` in a delegated subtree or as
 * root, else the freezer of version 1 as root. Made for one pause; its processes go back where they were after it.
 *
 * @see cgroups(7); https://docs.kernel.org/admin-guide/cgroup-v2.html, cgroup.freeze
 */

export interface FrozenCgroup {
  /** The cgroup made for the pause. */
  path: string;
  /** Where its processes were. */
  origin: string;
  version: 1 | 2;
}

const FROZEN_WITHIN_MS = 2000;

/**
 * Freezes `list()`, asked again until nobody new is found.
 *
 * @returns undefined where there is no freezer for us
 */
export function freeze(name: string, list: () => number[]): FrozenCgroup | undefined {
  const [first] = list();
  if (first === undefined) return undefined;
  for (const { mount, version, membership } of freezers(first)) {
    const origin = membership === "/" ? mount : `${mount}${membership}`;
    const cgroup: FrozenCgroup = { path: `${origin}/${name}`, origin, version };
    try {
      Deno.mkdirSync(cgroup.path);
    } catch {
      continue;
    }
    try {
      moveAll(cgroup.path, list);
      setFrozen(cgroup, true);
      return cgroup;
    } catch {
      thaw(cgroup);
    }
  }
  return undefined;
}

/** Lets the processes run again, puts them back and removes the cgroup. */
export function thaw(cgroup: FrozenCgroup): void {
  try {
    setFrozen(cgroup, false);
    const members = () => readPids(cgroup.path);
    for (let round = 0; round < 100 && members().length > 0; round++) moveAll(cgroup.origin, members);
    Deno.removeSync(cgroup.path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) {
      // still somebody in it, or dying: it stays, thawed, until the next pause takes it again
    }
  }
}

interface Freezer {
  mount: string;
  version: 1 | 2;
  /** Of the process, below `mount`. */
  membership: string;
}

function freezers(pid: number): Freezer[] {
  const lines = Deno.readTextFileSync(`/proc/${pid}/cgroup`).trim().split("\n");
  const memberships = lines.map((line) => /^\d+:([^:]*):(.*)$/.exec(line)!.slice(1) as [string, string]);
  const found: Freezer[] = [];
  for (const line of Deno.readTextFileSync("/proc/self/mountinfo").split("\n")) {
    const mounted = /^\S+ \S+ \S+ (\S+) (\S+) .* - (cgroup2?) \S+ (\S+)$/.exec(line);
    // what is bound from somewhere below its root shows other paths than /proc/PID/cgroup
    if (!mounted || mounted[1] !== "/") continue;
    const [, , mount = "", type, options = ""] = mounted;
    const controller = type === "cgroup2" ? "" : "freezer";
    if (type === "cgroup" && !options.split(",").includes("freezer")) continue;
    const membership = memberships.find(([names]) => names.split(",").includes(controller))?.[1];
    if (membership !== undefined) found.push({ mount, version: type === "cgroup2" ? 2 : 1, membership });
  }
  return found.sort((a, b) => b.version - a.version);
}

function moveAll(path: string, list: () => number[]): void {
  const moved = new Set<number>();
  for (let isNew = true; isNew;) {
    isNew = false;
    for (const pid of list()) {
      if (moved.has(pid)) continue;
      moved.add(pid);
      isNew = true;
      try {
        Deno.writeTextFileSync(`${path}/cgroup.procs`, String(pid));
      } catch (error) {
        // ESRCH: it has ended meanwhile
        if (!/os error 3\b/.test(String(error))) throw error;
      }
    }
  }
}

function setFrozen({ path, version }: FrozenCgroup, frozen: boolean): void {
  const file = version === 2 ? `${path}/cgroup.freeze` : `${path}/freezer.state`;
  Deno.writeTextFileSync(file, version === 2 ? String(Number(frozen)) : frozen ? "FROZEN" : "THAWED");
  const end = performance.now() + FROZEN_WITHIN_MS;
  while (isFrozen(path, version) !== frozen) {
    if (performance.now() > end) throw new Error(`cgroup ${path} does not ${frozen ? "freeze" : "thaw"}`);
  }
}

function isFrozen(path: string, version: 1 | 2): boolean {
  if (version === 1) return Deno.readTextFileSync(`${path}/freezer.state`).trim() === "FROZEN";
  return /^frozen 1$/m.test(Deno.readTextFileSync(`${path}/cgroup.events`));
}

function readPids(path: string): number[] {
  return Deno.readTextFileSync(`${path}/cgroup.procs`).split("\n").filter(Boolean).map(Number);
}
