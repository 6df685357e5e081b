/** What a test may need of the machine, and how it is seen. Probed once a process, at registration. */

export const TEST_USER = "skiff-test";

export interface TestIds {
  uid: number;
  gid: number;
  /** First subordinate user id and their number; 0 where there are none. */
  subuid: number;
  subuidCount: number;
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

function hasProgram(name: string): boolean {
  return ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"].some((folder) =>
    exists(`${folder}/${name}`)
  );
}

function program(name: string): () => string | null {
  return () => hasProgram(name) ? null : name;
}

/** The ids that tests run with: the test user's if we are root, else our own. */
export function testIds(): TestIds | null {
  const lines = Deno.readTextFileSync("/etc/passwd").split("\n").map((line) => line.split(":"));
  const own = Deno.uid();
  const entry = lines.find(([name, , uid]) => own === 0 ? name === TEST_USER : Number(uid) === own);
  if (!entry) return null;
  const uid = Number(entry[2]);
  const ranges = exists("/etc/subuid") ? Deno.readTextFileSync("/etc/subuid").split("\n") : [];
  const range = ranges.map((line) => line.split(":")).find(([name]) =>
    name === entry[0] || name === String(uid)
  );
  return {
    uid,
    gid: Number(entry[3]),
    subuid: Number(range?.[1] ?? 0),
    subuidCount: Number(range?.[2] ?? 0),
  };
}

function isWritableDevice(path: string): string | null {
  if (!exists(path)) return path;
  return ((Deno.statSync(path).mode ?? 0) & 0o006) === 6 ? null : `${path} open to everyone`;
}

/** A loop device with a file system needs root, the driver and that file system. */
function whyNoLoop(type: string): string | null {
  if (!exists("/dev/loop-control")) return "/dev/loop-control";
  return hasFilesystem(type) ? null : `${type} in this kernel`;
}

/** As /proc/filesystems has them: what no module has brought yet is not there. */
export function hasFilesystem(type: string): boolean {
  return Deno.readTextFileSync("/proc/filesystems").includes(`\t${type}\n`);
}

/** Each probe gives null, or the name of what is missing. */
const PROBES = {
  user: () => testIds() === null ? `the user ${TEST_USER}` : null,
  root: () => Deno.uid() === 0 ? null : "root",
  uidmap: () => hasProgram("newuidmap") && testIds()?.subuidCount ? null : "newuidmap and subordinate ids",
  registry: program("docker-registry"),
  busybox: () => exists("/bin/busybox") ? null : "busybox-static",
  "mkfs.xfs": () => !hasProgram("mkfs.xfs") ? "xfsprogs" : whyNoLoop("xfs"),
  "mkfs.ext4": () => !hasProgram("mkfs.ext4") ? "e2fsprogs" : whyNoLoop("ext4"),
  "mkfs.btrfs": () => !hasProgram("mkfs.btrfs") ? "btrfs-progs" : whyNoLoop("btrfs"),
  "nfs-ganesha": program("ganesha.nfsd"),
  debootstrap: () => Deno.uid() === 0 && hasProgram("debootstrap") ? null : "debootstrap as root",
  "fuse-overlayfs": () => hasProgram("fuse-overlayfs") ? isWritableDevice("/dev/fuse") : "fuse-overlayfs",
  fuse: () => isWritableDevice("/dev/fuse"),
  ip: program("ip"),
  journald: () =>
    Deno.uid() === 0 && exists("/lib/systemd/systemd-journald") ? null : "systemd-journald as root",
  podman: program("podman"),
  crun: program("crun"),
  umoci: program("umoci"),
  skopeo: program("skopeo"),
  gpg: program("gpg"),
  iproute2: program("ip"),
  slirp4netns: program("slirp4netns"),
  pasta: program("pasta"),
  strace: program("strace"),
  gcc: program("gcc"),
  openssl: program("openssl"),
  zstd: program("zstd"),
  xz: program("xz"),
  bzip2: program("bzip2"),
  git: program("git"),
  openssh: program("ssh-agent"),
  getfattr: program("getfattr"),
  python3: program("python3"),
  bash: program("bash"),
  zsh: program("zsh"),
  fish: program("fish"),
  man: program("man"),
  mandoc: program("mandoc"),
  groff: program("groff"),
};

export type Need = keyof typeof PROBES;

const known = new Map<Need, string | null>();

/** Null if everything is there, else what is missing. */
export function whatIsMissing(needs: Need[]): string | null {
  const missing = needs.map((need) => {
    if (!known.has(need)) known.set(need, PROBES[need]());
    return known.get(need) ?? null;
  }).filter((reason) => reason !== null);
  return missing.length === 0 ? null : [...new Set(missing)].join(", ");
}
