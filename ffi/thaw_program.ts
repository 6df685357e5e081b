/**
 * A static program, made here byte by byte, that brings a process back from a file: it makes the system calls of
 * a table, one after the other, and jumps to where the process stopped. What the calls are, mappings most of all,
 * is data that runtime/frozen/ writes.
 *
 * ```
 *  image file   0x0000   ELF headers, this program
 *               0x1000   table of calls (RECORD_WORDS words each), at last the one that jumps
 *              0x21000   data, writable: slots, then what the calls point to
 *              0x23000   pages of the process
 *
 *  argv[0]   the image                    failure of any call: execve(argv[1], &argv[1], envp),
 *  argv[1…]  how to start without it      as if there were no image
 * ```
 *
 * And the code by which a process stops: it forks, and the child waits, with all of its registers on its stack, to
 * be read and killed. In the process that is brought back the call returns 0.
 *
 * @see elf(5), System V ABI, AMD64 supplement, 3.4.1
 */

import { assemble, bytes, type Piece, SYSCALL_INSTRUCTION } from "./assembler.ts";
import { SIGCHLD } from "./constants/signal.ts";
import { elfHeaders, PF_R, PF_W, PF_X } from "./elf.ts";

/** Where the program lies: above the runtime and its heap, below what the kernel and V8 choose. */
export const THAW_ADDRESS = 0x5_0000_0000n;
const CODE_OFFSET = 0x100;
const TABLE_OFFSET = 0x1000;
const TABLE_SIZE = 0x20000;
const DATA_OFFSET = TABLE_OFFSET + TABLE_SIZE;
const DATA_SIZE = 0x2000;
/** Where in the file the pages of the process begin. */
export const PAGES_OFFSET = DATA_OFFSET + DATA_SIZE;

const DATA = THAW_ADDRESS + BigInt(DATA_OFFSET);

/** Words that calls leave for later ones, by address. */
export const SLOT = {
  /** The stack pointer at the program's start: argc, argv, envp. */
  stack: DATA,
  /** Where the kernel has put the vdso. */
  vdso: DATA + 8n,
  image: DATA + 16n,
  runtime: DATA + 24n,
  made: DATA + 32n,
  /** Two ints, as socketpair(2) gives them. */
  pair: DATA + 40n,
  /** A struct rlimit, and the word before it. */
  limit: DATA + 56n,
} as const;
const SLOTS_SIZE = 128;

/** One system call. */
export interface ThawCall {
  number: number;
  args: readonly (number | bigint)[];
  /** The address of an int that is added to the first argument: a descriptor that an earlier call made. */
  firstFrom?: bigint;
  /** The address of a word that is added to it. */
  baseFrom?: bigint;
  /** The address of an int that becomes the fifth argument. */
  fifthFrom?: bigint;
  /** The address that the result, an int, goes to. */
  storeAt?: bigint;
  /** What it must give; nothing: no error. */
  expect?: number | bigint | "anything";
}

const RECORD_WORDS = 13;
const RECORD_SIZE = RECORD_WORDS * 8;
const NO_ERROR = 0n, EXACTLY = 1n, ANYTHING = 2n;

/** The program's calls and what they point to, to be filled. */
export class ThawProgram {
  readonly #calls: ThawCall[] = [];
  readonly #data = new Uint8Array(DATA_SIZE);
  #dataLength = SLOTS_SIZE;

  call(
    number: number,
    args: readonly (number | bigint)[],
    rest: Omit<ThawCall, "number" | "args"> = {},
  ): void {
    this.#calls.push({ number, args, ...rest });
  }

  /** Puts `bytes` where calls can point to, and gives their address. */
  put(bytes: Uint8Array): bigint {
    const at = this.#dataLength;
    if (at + bytes.length > DATA_SIZE) throw new RangeError("the data of the thawing program is full");
    this.#data.set(bytes, at);
    this.#dataLength += Math.ceil(bytes.length / 16) * 16;
    return DATA + BigInt(at);
  }

