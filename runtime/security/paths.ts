/**
 * What of /proc and /sys a container does not see, or cannot write: the union of Docker's and Podman's lists.
 *
 * @see OCI runtime-spec config-linux.md, masked paths, readonly paths
 */

/** Covered with an empty read-only folder or with /dev/null. */
export const DEFAULT_MASKED_PATHS: readonly string[] = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/interrupts", // timing of keystrokes and disks
  "/proc/kcore",
  "/proc/keys", // not namespaced: key descriptions of every user
  "/proc/latency_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/sys/dev/block",
  "/sys/devices/virtual/powercap", // energy counters leak what others compute (CVE-2020-8694)
  "/sys/firmware",
  "/sys/fs/selinux",
];

/** Bound onto themselves read-only. */
export const DEFAULT_READONLY_PATHS: readonly string[] = [
  "/proc/bus",
  "/proc/fs",
  "/proc/irq",
  "/proc/sys",
  "/proc/sysrq-trigger",
];

export interface PathProtection {
  maskedPaths: string[];
  readonlyPaths: string[];
}

/**
 * The lists for one container. `--security-opt mask=PATH` adds, `unmask=PATH` (a trailing `*` matches any
 * rest, ALL everything) takes away from both lists; a privileged container has none but what it masks itself.
 */
export function resolveProtectedPaths(
  options: { privileged?: boolean; mask?: readonly string[]; unmask?: readonly string[] },
): PathProtection {
  const unmask = options.unmask ?? [];
  const isKept = (path: string) => !unmask.some((pattern) => matchesUnmask(pattern, path));
  const base = options.privileged ? [] : DEFAULT_MASKED_PATHS;
  return {
    maskedPaths: [...new Set([...base.filter(isKept), ...(options.mask ?? [])])],
    readonlyPaths: options.privileged ? [] : DEFAULT_READONLY_PATHS.filter(isKept),
  };
}

function matchesUnmask(pattern: string, path: string): boolean {
  if (pattern.toUpperCase() === "ALL") return true;
  return pattern.endsWith("*") ? path.startsWith(pattern.slice(0, -1)) : path === pattern;
}
