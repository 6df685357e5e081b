/**
 * Compiles an OCI seccomp profile to the BPF program that seccomp(2) takes.
 *
 * ```
 *   arch unknown ─▶ kill
 *   arch ─▶ number, by a balanced tree of ranges ─▶ verdict
 *                                                └▶ arguments, 64 bits each as two words ─▶ verdict
 * ```
 *
 * Of several rules for a call the first one without conditions counts, as in libseccomp, but conditions that answer
 * more strictly come before it; among conditions the strictest that holds counts. No rule: the default action. A number beyond the last one the profile names answers ENOSYS (as runc does), so that a C
 * library newer than the profile falls back instead of failing on EPERM.
 *
 * @see seccomp(2), linux/seccomp.h; OCI runtime-spec config-linux.md, seccomp
 */

import type { Machine } from "../../ffi/arch.ts";
import { BpfProgram, type Label } from "../../ffi/bpf.ts";
import { InvalidArgumentError, UnsupportedError } from "../errors.ts";
import type { SeccompSpec } from "../spec/runtime.ts";
import {
  ARM_PRIVATE_BASE,
  FILTER_ARCHITECTURES,
  type FilterArchitecture,
  FOREIGN_ARCHITECTURES,
  X32_BIT,
} from "./syscall_table.ts";

const SECCOMP_RET_KILL_PROCESS = 0x80000000;
const SECCOMP_RET_ERRNO = 0x00050000;
const SECCOMP_RET_TRACE = 0x7ff00000;
const SECCOMP_RET_LOG = 0x7ffc0000;
const SECCOMP_RET_ALLOW = 0x7fff0000;

const ACTIONS: Record<string, number> = {
  SCMP_ACT_KILL: 0,
  SCMP_ACT_KILL_THREAD: 0,
  SCMP_ACT_KILL_PROCESS: SECCOMP_RET_KILL_PROCESS,
  SCMP_ACT_TRAP: 0x00030000,
  SCMP_ACT_ERRNO: SECCOMP_RET_ERRNO,
  SCMP_ACT_TRACE: SECCOMP_RET_TRACE,
  SCMP_ACT_LOG: SECCOMP_RET_LOG,
  SCMP_ACT_ALLOW: SECCOMP_RET_ALLOW,
};

/** struct seccomp_data */
const OFFSET_NR = 0, OFFSET_ARCH = 4, OFFSET_ARGS = 16;
const EPERM = 1, ENOSYS = 38, MAX_ERRNO = 4095;
const LAST_NUMBER = 0xffffffff;

type Operator = "NE" | "LT" | "LE" | "EQ" | "GE" | "GT" | "MASKED_EQ";

interface Check {
  index: number;
  op: Operator;
  value: bigint;
  valueTwo: bigint;
}

/** What happens to a call: the first case whose checks all hold, else `otherwise`. Values are SECCOMP_RET_…. */
interface Decision {
  cases: { checks: Check[]; verdict: number }[];
  otherwise: number;
}

interface Range {
  start: number;
  decision: Decision;
}

/** The program as struct sock_filter[], little endian. */
export function compileSeccomp(spec: SeccompSpec, machine: Machine): Uint8Array {
  const wanted = new Set(spec.architectures);
  for (const name of wanted) {
    if (!FOREIGN_ARCHITECTURES.includes(name)) throw profileError(`unknown architecture "${name}"`);
  }
  const defaultVerdict = verdictOf(spec.defaultAction, spec.defaultErrnoRet);
  const decisions = decideByName(spec, defaultVerdict);

  const program = new BpfProgram();
  program.load(OFFSET_ARCH);
  FILTER_ARCHITECTURES[machine].forEach((architecture, position) => {
    const tables = architecture.tables.filter(({ name }, index) =>
      wanted.has(name) || (position === 0 && index === 0) // the machine's own is always in
    );
    if (tables.length === 0) return;
    const other = program.label();
    program.jumpIf("jeq", architecture.auditArch, "next", other);
    program.load(OFFSET_NR);
    const ranges = rangesOf({ ...architecture, tables }, decisions, defaultVerdict);
    emitTree(program, ranges, architecture.is32Bit);
    program.place(other);
  });
  program.return(SECCOMP_RET_KILL_PROCESS);
  try {
    return program.assemble();
  } catch (error) {
    throw new InvalidArgumentError(`compile seccomp profile: ${(error as Error).message}`, { cause: error });
  }
}

