/**
 * Compares the numbers in ffi/constants, ffi/arch.ts and the tables of the runtime with what a C compiler reads from
 * the system's headers, for this machine and, where a cross compiler and qemu-user are installed, for the other.
 *
 *     deno run -A scripts/check_constants.ts
 */

export type Machine = "x86_64" | "aarch64";

/** C expression and the value that we use for it. */
export type Expectation = [expression: string, value: string];

/** Headers that can be read together; the C library's and the kernel's own exclude each other in places. */
const HEADER_GROUPS = [
  [
    ...[
      "errno.h",
      "fcntl.h",
      "net/if.h",
      "netinet/in.h",
      "netinet/tcp.h",
      "netinet/udp.h",
      "poll.h",
      "sched.h",
      "signal.h",
      "spawn.h",
      "stddef.h",
      "stdio.h",
    ],
    ...["sys/epoll.h", "sys/eventfd.h", "sys/file.h", "sys/inotify.h", "sys/ioctl.h", "sys/mman.h"],
    ...["sys/mount.h", "sys/prctl.h", "sys/resource.h", "sys/signalfd.h", "sys/socket.h", "sys/stat.h"],
    ...["sys/syscall.h", "sys/timerfd.h", "sys/un.h", "sys/wait.h", "sys/xattr.h", "termios.h", "time.h"],
    // after time.h, whose struct it needs
    ...["unistd.h", "linux/errqueue.h"],
  ],
  [
    ...[
      "asm/ioctls.h",
      "linux/audit.h",
      "linux/capability.h",
      "linux/fcntl.h",
      "linux/fib_rules.h",
      "linux/filter.h",
      "linux/fs.h",
      "linux/fuse.h",
    ],
    ...[
      "linux/if.h",
      "linux/if_addr.h",
      "linux/if_link.h",
      "linux/if_tun.h",
      "linux/keyctl.h",
      "linux/magic.h",
    ],
    ...[
      "linux/memfd.h",
      "linux/mount.h",
      "linux/netlink.h",
      "linux/nsfs.h",
      "linux/openat2.h",
      "linux/personality.h",
      "linux/prctl.h",
      "linux/securebits.h",
    ],
    ...["linux/rtnetlink.h", "linux/sched.h", "linux/seccomp.h", "linux/sockios.h", "linux/stat.h"],
    ...["linux/netfilter.h", "linux/netfilter/nf_conntrack_common.h", "linux/netfilter/nf_tables.h"],
    ...["linux/netfilter/nfnetlink.h", "linux/netfilter/nfnetlink_conntrack.h"],
    ...["linux/veth.h", "stddef.h", "stdio.h"],
  ],
];

const COMPILER: Record<Machine, string> = {
  x86_64: "x86_64-linux-gnu-gcc",
  aarch64: "aarch64-linux-gnu-gcc",
};

/** Why the check cannot be made here for `machine`, or null. */
export async function whyNotCheckable(machine: Machine): Promise<string | null> {
  if (!await hasProgram(COMPILER[machine])) return COMPILER[machine];
  if (machine !== Deno.build.arch && !await hasProgram(`qemu-${machine}`)) return `qemu-${machine}`;
  return null;
}

