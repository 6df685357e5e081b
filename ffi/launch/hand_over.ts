/** What the launching program executes, and with which words and variables. */

import { type Code, lines } from "../assembler.ts";
import {
  add,
  addressOf,
  and,
  call,
  div,
  jmp,
  lea,
  load,
  load8,
  mov,
  RET,
  shl,
  store,
  store8,
  sub,
  when,
} from "../x86_instructions.ts";
import {
  append,
  AT,
  BUFFERS_SIZE,
  character,
  E2BIG,
  EFAULT,
  kernel,
  roomForTexts,
  SIG_SETMASK,
  SIGCHLD,
  SIGSET_SIZE,
  SYS,
  TEXTS,
  TEXTS_SIZE,
} from "./frame.ts";
import type { Launch } from "./launch.ts";

/** Executes the process that is kept, or else, and from "slow" on, the shell with the header. */
export const handOver = (launch: Launch): Code =>
  lines(makeTexts(), addVariables(launch), resetSignals(), execute(launch), fallBack());

/** What the above calls. */
export const handOverRoutines = (): Code => lines(textRoutines(), vectorRoutines());

type Part = { label: string } | { word: number } | { buffer: number };

/** A text of parts, whose address goes into the frame. */
const makeText = (at: number, ...parts: Part[]): Code =>
  lines(
    store("rbp", at, "r15"),
    ...parts.map((part) =>
      lines(
        "label" in part
          ? addressOf("rsi", part.label)
          : "word" in part
          ? load("rsi", "rbp", part.word)
          : lea("rsi", "rbp", part.buffer),
        call("put"),
      )
    ),
    call("endText"),
  );

function makeTexts(): Code {
  const folder = { word: AT.folder };
  return lines(
    lea("r14", "rbp", TEXTS + TEXTS_SIZE), // r15 is where the folder's text ended
    makeText(AT.frozen, folder, { label: "slash" }, { buffer: AT.boot }, { label: "runtimePath" }),
    makeText(AT.runtime, folder, { label: "runtimePath" }),
    makeText(AT.main, folder, { label: "mainPath" }),
    makeText(AT.codeCache, { label: "codeCacheVariable" }, folder, { label: "codeCachePath" }),
    store("rbp", AT.nofileText, "r15"),
    addressOf("rsi", "nofileVariable"),
    call("put"),
    load("rax", "rbp", AT.nofile),
    addressOf("rsi", "unlimited"),
    when("rax", "==", -1, "putLimit"),
    call("decimal"),
    "putLimit",
    call("put"),
    call("endText"),
    store("rbp", AT.file, "r15"),
    addressOf("rsi", "fileVariable"),
    call("put"),
    load("r8", "rbp", AT.name),
    load8("rax", "r8"),
    when("rax", "==", character("/"), "isAbsolute"),
    when("rax", "!=", character("."), "isRelative"),
    load8("rax", "r8", 1),
    when("rax", "!=", character("/"), "isRelative"),
    add("r8", 2),
    "isRelative",
    load("rsi", "rbp", AT.pwd),
    call("put"),
    addressOf("rsi", "slash"),
    call("put"),
    "isAbsolute",
    mov("rsi", "r8"),
    call("put"),
    call("endText"),
  );
}

function addVariables({ variables }: Launch): Code {
  return lines(
    load("r13", "rbp", AT.variablesEnd),
    ...[AT.file, AT.nofileText, AT.codeCache].map((at) => lines(load("rax", "rbp", at), append)),
    ...Object.keys(variables).map((name) => lines(addressOf("rax", `variable ${name}`), append)),
    mov("rax", 0),
    append,
  );
}

/**
 * As a shell does: children of a caller that ignores theirs would be gone before they are waited for, and a signal that he
 * blocks would never end a command. What else he ignores stays ignored.
 */
function resetSignals(): Code {
  return lines(
    mov("rdi", SIGCHLD),
    addressOf("rsi", "zeros"), // SIG_DFL, without flags
    mov("rdx", 0),
    mov("r10", SIGSET_SIZE),
    kernel(SYS.rt_sigaction),
    mov("rdi", SIG_SETMASK),
    addressOf("rsi", "zeros"),
    mov("rdx", 0),
    mov("r10", SIGSET_SIZE),
    kernel(SYS.rt_sigprocmask),
  );
}

