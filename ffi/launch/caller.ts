/** Who executes the file: its name, the user, limits, variables and the current folder. */

import { type Code, lines } from "../assembler.ts";
import {
  add,
  addressOf,
  and,
  call,
  jmp,
  lea,
  load,
  load8,
  mov,
  or,
  shl,
  store,
  store8,
  sub,
  when,
} from "../x86_instructions.ts";
import {
  append,
  ASIDE,
  AT,
  AT_EXECFN,
  AT_FDCWD,
  BUFFERS_SIZE,
  character,
  CURRENT,
  DROPPED,
  eight,
  END,
  FOLDER_NAME,
  FRAME_SIZE,
  HEADERS,
  kernel,
  PATH_MAX,
  PUT_ASIDE,
  ST_DEV,
  ST_INO,
  statAt,
  SYS,
  VALUES,
  X_OK,
} from "./frame.ts";
import type { Launch } from "./launch.ts";

/** All that the launching program learns of who has executed it. Goes on, or at "slow". */
export const checkCaller = (launch: Launch): Code =>
  lines(begin(), readName(), checkIdsAndLimits(), checkFolder(), readVariables(launch), addCurrentFolder());

function begin(): Code {
  return lines(
    mov("rbx", "rsp"),
    sub("rsp", FRAME_SIZE),
    mov("rbp", "rsp"),
    load("rcx", "rbx"), // argc
    mov("r12", "rcx"),
    shl("r12", 3),
    add("r12", "rbx"),
    add("r12", 16),
    store("rbp", AT.envp, "r12"),
    mov("r13", "r12"),
    "count",
    load("rax", "r13"),
    add("r13", 8),
    when("rax", "!=", 0, "count"),
    mov("r14", "r13"),
    sub("r14", "r12"), // what its pointers take
    "auxiliary", // pairs of a type and a value, the last of type 0
    load("rax", "r13"),
    load("rdx", "r13", 8),
    add("r13", 16),
    when("rax", "==", 0, "failed"),
    when("rax", "!=", AT_EXECFN, "auxiliary"),
    store("rbp", AT.name, "rdx"),
  );
}

/** Who executes a descriptor (fexecve(3)) gives a name that is good for as long as it is open. */
function readName(): Code {
  return lines(
    load("rax", "rdx"), // the stack ends with eight bytes more
    mov("rcx", eight("/dev/fd/")),
    when("rax", "!=", "rcx", "named"),
    addressOf("rdi", "ownProgram"),
    lea("rsi", "rbp", AT.link),
    mov("rdx", PATH_MAX - 1),
    kernel(SYS.readlink),
    when("rax", "<", 1, "named"),
    lea("rcx", "rbp", AT.link),
    add("rcx", "rax"),
    mov("rax", 0),
    store8("rcx", 0, "rax"),
    lea("rdi", "rbp", AT.link),
    mov("rsi", X_OK),
    kernel(SYS.access), // it may have been removed, or never have been in a folder
    when("rax", "!=", 0, "named"),
    lea("rax", "rbp", AT.link),
    store("rbp", AT.name, "rax"),
    "named",
  );
}

/** Least limits, as the header has them, which tells those that are missed. @see setrlimit(2) */
const LIMITS: [resource: number, word: "soft" | "hard", least: number][] = [
  [/* RLIMIT_STACK */ 3, "soft", 512 * 1024],
  [/* RLIMIT_DATA */ 2, "soft", 700_000 * 1024],
  [/* RLIMIT_AS */ 9, "soft", 60_000_000 * 1024],
  [/* RLIMIT_NOFILE */ 7, "hard", 100], // the last: its soft limit is told
];

function checkIdsAndLimits(): Code {
  return lines(
    kernel(SYS.getuid),
    mov("r12", "rax"),
    kernel(SYS.geteuid),
    when("rax", "!=", "r12", "slow"),
    ...LIMITS.map(([resource, word, least]) =>
      lines(
        mov("rdi", 0),
        mov("rsi", resource),
        mov("rdx", 0),
        lea("r10", "rbp", AT.limit),
        kernel(SYS.prlimit64),
        when("rax", "!=", 0, "slow"),
        load("rax", "rbp", AT.limit + (word === "soft" ? 0 : 8)),
        mov("rcx", least),
        when("rax", "below", "rcx", "slow"),
      )
    ),
    load("rax", "rbp", AT.limit),
    store("rbp", AT.nofile, "rax"),
  );
}

function checkFolder(): Code {
  return lines(
    // the stack is large enough for the rest
    sub("rsp", BUFFERS_SIZE),
    mov("rax", eight(FOLDER_NAME.padStart(8))),
    store("rbp", CURRENT - 8, "rax"),
    lea("rdi", "rbp", CURRENT),
    mov("rsi", PATH_MAX),
    kernel(SYS.getcwd),
    when("rax", "<", 2, "slow"),
    load8("rax", "rbp", CURRENT), // of a folder out of reach it is "(unreachable)/…"
    when("rax", "!=", character("/"), "slow"),
  );
}

