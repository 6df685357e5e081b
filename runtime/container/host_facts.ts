/** What of this machine goes into a container's plan; read when asked, as most containers need little of it. */

/** The highest capability that this kernel knows. */
export function readLastCapability(): number {
  return Number(Deno.readTextFileSync("/proc/sys/kernel/cap_last_cap"));
}

export function readHostname(): string {
  return Deno.readTextFileSync("/proc/sys/kernel/hostname").trim();
}

/** The hard limit of `RLIMIT_NOFILE` and its like; -1 is unlimited. @see proc_pid_limits(5) */
export function readHardLimit(type: string): number {
  const title = LIMIT_TITLES[type] ?? "";
  for (const line of Deno.readTextFileSync("/proc/self/limits").split("\n")) {
    if (!title || !line.startsWith(`${title} `)) continue;
    const hard = line.slice(26).split(" ").filter(Boolean)[1];
    return hard === "unlimited" || hard === undefined ? -1 : Number(hard);
  }
  return -1;
}

const LIMIT_TITLES: Record<string, string> = {
  RLIMIT_CPU: "Max cpu time",
  RLIMIT_FSIZE: "Max file size",
  RLIMIT_DATA: "Max data size",
  RLIMIT_STACK: "Max stack size",
  RLIMIT_CORE: "Max core file size",
  RLIMIT_RSS: "Max resident set",
  RLIMIT_NPROC: "Max processes",
  RLIMIT_NOFILE: "Max open files",
  RLIMIT_MEMLOCK: "Max locked memory",
  RLIMIT_AS: "Max address space",
  RLIMIT_LOCKS: "Max file locks",
  RLIMIT_SIGPENDING: "Max pending signals",
  RLIMIT_MSGQUEUE: "Max msgqueue size",
  RLIMIT_NICE: "Max nice priority",
  RLIMIT_RTPRIO: "Max realtime priority",
  RLIMIT_RTTIME: "Max realtime timeout",
};

/** Folders of /dev that are file systems of their own, or links into /proc. */
const OWN_FILESYSTEMS = ["pts", "shm", "mqueue", "hugepages", "fd"];
/** Nodes that every container gets anyway. */
const ALWAYS_THERE = ["null", "zero", "full", "random", "urandom", "tty", "console", "ptmx"];

/** Device nodes of the host, for a privileged container. */
export function listDevices(folder = "/dev"): string[] {
  const found: string[] = [];
  for (const entry of Deno.readDirSync(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isSymlink) continue;
    if (entry.isDirectory) {
      if (folder !== "/dev" || !OWN_FILESYSTEMS.includes(entry.name)) found.push(...tryListDevices(path));
    } else if (!entry.isFile && !(folder === "/dev" && ALWAYS_THERE.includes(entry.name))) {
      const info = Deno.lstatSync(path);
      if (info.isCharDevice || info.isBlockDevice) found.push(path);
    }
  }
  return found.sort();
}

function tryListDevices(folder: string): string[] {
  try {
    return listDevices(folder);
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
