import { deepStrictEqual as equal, throws } from "node:assert/strict";
import { runSeccompFilter } from "../../ffi/bpf_interpreter.ts";
import { DEFAULT_CAPABILITIES } from "./capabilities.ts";
import { compileSeccomp } from "./seccomp_compile.ts";
import { fakeOwnershipRules, withFakeOwnership } from "./seccomp_fake_ownership.ts";
import { type ConditionalProfile, defaultSeccompProfile, resolveProfile } from "./seccomp_profile.ts";
import { FILTER_ARCHITECTURES } from "./syscall_table.ts";

const ALLOW = 0x7fff0000, EPERM = 0x50001, ENOSYS = 0x50026, PRETENDED = 0x50000, KILL_PROCESS = 0x80000000;
const HIGH = 1n << 32n;

type Architecture = "x86_64" | "x32" | "i386" | "aarch64" | "arm";
const TABLE: Record<Architecture, string> = {
  x86_64: "SCMP_ARCH_X86_64",
  x32: "SCMP_ARCH_X32",
  i386: "SCMP_ARCH_X86",
  aarch64: "SCMP_ARCH_AARCH64",
  arm: "SCMP_ARCH_ARM",
};

/** Asks the default profile about a call by name; undefined where the architecture has no such call. */
function defaultProfile(capabilities: readonly string[] = DEFAULT_CAPABILITIES, pretend = false) {
  const programs = Object.fromEntries((["x86_64", "aarch64"] as const).map((machine) => {
    const spec = defaultSeccompProfile(capabilities, machine);
    return [machine, compileSeccomp(pretend ? withFakeOwnership(spec, []) : spec, machine)];
  }));
  return (name: string, args: bigint[] = [], architecture: Architecture = "x86_64") => {
    for (const [machine, architectures] of Object.entries(FILTER_ARCHITECTURES)) {
      for (const { auditArch, tables } of architectures) {
        const entry = tables.find((table) => table.name === TABLE[architecture]);
        if (!entry) continue;
        const { numbers, base } = entry.table();
        const number = numbers.get(name);
        if (number === undefined) return undefined;
        return runSeccompFilter(programs[machine]!, { nr: base + number, arch: auditArch, args });
      }
    }
  };
}

const EVERYWHERE: Architecture[] = ["x86_64", "x32", "i386", "aarch64", "arm"];

Deno.test("ordinary calls are allowed on every architecture", () => {
  const ask = defaultProfile();
  for (const architecture of EVERYWHERE) {
    for (
      const name of ["read", "write", "openat", "execve", "exit_group", "futex", "statx", "chroot", "setns2"]
    ) {
      equal(ask(name, [], architecture) ?? ALLOW, ALLOW, `${name} on ${architecture}`);
    }
  }
});

Deno.test("what reaches the host's kernel is denied on every architecture", () => {
  const ask = defaultProfile();
  const denied = [
    ...["io_uring_setup", "io_uring_enter", "io_uring_register", "keyctl", "add_key", "request_key", "bpf"],
    ...["mount", "umount", "umount2", "unshare", "setns", "pivot_root", "open_by_handle_at", "kexec_load"],
    ...["kexec_file_load", "init_module", "finit_module", "delete_module", "reboot", "swapon", "userfaultfd"],
    ...["perf_event_open", "quotactl", "settimeofday", "stime", "clock_settime", "clock_settime64", "iopl"],
    ...[
      "ioperm",
      "acct",
      "fsopen",
      "fsmount",
      "move_mount",
      "open_tree",
      "mount_setattr",
      "syslog",
      "nfsservctl",
    ],
    ...["vm86", "vm86old", "move_pages", "migrate_pages", "mbind", "_sysctl", "uselib", "ustat", "sysfs"],
  ];
  for (const architecture of EVERYWHERE) {
    for (const name of denied) {
      equal(ask(name, [], architecture) ?? EPERM, EPERM, `${name} on ${architecture}`);
    }
  }
});

Deno.test("clone3 is answered with ENOSYS, and clone may not make namespaces", () => {
  const ask = defaultProfile();
  const flags = { NEWNS: 0x20000, NEWCGROUP: 0x2000000, NEWUTS: 0x4000000, NEWIPC: 0x8000000 };
  const more = { NEWUSER: 0x10000000, NEWPID: 0x20000000, NEWNET: 0x40000000 };
  for (const architecture of EVERYWHERE) {
    equal(ask("clone3", [], architecture), ENOSYS, architecture);
    equal(ask("clone", [0x1200011n], architecture), ALLOW, architecture);
    for (const [name, flag] of Object.entries({ ...flags, ...more })) {
      equal(ask("clone", [BigInt(flag) | 17n], architecture), EPERM, `${name} on ${architecture}`);
    }
  }
  equal(ask("clone", [HIGH | 0x10000000n]), EPERM);
});

