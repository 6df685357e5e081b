/**
 * Which numbers a system call name has, per architecture of the filter.
 *
 * @see linux/audit.h (AUDIT_ARCH_…), seccomp(2)
 */

import type { Machine } from "../../ffi/arch.ts";
import { AARCH64, ARM, I386, X32, X86_64 } from "./syscall_numbers.ts";

export interface SyscallTable {
  numbers: Map<string, number>;
  /** Added to every number in struct seccomp_data. */
  base: number;
}

/** One value of seccomp_data.arch and the tables of numbers that can come with it. */
export interface FilterArchitecture {
  auditArch: number;
  /** Arguments have 32 bits. */
  is32Bit: boolean;
  tables: { name: string; table: () => SyscallTable }[];
}

/** An x32 call has this bit in its number and the arch of x86-64. @see syscall(2), asm/unistd.h */
export const X32_BIT = 0x40000000;
/** Numbers from here on are ARM's own (`__ARM_NR_BASE`). */
export const ARM_PRIVATE_BASE = 0xf0000;

/** In the order of the checks: the machine's own architecture first. */
export const FILTER_ARCHITECTURES: Record<Machine, FilterArchitecture[]> = {
  x86_64: [
    {
      auditArch: 0xc000003e,
      is32Bit: false,
      tables: [
        { name: "SCMP_ARCH_X86_64", table: once(X86_64) },
        { name: "SCMP_ARCH_X32", table: once(X32, X32_BIT) },
      ],
    },
    { auditArch: 0x40000003, is32Bit: true, tables: [{ name: "SCMP_ARCH_X86", table: once(I386) }] },
  ],
  aarch64: [
    { auditArch: 0xc00000b7, is32Bit: false, tables: [{ name: "SCMP_ARCH_AARCH64", table: once(AARCH64) }] },
    { auditArch: 0x40000028, is32Bit: true, tables: [{ name: "SCMP_ARCH_ARM", table: once(ARM) }] },
  ],
};

/** Architectures that a profile may name but that this machine cannot run. */
export const FOREIGN_ARCHITECTURES: readonly string[] = [
  ...["X86", "X86_64", "X32", "ARM", "AARCH64", "MIPS", "MIPS64", "MIPS64N32", "MIPSEL", "MIPSEL64"],
  ...["MIPSEL64N32", "PPC", "PPC64", "PPC64LE", "S390", "S390X", "PARISC", "PARISC64", "RISCV64"],
  ...["LOONGARCH64", "M68K", "SH", "SHEB"],
].map((name) => `SCMP_ARCH_${name}`);

function once(text: string, base = 0): () => SyscallTable {
  let table: SyscallTable | undefined;
  return () => table ??= { numbers: parseNumbers(text), base };
}

/** Reads the format that syscall_numbers.ts describes. */
function parseNumbers(text: string): Map<string, number> {
  const numbers = new Map<string, number>();
  let next = 0;
  for (const word of text.split(/\s+/)) {
    if (word === "") continue;
    const first = word.charCodeAt(0);
    if (first === 0x3d /* = */) numbers.set(word.slice(1), next - 1);
    else if (first >= 0x30 && first <= 0x39) next = Number(word);
    else numbers.set(word, next++);
  }
  return numbers;
}