/** One sentence for each number that differs or that no header knows. */
export async function findDifferences(
  machine: Machine,
  expectations?: Expectation[],
): Promise<{ differences: string[]; checked: number }> {
  expectations ??= await dumpFor(machine);
  const found = new Map<string, Set<string>>();
  const folder = await Deno.makeTempDir({ prefix: "skiff-constants-" });
  try {
    for (const headers of HEADER_GROUPS) {
      const values = await evaluate(machine, headers, expectations.map(([expression]) => expression), folder);
      for (const [expression, value] of values) {
        found.set(expression, (found.get(expression) ?? new Set()).add(value));
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  const differences = expectations.flatMap(([expression, value]) => {
    const theirs = found.get(expression);
    if (!theirs) return [`${expression} is in no header`];
    // one header may leave a number to another, as glibc does with O_LARGEFILE
    return theirs.has(value) ? [] : [`${expression} is ${[...theirs].join(" or ")}, not ${value}`];
  });
  return { differences, checked: expectations.length };
}

/** Compiles and runs a program that prints every expression its headers know. */
async function evaluate(machine: Machine, headers: string[], expressions: string[], folder: string) {
  const source = (list: string[]) =>
    `#define _GNU_SOURCE\n${headers.map((header) => `#include <${header}>\n`).join("")}
int main(void) {
#line 1 "expressions"
${list.map((one) => `  printf("%s\\t%lld\\n", ${JSON.stringify(one)}, (long long)(${one}));`).join("\n")}
  return 0;
}
`;
  const compile = async (list: string[]) => {
    await Deno.writeTextFile(`${folder}/check.c`, source(list));
    const output = await new Deno.Command(COMPILER[machine], {
      args: ["-static", "-w", "-fmax-errors=0", "-o", `${folder}/check`, `${folder}/check.c`],
      env: { LC_ALL: "C" },
      stderr: "piped",
    }).output();
    return { success: output.success, stderr: new TextDecoder().decode(output.stderr) };
  };
  // Macros and enumerators alike: the compiler says which names it does not know.
  const lines = (stderr: string) =>
    new Set([...stderr.matchAll(/^expressions:(\d+):\d+: error/gm)].map((match) => Number(match[1])));
  const refused = lines((await compile(expressions)).stderr);
  const known = expressions.filter((_, index) => !refused.has(1 + index));
  const result = await compile(known);
  if (!result.success) throw new Error(`compile the check for ${machine}: ${result.stderr.slice(0, 2000)}`);

  const program = machine === Deno.build.arch ? [`${folder}/check`] : [`qemu-${machine}`, `${folder}/check`];
  const output = await new Deno.Command(program[0]!, { args: program.slice(1) }).output();
  if (!output.success) throw new Error(`run the check for ${machine}: exit code ${output.code}`);
  const text = new TextDecoder().decode(output.stdout).trimEnd();
  return new Map(text.split("\n").map((line) => line.split("\t") as [string, string]));
}

/** Our numbers as they are on `machine`: the modules are loaded in a process that believes to run on it. */
async function dumpFor(machine: Machine): Promise<Expectation[]> {
  const output = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      "--v8-flags=--single-threaded",
      import.meta.filename!,
      "--dump",
      machine,
    ],
    stderr: "inherit",
  }).output();
  if (!output.success) throw new Error(`read the constants for ${machine}: exit code ${output.code}`);
  return JSON.parse(new TextDecoder().decode(output.stdout));
}

async function dump(machine: Machine): Promise<Expectation[]> {
  Object.defineProperty(Deno, "build", { value: { ...Deno.build, arch: machine } });
  const expectations = new Map<string, number | bigint>();
  const folder = new URL("../ffi/constants/", import.meta.url);
  const modules = [...Deno.readDirSync(folder)].map(({ name }) => new URL(name, folder));
  for (const module of [...modules, new URL("../ffi/errno.ts", import.meta.url)]) {
    if (!module.pathname.endsWith(".ts") || module.pathname.endsWith("_test.ts")) continue;
    for (const [name, value] of Object.entries(await import(module.href))) {
      const isConstant = /^[A-Z_][A-Z0-9_]*$/.test(name) &&
        (typeof value === "number" || typeof value === "bigint");
      if (isConstant) expectations.set(name, value as number);
    }
  }

  const { SYSCALL, EPOLL_EVENT, OPEN_FLAGS } = await import("../ffi/arch.ts");
  for (const [name, number] of Object.entries(SYSCALL)) expectations.set(`SYS_${name}`, number);
  for (const [name, flag] of Object.entries(OPEN_FLAGS)) expectations.set(name, flag);
  expectations.set("sizeof(struct epoll_event)", EPOLL_EVENT.size);
  expectations.set("offsetof(struct epoll_event, data)", EPOLL_EVENT.dataOffset);

  const { ALL_CAPABILITIES } = await import("../runtime/security/capabilities.ts");
  ALL_CAPABILITIES.forEach((name, number) => expectations.set(name, number));
  expectations.set("CAP_LAST_CAP", ALL_CAPABILITIES.length - 1);
  const { RLIMIT_TYPES, rlimitNumber } = await import("../runtime/spec/ulimit.ts");
  for (const type of RLIMIT_TYPES) expectations.set(type, rlimitNumber(type));
  const { signalName } = await import("../runtime/spec/signal.ts");
  for (let number = 1; number < 32; number++) expectations.set(signalName(number), number);
  for (const number of [34, 64]) expectations.set(signalName(number), number);

  return [...expectations].map(([name, value]) => [name, String(value)]);
}

async function hasProgram(name: string): Promise<boolean> {
  const { success } = await new Deno.Command("sh", { args: ["-c", `command -v ${name}`], stdout: "null" })
    .output();
  return success;
}

if (import.meta.main) {
  if (Deno.args[0] === "--dump") {
    console.log(JSON.stringify(await dump(Deno.args[1] as Machine)));
  } else {
    let failed = false;
    for (const machine of ["x86_64", "aarch64"] as const) {
      const reason = await whyNotCheckable(machine);
      if (reason) {
        console.log(`${machine}: not checked without ${reason}`);
        continue;
      }
      const { differences, checked } = await findDifferences(machine);
      console.log(`${machine}: ${checked} constants, ${differences.length} differences`);
      for (const difference of differences) console.log(`  ${difference}`);
      failed ||= differences.length > 0;
    }
    if (failed) Deno.exit(1);
  }
}
