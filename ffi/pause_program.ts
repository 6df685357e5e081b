/**
 * The program of a pod's infra container, as a tiny static ELF file made here byte by byte: it holds the namespaces
 * that the pod shares, reaps what is orphaned in a shared pid namespace, and ends on SIGTERM or SIGINT.
 *
 * @see pid_namespaces(7), init; sigwaitinfo(2), wait4(2)
 */

import type { Machine } from "./arch.ts";
import { emitElf, wordsToBytes } from "./exec_stub.ts";

/** The program as a complete ELF file of less than 300 bytes. */
export function emitPauseProgram(machine: Machine): Uint8Array {
  return emitElf(machine, machine === "x86_64" ? X86 : wordsToBytes(AARCH64));
}

const X86 = Uint8Array.of(
  ...[0x6a, 0xff], // push -1    every signal
  ...[0x49, 0x89, 0xe4], // mov r12, rsp
  ...[0x31, 0xff], // xor edi, edi    SIG_BLOCK
  ...[0x4c, 0x89, 0xe6], // mov rsi, r12
  ...[0x31, 0xd2], // xor edx, edx
  ...[0x41, 0xba, 0x08, 0x00, 0x00, 0x00], // mov r10d, 8
  ...[0xb8, 0x0e, 0x00, 0x00, 0x00], // mov eax, 14    rt_sigprocmask
  ...[0x0f, 0x05], // syscall
  // wait:
  ...[0x4c, 0x89, 0xe7], // mov rdi, r12
  ...[0x31, 0xf6], // xor esi, esi
  ...[0x31, 0xd2], // xor edx, edx
  ...[0x41, 0xba, 0x08, 0x00, 0x00, 0x00], // mov r10d, 8
  ...[0xb8, 0x80, 0x00, 0x00, 0x00], // mov eax, 128    rt_sigtimedwait
  ...[0x0f, 0x05], // syscall
  ...[0x83, 0xf8, 0x11], // cmp eax, 17    SIGCHLD
  ...[0x74, 0x0c], // je reap
  ...[0x83, 0xf8, 0x0f], // cmp eax, 15    SIGTERM
  ...[0x74, 0x23], // je exit
  ...[0x83, 0xf8, 0x02], // cmp eax, 2    SIGINT
  ...[0x74, 0x1e], // je exit
  ...[0xeb, 0xdb], // jmp wait
  // reap:
  ...[0xbf, 0xff, 0xff, 0xff, 0xff], // mov edi, -1
  ...[0x31, 0xf6], // xor esi, esi
  ...[0xba, 0x01, 0x00, 0x00, 0x00], // mov edx, 1    WNOHANG
  ...[0x45, 0x31, 0xd2], // xor r10d, r10d
  ...[0xb8, 0x3d, 0x00, 0x00, 0x00], // mov eax, 61    wait4
  ...[0x0f, 0x05], // syscall
  ...[0x85, 0xc0], // test eax, eax
  ...[0x7f, 0xe6], // jg reap
  ...[0xeb, 0xbf], // jmp wait
  // exit:
  ...[0x31, 0xff], // xor edi, edi
  ...[0xb8, 0xe7, 0x00, 0x00, 0x00], // mov eax, 231    exit_group
  ...[0x0f, 0x05], // syscall
);

const AARCH64 = [
  0x92800009, // mov x9, #-1    every signal
  0xf81f0fe9, // str x9, [sp, #-16]!
  0xaa1f03e0, // mov x0, xzr    SIG_BLOCK
  0x910003e1, // mov x1, sp
  0xaa1f03e2, // mov x2, xzr
  0xd2800103, // mov x3, #8
  0xd28010e8, // mov x8, #135    rt_sigprocmask
  0xd4000001, // svc #0
  // wait:
  0x910003e0, // mov x0, sp
  0xaa1f03e1, // mov x1, xzr
  0xaa1f03e2, // mov x2, xzr
  0xd2800103, // mov x3, #8
  0xd2801128, // mov x8, #137    rt_sigtimedwait
  0xd4000001, // svc #0
  0x7100441f, // cmp w0, #17    SIGCHLD
  0x54000100, // b.eq reap
  0x71003c1f, // cmp w0, #15    SIGTERM
  0x54000060, // b.eq exit
  0x7100081f, // cmp w0, #2    SIGINT
  0x54fffea1, // b.ne wait
  // exit:
  0xaa1f03e0, // mov x0, xzr
  0xd2800bc8, // mov x8, #94    exit_group
  0xd4000001, // svc #0
  // reap:
  0x92800000, // mov x0, #-1
  0xaa1f03e1, // mov x1, xzr
  0xd2800022, // mov x2, #1    WNOHANG
  0xaa1f03e3, // mov x3, xzr
  0xd2802088, // mov x8, #260    wait4
  0xd4000001, // svc #0
  0x7100001f, // cmp w0, #0
  0x54ffff2c, // b.gt reap
  0x17ffffe9, // b wait
];
