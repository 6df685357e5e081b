/** What is mounted where this process lives. @see proc_pid_mountinfo(5) */

export interface MountedFilesystem {
  point: string;
  /** `ext4`, `nfs4`, `fuse.sshfs`. */
  type: string;
  isReadOnly: boolean;
}

/** In the order in which they were mounted: of two on one point the later hides the earlier. */
export function readMountTable(path = "/proc/self/mountinfo"): MountedFilesystem[] {
  return parseMountTable(Deno.readTextFileSync(path));
}

export function parseMountTable(text: string): MountedFilesystem[] {
  return text.split("\n").filter((line) => line !== "").map((line) => {
    const [front = "", back = ""] = line.split(" - ", 2);
    const [, , , , point = "", options = ""] = front.split(" ");
    const [type = "", , superOptions = ""] = back.split(" ");
    const isReadOnly = [options, superOptions].some((words) => words.split(",").includes("ro"));
    return { point: unescapePath(point), type, isReadOnly };
  });
}

/** The file system that an absolute path without links lies on. */
export function filesystemOf(
  path: string,
  table: readonly MountedFilesystem[],
): MountedFilesystem | undefined {
  let found: MountedFilesystem | undefined;
  for (const one of table) {
    const holds = one.point === "/" || path === one.point || path.startsWith(`${one.point}/`);
    if (holds && one.point.length >= (found?.point.length ?? 0)) found = one;
  }
  return found;
}

/** Of the kernel's own: nothing can be hidden below them, so it does not count that something is mounted there. */
const EMPTY_PROC_FOLDERS = ["/proc/sys/fs/binfmt_misc", "/proc/fs/nfsd", "/proc/openprom"];

/**
 * The first place where another mount hides a part of /proc: the kernel then refuses a fresh procfs in a user
 * namespace. So it is inside most containers.
 *
 * @see mount_too_revealing() in the kernel's fs/namespace.c
 */
export function findMaskedProc(table: readonly MountedFilesystem[]): string | undefined {
  return table.find(({ point }) =>
    point.startsWith("/proc/") && !EMPTY_PROC_FOLDERS.some((path) => point.startsWith(path))
  )?.point;
}

/** Space, tab, newline and backslash are written in octal. */
function unescapePath(path: string): string {
  if (!path.includes("\\")) return path;
  return path.replace(/\\([0-7]{3})/g, (_, digits) => String.fromCharCode(parseInt(digits, 8)));
}
