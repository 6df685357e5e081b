/**
 * A tiny static ELF program, made here byte by byte, that executes the user's program.
 *
 * The last execve of init goes through it, from a sealed memfd: were it the engine itself that executes
 * `#!/proc/self/exe`, the container would get hold of the engine's file (CVE-2019-5736). Of this program
 * it may have as much as it likes.
 *
 * ```
 *   argv[0]      what to execute            descriptor 3   status pipe (after those that are passed on):
 *   argv[1…]     its argument vector          closed without a byte   the program runs
 *   envp         its environment              4 bytes, int32 LE       errno of execve; we exit with 127
 * ```
 *
 * @see elf(5), execve(2), CVE-2019-5736
 */

import type { Machine } from "./arch.ts";
import { elfHeaders, elfHeaderSize, PF_R, PF_X } from "./elf.ts";

/** The descriptor on which the stub reports an execve that failed, where the program is passed none but 0 to 2. */
export const EXEC_STUB_STATUS_FD = 3;

const LOAD_ADDRESS = 0x400000n;

/**
 * The stub as a complete ELF file of less than 400 bytes. It needs fcntl (or else ioctl), execve, write
 * and exit_group from the seccomp filter that is already in place.
 */
export function emitExecStub(machine: Machine, statusFd: number = EXEC_STUB_STATUS_FD): Uint8Array {
  return emitElf(machine, execStubCode(machine, statusFd));
}

/** The stub's machine code, which can run at any address. `statusFd` is less than 256. */
export function execStubCode(machine: Machine, statusFd: number): Uint8Array {
  return machine === "x86_64" ? x86Code(statusFd) : wordsToBytes(aarch64Code(statusFd));
}

/** A static program that is nothing but `code`, in one segment that cannot be written. */
export function emitElf(machine: Machine, code: Uint8Array): Uint8Array {
  const codeOffset = elfHeaderSize(1);
  const size = BigInt(codeOffset + code.length);
  const file = new Uint8Array(Number(size));
  const segment = { offset: 0n, address: LOAD_ADDRESS, size, rights: PF_R | PF_X };
  file.set(elfHeaders(machine, LOAD_ADDRESS + BigInt(codeOffset), [segment]));
  file.set(code, codeOffset);
  return file;
}

/** On entry rsp points to argc, argv[0], …, NULL, envp[0], … (System V ABI, AMD64 supplement, 3.4.1). */
const x86Code = (statusFd: number) =>
  Uint8Array.of(
    ...[0x48, 0x89, 0xe3], // mov rbx, rsp
    ...[0xb8, 72, 0, 0, 0], // mov eax, SYS_fcntl
    ...[0xbf, statusFd, 0, 0, 0], // mov edi, statusFd
    ...[0xbe, 2, 0, 0, 0], // mov esi, F_SETFD
    ...[0xba, 1, 0, 0, 0], // mov edx, FD_CLOEXEC
    ...[0x0f, 0x05], // syscall
    ...[0x85, 0xc0], // test eax, eax
    ...[0x74, 21], // jz execute
    ...[0xb8, 16, 0, 0, 0], // mov eax, SYS_ioctl
    ...[0xbf, statusFd, 0, 0, 0], // mov edi, statusFd
    ...[0xbe, 0x51, 0x54, 0, 0], // mov esi, FIOCLEX
    ...[0x0f, 0x05], // syscall
    ...[0x85, 0xc0], // test eax, eax
    ...[0x75, 23], // jnz failed
    // execute:
    ...[0x48, 0x8b, 0x7b, 8], // mov rdi, [rbx+8]          argv[0]
    ...[0x48, 0x8d, 0x73, 16], // lea rsi, [rbx+16]        &argv[1]
    ...[0x48, 0x8b, 0x03], // mov rax, [rbx]               argc
    ...[0x48, 0x8d, 0x54, 0xc3, 16], // lea rdx, [rbx+rax*8+16]   &envp[0]
    ...[0xb8, 59, 0, 0, 0], // mov eax, SYS_execve
    ...[0x0f, 0x05], // syscall
    // failed:
    ...[0xf7, 0xd8], // neg eax
    ...[0x89, 0x03], // mov [rbx], eax
    ...[0xb8, 1, 0, 0, 0], // mov eax, SYS_write
    ...[0xbf, statusFd, 0, 0, 0], // mov edi, statusFd
    ...[0x48, 0x89, 0xde], // mov rsi, rbx
    ...[0xba, 4, 0, 0, 0], // mov edx, 4
    ...[0x0f, 0x05], // syscall
    ...[0xb8, 231, 0, 0, 0], // mov eax, SYS_exit_group
    ...[0xbf, 127, 0, 0, 0], // mov edi, 127
    ...[0x0f, 0x05], // syscall
  );

/** The same for aarch64; on entry sp points to argc. */
const aarch64Code = (statusFd: number) => [
  0x910003f3, // mov x19, sp
  0xd2800000 | statusFd << 5, // mov x0, statusFd
  0xd2800041, // mov x1, #2        F_SETFD
  0xd2800022, // mov x2, #1        FD_CLOEXEC
  0xd2800328, // mov x8, #25       fcntl
  0xd4000001, // svc #0
  0xb40000c0, // cbz x0, execute   (+6)
  0xd2800000 | statusFd << 5, // mov x0, statusFd
  0xd28a8a21, // mov x1, #0x5451   FIOCLEX
  0xd28003a8, // mov x8, #29       ioctl
  0xd4000001, // svc #0
  0xb50000e0, // cbnz x0, failed   (+7)
  // execute:
  0xf9400660, // ldr x0, [x19, #8]          argv[0]
  0x91004261, // add x1, x19, #16           &argv[1]
  0xf9400269, // ldr x9, [x19]              argc
  0x8b090c22, // add x2, x1, x9, lsl #3     &envp[0]
  0xd2801ba8, // mov x8, #221      execve
  0xd4000001, // svc #0
  // failed:
  0x4b0003e0, // neg w0, w0
  0xb9000260, // str w0, [x19]
  0xd2800000 | statusFd << 5, // mov x0, statusFd
  0xaa1303e1, // mov x1, x19
  0xd2800082, // mov x2, #4
  0xd2800808, // mov x8, #64       write
  0xd4000001, // svc #0
  0xd2800fe0, // mov x0, #127
  0xd2800bc8, // mov x8, #94       exit_group
  0xd4000001, // svc #0
];

export function wordsToBytes(words: number[]): Uint8Array {
  const bytes = new Uint8Array(words.length * 4);
  const view = new DataView(bytes.buffer);
  words.forEach((word, index) => view.setUint32(index * 4, word, true));
  return bytes;
}