/** The caller's go into the new environment but those of no shell's name, which the header's shell drops as well. */
function readVariables({ variables }: Launch): Code {
  const own = Object.keys(variables).length + 5;
  return lines(
    mov("rax", "r14"), // the pointers to the caller's, and the zero
    add("rax", 8 * own),
    sub("rsp", "rax"),
    and("rsp", -16),
    store("rbp", AT.variables, "rsp"),
    mov("r13", "rsp"),
    mov("rax", 0),
    ...Object.values(VALUES).map((at) => store("rbp", at, "rax")),
    load("r8", "rbp", AT.envp),
    "variable",
    load("r9", "r8"),
    add("r8", 8),
    when("r9", "==", 0, "variablesEnd"),
    mov("rdi", "r9"),
    "letter",
    load8("rax", "rdi"),
    when("rax", "==", character("="), "nameEnd"),
    mov("rcx", "rax"),
    or("rcx", 0x20), // lower case
    sub("rcx", character("a")),
    when("rcx", "below", 26, "nextLetter"),
    when("rax", "==", character("_"), "nextLetter"),
    sub("rax", character("0")),
    when("rax", "at least", 10, "variable"), // the text's end, too
    when("rdi", "==", "r9", "variable"),
    "nextLetter",
    add("rdi", 1),
    jmp("letter"),
    "nameEnd",
    when("rdi", "==", "r9", "variable"),
    addressOf("rsi", "names"),
    "name",
    load8("rax", "rsi"),
    when("rax", "==", END, "keep"),
    load8("r11", "rsi", 1), // its length
    add("rsi", 2),
    add("r11", "rsi"),
    mov("rdi", "r9"),
    "compare",
    when("rsi", "==", "r11", "found"),
    load8("rcx", "rsi"),
    load8("rdx", "rdi"),
    add("rsi", 1),
    add("rdi", 1),
    when("rcx", "==", "rdx", "compare"), // never beyond the variable's end: no name holds a zero
    mov("rsi", "r11"),
    jmp("name"),
    "found",
    when("rax", "==", HEADERS, "slow"),
    when("rax", "==", DROPPED, "variable"),
    when("rax", "==", PUT_ASIDE, "putAside"),
    mov("rcx", "rbp"),
    add("rcx", "rax"),
    store("rcx", 0, "rdi"),
    when("rax", "==", AT.pwd, "variable"), // it is judged first
    "keep",
    mov("rax", "r9"),
    append,
    jmp("variable"),
    "putAside", // a copy with another name, on the stack
    mov("rdi", "r9"),
    "variableEnd",
    load8("rcx", "rdi"),
    add("rdi", 1),
    when("rcx", "!=", 0, "variableEnd"),
    sub("rdi", "r9"),
    add("rdi", ASIDE.length + 15),
    and("rdi", -16),
    sub("rsp", "rdi"),
    mov("r15", "rsp"),
    mov("r14", "rsp"),
    add("r14", "rdi"),
    addressOf("rsi", "aside"),
    call("put"),
    mov("rsi", "r9"),
    call("put"),
    call("endText"),
    mov("rax", "rsp"),
    append,
    jmp("variable"),
    "variablesEnd",
    load("rax", "rbp", AT.path),
    when("rax", "==", 0, "slow"), // shells differ in what it is then
  );
}

/** PWD as a shell exports it: the caller's where it leads to the current folder, else what the kernel tells. */
function addCurrentFolder(): Code {
  return lines(
    load("rsi", "rbp", AT.pwd),
    when("rsi", "==", 0, "ownFolder"),
    load8("rax", "rsi"),
    when("rax", "!=", character("/"), "ownFolder"),
    statAt(AT_FDCWD, 0, "ownFolder"),
    load("r14", "rbp", AT.stat + ST_DEV),
    load("r15", "rbp", AT.stat + ST_INO),
    addressOf("rsi", "dot"),
    statAt(AT_FDCWD, 0, "slow"),
    load("rax", "rbp", AT.stat + ST_DEV),
    when("rax", "!=", "r14", "ownFolder"),
    load("rax", "rbp", AT.stat + ST_INO),
    when("rax", "==", "r15", "folderKnown"),
    "ownFolder",
    lea("rax", "rbp", CURRENT),
    store("rbp", AT.pwd, "rax"),
    "folderKnown",
    load("rax", "rbp", AT.pwd),
    sub("rax", FOLDER_NAME.length),
    append,
    store("rbp", AT.variablesEnd, "r13"),
  );
}