const FILTER_FLAGS: Record<string, number> = {
  SECCOMP_FILTER_FLAG_TSYNC: 1,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: 32,
};

/**
 * The flags for seccomp(SECCOMP_SET_MODE_FILTER). Without any in the profile SPEC_ALLOW is set, as runc does: a
 * filter is no reason to slow every branch of the program down.
 */
export function seccompFlags(spec: SeccompSpec): number {
  return (spec.flags ?? ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]).reduce((flags, name) => {
    const flag = FILTER_FLAGS[name];
    if (flag === undefined) throw profileError(`unknown flag "${name}"`);
    return flags | flag;
  }, 0);
}

/** One decision per name; the common "always allowed" is one shared object, so that equal neighbours merge. */
function decideByName(spec: SeccompSpec, defaultVerdict: number): Map<string, Decision> {
  const rules = new Map<string, { checks: Check[]; verdict: number }[]>();
  for (const rule of spec.syscalls) {
    const verdict = verdictOf(rule.action, rule.errnoRet);
    const variants = checksOf(rule.args ?? []);
    // A bare rule that repeats the default says nothing (runc leaves it out too).
    if (variants.length === 1 && variants[0]!.length === 0 && verdict === defaultVerdict) continue;
    for (const name of rule.names) {
      const list = rules.get(name);
      const added = variants.map((checks) => ({ checks, verdict }));
      if (list) list.push(...added);
      else rules.set(name, added);
    }
  }

  const constants = new Map<number, Decision>();
  const decisions = new Map<string, Decision>();
  for (const [name, list] of rules) {
    const bare = list.filter(({ checks }) => checks.length === 0).map(({ verdict }) => verdict);
    const otherwise = bare[0] ?? defaultVerdict;
    const cases = list
      .filter(({ checks, verdict }) =>
        checks.length > 0 && (bare.length === 0 || strictness(verdict) < strictness(otherwise))
      )
      .sort((a, b) => strictness(a.verdict) - strictness(b.verdict));
    if (cases.length > 0) {
      decisions.set(name, { cases, otherwise });
      continue;
    }
    let constant = constants.get(otherwise);
    if (!constant) constants.set(otherwise, constant = { cases: [], otherwise });
    decisions.set(name, constant);
  }
  return decisions;
}

/**
 * The number space of one architecture, without holes: each range runs to the next one's start, the last one to
 * 2^32 - 1.
 */
function rangesOf(
  architecture: FilterArchitecture,
  decisions: Map<string, Decision>,
  defaultVerdict: number,
): Range[] {
  const byDefault: Decision = { cases: [], otherwise: defaultVerdict };
  const permissive = defaultVerdict === SECCOMP_RET_ALLOW || defaultVerdict === SECCOMP_RET_LOG;
  const beyond: Decision = permissive ? byDefault : { cases: [], otherwise: SECCOMP_RET_ERRNO | ENOSYS };
  const ranges: Range[] = [];
  const append = (start: number, decision: Decision) => {
    if (ranges.at(-1)?.decision !== decision) ranges.push({ start, decision });
  };

  for (const { table } of architecture.tables) {
    const { numbers, base } = table();
    const entries: [number, Decision][] = [];
    for (const [name, decision] of decisions) {
      const number = numbers.get(name);
      if (number !== undefined) entries.push([base + number, decision]);
    }
    entries.sort(([a], [b]) => a - b);
    let next = base;
    for (const [number, decision] of entries) {
      if (number < next) continue; // two names of one number
      if (number >= ARM_PRIVATE_BASE && number < X32_BIT && next < ARM_PRIVATE_BASE) {
        append(next, beyond);
        next = ARM_PRIVATE_BASE;
      }
      if (number > next) append(next, byDefault);
      append(number, decision);
      next = number + 1;
    }
    append(next, beyond);
  }

  const isX86 = architecture.tables[0]!.name === "SCMP_ARCH_X86_64";
  if (isX86 && architecture.tables.length === 1) {
    // Without this, x32 would be a way round a profile that allows by default.
    append(X32_BIT, { cases: [], otherwise: SECCOMP_RET_KILL_PROCESS });
    append(LAST_NUMBER, beyond); // -1 is what a tracer sets to skip a call
  }
  return ranges;
}