Deno.test("AF_ALG, AF_VSOCK and families without a use are denied, also with high bits set", () => {
  const ask = defaultProfile();
  for (const architecture of EVERYWHERE) {
    for (const family of [38n, 40n, 12n, 19n, 20n, 23n, 25n, 34n, 37n, 46n, 0xffffffffn]) {
      equal(ask("socket", [family], architecture), EPERM, `${family} on ${architecture}`);
    }
    for (const family of [0n, 1n, 2n, 10n, 16n, 17n, 29n, 44n]) {
      equal(ask("socket", [family], architecture), ALLOW, `${family} on ${architecture}`);
    }
  }
  for (const architecture of ["x86_64", "x32", "aarch64"] as const) {
    for (const family of [1n, 2n, 38n, 40n]) equal(ask("socket", [HIGH | family], architecture), EPERM);
  }
});

Deno.test("i386 socketcall opens no socket, but serves the ones that are open", () => {
  const ask = defaultProfile();
  equal(ask("socketcall", [1n], "i386"), EPERM);
  equal([2n, 3n, 8n, 15n, 20n].map((call) => ask("socketcall", [call], "i386")), Array(5).fill(ALLOW));
  equal(EVERYWHERE.filter((architecture) => ask("socketcall", [], architecture) !== undefined), ["i386"]);
});

Deno.test("nobody types into a terminal, whatever the high bits of the request", () => {
  const ask = defaultProfile();
  for (const architecture of EVERYWHERE) {
    equal(ask("ioctl", [0n, 0x5412n], architecture), EPERM);
    equal(ask("ioctl", [0n, 0x541cn], architecture), EPERM);
    equal(ask("ioctl", [0n, 0x5413n], architecture), ALLOW);
  }
  equal([ask("ioctl", [0n, HIGH | 0x5412n]), ask("ioctl", [0n, 0xffffffff00005412n])], [EPERM, EPERM]);
});

Deno.test("personality takes only what changes nothing", () => {
  const ask = defaultProfile();
  equal(
    [0n, 8n, 0x20000n, 0x20008n, 0xffffffffn].map((arg) => ask("personality", [arg])),
    Array(5).fill(ALLOW),
  );
  // ADDR_NO_RANDOMIZE, READ_IMPLIES_EXEC
  equal([0x40000n, 0x400000n, HIGH].map((arg) => ask("personality", [arg])), [EPERM, EPERM, EPERM]);
});

Deno.test("capabilities open what belongs to them", () => {
  const opened: [capability: string, names: string[]][] = [
    ["CAP_SYS_ADMIN", ["mount", "umount2", "unshare", "setns", "clone3", "bpf", "sethostname", "fsopen"]],
    ["CAP_SYS_PTRACE", ["kcmp", "pidfd_getfd", "process_madvise"]],
    ["CAP_SYS_MODULE", ["init_module", "finit_module", "delete_module"]],
    ["CAP_SYS_TIME", ["clock_settime", "settimeofday"]],
    ["CAP_DAC_READ_SEARCH", ["open_by_handle_at"]],
    ["CAP_SYS_NICE", ["mbind", "set_mempolicy", "get_mempolicy"]],
    ["CAP_SYS_BOOT", ["reboot"]],
    ["CAP_SYS_PACCT", ["acct"]],
    ["CAP_SYS_RAWIO", ["iopl", "ioperm"]],
    ["CAP_SYS_TTY_CONFIG", ["vhangup"]],
    ["CAP_SYSLOG", ["syslog"]],
    ["CAP_BPF", ["bpf"]],
    ["CAP_PERFMON", ["perf_event_open"]],
  ];
  for (const [capability, names] of opened) {
    const [without, having] = [defaultProfile(), defaultProfile([...DEFAULT_CAPABILITIES, capability])];
    for (const name of names) {
      equal([without(name) === ALLOW, having(name)], [false, ALLOW], `${name} with ${capability}`);
    }
  }
  equal(defaultProfile([])("chroot"), EPERM);
  equal(defaultProfile([...DEFAULT_CAPABILITIES, "CAP_SYS_ADMIN"])("clone", [0x10000000n]), ALLOW);
});

Deno.test("machine-specific calls are allowed on their machine only", () => {
  const ask = defaultProfile();
  equal([ask("arch_prctl"), ask("modify_ldt"), ask("modify_ldt", [], "i386")], [ALLOW, ALLOW, ALLOW]);
  equal(["set_tls", "cacheflush", "breakpoint"].map((name) => ask(name, [], "arm")), [ALLOW, ALLOW, ALLOW]);
  equal(ask("usr26", [], "arm"), EPERM);
});

