/**
 * The pid 1 of `--init`, as a tiny static ELF program made here byte by byte: it starts the user's program as its
 * child, forwards every signal to it, reaps what is orphaned, and ends as the program ends.
 *
 * It is a program of its own, and not a copy of the engine that stays, so that it has the container's
 * credentials, can be joined by exec, needs no memory, and leads to no file of the host (CVE-2019-5736).
 * Nothing of it has to be written to the container.
 *
 * ```
 *   on entry     as the exec stub's (exec_stub.ts), with every signal blocked
 *   child        gets a process group of its own, the terminal's foreground and the empty signal mask, and
 *                goes on as the exec stub
 *   pid 1        closes 0 to the status pipe; exits with the program's status, or 128 + the signal that killed it
 * ```
 *
 * @see pid_namespaces(7), init; clone(2), sigwaitinfo(2), wait4(2), ioctl_tty(2)
 */

import type { Machine } from "./arch.ts";
import { emitElf, EXEC_STUB_STATUS_FD, execStubCode, wordsToBytes } from "./exec_stub.ts";

/** The program as a complete ELF file of less than 1 KiB. */
export function emitPidOneStub(machine: Machine, statusFd: number = EXEC_STUB_STATUS_FD): Uint8Array {
  const own = machine === "x86_64" ? x86Code(statusFd) : wordsToBytes(aarch64Code(statusFd));
  const code = new Uint8Array([...own, ...execStubCode(machine, statusFd)]);
  return emitElf(machine, code);
}