/** A binary search: at most 8 comparisons for Docker's profile. */
function emitTree(program: BpfProgram, ranges: Range[], is32Bit: boolean) {
  if (ranges.length === 1) return emitDecision(program, ranges[0]!.decision, is32Bit);
  const middle = ranges.length >> 1;
  const right = program.label();
  program.jumpIf("jge", ranges[middle]!.start, right, "next");
  emitTree(program, ranges.slice(0, middle), is32Bit);
  program.place(right);
  emitTree(program, ranges.slice(middle), is32Bit);
}

function emitDecision(program: BpfProgram, { cases, otherwise }: Decision, is32Bit: boolean) {
  for (let at = 0; at < cases.length;) {
    const { checks, verdict } = cases[at]!;
    const failed = program.label();
    const alternatives = equalitiesFrom(cases, at);
    if (alternatives.length > 1) {
      emitOneOf(program, alternatives, is32Bit, failed);
    } else {
      for (const check of checks) (is32Bit ? emitCheck32 : emitCheck64)(program, check, failed);
    }
    program.return(verdict);
    program.place(failed);
    at += alternatives.length || 1;
  }
  program.return(otherwise);
}

/** The cases from `at` on that only ask one argument for one value each and answer alike, such as socket families. */
function equalitiesFrom(cases: Decision["cases"], at: number): Check[] {
  const first = cases[at]!;
  const found: Check[] = [];
  for (const { checks: [check, ...more], verdict } of cases.slice(at)) {
    const joins = check!.op === "EQ" && more.length === 0 && verdict === first.verdict &&
      check!.index === first.checks[0]!.index && check!.value >> 32n === first.checks[0]!.value >> 32n;
    if (!joins) break;
    found.push(check!);
  }
  return found;
}

/** Falls through where the argument is one of the values, which share their high word. */
function emitOneOf(program: BpfProgram, checks: Check[], is32Bit: boolean, failed: Label) {
  const offset = OFFSET_ARGS + 8 * checks[0]!.index;
  const holds = program.label();
  if (!is32Bit) {
    program.load(offset + 4);
    program.jumpIf("jeq", wordsOf(checks[0]!.value)[1], "next", failed);
  }
  program.load(offset);
  for (const { value } of checks) program.jumpIf("jeq", wordsOf(value)[0], holds, "next");
  program.jump(failed);
  program.place(holds);
}

/** Falls through where the check holds. Unsigned, high word first. */
function emitCheck64(program: BpfProgram, check: Check, failed: Label) {
  const [low, high] = wordsOf(check.value);
  const offset = OFFSET_ARGS + 8 * check.index;
  const holds = program.label();
  switch (check.op) {
    case "MASKED_EQ": {
      const [lowTwo, highTwo] = wordsOf(check.valueTwo);
      if (high !== 0 || highTwo !== 0) {
        program.load(offset + 4);
        program.and(high);
        program.jumpIf("jeq", highTwo, "next", failed);
      }
      program.load(offset);
      program.and(low);
      program.jumpIf("jeq", lowTwo, "next", failed);
      break;
    }
    case "EQ":
      program.load(offset + 4);
      program.jumpIf("jeq", high, "next", failed);
      break;
    case "NE":
      program.load(offset + 4);
      program.jumpIf("jeq", high, "next", holds);
      break;
    case "GE":
    case "GT":
      program.load(offset + 4);
      program.jumpIf("jgt", high, holds, "next");
      program.jumpIf("jeq", high, "next", failed);
      break;
    case "LT":
    case "LE":
      program.load(offset + 4);
      program.jumpIf("jgt", high, failed, "next");
      program.jumpIf("jeq", high, "next", holds);
      break;
  }
  if (check.op !== "MASKED_EQ") emitLowWord(program, check.op, offset, low, failed);
  program.place(holds);
}

