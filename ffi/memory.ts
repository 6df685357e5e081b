/** Memory by address, and memory that is shared with forked children. @see mmap(2) */

import { errno, SyscallError } from "./errno.ts";
import { libc } from "./libc.ts";

const PROT_READ = 1, PROT_WRITE = 2;
const MAP_SHARED = 1, MAP_ANONYMOUS = 0x20;
const MAP_FAILED = 0xffffffffffffffffn;
const MADV_DONTNEED = 4;
/** Of both machines that are served. */
const PAGE_BYTES = 4096n;

/**
 * Zeroed memory that this process and the children it forks from now on see alike. It lasts as long as the
 * process: the array points straight into it.
 */
export function mapShared(length: number): Uint8Array<ArrayBuffer> {
  const pointer = libc("memory").mmap(
    null,
    BigInt(length),
    PROT_READ | PROT_WRITE,
    MAP_SHARED | MAP_ANONYMOUS,
    -1,
    0n,
  );
  if (pointer === null || BigInt(Deno.UnsafePointer.value(pointer)) === MAP_FAILED) {
    throw new SyscallError("mmap", errno());
  }
  return new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(pointer, length));
}

/** Memory at `address`, seen as it is. The caller knows that it is mapped. */
export function memoryAt(address: number | bigint, length: number): ArrayBuffer {
  return Deno.UnsafePointerView.getArrayBuffer(Deno.UnsafePointer.create(BigInt(address))!, length);
}

/** Gives the kernel the pages back that lie wholly between two addresses: what is in them is lost. @see madvise(2) */
export function discardPages(from: bigint, to: bigint): void {
  const start = (from + PAGE_BYTES - 1n) / PAGE_BYTES * PAGE_BYTES;
  const end = to / PAGE_BYTES * PAGE_BYTES;
  if (end > start) libc("fork").madvise(Deno.UnsafePointer.create(start), end - start, MADV_DONTNEED);
}