Deno.test("calls younger than the profile are answered with ENOSYS", () => {
  const ask = defaultProfile();
  for (const architecture of EVERYWHERE) {
    equal([ask("removexattrat", [], architecture), ask("file_getattr", [], architecture)], [
      ALLOW,
      architecture === "x32" ? EPERM : ENOSYS, // x32 has numbers up to 547
    ]);
  }
});

Deno.test("with pretended ownership chown and set*id succeed without effect, and devices are not made", () => {
  const ask = defaultProfile(DEFAULT_CAPABILITIES, true);
  for (const architecture of EVERYWHERE) {
    for (const name of fakeOwnershipRules()[0]!.names) {
      equal(ask(name, [], architecture) ?? PRETENDED, PRETENDED, `${name} on ${architecture}`);
    }
    equal(ask("mknodat", [0n, 0n, 0o020666n], architecture), PRETENDED);
    equal(ask("mknodat", [0n, 0n, 0o060666n], architecture), PRETENDED);
    equal(ask("mknodat", [0n, 0n, 0o010666n], architecture), ALLOW);
    equal(ask("mknodat", [0n, 0n, 0o100644n], architecture), ALLOW);
  }
  equal([ask("mknod", [0n, 0o020666n]), ask("mknod", [0n, 0o010666n])], [PRETENDED, ALLOW]);
  equal([ask("chown32", [], "i386"), ask("setgroups32", [], "arm")], [PRETENDED, PRETENDED]);
});

Deno.test("pretended ownership without a profile allows the rest on every architecture of the machine", () => {
  const all = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"];
  const program = compileSeccomp(withFakeOwnership(undefined, all), "x86_64");
  const ask = (nr: number, arch: number) => runSeccompFilter(program, { nr, arch });
  equal(
    [ask(92, 0xc000003e), ask(165, 0xc000003e), ask(9999, 0xc000003e), ask(0x40000000 + 92, 0xc000003e)],
    [
      ...[PRETENDED, ALLOW, ALLOW, PRETENDED],
    ],
  );
  equal([ask(182, 0x40000003), ask(0, 0)], [PRETENDED, KILL_PROCESS]);
});

Deno.test("conditions of a profile: capabilities, machines and kernels, included and excluded", () => {
  const rule = (name: string, rest: Partial<ConditionalProfile["syscalls"][number]>) => ({
    names: [name],
    action: "SCMP_ACT_ALLOW",
    ...rest,
  });
  const profile: ConditionalProfile = {
    defaultAction: "SCMP_ACT_ERRNO",
    archMap: [{ architecture: "SCMP_ARCH_AARCH64", subArchitectures: ["SCMP_ARCH_ARM"] }],
    syscalls: [
      rule("plain", {}),
      rule("both-caps", { includes: { caps: ["CAP_A", "CAP_B"] } }),
      rule("one-cap", { includes: { caps: ["CAP_A"] } }),
      rule("no-cap", { excludes: { caps: ["CAP_A", "CAP_C"] } }),
      rule("arm", { includes: { arches: ["arm", "arm64"] } }),
      rule("not-arm", { excludes: { arches: ["arm64"] } }),
      rule("old", { includes: { minKernel: "4.8" } }),
      rule("new", { includes: { minKernel: "6.10" } }),
      rule("not-new", { excludes: { minKernel: "6.10" } }),
    ],
  };
  const names = (capabilities: string[], machine: "x86_64" | "aarch64", kernelRelease: string) =>
    resolveProfile(profile, { capabilities, machine, kernelRelease }).syscalls.flatMap((r) => r.names).join(
      " ",
    );
  equal(names(["CAP_A"], "x86_64", "6.9.0-1-amd64"), "plain one-cap not-arm old not-new");
  equal(names(["CAP_A", "CAP_B"], "aarch64", "6.10-rc3"), "plain both-caps one-cap arm old new");
  equal(names([], "x86_64", "4.7.9"), "plain no-cap not-arm not-new");
  equal(resolveProfile(profile, { capabilities: [], machine: "aarch64" }).architectures, [
    "SCMP_ARCH_AARCH64",
    "SCMP_ARCH_ARM",
  ]);
  equal(resolveProfile(profile, { capabilities: [], machine: "x86_64" }).architectures, []);
  throws(
    () =>
      resolveProfile({ ...profile, syscalls: [rule("x", { includes: { minKernel: "five" } })] }, {
        capabilities: [],
        machine: "x86_64",
      }),
    { message: 'invalid kernel version: "five", expected "<kernel>.<major>"' },
  );
});
