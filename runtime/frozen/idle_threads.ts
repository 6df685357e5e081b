/**
 * Ends the threads that the runtime keeps for ten seconds after they have done something. A process that is brought
 * back has one thread, and must not believe in others.
 *
 * Each waits, asleep in the kernel, for work or for its time to be over. So for a moment the C library is given a
 * monotonic clock that is far ahead, and they are woken: they find that their time is over, and end.
 */

import { libc } from "../../ffi/libc.ts";
import { memoryAt } from "../../ffi/memory.ts";
import { aheadClockCode } from "../../ffi/thaw_program.ts";
import { isKernels, type Mapping, PAGE, parseMaps } from "./memory_map.ts";
import { mapCode, PROT_READ, PROT_READ_WRITE, protectPage, SYS, systemCall } from "./own_memory.ts";

const FUTEX_WAKE_PRIVATE = 1 | 128;
const WAIT_STEP_US = 1000, WAIT_STEPS = 2000;

/** @throws {Error} where there are threads left */
export function endIdleThreads(): void {
  if (threads().length === 0) return;
  const maps = parseMaps(Deno.readTextFileSync("/proc/self/maps"));
  const pointer = findClockPointer(maps);
  const page = pointer & -BigInt(PAGE);
  const word = new DataView(memoryAt(pointer, 8));
  protectPage(page, PROT_READ_WRITE);
  const clock = word.getBigUint64(0, true);
  word.setBigUint64(0, mapCode(aheadClockCode()), true);
  try {
    for (let step = 0; threads().length > 0; step++) {
      if (step === WAIT_STEPS) throw new Error(`freeze: ${threads().length} threads go on`);
      for (const id of threads()) wake(id);
      libc("frozen").usleep(WAIT_STEP_US);
    }
  } finally {
    word.setBigUint64(0, clock, true);
    protectPage(page, PROT_READ);
  }
}

function threads(): string[] {
  return [...Deno.readDirSync("/proc/self/task")].map(({ name }) => name).filter((id) =>
    id !== String(Deno.pid)
  );
}

/** One that waits in futex(2), for what its first argument points to. @see proc_pid_syscall(5) */
function wake(id: string): void {
  let text: string;
  try {
    text = Deno.readTextFileSync(`/proc/self/task/${id}/syscall`);
  } catch {
    return; // it has ended
  }
  const [number, address] = text.split(" ");
  if (number === String(SYS.futex)) {
    systemCall(SYS.futex, BigInt(address!), FUTEX_WAKE_PRIVATE, 1);
  }
}

/** Where the dynamic linker keeps the address of the vdso's clock_gettime, by which the C library calls it. */
function findClockPointer(maps: readonly Mapping[]): bigint {
  const vdso = maps.find(({ name }) => name === "[vdso]");
  if (!vdso) throw new Error("freeze: there is no vdso");
  const wanted = vdso.start +
    findClockFunction(new DataView(memoryAt(vdso.start, Number(vdso.end - vdso.start))));
  const found: bigint[] = [];
  for (const mapping of maps) {
    if (!/\/ld[-.][^/]*$/.test(mapping.name) || isKernels(mapping) || mapping.rights === 0) continue;
    const words = new BigUint64Array(memoryAt(mapping.start, Number(mapping.end - mapping.start)));
    words.forEach((word, at) => {
      if (word === wanted) found.push(mapping.start + BigInt(at * 8));
    });
  }
  if (found.length !== 1) throw new Error(`freeze: ${found.length} pointers to the clock`);
  return found[0]!;
}

const PT_LOAD = 1, PT_DYNAMIC = 2, DT_STRTAB = 5n, DT_SYMTAB = 6n;
const SYMBOL_SIZE = 24;

/** The offset of `__vdso_clock_gettime` in a vdso. @see vdso(7), elf(5) */
function findClockFunction(elf: DataView): bigint {
  const word = (at: number) => elf.getBigUint64(at, true);
  const headers = Number(word(32));
  const size = elf.getUint16(54, true), count = elf.getUint16(56, true);
  const tables = new Map<bigint, bigint>();
  // the address that it was linked for: 0 of most kernels
  let base = 0n;
  for (let at = headers; at < headers + size * count; at += size) {
    const type = elf.getUint32(at, true);
    if (type === PT_LOAD) base = word(at + 16) - word(at + 8);
    if (type !== PT_DYNAMIC) continue;
    const start = Number(word(at + 8)), length = Number(word(at + 32));
    for (let entry = start; entry < start + length; entry += 16) tables.set(word(entry), word(entry + 8));
  }
  const offset = (table: bigint) => {
    const address = tables.get(table);
    if (address === undefined) throw new Error("freeze: the vdso has no symbols");
    return Number(address - base);
  };
  const symbols = offset(DT_SYMTAB), strings = offset(DT_STRTAB);
  // the names follow the symbols
  for (let at = symbols; at + SYMBOL_SIZE <= strings; at += SYMBOL_SIZE) {
    const name = strings + elf.getUint32(at, true);
    if (textAt(elf, name) === "__vdso_clock_gettime") return word(at + 8) - base;
  }
  throw new Error("freeze: the vdso has no clock");
}

function textAt(view: DataView, at: number): string {
  let text = "";
  for (let byte; at < view.byteLength && (byte = view.getUint8(at)) !== 0; at++) {
    text += String.fromCharCode(byte);
  }
  return text;
}
