/**
 * Static ELF programs that are made byte by byte: for what must run where no program of a file system may.
 *
 * @see elf(5)
 */

import type { Machine } from "./arch.ts";

/** The rights of a segment. */
export const PF_X = 1, PF_W = 2, PF_R = 4;

const HEADER_SIZE = 64;
const PROGRAM_HEADER_SIZE = 56;
const ET_EXEC = 2;
const MACHINES: Record<Machine, number> = { x86_64: 62, aarch64: 183 };
const PT_LOAD = 1;
const PT_GNU_STACK = 0x6474e551;
/** The largest page of the supported machines (aarch64 kernels may use 64 KiB). */
const PAGE_ALIGNMENT = 0x10000n;

/** A part of the file that is mapped at its place before the program runs. */
export interface Segment {
  /** Where in the file, in bytes. */
  offset: bigint;
  address: bigint;
  size: bigint;
  /** PF_R, PF_W, PF_X. */
  rights: number;
}

/** The size of the headers of a file with so many segments, in bytes. */
export function elfHeaderSize(segments: number): number {
  return HEADER_SIZE + (segments + 1) * PROGRAM_HEADER_SIZE;
}

/** What such a file begins with. The stack is not executable. */
export function elfHeaders(machine: Machine, entry: bigint, segments: readonly Segment[]): Uint8Array {
  const file = new Uint8Array(elfHeaderSize(segments.length));
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, /* 64-bit */ 2, /* little endian */ 1, /* version */ 1]);
  view.setUint16(16, ET_EXEC, true);
  view.setUint16(18, MACHINES[machine], true);
  view.setUint32(20, 1, true); // e_version
  view.setBigUint64(24, entry, true); // e_entry
  view.setBigUint64(32, BigInt(HEADER_SIZE), true); // e_phoff
  view.setUint16(52, HEADER_SIZE, true);
  view.setUint16(54, PROGRAM_HEADER_SIZE, true);
  view.setUint16(56, segments.length + 1, true); // e_phnum
  view.setUint16(58, 64, true); // e_shentsize
  segments.forEach(({ offset, address, size, rights }, index) => {
    const at = HEADER_SIZE + index * PROGRAM_HEADER_SIZE;
    view.setUint32(at, PT_LOAD, true);
    view.setUint32(at + 4, rights, true);
    view.setBigUint64(at + 8, offset, true);
    view.setBigUint64(at + 16, address, true); // p_vaddr
    view.setBigUint64(at + 24, address, true); // p_paddr
    view.setBigUint64(at + 32, size, true); // p_filesz
    view.setBigUint64(at + 40, size, true); // p_memsz
    view.setBigUint64(at + 48, PAGE_ALIGNMENT, true);
  });
  // without it the stack would be executable
  const at = HEADER_SIZE + segments.length * PROGRAM_HEADER_SIZE;
  view.setUint32(at, PT_GNU_STACK, true);
  view.setUint32(at + 4, PF_R | PF_W, true);
  view.setBigUint64(at + 48, 16n, true);
  return file;
}
