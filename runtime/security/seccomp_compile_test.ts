import { deepStrictEqual as equal, throws } from "node:assert/strict";
import fc from "fast-check";
import { runSeccompFilter } from "../../ffi/bpf_interpreter.ts";
import type { SeccompSpec } from "../spec/runtime.ts";
import { compileSeccomp, seccompFlags } from "./seccomp_compile.ts";

const ALLOW = 0x7fff0000, ERRNO = 0x50000, KILL_PROCESS = 0x80000000, KILL_THREAD = 0, LOG = 0x7ffc0000;
const EPERM = ERRNO | 1, ENOSYS = ERRNO | 38;
const ARCH = { x86_64: 0xc000003e, i386: 0x40000003, aarch64: 0xc00000b7, arm: 0x40000028 };
const ALL_X86 = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"];

type Rule = SeccompSpec["syscalls"][number];

const spec = (syscalls: Rule[], rest: Partial<SeccompSpec> = {}): SeccompSpec => ({
  defaultAction: "SCMP_ACT_ERRNO",
  architectures: ALL_X86,
  syscalls,
  ...rest,
});

const allow = (names: string[], args?: Rule["args"]): Rule => ({ names, action: "SCMP_ACT_ALLOW", args });

function asker(document: SeccompSpec, machine: "x86_64" | "aarch64" = "x86_64") {
  const program = compileSeccomp(document, machine);
  return (nr: number, args: bigint[] = [], arch: keyof typeof ARCH | number = machine) =>
    runSeccompFilter(program, { nr, arch: typeof arch === "number" ? arch : ARCH[arch], args });
}

