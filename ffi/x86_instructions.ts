/**
 * Instructions of x86-64 with the names and the order of operands that Intel gives them: what the programs that are
 * made here need. Registers are 64 bits wide, distances take four bytes.
 *
 * ```
 * assemble([...mov("rax", 231), ...mov("rdi", 0), ...SYSCALL_INSTRUCTION]);
 * ```
 *
 * @see Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2
 */

import { bytes, type Code } from "./assembler.ts";

export const RET = [0xc3];

const REGISTERS = [
  ...["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"] as const,
  ...["r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"] as const,
];
export type Register = typeof REGISTERS[number];

/** Prefixes: operands of 64 bits, and of fewer. */
const WIDE = 0x48, NARROW = 0x40;

/** An instruction whose operands are the register of number `reg` and another register. */
function withRegister(opcode: number[], reg: number, rm: Register): number[] {
  const other = REGISTERS.indexOf(rm);
  return [WIDE | (reg >> 3) << 2 | other >> 3, ...opcode, 0xc0 | (reg & 7) << 3 | other & 7];
}

/** One whose operands are a register and what is in memory at `base` + `offset`. */
function withMemory(prefix: number, opcode: number[], register: Register, base: Register, offset: number) {
  const [reg, at] = [REGISTERS.indexOf(register), REGISTERS.indexOf(base)];
  const rsp = (at & 7) === 4 ? [0x24] : []; // rsp and r12 take a byte more
  return [
    prefix | (reg >> 3) << 2 | at >> 3,
    ...opcode,
    0x80 | (reg & 7) << 3 | at & 7,
    ...rsp,
    ...fourBytes(offset),
  ];
}

/** A number that the processor takes with its sign. */
function fourBytes(value: number): number[] {
  if (value < -0x8000_0000 || value > 0x7fff_ffff) {
    throw new RangeError(`${value} takes more than four bytes`);
  }
  return bytes(BigInt(value), 4);
}

/** `value` is a register or a number. */
export function mov(target: Register, value: Register | number | bigint): Code {
  if (typeof value === "string") return withRegister([0x89], REGISTERS.indexOf(value), target);
  const number = REGISTERS.indexOf(target);
  const isShort = value >= 0 && value <= 0xffff_ffff; // the upper half becomes 0
  const prefix = (isShort ? NARROW : WIDE) | number >> 3;
  return [prefix, 0xb8 | number & 7, ...bytes(BigInt(value), isShort ? 4 : 8)];
}

/** `mov target, [base + offset]` */
export const load = (target: Register, base: Register, offset = 0): Code =>
  withMemory(WIDE, [0x8b], target, base, offset);

/** The same with four bytes of the memory, or one; the rest of the register becomes 0. */
export const load32 = (target: Register, base: Register, offset = 0): Code =>
  withMemory(NARROW, [0x8b], target, base, offset);
export const load8 = (target: Register, base: Register, offset = 0): Code =>
  withMemory(NARROW, [0x0f, 0xb6], target, base, offset);

/** `mov [base + offset], source` */
export const store = (base: Register, offset: number, source: Register): Code =>
  withMemory(WIDE, [0x89], source, base, offset);
export const store8 = (base: Register, offset: number, source: Register): Code =>
  withMemory(NARROW, [0x88], source, base, offset);

/** `lea target, [base + offset]`: the address itself. */
export const lea = (target: Register, base: Register, offset: number): Code =>
  withMemory(WIDE, [0x8d], target, base, offset);

/** `lea target, [rip + label]` */
export function addressOf(target: Register, label: string): Code {
  const number = REGISTERS.indexOf(target);
  return [WIDE | (number >> 3) << 2, 0x8d, (number & 7) << 3 | 5, { to: label }];
}

/** By the number that tells it from its like where one operand is in the instruction: eight times that, plus 1. */
const arithmetic = (number: number) => (target: Register, value: Register | number): Code =>
  typeof value === "string"
    ? withRegister([number * 8 + 1], REGISTERS.indexOf(value), target)
    : [...withRegister([0x81], number, target), ...fourBytes(value)];

export const add = arithmetic(0),
  or = arithmetic(1),
  and = arithmetic(4),
  sub = arithmetic(5),
  cmp = arithmetic(7);

export const shl = (target: Register, count: number): Code => [...withRegister([0xc1], 4, target), count];
/** `imul target, target, factor` */
export const multiply = (target: Register, factor: number): Code => [
  ...withRegister([0x69], REGISTERS.indexOf(target), target),
  ...fourBytes(factor),
];
/** `div divisor`: of rdx and rax; rax becomes the quotient, rdx the remainder. */
export const div = (divisor: Register): Code => withRegister([0xf7], 6, divisor);

export function push(register: Register): Code {
  const number = REGISTERS.indexOf(register);
  return [NARROW | number >> 3, 0x50 | number & 7];
}
export function pop(register: Register): Code {
  const number = REGISTERS.indexOf(register);
  return [NARROW | number >> 3, 0x58 | number & 7];
}

export const jmp = (to: string): Code => [0xe9, { to }];
export const call = (to: string): Code => [0xe8, { to }];

/** How two operands compare: as they are, with a sign (`<`), and without one. */
const RELATIONS = { "==": 4, "!=": 5, "<": 12, "below": 2, "at least": 3 } as const;

/** `cmp` and a jump: goes on at `to` where the register is in this relation to `value`. */
export const when = (
  register: Register,
  relation: keyof typeof RELATIONS,
  value: Register | number,
  to: string,
): Code => [...cmp(register, value), 0x0f, 0x80 | RELATIONS[relation], { to }];