/** execve(frozen, { frozen, runtime, words…, main, the caller's… }, variables) */
function execute({ words }: Launch): Code {
  return lines(
    load("rax", "rbx"),
    shl("rax", 3),
    add("rax", 8 * (words.length + 6)),
    sub("rsp", "rax"),
    and("rsp", -16),
    mov("r13", "rsp"),
    ...[AT.frozen, AT.runtime].map((at) => lines(load("rax", "rbp", at), append)),
    ...words.map((_, index) => lines(addressOf("rax", `word ${index}`), append)),
    load("rax", "rbp", AT.main),
    append,
    call("appendCallers"),
    load("rdi", "rbp", AT.frozen),
    mov("rsi", "rsp"),
    load("rdx", "rbp", AT.variables),
    kernel(SYS.execve),
  );
}

function fallBack(): Code {
  return lines(
    "slow",
    mov("rsp", "rbp"),
    // A file that was cut off must not run half of its header; what is not there can be asked of the kernel alone.
    addressOf("rdi", "end"),
    mov("rsi", 0),
    kernel(SYS.access),
    when("rax", "==", -EFAULT, "damaged"),
    addressOf("rsi", "end"),
    load("rax", "rsi"),
    addressOf("rsi", "endMark"),
    load("rcx", "rsi"),
    when("rax", "!=", "rcx", "damaged"),
    load("rax", "rbx"),
    shl("rax", 3),
    add("rax", 8 * 6),
    sub("rsp", "rax"),
    mov("r13", "rsp"),
    ...["shell", "shellOption", "header"].map((label) => lines(addressOf("rax", label), append)),
    load("rax", "rbp", AT.name),
    append,
    call("appendCallers"),
    addressOf("rdi", "shell"),
    mov("rsi", "rsp"),
    load("rdx", "rbp", AT.envp),
    kernel(SYS.execve),
    addressOf("rsi", "tooLong"),
    when("rax", "==", -E2BIG, "say"),
    "failed",
    addressOf("rsi", "noShell"),
    "say",
    mov("rdx", 0),
    "measure",
    mov("rcx", "rsi"),
    add("rcx", "rdx"),
    load8("rax", "rcx"),
    add("rdx", 1),
    when("rax", "!=", 0, "measure"),
    sub("rdx", 1),
    mov("r12", 126),
    jmp("exit"),
    "damaged",
    sub("rsp", BUFFERS_SIZE),
    roomForTexts,
    addressOf("rsi", "error"),
    call("put"),
    load("rsi", "rbp", AT.name),
    call("put"),
    addressOf("rsi", "isDamaged"),
    call("put"),
    lea("rsi", "rbp", TEXTS),
    mov("rdx", "r15"),
    sub("rdx", "rsi"),
    mov("r12", 125),
    "exit",
    mov("rdi", 2),
    kernel(SYS.write),
    mov("rdi", "r12"),
    kernel(SYS.exit_group),
  );
}

function textRoutines(): Code {
  return lines(
    // copies the text that rsi points to to the end of the text that is made
    "put",
    load8("rax", "rsi"),
    when("rax", "==", 0, "putEnd"),
    when("r15", "at least", "r14", "slow"),
    store8("r15", 0, "rax"),
    add("rsi", 1),
    add("r15", 1),
    jmp("put"),
    "putEnd",
    RET,
    "endText",
    when("r15", "at least", "r14", "slow"),
    mov("rax", 0),
    store8("r15", 0, "rax"),
    add("r15", 1),
    RET,
    // rax as text, to rsi
    "decimal",
    lea("rsi", "rbp", AT.numberEnd),
    mov("rdx", 0),
    store8("rsi", 0, "rdx"),
    mov("rcx", 10),
    "decimalDigit",
    mov("rdx", 0),
    div("rcx"),
    add("rdx", character("0")),
    sub("rsi", 1),
    store8("rsi", 0, "rdx"),
    when("rax", "!=", 0, "decimalDigit"),
    RET,
  );
}

function vectorRoutines(): Code {
  return lines(
    // the caller's words, without the first, and the zero
    "appendCallers",
    load("rcx", "rbx"),
    lea("rsi", "rbx", 16),
    "append",
    when("rcx", "<", 2, "appendEnd"), // where there is no word at all, too
    load("rax", "rsi"),
    append,
    add("rsi", 8),
    sub("rcx", 1),
    jmp("append"),
    "appendEnd",
    mov("rax", 0),
    append,
    RET,
  );
}