/** A 32-bit architecture has the low words only; values are cut to them as libseccomp does. */
function emitCheck32(program: BpfProgram, check: Check, failed: Label) {
  const offset = OFFSET_ARGS + 8 * check.index;
  const [low] = wordsOf(check.value);
  if (check.op !== "MASKED_EQ") return emitLowWord(program, check.op, offset, low, failed);
  program.load(offset);
  program.and(low);
  program.jumpIf("jeq", wordsOf(check.valueTwo)[0], "next", failed);
}

function emitLowWord(
  program: BpfProgram,
  op: Exclude<Operator, "MASKED_EQ">,
  offset: number,
  value: number,
  failed: Label,
) {
  program.load(offset);
  const [jump, wanted] = LOW_WORD_JUMP[op];
  program.jumpIf(jump, value, wanted ? "next" : failed, wanted ? failed : "next");
}

/** The jump that decides on the last word, and whether it must be taken. */
const LOW_WORD_JUMP = {
  EQ: ["jeq", true],
  NE: ["jeq", false],
  GE: ["jge", true],
  LT: ["jge", false],
  GT: ["jgt", true],
  LE: ["jgt", false],
} as const;

function wordsOf(value: bigint): [low: number, high: number] {
  return [Number(value & 0xffffffffn), Number(value >> 32n)];
}

/**
 * The alternatives of a rule, each a list of checks that must all hold. Two checks of the same argument make every
 * check an alternative of its own: libseccomp cannot join them, and profiles have come to rely on it (runc, crun).
 */
function checksOf(args: NonNullable<SeccompSpec["syscalls"][number]["args"]>): Check[][] {
  const checks = args.map((arg): Check => {
    const op = /^SCMP_CMP_(NE|LT|LE|EQ|GE|GT|MASKED_EQ)$/.exec(arg.op)?.[1];
    if (!op) throw profileError(`unknown operator "${arg.op}"`);
    if (!Number.isInteger(arg.index) || arg.index < 0 || arg.index > 5) {
      throw profileError(`argument index ${arg.index} is not in 0-5`);
    }
    return {
      index: arg.index,
      op: op as Operator,
      value: uint64(arg.value),
      valueTwo: uint64(arg.valueTwo ?? 0),
    };
  });
  const repeated = new Set(checks.map(({ index }) => index)).size < checks.length;
  return repeated ? checks.map((check) => [check]) : [checks];
}

function uint64(value: number | bigint): bigint {
  const isExact = typeof value === "bigint" || Number.isSafeInteger(value);
  const wide = isExact ? BigInt(value) : -1n;
  if (wide < 0n || wide > 0xffffffffffffffffn) {
    throw profileError(`argument value ${value} is not an unsigned 64-bit number`);
  }
  return wide;
}

function verdictOf(action: string, errnoRet: number | undefined): number {
  if (action === "SCMP_ACT_NOTIFY") {
    throw new UnsupportedError(
      "compile seccomp profile: SCMP_ACT_NOTIFY needs a listener, which skiff does not have",
    );
  }
  const base = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
  if (base === undefined) throw profileError(`unknown action "${action}"`);
  if (base !== SECCOMP_RET_ERRNO && base !== SECCOMP_RET_TRACE) return base;
  const data = errnoRet ?? EPERM;
  if (!Number.isInteger(data) || data < 0 || data > MAX_ERRNO) {
    throw profileError(`errno ${data} is not in 0-${MAX_ERRNO}`);
  }
  return base | data;
}

/** Lower is stricter, as the kernel orders the actions of stacked filters. */
function strictness(verdict: number): number {
  return (verdict & 0xffff0000) | 0;
}

function profileError(message: string): InvalidArgumentError {
  return new InvalidArgumentError(`compile seccomp profile: ${message}`);
}
