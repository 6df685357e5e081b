import { deepStrictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { runSeccompFilter } from "../../ffi/bpf_interpreter.ts";
import type { SeccompSpec } from "../spec/runtime.ts";
import { ALL_CAPABILITIES, DEFAULT_CAPABILITIES } from "./capabilities.ts";
import { compileSeccomp } from "./seccomp_compile.ts";
import { parseDockerSeccomp } from "./seccomp_docker.ts";
import { defaultSeccompProfile, resolveProfile } from "./seccomp_profile.ts";
import { FILTER_ARCHITECTURES } from "./syscall_table.ts";

/**
 * Our compiler against libseccomp, which is what docker and podman use: the same profile must give the same
 * verdict for every call. Debian's package python3-seccomp belongs to Debian's own python.
 */
const PYTHON = "/usr/bin/python3";
const PODMANS_PROFILE = "/usr/share/containers/seccomp.json";

const NAMES = {
  x86_64: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
  aarch64: ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
};
const I386 = 0x40000003;
/** socketcall and ipc of i386: libseccomp spreads rules of socket, semop, … over them. */
const MULTIPLEXED = [102, 117];

interface Reference {
  program: Uint8Array;
  unknown: string[];
}

const missing = await new Deno.Command(PYTHON, {
  args: ["-c", "import seccomp"],
  stdout: "null",
  stderr: "null",
})
  .output().then(
    ({ success }) => success ? undefined : "python3-seccomp",
    () => "python3",
  );
const needs = missing === undefined ? "" : ` [needs ${missing}]`;

Deno.test({
  name: `Docker's default profile gives libseccomp's verdicts${needs}`,
  ignore: missing !== undefined,
  fn: async () => {
    for (const capabilities of [DEFAULT_CAPABILITIES, ALL_CAPABILITIES, []]) {
      for (const machine of ["x86_64", "aarch64"] as const) {
        const spec = defaultSeccompProfile(capabilities, machine);
        // Ours alone: a condition beside an unconditional rule, which libseccomp drops.
        spec.syscalls = spec.syscalls.filter((rule) => !(rule.names[0] === "ioctl" && rule.args));
        await compareAll(spec, machine);
      }
    }
  },
});

Deno.test({
  name: `podman's default profile gives libseccomp's verdicts${needs}`,
  ignore: missing !== undefined || !await Deno.stat(PODMANS_PROFILE).then(() => true, () => false),
  fn: async () => {
    const profile = parseDockerSeccomp(await Deno.readTextFile(PODMANS_PROFILE));
    for (const capabilities of [DEFAULT_CAPABILITIES, ALL_CAPABILITIES, []]) {
      for (const machine of ["x86_64", "aarch64"] as const) {
        await compareAll(resolveProfile(profile, { capabilities, machine }), machine);
      }
    }
  },
});

Deno.test({
  name: `any checks of arguments give libseccomp's verdicts${needs}`,
  ignore: missing !== undefined,
  fn: async () => {
    const word = fc.constantFrom(0n, 1n, 2n, 0x7fffffffn, 0x80000000n, 0xfffffffen, 0xffffffffn);
    const wide = fc.tuple(word, word).map(([high, low]) => high << 32n | low);
    const check = fc.record({
      index: fc.nat({ max: 5 }),
      op: fc.constantFrom("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ").map((op) => `SCMP_CMP_${op}`),
      value: wide,
      valueTwo: wide,
    }).map((one) => one.op === "SCMP_CMP_MASKED_EQ" ? { ...one, valueTwo: one.valueTwo & one.value } : one);
    const checks = fc.uniqueArray(check, { selector: ({ index }) => index, minLength: 1, maxLength: 3 });
    const args = fc.array(wide, { minLength: 6, maxLength: 6 });
    const cases = fc.sample(fc.tuple(checks, fc.array(args, { minLength: 20, maxLength: 20 })), 200);
    const specs = cases.map(([list]): SeccompSpec => ({
      defaultAction: "SCMP_ACT_ERRNO",
      defaultErrnoRet: 38,
      architectures: NAMES.x86_64,
      syscalls: [{ names: ["read"], action: "SCMP_ACT_ALLOW", args: list }],
    }));
    const references = await compileWithLibseccomp(specs);
    cases.forEach(([list, samples], index) => {
      const program = compileSeccomp(specs[index]!, "x86_64");
      // the values themselves are the edges
      const exact = Array.from({ length: 6 }, (_, arg) => list.find((one) => one.index === arg)?.value ?? 0n);
      for (const sample of [exact, ...samples]) {
        for (const [nr, arch, cut] of [[0, 0xc000003e, false], [3, I386, true]] as const) {
          const data = { nr, arch, args: cut ? sample.map((value) => value & 0xffffffffn) : sample };
          equal(
            runSeccompFilter(program, data),
            runSeccompFilter(references[index]!.program, data),
            Deno.inspect([list, data]),
          );
        }
      }
    });
  },
});

/** Every number to 600 on every architecture, with arguments around the values that the profile asks for. */
async function compareAll(original: SeccompSpec, machine: "x86_64" | "aarch64") {
  const spec: SeccompSpec = {
    ...original,
    architectures: NAMES[machine],
    defaultErrnoRet: 38,
    syscalls: original.syscalls.map((rule) => ({
      ...rule,
      // x32 got it after Debian's libseccomp was made
      names: rule.names.filter((name) => name !== "map_shadow_stack"),
    })),
  };
  const [reference] = await compileWithLibseccomp([spec]);
  const isKnown = (name: string) => !reference!.unknown.includes(name);
  const program = compileSeccomp({
    ...spec,
    syscalls: spec.syscalls.map((rule) => ({ ...rule, names: rule.names.filter(isKnown) })),
  }, machine);

  const values = new Set([0n, 1n, 3n, 1n << 32n, 0xffffffffn, 0xffffffffffffffffn, 0x10000011n, 0x1200011n]);
  for (const { args } of spec.syscalls) {
    for (const { value } of args ?? []) {
      for (const near of [-1n, 0n, 1n, 1n << 32n]) values.add(BigInt.asUintN(64, BigInt(value) + near));
    }
  }
  const argumentSets = [...values].flatMap((
    value,
  ) => [[value, value, value], [16n, 0n, value], [value, 0n, 0n]]);
  const conditional = new Set(spec.syscalls.flatMap((rule) => rule.args?.length ? rule.names : []));
  for (const { auditArch, is32Bit, tables } of FILTER_ARCHITECTURES[machine]) {
    for (const { numbers, base } of tables.map(({ table }) => table())) {
      const asked = new Set([...conditional].map((name) => numbers.get(name)));
      for (let number = 0; number <= 600; number++) {
        if (auditArch === I386 && MULTIPLEXED.includes(number)) continue;
        for (const set of asked.has(number) ? argumentSets : argumentSets.slice(0, 2)) {
          const args = is32Bit || base ? set.map((value) => value & 0xffffffffn) : set;
          const data = { nr: base + number, arch: auditArch, args };
          equal(
            runSeccompFilter(program, data),
            runSeccompFilter(reference!.program, data),
            Deno.inspect(data),
          );
        }
      }
    }
  }
}

async function compileWithLibseccomp(specs: SeccompSpec[]): Promise<Reference[]> {
  const child = new Deno.Command(PYTHON, {
    args: [new URL("./libseccomp_reference.py", import.meta.url).pathname],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const text = JSON.stringify(specs, (_, value) => typeof value === "bigint" ? String(value) : value);
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  const { success, stdout } = await child.output();
  if (!success) throw new Error("libseccomp_reference.py failed");
  const results: { program: string; unknown: string[] }[] = JSON.parse(new TextDecoder().decode(stdout));
  return results.map(({ program, unknown }) => ({
    program: Uint8Array.from(atob(program), (character) => character.charCodeAt(0)),
    unknown,
  }));
}