  /** All of the file before PAGES_OFFSET. The program ends in a jump to `resume` with `stack` as stack pointer. */
  emit(stack: bigint, resume: bigint): Uint8Array<ArrayBuffer> {
    if ((this.#calls.length + 1) * RECORD_SIZE > TABLE_SIZE) {
      throw new RangeError(
        `${this.#calls.length} calls are more than the table of the thawing program holds`,
      );
    }
    const file = new Uint8Array(PAGES_OFFSET);
    const view = new DataView(file.buffer);
    file.set(elfHeaders("x86_64", THAW_ADDRESS + BigInt(CODE_OFFSET), [
      { offset: 0n, address: THAW_ADDRESS, size: BigInt(DATA_OFFSET), rights: PF_R | PF_X },
      { offset: BigInt(DATA_OFFSET), address: DATA, size: BigInt(DATA_SIZE), rights: PF_R | PF_W },
    ]));
    file.set(thawCode(), CODE_OFFSET);
    [...this.#calls.map(recordOf), [END, stack, resume]].forEach((words, index) =>
      words.forEach((word, at) => {
        view.setBigUint64(TABLE_OFFSET + index * RECORD_SIZE + at * 8, BigInt.asUintN(64, word), true);
      })
    );
    file.set(this.#data, DATA_OFFSET);
    return file;
  }
}

/** In the place of a call's number. */
const END = -1n;

function recordOf(call: ThawCall): bigint[] {
  const { number, args, expect } = call;
  const [kind, value] = expect === undefined
    ? [NO_ERROR, 0n]
    : expect === "anything"
    ? [ANYTHING, 0n]
    : [EXACTLY, BigInt(expect)];
  return [
    BigInt(number),
    ...[0, 1, 2, 3, 4, 5].map((at) => BigInt(args[at] ?? 0)),
    ...[call.firstFrom, call.baseFrom, call.fifthFrom, call.storeAt].map((address) => address ?? 0n),
    kind,
    value,
  ];
}

const AT_SYSINFO_EHDR = 33;

function thawCode(): Uint8Array<ArrayBuffer> {
  return assemble([
    ...[0x48, 0x89, 0xe3], // mov rbx, rsp
    ...[0x49, 0xbc, ...bytes(DATA, 8)], // mov r12, DATA
    ...[0x49, 0x89, 0x1c, 0x24], // mov [r12], rbx            SLOT.stack
    ...[0x48, 0x8b, 0x0b], // mov rcx, [rbx]                  argc
    ...[0x48, 0x8d, 0x74, 0xcb, 0x10], // lea rsi, [rbx+rcx*8+16]   envp
    "environment",
    ...[0x48, 0xad], // lodsq
    ...[0x48, 0x85, 0xc0], // test rax, rax
    ...[0x0f, 0x85, { to: "environment" }], // jnz
    "auxiliary", // pairs of a type and a value, the last of type 0
    ...[0x48, 0xad], // lodsq
    ...[0x48, 0x89, 0xc2], // mov rdx, rax
    ...[0x48, 0xad], // lodsq
    ...[0x48, 0x85, 0xd2], // test rdx, rdx
    ...[0x0f, 0x84, { to: "failed" }], // jz                  no vdso
    ...[0x48, 0x83, 0xfa, AT_SYSINFO_EHDR], // cmp rdx, AT_SYSINFO_EHDR
    ...[0x0f, 0x85, { to: "auxiliary" }], // jne
    ...[0x49, 0x89, 0x44, 0x24, 8], // mov [r12+8], rax       SLOT.vdso
    ...[0x48, 0xbd, ...bytes(THAW_ADDRESS + BigInt(TABLE_OFFSET), 8)], // mov rbp, table
    "next",
    ...[0x48, 0x8b, 0x45, 0], // mov rax, [rbp]               number
    ...[0x48, 0x83, 0xf8, 0xff], // cmp rax, END
    ...[0x0f, 0x84, { to: "end" }], // je
    ...[0x48, 0x8b, 0x7d, 8], // mov rdi, [rbp+8]
    ...[0x48, 0x8b, 0x75, 16], // mov rsi, [rbp+16]
    ...[0x48, 0x8b, 0x55, 24], // mov rdx, [rbp+24]
    ...[0x4c, 0x8b, 0x55, 32], // mov r10, [rbp+32]
    ...[0x4c, 0x8b, 0x45, 40], // mov r8, [rbp+40]
    ...[0x4c, 0x8b, 0x4d, 48], // mov r9, [rbp+48]
    ...[0x48, 0x8b, 0x4d, 56], // mov rcx, [rbp+56]           firstFrom
    ...[0x48, 0x85, 0xc9], // test rcx, rcx
    ...[0x74, 5], // jz +5
    ...[0x8b, 0x09], // mov ecx, [rcx]
    ...[0x48, 0x01, 0xcf], // add rdi, rcx
    ...[0x48, 0x8b, 0x4d, 64], // mov rcx, [rbp+64]           baseFrom
    ...[0x48, 0x85, 0xc9], // test rcx, rcx
    ...[0x74, 3], // jz +3
    ...[0x48, 0x03, 0x39], // add rdi, [rcx]
    ...[0x48, 0x8b, 0x4d, 72], // mov rcx, [rbp+72]           fifthFrom
    ...[0x48, 0x85, 0xc9], // test rcx, rcx
    ...[0x74, 5], // jz +5
    ...[0x8b, 0x09], // mov ecx, [rcx]
    ...[0x49, 0x89, 0xc8], // mov r8, rcx
    ...SYSCALL_INSTRUCTION,
    ...[0x48, 0x8b, 0x4d, 80], // mov rcx, [rbp+80]           storeAt
    ...[0x48, 0x85, 0xc9], // test rcx, rcx
    ...[0x74, 2], // jz +2
    ...[0x89, 0x01], // mov [rcx], eax
    ...[0x48, 0x83, 0x7d, 88, Number(EXACTLY)], // cmp qword [rbp+88], EXACTLY
    ...[0x0f, 0x87, { to: "done" }], // ja                    ANYTHING
    ...[0x0f, 0x84, { to: "exactly" }], // je
    ...[0x48, 0x3d, ...bytes(-4096n, 4)], // cmp rax, -4096
    ...[0x0f, 0x87, { to: "failed" }], // ja                  -4095 … -1
    ...[0xe9, { to: "done" }], // jmp
    "exactly",
    ...[0x48, 0x3b, 0x45, 96], // cmp rax, [rbp+96]
    ...[0x0f, 0x85, { to: "failed" }], // jne
    "done",
    ...[0x48, 0x83, 0xc5, RECORD_SIZE], // add rbp, RECORD_SIZE
    ...[0xe9, { to: "next" }], // jmp
    "failed",
    ...[0x48, 0x8b, 0x0b], // mov rcx, [rbx]
    ...[0x48, 0x8b, 0x7b, 16], // mov rdi, [rbx+16]           argv[1]
    ...[0x48, 0x8d, 0x73, 16], // lea rsi, [rbx+16]           &argv[1]
    ...[0x48, 0x8d, 0x54, 0xcb, 16], // lea rdx, [rbx+rcx*8+16]     envp
    ...[0xb8, 59, 0, 0, 0], // mov eax, SYS_execve
    ...SYSCALL_INSTRUCTION,
    ...[0xb8, 231, 0, 0, 0], // mov eax, SYS_exit_group
    ...[0xbf, 126, 0, 0, 0], // mov edi, 126
    ...SYSCALL_INSTRUCTION,
    "end",
    ...[0x48, 0x8b, 0x65, 8], // mov rsp, [rbp+8]
    ...[0xff, 0x65, 16], // jmp [rbp+16]
  ]);
}

/**
 * `int stop(void **stack)`: forks; gives the child's pid. The child waits for its end, with what `resume` needs on the
 * stack whose address is in `*stack`. A process that goes on at `resume` gets 0 from the call.
 */
export function stopCode(): { code: Uint8Array<ArrayBuffer>; resumeOffset: number } {
  const resume: Piece[] = [
    ...[0x31, 0xc0], // xor eax, eax
    ...[0xe9, { to: "return" }], // jmp
  ];
  const code = assemble([
    ...[0x53, 0x55], // push rbx, rbp                         what a function keeps for its caller
    ...[0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57], // push r12, r13, r14, r15
    ...[0x48, 0x89, 0x27], // mov [rdi], rsp
    ...[0xb8, 56, 0, 0, 0], // mov eax, SYS_clone
    ...[0xbf, SIGCHLD, 0, 0, 0], // mov edi, SIGCHLD
    ...[0x31, 0xf6], // xor esi, esi
    ...[0x31, 0xd2], // xor edx, edx
    ...[0x45, 0x31, 0xd2], // xor r10d, r10d
    ...[0x45, 0x31, 0xc0], // xor r8d, r8d
    ...SYSCALL_INSTRUCTION,
    ...[0x85, 0xc0], // test eax, eax
    ...[0x0f, 0x84, { to: "child" }], // jz
    "return",
    ...[0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c], // pop r15, r14, r13, r12
    ...[0x5d, 0x5b], // pop rbp, rbx
    0xc3, // ret
    "child", // ends with its parent
    ...[0xb8, 157, 0, 0, 0], // mov eax, SYS_prctl
    ...[0xbf, 1, 0, 0, 0], // mov edi, PR_SET_PDEATHSIG
    ...[0xbe, 9, 0, 0, 0], // mov esi, SIGKILL
    ...SYSCALL_INSTRUCTION,
    "wait",
    ...[0xb8, 34, 0, 0, 0], // mov eax, SYS_pause
    ...SYSCALL_INSTRUCTION,
    ...[0xe9, { to: "wait" }], // jmp
    ...resume,
  ]);
  return { code, resumeOffset: code.length - 7 };
}

/** What a clock is ahead by, in seconds, that `aheadClockCode` answers for. */
const AHEAD_SECONDS = 1000;

/** `clock_gettime` in which the monotonic clock is ahead: it ends whoever waits for some seconds to pass. */
export function aheadClockCode(): Uint8Array<ArrayBuffer> {
  return assemble([
    ...[0xb8, 228, 0, 0, 0], // mov eax, SYS_clock_gettime
    ...SYSCALL_INSTRUCTION,
    ...[0x83, 0xff, 1], // cmp edi, CLOCK_MONOTONIC
    ...[0x75, 7], // jne +7
    ...[0x48, 0x81, 0x06, ...bytes(BigInt(AHEAD_SECONDS), 4)], // add qword [rsi], AHEAD_SECONDS
    0xc3, // ret
  ]);
}