/** The child falls through to the exec stub, whose `failed` is also where a failed clone goes. */
const x86Code = (statusFd: number) =>
  Uint8Array.of(
    ...[0x48, 0x89, 0xe3], // mov rbx, rsp
    ...[0xb8, 0x38, 0x00, 0x00, 0x00], // mov eax, 56    clone
    ...[0xbf, 0x11, 0x00, 0x00, 0x00], // mov edi, 17    SIGCHLD
    ...[0x31, 0xf6], // xor esi, esi
    ...[0x31, 0xd2], // xor edx, edx
    ...[0x45, 0x31, 0xd2], // xor r10d, r10d
    ...[0x45, 0x31, 0xc0], // xor r8d, r8d
    ...[0x0f, 0x05], // syscall
    ...[0x85, 0xc0], // test eax, eax
    ...[0x0f, 0x84, 0xa7, 0x00, 0x00, 0x00], // jz child
    ...[0x0f, 0x88, 0x2a, 0x01, 0x00, 0x00], // js failed
    ...[0x41, 0x89, 0xc4], // mov r12d, eax
    ...[0xbf, statusFd, 0x00, 0x00, 0x00], // mov edi, statusFd
    // closing:
    ...[0xb8, 0x03, 0x00, 0x00, 0x00], // mov eax, 3    close
    ...[0x0f, 0x05], // syscall
    ...[0xff, 0xcf], // dec edi
    ...[0x79, 0xf5], // jns closing
    ...[0x68, 0x69, 0x6e, 0x69, 0x74], // push 0x74696e69    "init"
    ...[0x48, 0x89, 0xe6], // mov rsi, rsp
    ...[0xbf, 0x0f, 0x00, 0x00, 0x00], // mov edi, 15    PR_SET_NAME
    ...[0xb8, 0x9d, 0x00, 0x00, 0x00], // mov eax, 157    prctl
    ...[0x0f, 0x05], // syscall
    ...[0x6a, 0xff], // push -1    every signal
    ...[0x41, 0xbd, 0x01, 0x00, 0x00, 0x00], // mov r13d, 1    WNOHANG
    // wait:
    ...[0x48, 0x89, 0xe7], // mov rdi, rsp
    ...[0x31, 0xf6], // xor esi, esi
    ...[0x31, 0xd2], // xor edx, edx
    ...[0x41, 0xba, 0x08, 0x00, 0x00, 0x00], // mov r10d, 8
    ...[0xb8, 0x80, 0x00, 0x00, 0x00], // mov eax, 128    rt_sigtimedwait
    ...[0x0f, 0x05], // syscall
    ...[0x85, 0xc0], // test eax, eax
    ...[0x7f, 0x0a], // jg got
    ...[0x83, 0xf8, 0xfc], // cmp eax, -4    EINTR
    ...[0x74, 0xe3], // je wait
    ...[0x45, 0x31, 0xed], // xor r13d, r13d    forbidden: wait for the program only
    ...[0xeb, 0x11], // jmp reap
    // got:
    ...[0x83, 0xf8, 0x11], // cmp eax, 17    SIGCHLD
    ...[0x74, 0x0c], // je reap
    ...[0x44, 0x89, 0xe7], // mov edi, r12d
    ...[0x89, 0xc6], // mov esi, eax
    ...[0xb8, 0x3e, 0x00, 0x00, 0x00], // mov eax, 62    kill
    ...[0x0f, 0x05], // syscall
    // reap:
    ...[0xbf, 0xff, 0xff, 0xff, 0xff], // mov edi, -1
    ...[0x48, 0x8d, 0x74, 0x24, 0x08], // lea rsi, [rsp+8]
    ...[0x44, 0x89, 0xea], // mov edx, r13d
    ...[0x45, 0x31, 0xd2], // xor r10d, r10d
    ...[0xb8, 0x3d, 0x00, 0x00, 0x00], // mov eax, 61    wait4
    ...[0x0f, 0x05], // syscall
    ...[0x85, 0xc0], // test eax, eax
    ...[0x7e, 0xb2], // jle wait
    ...[0x44, 0x39, 0xe0], // cmp eax, r12d
    ...[0x75, 0xe0], // jne reap
    ...[0x8b, 0x44, 0x24, 0x08], // mov eax, [rsp+8]
    ...[0x89, 0xc7], // mov edi, eax
    ...[0xc1, 0xef, 0x08], // shr edi, 8    WEXITSTATUS
    ...[0x83, 0xe0, 0x7f], // and eax, 127    WTERMSIG
    ...[0x74, 0x06], // jz exit
    ...[0x8d, 0xb8, 0x80, 0x00, 0x00, 0x00], // lea edi, [rax+128]
    // exit:
    ...[0x40, 0x0f, 0xb6, 0xff], // movzx edi, dil
    ...[0xb8, 0xe7, 0x00, 0x00, 0x00], // mov eax, 231    exit_group
    ...[0x0f, 0x05], // syscall
    // child:
    ...[0x31, 0xff], // xor edi, edi
    ...[0x31, 0xf6], // xor esi, esi
    ...[0xb8, 0x6d, 0x00, 0x00, 0x00], // mov eax, 109    setpgid
    ...[0x0f, 0x05], // syscall
    ...[0xb8, 0x27, 0x00, 0x00, 0x00], // mov eax, 39    getpid
    ...[0x0f, 0x05], // syscall
    ...[0x50], // push rax
    ...[0x31, 0xff], // xor edi, edi
    ...[0xbe, 0x10, 0x54, 0x00, 0x00], // mov esi, 0x5410    TIOCSPGRP
    ...[0x48, 0x89, 0xe2], // mov rdx, rsp
    ...[0xb8, 0x10, 0x00, 0x00, 0x00], // mov eax, 16    ioctl
    ...[0x0f, 0x05], // syscall
    ...[0x6a, 0x00], // push 0
    ...[0xbf, 0x02, 0x00, 0x00, 0x00], // mov edi, 2    SIG_SETMASK
    ...[0x48, 0x89, 0xe6], // mov rsi, rsp
    ...[0x31, 0xd2], // xor edx, edx
    ...[0x41, 0xba, 0x08, 0x00, 0x00, 0x00], // mov r10d, 8
    ...[0xb8, 0x0e, 0x00, 0x00, 0x00], // mov eax, 14    rt_sigprocmask
    ...[0x0f, 0x05], // syscall
    ...[0x48, 0x89, 0xdc], // mov rsp, rbx
  );

