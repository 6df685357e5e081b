/** This process's memory by address, and what only stopping and bringing back a process needs of the kernel. */

import { libc } from "../../ffi/libc.ts";
import { memoryAt } from "../../ffi/memory.ts";
import { PAGE } from "./memory_map.ts";

/** Numbers of x86-64, the one machine whose processes are frozen. */
export const SYS = {
  open: 2,
  lseek: 8,
  mmap: 9,
  mprotect: 10,
  rt_sigaction: 13,
  mremap: 25,
  alarm: 37,
  sigaltstack: 131,
  arch_prctl: 158,
  gettid: 186,
  futex: 202,
  set_tid_address: 218,
  set_robust_list: 273,
  get_robust_list: 274,
  rseq: 334,
} as const;

export const PROT_READ = 1, PROT_READ_WRITE = 3, PROT_READ_EXEC = 5;
const MAP_PRIVATE_ANONYMOUS = 0x22;

/** syscall(2) with up to four arguments, for calls whose results fit an int; -1 where it fails. */
export function systemCall(number: number, ...args: (number | bigint)[]): number {
  const [a = 0, b = 0, c = 0, d = 0] = args;
  return libc("frozen").syscall(number, BigInt(a), BigInt(b), BigInt(c), BigInt(d));
}

export function addressOf(buffer: Uint8Array<ArrayBuffer> | BigUint64Array<ArrayBuffer>): bigint {
  return BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(buffer)));
}

/** A page that lasts as long as the process. */
export function mapPage(): bigint {
  const page = libc("memory").mmap(null, BigInt(PAGE), PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0n);
  return BigInt(Deno.UnsafePointer.value(page));
}

/** @see mprotect(2) */
export function protectPage(page: bigint, rights: number): void {
  systemCall(SYS.mprotect, page, PAGE, rights);
}

/** Puts machine code into a page of its own, and gives its address. */
export function mapCode(code: Uint8Array): bigint {
  const page = mapPage();
  new Uint8Array(memoryAt(page, PAGE)).set(code);
  protectPage(page, PROT_READ_EXEC);
  return page;
}

/** The address of a variable or function of the C library. */
export function symbolAddress(name: string): bigint {
  const pointer = libc("frozen").dlsym(null, new TextEncoder().encode(`${name}\0`));
  if (pointer === null) throw new Error(`freeze: the C library has no ${name}`);
  return BigInt(Deno.UnsafePointer.value(pointer));
}