Deno.test("a name is found under its number on every architecture of the machine", () => {
  const ask = asker(spec([allow(["ioctl", "removexattrat"])]));
  equal([ask(16), ask(15), ask(17)], [ALLOW, EPERM, EPERM]);
  equal([ask(54, [], "i386"), ask(16, [], "i386")], [ALLOW, EPERM]);
  equal([ask(0x40000000 + 514), ask(0x40000000 + 16)], [ALLOW, EPERM]);
  const arm = asker(
    spec([allow(["ioctl", "set_tls"])], { architectures: ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"] }),
    "aarch64",
  );
  equal([arm(29), arm(54, [], "arm"), arm(0xf0005, [], "arm")], [ALLOW, ALLOW, ALLOW]);
});

Deno.test("an architecture that the profile does not name, or nobody knows, is killed", () => {
  const ask = asker(spec([allow(["read"])], { architectures: [] }));
  equal(ask(0), ALLOW);
  equal([ask(3, [], "i386"), ask(0, [], "aarch64"), ask(0, [], 0)], [
    KILL_PROCESS,
    KILL_PROCESS,
    KILL_PROCESS,
  ]);
});

Deno.test("x32 numbers are killed where only x86-64 is allowed, even if the profile allows by default", () => {
  const ask = asker(spec([], { defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_X86_64"] }));
  equal([ask(0), ask(0x3fffffff), ask(0x40000000), ask(0x7fffffff), ask(-2)], [
    ...[ALLOW, ALLOW, KILL_PROCESS, KILL_PROCESS, KILL_PROCESS],
  ]);
  equal(ask(-1), ALLOW);
});

Deno.test("a number beyond the last one named answers ENOSYS, per architecture", () => {
  const ask = asker(spec([allow(["read", "statx"])]));
  equal([ask(331), ask(332), ask(333), ask(5000)], [EPERM, ALLOW, ENOSYS, ENOSYS]);
  equal([ask(382, [], "i386"), ask(383, [], "i386"), ask(384, [], "i386")], [EPERM, ALLOW, ENOSYS]);
  equal([ask(0x40000000 + 331), ask(0x40000000 + 333), ask(-1)], [EPERM, ENOSYS, ENOSYS]);
});

Deno.test("nothing answers ENOSYS where the default lets calls pass", () => {
  equal(asker(spec([allow(["read"])], { defaultAction: "SCMP_ACT_LOG" }))(5000), LOG);
});

Deno.test("ARM's own calls do not stretch the range in which EPERM is the answer", () => {
  const ask = asker(
    spec([allow(["read", "set_tls"])], { architectures: ["SCMP_ARCH_ARM"] }),
    "aarch64",
  );
  equal([ask(3, [], "arm"), ask(4, [], "arm"), ask(0xeffff, [], "arm")], [ALLOW, ENOSYS, ENOSYS]);
  equal([ask(0xf0001, [], "arm"), ask(0xf0005, [], "arm"), ask(0xf0006, [], "arm")], [EPERM, ALLOW, ENOSYS]);
});

Deno.test("every operator compares all 64 bits, unsigned", () => {
  const compare: Record<string, (a: bigint, b: bigint, c: bigint) => boolean> = {
    NE: (a, b) => a !== b,
    LT: (a, b) => a < b,
    LE: (a, b) => a <= b,
    EQ: (a, b) => a === b,
    GE: (a, b) => a >= b,
    GT: (a, b) => a > b,
    MASKED_EQ: (a, b, c) => (a & b) === c,
  };
  // words that meet at their edges
  const word = fc.constantFrom(0n, 1n, 2n, 0x7fffffffn, 0x80000000n, 0xfffffffen, 0xffffffffn);
  const wide = fc.tuple(word, word).map(([high, low]) => high << 32n | low);
  fc.assert(
    fc.property(
      fc.constantFrom(...Object.keys(compare)),
      fc.nat({ max: 5 }),
      wide,
      wide,
      fc.array(wide, { minLength: 6, maxLength: 6 }),
      (op, index, value, valueTwo, args) => {
        const ask = asker(spec([allow(["read"], [{ index, op: `SCMP_CMP_${op}`, value, valueTwo }])]));
        equal(ask(0, args), compare[op]!(args[index]!, value, valueTwo) ? ALLOW : EPERM);
        const low = (n: bigint) => n & 0xffffffffn;
        const expected = compare[op]!(low(args[index]!), low(value), low(valueTwo));
        equal(ask(3, args.map(low), "i386"), expected ? ALLOW : EPERM);
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("checks of different arguments must all hold", () => {
  const ask = asker(spec([
    allow(["read"], [
      { index: 0, op: "SCMP_CMP_EQ", value: 5 },
      { index: 1, op: "SCMP_CMP_GT", value: 7 },
    ]),
  ]));
  equal([ask(0, [5n, 8n]), ask(0, [5n, 7n]), ask(0, [4n, 8n])], [ALLOW, EPERM, EPERM]);
});

Deno.test("checks of the same argument are alternatives, as in runc and crun", () => {
  const ask = asker(spec([
    allow(["read"], [
      { index: 0, op: "SCMP_CMP_EQ", value: 5 },
      { index: 0, op: "SCMP_CMP_EQ", value: 6 },
    ]),
  ]));
  equal([ask(0, [5n]), ask(0, [6n]), ask(0, [7n])], [ALLOW, ALLOW, EPERM]);
});

Deno.test("values of one argument that share a verdict are one list, also beside other rules", () => {
  const family = (value: number | bigint) => allow(["socket"], [{ index: 0, op: "SCMP_CMP_EQ", value }]);
  const ask = asker(spec([
    family(1),
    family(2),
    family(1n << 32n | 2n),
    family(1n << 32n | 3n),
    { names: ["socket"], action: "SCMP_ACT_KILL", args: [{ index: 1, op: "SCMP_CMP_EQ", value: 9 }] },
    family(10),
  ]));
  equal([1n, 2n, 3n, 10n, 1n << 32n | 2n, 1n << 32n | 3n, 1n << 32n | 1n].map((arg) => ask(41, [arg])), [
    ...[ALLOW, ALLOW, EPERM, ALLOW, ALLOW, ALLOW, EPERM],
  ]);
  equal([ask(41, [1n, 9n]), ask(41, [77n, 9n])], [KILL_THREAD, KILL_THREAD]);
});

Deno.test("a condition that is stricter than the bare rule counts, whatever the order", () => {
  const deny: Rule = {
    names: ["ioctl"],
    action: "SCMP_ACT_ERRNO",
    errnoRet: 13,
    args: [{ index: 1, op: "SCMP_CMP_EQ", value: 7 }],
  };
  for (const rules of [[deny, allow(["ioctl"])], [allow(["ioctl"]), deny]]) {
    const ask = asker(spec(rules));
    equal([ask(16, [0n, 7n]), ask(16, [0n, 8n])], [ERRNO | 13, ALLOW]);
  }
  const kill: Rule = { ...deny, action: "SCMP_ACT_KILL_PROCESS" };
  for (const rules of [[deny, kill], [kill, deny]]) equal(asker(spec(rules))(16, [0n, 7n]), KILL_PROCESS);
  // a bare errno beside a condition that allows: nothing is allowed, as in libseccomp
  const bare: Rule = { names: ["ioctl"], action: "SCMP_ACT_ERRNO", errnoRet: 13 };
  equal(asker(spec([bare, allow(["ioctl"], deny.args)]))(16, [0n, 7n]), ERRNO | 13);
});

Deno.test("of two bare rules the first counts, as in libseccomp", () => {
  const deny: Rule = { names: ["ioctl"], action: "SCMP_ACT_ERRNO", errnoRet: 13 };
  equal([asker(spec([allow(["ioctl"]), deny]))(16), asker(spec([deny, allow(["ioctl"])]))(16)], [
    ...[ALLOW, ERRNO | 13],
  ]);
});

Deno.test("a bare rule that repeats the default leaves room for a condition", () => {
  const ask = asker(spec([
    { names: ["ioctl"], action: "SCMP_ACT_ERRNO" },
    allow(["ioctl"], [{ index: 1, op: "SCMP_CMP_EQ", value: 7 }]),
  ]));
  equal([ask(16, [0n, 7n]), ask(16)], [ALLOW, EPERM]);
});

Deno.test("actions become the kernel's values", () => {
  const verdicts: [action: string, errnoRet: number | undefined, value: number][] = [
    ["SCMP_ACT_KILL", undefined, 0],
    ["SCMP_ACT_KILL_THREAD", undefined, 0],
    ["SCMP_ACT_KILL_PROCESS", undefined, KILL_PROCESS],
    ["SCMP_ACT_TRAP", undefined, 0x30000],
    ["SCMP_ACT_ERRNO", 0, ERRNO],
    ["SCMP_ACT_ERRNO", 4095, ERRNO | 4095],
    ["SCMP_ACT_TRACE", undefined, 0x7ff00001],
    ["SCMP_ACT_TRACE", 77, 0x7ff0004d],
    ["SCMP_ACT_LOG", undefined, LOG],
    ["SCMP_ACT_ALLOW", undefined, ALLOW],
  ];
  for (const [action, errnoRet, value] of verdicts) {
    equal(asker(spec([{ names: ["read"], action, errnoRet }], { defaultErrnoRet: 5 }))(0), value);
  }
  equal(asker(spec([allow(["write"])], { defaultErrnoRet: 5 }))(0), ERRNO | 5);
});

Deno.test("names that no architecture has are left out", () => {
  equal(asker(spec([allow(["no_such_call", "read", "toString", "__proto__"])]))(0), ALLOW);
});

Deno.test("what cannot be compiled is refused with its reason", () => {
  const arg = (rest: Record<string, unknown>) =>
    spec([allow(["read"], [{ index: 0, op: "SCMP_CMP_EQ", value: 1, ...rest }])]);
  const refused: [SeccompSpec, string][] = [
    [spec([], { defaultAction: "ALLOW" }), 'unknown action "ALLOW"'],
    [spec([], { defaultAction: "constructor" }), 'unknown action "constructor"'],
    [spec([], { architectures: ["amd64"] }), 'unknown architecture "amd64"'],
    [spec([{ names: ["read"], action: "SCMP_ACT_ERRNO", errnoRet: 4096 }]), "errno 4096 is not in 0-4095"],
    [arg({ index: 6 }), "argument index 6 is not in 0-5"],
    [arg({ index: 0.5 }), "argument index 0.5 is not in 0-5"],
    [arg({ op: "SCMP_CMP_XX" }), 'unknown operator "SCMP_CMP_XX"'],
    [arg({ value: -1 }), "argument value -1 is not an unsigned 64-bit number"],
    [arg({ value: 2 ** 64 }), "argument value 18446744073709552000 is not an unsigned 64-bit number"],
    [arg({ value: 1n << 64n }), "argument value 18446744073709551616 is not an unsigned 64-bit number"],
  ];
  for (const [document, message] of refused) {
    throws(() => compileSeccomp(document, "x86_64"), {
      name: "InvalidArgumentError",
      message: `compile seccomp profile: ${message}`,
    });
  }
  throws(() => compileSeccomp(spec([], { defaultAction: "SCMP_ACT_NOTIFY" }), "x86_64"), {
    name: "UnsupportedError",
    message: "compile seccomp profile: SCMP_ACT_NOTIFY needs a listener, which skiff does not have",
  });
});

Deno.test("a profile too large for the kernel is refused", () => {
  const rules = Array.from(
    { length: 3000 },
    (_, value) => allow(["read"], [{ index: value % 6, op: "SCMP_CMP_EQ", value }]),
  );
  throws(
    () => compileSeccomp(spec(rules), "x86_64"),
    /BPF program has \d+ instructions, the kernel takes 4096$/,
  );
});

Deno.test("flags become bits, and without any the filter does not slow speculation", () => {
  equal(seccompFlags(spec([])), 4);
  equal(seccompFlags(spec([], { flags: [] })), 0);
  equal(seccompFlags(spec([], { flags: ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"] })), 3);
  throws(() => seccompFlags(spec([], { flags: ["FAST"] })), {
    message: 'compile seccomp profile: unknown flag "FAST"',
  });
});
