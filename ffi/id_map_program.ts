/**
 * A program that makes a user namespace and has ids mapped in it, as a tiny static ELF file made here byte by byte: what
 * a shell would do in more than a millisecond.
 *
 * ```
 *   argv         newuidmap, "", its words …, "", newgidmap, "", its words …   the two helpers; the empty words after them
 *                                                    become the pid of a child in the new namespace, that between them ends
 *                                                    the first's
 *   descriptor 0 a pipe: at its end the child and this program end
 *   descriptor 1 NUL, the child's pid and a newline: it is in a namespace with its ids mapped
 *                NUL, a helper and a newline: that has failed, and said why before that (as descriptor 2)
 *                nothing: there can be no namespace
 * ```
 *
 * Only for x86-64.
 *
 * @see clone(2), user_namespaces(7), newuidmap(1)
 */

import { assemble, type Code, lines, SYSCALL_INSTRUCTION } from "./assembler.ts";
import { emitElf } from "./exec_stub.ts";
import {
  add,
  addressOf,
  call,
  div,
  jmp,
  lea,
  load,
  load32,
  load8,
  mov,
  RET,
  shl,
  store,
  store8,
  sub,
  when,
} from "./x86_instructions.ts";

const SYS = { read: 0, write: 1, close: 3, clone: 56, execve: 59, wait4: 61, exit_group: 231 };
const CLONE_NEWUSER = 0x1000_0000;
const SIGCHLD = 17;

/** Below what the kernel puts on the stack: where rbp points to argc. */
const AT = { uidHelper: -8, gidHelper: -16, status: -24, digitsEnd: -40 };
const STACK_SIZE = 128;

const syscall = (number: number): Code => [...mov("rax", number), ...SYSCALL_INSTRUCTION];
const fork = (flags: number): Code =>
  lines(
    mov("rdi", flags | SIGCHLD),
    ...(["rsi", "rdx", "r10", "r8"] as const).map((register) => mov(register, 0)),
    syscall(SYS.clone),
  );

let program: Uint8Array<ArrayBuffer> | undefined;

/** The program as a complete ELF file of less than 1 KiB, made once. */
export function idMapProgram(): Uint8Array<ArrayBuffer> {
  return program ??= new Uint8Array(emitElf("x86_64", assemble(code())));
}

/** r12 is the child's pid, r13 its digits, r14 the environment, rbx the second helper's words. */
const code = () =>
  lines(
    mov("rbp", "rsp"),
    sub("rsp", STACK_SIZE),
    fork(CLONE_NEWUSER),
    when("rax", "==", 0, "child"),
    when("rax", "<", 0, "exit"),
    mov("r12", "rax"),
    writeDigits(),
    splitWords(),
    startHelper("first", lea("r15", "rbp", 8), AT.uidHelper),
    startHelper("second", mov("r15", "rbx"), AT.gidHelper),
    awaitHelper(lea("r15", "rbp", 8), AT.uidHelper),
    awaitHelper(mov("r15", "rbx"), AT.gidHelper),
    tellPid(),
    call("end of input"),
    // its zombie would be left to whoever reaps orphans
    mov("rdi", "r12"),
    call("wait"),
    "exit",
    mov("rdi", 0),
    syscall(SYS.exit_group),
    tellFailure(),
    "child",
    // so that the pipe ends with the program
    ...[1, 2].map((fd) => lines(mov("rdi", fd), syscall(SYS.close))),
    call("end of input"),
    jmp("exit"),
    "end of input",
    mov("rdi", 0),
    lea("rsi", "rbp", AT.status),
    mov("rdx", 1),
    syscall(SYS.read),
    RET,
    "wait",
    lea("rsi", "rbp", AT.status),
    mov("rdx", 0),
    mov("r10", 0),
    syscall(SYS.wait4),
    RET,
    "marks",
    [0x00, 0x0a],
  );

/** r13: a NUL, and behind it the number in r12 and a NUL at `digitsEnd`. */
function writeDigits(): Code {
  return lines(
    lea("r13", "rbp", AT.digitsEnd),
    mov("rdx", 0),
    store8("r13", 0, "rdx"),
    mov("rcx", 10),
    mov("rax", "r12"),
    "digit",
    mov("rdx", 0),
    div("rcx"),
    add("rdx", "0".charCodeAt(0)),
    sub("r13", 1),
    store8("r13", 0, "rdx"),
    when("rax", "!=", 0, "digit"),
  );
}

/** Puts the number into the words of both helpers. */
function splitWords(): Code {
  return lines(
    load("r14", "rbp"),
    shl("r14", 3),
    add("r14", "rbp"),
    add("r14", 16),
    store("rbp", 16, "r13"),
    lea("rbx", "rbp", 24),
    "word",
    load("rax", "rbx"),
    when("rax", "==", 0, "exit"),
    add("rbx", 8),
    load8("rax", "rax"),
    when("rax", "!=", 0, "word"),
    store("rbx", -8, "rax"),
    store("rbx", 8, "r13"),
  );
}

/** `vector` puts its words into r15. */
function startHelper(name: string, vector: Code, pidAt: number): Code {
  return lines(
    vector,
    fork(0),
    store("rbp", pidAt, "rax"),
    when("rax", "!=", 0, name),
    load("rdi", "r15"),
    mov("rsi", "r15"),
    mov("rdx", "r14"),
    syscall(SYS.execve),
    mov("rdi", 127),
    syscall(SYS.exit_group),
    name,
  );
}

/** One that was not started counts as failed. */
function awaitHelper(vector: Code, pidAt: number): Code {
  return lines(
    vector,
    load("rdi", "rbp", pidAt),
    when("rdi", "<", 0, "failed"),
    call("wait"),
    when("rax", "<", 0, "failed"),
    load32("rax", "rbp", AT.status),
    when("rax", "!=", 0, "failed"),
  );
}

function tellPid(): Code {
  return lines(
    mov("rax", "\n".charCodeAt(0)),
    store8("rbp", AT.digitsEnd, "rax"),
    mov("rax", 0),
    sub("r13", 1),
    store8("r13", 0, "rax"),
    mov("rdi", 1),
    mov("rsi", "r13"),
    lea("rdx", "rbp", AT.digitsEnd + 1),
    sub("rdx", "r13"),
    syscall(SYS.write),
  );
}

/** r15 points to the helper's words. */
function tellFailure(): Code {
  return lines(
    "failed",
    mov("rdi", 1),
    addressOf("rsi", "marks"),
    mov("rdx", 1),
    syscall(SYS.write),
    load("rsi", "r15"),
    mov("rdx", 0),
    "character",
    load8("rax", "rsi"),
    add("rsi", 1),
    add("rdx", 1),
    when("rax", "!=", 0, "character"),
    sub("rdx", 1),
    load("rsi", "r15"),
    mov("rdi", 1),
    syscall(SYS.write),
    mov("rdi", 1),
    addressOf("rsi", "marks"),
    add("rsi", 1),
    mov("rdx", 1),
    syscall(SYS.write),
    jmp("exit"),
  );
}
