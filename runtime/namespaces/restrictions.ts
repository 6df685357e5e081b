/**
 * Why this machine gives a user no namespace of his own, and the exact words that allow it.
 *
 * @see user_namespaces(7), namespaces(7), apparmor.d(5); Debian's kernel.unprivileged_userns_clone,
 * Ubuntu's kernel.apparmor_restrict_unprivileged_userns
 */

export interface Restriction {
  /** A sentence's end: `the sysctl user.max_user_namespaces is 0`. */
  cause: string;
  /** What is done about it; may be several lines. */
  remedy: string;
}

/** What was found, the surest first; empty where nothing that is known forbids user namespaces. Sysctls are read below `root`. */
export function findRestrictions(program = Deno.execPath(), root = ""): Restriction[] {
  const found: Restriction[] = [];
  if (readNumber(`${root}/proc/sys/kernel/unprivileged_userns_clone`) === 0) {
    found.push(bySysctl("kernel.unprivileged_userns_clone", 0, 1));
  }
  const limit = readNumber(`${root}/proc/sys/user/max_user_namespaces`);
  if (limit === 0) found.push(bySysctl("user.max_user_namespaces", limit, 28633));
  if (
    readNumber(`${root}/proc/sys/kernel/apparmor_restrict_unprivileged_userns`) === 1 &&
    !isUnconfinedByProfile()
  ) {
    found.push({
      cause: "AppArmor forbids user namespaces to programs without a profile",
      remedy:
        `as root, write this to /etc/apparmor.d/skiff and run: apparmor_parser -r /etc/apparmor.d/skiff\n` +
        apparmorProfile(program),
    });
  }
  if (isChrooted()) {
    found.push({
      cause: "skiff runs in a chroot",
      remedy: "start it outside, or make the folder a mount's root: unshare -m, then pivot_root",
    });
  }
  const container = outerContainer();
  if (container !== undefined && hasSeccompFilter()) {
    found.push({
      cause: `skiff runs in a container (${container}) whose seccomp filter forbids it`,
      remedy: "start the outer container with --security-opt seccomp=unconfined",
    });
  } else if (hasSeccompFilter()) {
    found.push({
      cause: "a seccomp filter around this session may forbid it",
      remedy: "in a systemd unit: RestrictNamespaces=no and no SystemCallFilter= without @mount",
    });
  }
  return found;
}

/** Of a kernel that restricts nothing we know of, the limits are the usual cause. */
export const UNKNOWN_RESTRICTION: Restriction = {
  cause: "this kernel or its security modules forbid it",
  remedy: "ask the administrator to allow unprivileged user namespaces (CONFIG_USER_NS, LSM policy, seccomp)",
};

/** Allows user namespaces to this one program, and nothing else changes for it. */
export function apparmorProfile(program: string): string {
  return [
    "abi <abi/4.0>,",
    "include <tunables/global>",
    `profile skiff ${profilePath(program)} flags=(unconfined) {`,
    "  userns,",
    "  include if exists <local/skiff>",
    "}",
  ].join("\n");
}

/**
 * The packed form runs from a folder named after its content, or from one in it named after the boot: the profile holds for
 * the next versions and boots, too.
 */
function profilePath(program: string): string {
  const escaped = program.replace(/[\\*?[\]{}^"@]/g, "\\$&")
    .replace(/\/skiff\/[0-9a-f]{16}(\/[0-9a-f-]{36})?\/skiff$/, "/skiff/**/skiff");
  return `"${escaped}"`;
}

function bySysctl(name: string, found: number, wanted: number): Restriction {
  return {
    cause: `the sysctl ${name} is ${found}`,
    remedy: `as root: sysctl -w ${name}=${wanted} && echo ${name}=${wanted} > /etc/sysctl.d/90-skiff.conf`,
  };
}

/** A profile that has `userns,` was loaded for this program. */
function isUnconfinedByProfile(): boolean {
  const label = readText("/proc/self/attr/apparmor/current") || readText("/proc/self/attr/current");
  return label !== "" && !/^unconfined\b/.test(label) && !/\(enforce\)/.test(label);
}

/** unshare(2) refuses a user namespace to who does not see the root of his mount namespace. */
function isChrooted(): boolean {
  const table = readText("/proc/self/mountinfo");
  return table !== "" && !table.split("\n").some((line) => line.split(" ")[4] === "/");
}

/** What runs around us, by the marks that engines leave. */
export function outerContainer(): string | undefined {
  const marks: [path: string, name: string][] = [
    ["/run/.containerenv", "podman or skiff"],
    ["/.dockerenv", "docker"],
    ["/run/systemd/container", "systemd"],
  ];
  return marks.find(([path]) => isThere(path))?.[1];
}

function hasSeccompFilter(): boolean {
  return /^Seccomp:\s+2$/m.test(readText("/proc/self/status"));
}

function readNumber(path: string): number | undefined {
  const text = readText(path).trim();
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path).trim();
  } catch {
    return "";
  }
}