/** The same for aarch64. */
const aarch64Code = (statusFd: number) => [
  0x910003f3, // mov x19, sp
  0xd2800220, // mov x0, #17    SIGCHLD
  0xaa1f03e1, // mov x1, xzr
  0xaa1f03e2, // mov x2, xzr
  0xaa1f03e3, // mov x3, xzr
  0xaa1f03e4, // mov x4, xzr
  0xd2801b88, // mov x8, #220    clone
  0xd4000001, // svc #0
  0x340006e0, // cbz w0, child
  0x37f80b80, // tbnz w0, #31, failed
  0x2a0003f4, // mov w20, w0
  0x52800015 | statusFd << 5, // mov w21, statusFd
  // closing:
  0x2a1503e0, // mov w0, w21
  0xd2800728, // mov x8, #57    close
  0xd4000001, // svc #0
  0x710006b5, // subs w21, w21, #1
  0x54ffff85, // b.pl closing
  0xd10083ff, // sub sp, sp, #32
  0x528dcd21, // mov w1, #0x6e69
  0x72ae8d21, // movk w1, #0x7469, lsl #16    "init"
  0xf90003e1, // str x1, [sp]
  0xd28001e0, // mov x0, #15    PR_SET_NAME
  0x910003e1, // mov x1, sp
  0xd28014e8, // mov x8, #167    prctl
  0xd4000001, // svc #0
  0x92800009, // mov x9, #-1    every signal
  0xf90003e9, // str x9, [sp]
  0x52800036, // mov w22, #1    WNOHANG
  // wait:
  0x910003e0, // mov x0, sp
  0xaa1f03e1, // mov x1, xzr
  0xaa1f03e2, // mov x2, xzr
  0xd2800103, // mov x3, #8
  0xd2801128, // mov x8, #137    rt_sigtimedwait
  0xd4000001, // svc #0
  0x7100001f, // cmp w0, #0
  0x540000ac, // b.gt got
  0x3100101f, // cmn w0, #4    EINTR
  0x54fffee0, // b.eq wait
  0x2a1f03f6, // mov w22, wzr    forbidden: wait for the program only
  0x14000007, // b reap
  // got:
  0x7100441f, // cmp w0, #17    SIGCHLD
  0x540000a0, // b.eq reap
  0x2a0003e1, // mov w1, w0
  0x2a1403e0, // mov w0, w20
  0xd2801028, // mov x8, #129    kill
  0xd4000001, // svc #0
  // reap:
  0x92800000, // mov x0, #-1
  0x910023e1, // add x1, sp, #8
  0x2a1603e2, // mov w2, w22
  0xaa1f03e3, // mov x3, xzr
  0xd2802088, // mov x8, #260    wait4
  0xd4000001, // svc #0
  0x7100001f, // cmp w0, #0
  0x54fffced, // b.le wait
  0x6b14001f, // cmp w0, w20
  0x54fffee1, // b.ne reap
  0xb9400be1, // ldr w1, [sp, #8]
  0x53083c20, // ubfx w0, w1, #8, #8    WEXITSTATUS
  0x72001822, // ands w2, w1, #127    WTERMSIG
  0x54000040, // b.eq exit
  0x11020040, // add w0, w2, #128
  // exit:
  0xd2800bc8, // mov x8, #94    exit_group
  0xd4000001, // svc #0
  // child:
  0xaa1f03e0, // mov x0, xzr
  0xaa1f03e1, // mov x1, xzr
  0xd2801348, // mov x8, #154    setpgid
  0xd4000001, // svc #0
  0xd2801588, // mov x8, #172    getpid
  0xd4000001, // svc #0
  0xb81f0fe0, // str w0, [sp, #-16]!
  0xaa1f03e0, // mov x0, xzr
  0xd28a8201, // mov x1, #0x5410    TIOCSPGRP
  0x910003e2, // mov x2, sp
  0xd28003a8, // mov x8, #29    ioctl
  0xd4000001, // svc #0
  0xf90003ff, // str xzr, [sp]
  0xd2800040, // mov x0, #2    SIG_SETMASK
  0x910003e1, // mov x1, sp
  0xaa1f03e2, // mov x2, xzr
  0xd2800103, // mov x3, #8
  0xd28010e8, // mov x8, #135    rt_sigprocmask
  0xd4000001, // svc #0
  0x9100027f, // mov sp, x19
];
