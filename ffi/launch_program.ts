/**
 * What the packed executable begins with on x86-64: a static program, made here byte by byte, that does what the shell
 * header after it does at nearly every start, in 0.2 ms rather than 4. It looks whether what was unpacked and the
 * process that is kept for this boot are as they were, and executes that. Where anything is otherwise it executes the shell with
 * the header's text, which knows all the rest: it decides nothing by itself but that all is well.
 *
 * ```
 *  file   ELF headers, this program, its tables
 *         the header's text, a zero, END_MARK          at the first start, and where something is in the way:
 *         the compressed payload                       /bin/sh -c TEXT FILE WORDS…
 *
 *  rbx   the stack at the start: argc, argv, envp, auxv      r12   the user
 *  rbp   the frame (AT), and the buffers below it            r13   where the next variable goes, then a descriptor
 *                                                            r14, r15   end of the room for texts, and of the text
 * ```
 *
 * What others could change between look and use cannot be there: no folder on the way may be theirs.
 *
 * @see scripts/packed_header.sh, runtime/frozen/freeze.ts; System V ABI, AMD64 supplement, 3.4.1
 */

import { assemble, bytes, type Code, lines, SYSCALL_INSTRUCTION } from "./assembler.ts";
import { elfHeaders, elfHeaderSize, PF_R, PF_X } from "./elf.ts";
import {
  add,
  addressOf,
  and,
  call,
  cmp,
  div,
  jae,
  jb,
  je,
  jl,
  jmp,
  jne,
  lea,
  load,
  load32,
  load8,
  mov,
  multiply,
  or,
  pop,
  push,
  type Register,
  RET,
  shl,
  store,
  store8,
  sub,
} from "./x86_instructions.ts";

/** What the header compares, and what it executes. */
export interface Launch {
  /** The name of the unpacked folder. */
  id: string;
  /** What is in it, all of it regular files. */
  files: readonly { name: string; permissions: number; size: number }[];
  /** The words between the runtime and the program in it, of which the caller's follow. */
  words: readonly string[];
  /** The variables that the header sets, without those whose values differ (see `addVariables`). */
  variables: Readonly<Record<string, string>>;
  /** Those that the header looks at: with one of them the start is its own. */
  headerVariables: readonly string[];
  header: string;
}

const LOAD_ADDRESS = 0x400000n;
const END_MARK = "the end"; // eight bytes with its zero

/** Up to and with the end mark; the payload follows. */
export function emitLaunchProgram(launch: Launch): Uint8Array<ArrayBuffer> {
  if (launch.header.includes("\0")) throw new Error("the header's text holds a zero");
  const code = assemble(lines(program(launch), tables(launch)));
  const codeOffset = elfHeaderSize(1);
  const size = BigInt(codeOffset + code.length);
  const file = new Uint8Array(Number(size));
  file.set(elfHeaders("x86_64", LOAD_ADDRESS + BigInt(codeOffset), [
    { offset: 0n, address: LOAD_ADDRESS, size, rights: PF_R | PF_X },
  ]));
  file.set(code, codeOffset);
  return file;
}

/** Numbers of x86-64: the machine that builds may be another. @see asm/unistd_64.h, asm-generic/fcntl.h */
const SYS = {
  read: 0,
  write: 1,
  close: 3,
  access: 21,
  execve: 59,
  getcwd: 79,
  readlink: 89,
  getuid: 102,
  geteuid: 107,
  exit_group: 231,
  openat: 257,
  newfstatat: 262,
  prlimit64: 302,
} as const;
const AT_FDCWD = -100, AT_SYMLINK_NOFOLLOW = 0x100, AT_EMPTY_PATH = 0x1000;
const O_NONBLOCK = 0o4000, O_DIRECTORY = 0o200000, O_NOFOLLOW = 0o400000;
const O_CLOEXEC = 0o2000000, O_PATH = 0o10000000;
const S_IFDIR = 0o40000, S_IFREG = 0o100000, S_IFMT = 0o170000;
const S_ISVTX = 0o1000, S_ISGID = 0o2000, WRITABLE_FOR_OTHERS = 0o22;
const AT_EXECFN = 31;
const X_OK = 1, EFAULT = 14, E2BIG = 7;
/** struct stat */
const ST_DEV = 0, ST_INO = 8, ST_MODE = 24, ST_UID = 28, ST_SIZE = 48;
const PATH_MAX = 4096;

/** The frame: words, by their distance from rbp, and what system calls fill. */
const AT = {
  // values of variables; the distance is in `names`, too
  cacheHome: 3 * 8,
  home: 4 * 8,
  runtimeDir: 5 * 8,
  pwd: 6 * 8,
  path: 7 * 8,
  /** The path by which this file was executed. */
  name: 8 * 8,
  envp: 9 * 8,
  /** The new environment, and its end while it is made. */
  variables: 10 * 8,
  variablesEnd: 11 * 8,
  rootOwner: 12 * 8,
  nofile: 13 * 8,
  // texts
  folder: 14 * 8,
  frozen: 15 * 8,
  runtime: 16 * 8,
  main: 17 * 8,
  codeCache: 18 * 8,
  file: 19 * 8,
  nofileText: 20 * 8,
  number: 21 * 8,
  numberEnd: 24 * 8,
  boot: 25 * 8,
  limit: 33 * 8,
  stat: 36 * 8,
  link: 64 * 8,
} as const;
const FRAME_SIZE = AT.link + PATH_MAX;
/** Below the frame: the current folder with what makes a variable of it before it, and room for texts. */
const FOLDER_NAME = "PWD=";
const CURRENT = -PATH_MAX, TEXTS_SIZE = 8 * PATH_MAX;
const TEXTS = CURRENT - 8 - TEXTS_SIZE, BUFFERS_SIZE = -TEXTS;
const BOOT_ID_LENGTH = 36;

const kernel = (number: number): Code => [...mov("rax", number), ...SYSCALL_INSTRUCTION];
const character = (text: string) => text.charCodeAt(0);
const testZero = (register: Register) => cmp(register, 0);

/** stat(2) of the path that rsi points to, into the frame. */
const statAt = (descriptor: Register | number, flags: number): Code =>
  lines(
    mov("rdi", descriptor),
    lea("rdx", "rbp", AT.stat),
    mov("r10", flags),
    kernel(SYS.newfstatat),
    testZero("rax"),
  );

function program(launch: Launch): Code {
  return lines(
    begin(),
    readName(),
    checkCaller(),
    readVariables(launch),
    addCurrentFolder(),
    readBootId(),
    checkBases(),
    checkFrozen(),
    makeTexts(),
    addVariables(launch),
    execute(launch),
    fallBack(),
    routines(),
  );
}

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
    testZero("rax"),
    jne("count"),
    mov("r14", "r13"),
    sub("r14", "r12"), // what its pointers take
    "auxiliary", // pairs of a type and a value, the last of type 0
    load("rax", "r13"),
    load("rdx", "r13", 8),
    add("r13", 16),
    testZero("rax"),
    je("failed"),
    cmp("rax", AT_EXECFN),
    jne("auxiliary"),
    store("rbp", AT.name, "rdx"),
  );
}

/** Who executes a descriptor (fexecve(3)) gives a name that is good for as long as it is open. */
function readName(): Code {
  return lines(
    load("rax", "rdx"), // the stack ends with eight bytes more
    mov("rcx", new DataView(new TextEncoder().encode("/dev/fd/").buffer).getBigUint64(0, true)),
    cmp("rax", "rcx"),
    jne("named"),
    addressOf("rdi", "ownProgram"),
    lea("rsi", "rbp", AT.link),
    mov("rdx", PATH_MAX - 1),
    kernel(SYS.readlink),
    cmp("rax", 1),
    jl("named"),
    lea("rcx", "rbp", AT.link),
    add("rcx", "rax"),
    mov("rax", 0),
    store8("rcx", 0, "rax"),
    lea("rdi", "rbp", AT.link),
    mov("rsi", X_OK),
    kernel(SYS.access), // it may have been removed, or never have been in a folder
    testZero("rax"),
    jne("named"),
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

function checkCaller(): Code {
  return lines(
    kernel(SYS.getuid),
    mov("r12", "rax"),
    kernel(SYS.geteuid),
    cmp("rax", "r12"),
    jne("slow"),
    ...LIMITS.map(([resource, word, least]) =>
      lines(
        mov("rdi", 0),
        mov("rsi", resource),
        mov("rdx", 0),
        lea("r10", "rbp", AT.limit),
        kernel(SYS.prlimit64),
        testZero("rax"),
        jne("slow"),
        load("rax", "rbp", AT.limit + (word === "soft" ? 0 : 8)),
        mov("rcx", least),
        cmp("rax", "rcx"),
        jb("slow"),
      )
    ),
    load("rax", "rbp", AT.limit),
    store("rbp", AT.nofile, "rax"),
    // the stack is large enough for the rest
    sub("rsp", BUFFERS_SIZE),
    mov(
      "rax",
      BigInt(`0x${[...FOLDER_NAME].reverse().map((one) => character(one).toString(16)).join("")}00000000`),
    ),
    store("rbp", CURRENT - 8, "rax"),
    lea("rdi", "rbp", CURRENT),
    mov("rsi", PATH_MAX),
    kernel(SYS.getcwd),
    cmp("rax", 2),
    jl("slow"),
    load8("rax", "rbp", CURRENT), // of a folder out of reach it is "(unreachable)/…"
    cmp("rax", character("/")),
    jne("slow"),
  );
}

/** What `names` says of a variable; from `VALUE` on: where in the frame its value's address goes. */
const END = 0, HEADERS = 1, DROPPED = 2;
const VALUES = {
  XDG_CACHE_HOME: AT.cacheHome,
  HOME: AT.home,
  XDG_RUNTIME_DIR: AT.runtimeDir,
  PWD: AT.pwd,
  PATH: AT.path,
} as const;

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
    testZero("r9"),
    je("variablesEnd"),
    mov("rdi", "r9"),
    "letter",
    load8("rax", "rdi"),
    cmp("rax", character("=")),
    je("nameEnd"),
    mov("rcx", "rax"),
    or("rcx", 0x20), // lower case
    sub("rcx", character("a")),
    cmp("rcx", 26),
    jb("nextLetter"),
    cmp("rax", character("_")),
    je("nextLetter"),
    sub("rax", character("0")),
    cmp("rax", 10),
    jae("variable"), // the text's end, too
    cmp("rdi", "r9"),
    je("variable"),
    "nextLetter",
    add("rdi", 1),
    jmp("letter"),
    "nameEnd",
    cmp("rdi", "r9"),
    je("variable"),
    addressOf("rsi", "names"),
    "name",
    load8("rax", "rsi"),
    cmp("rax", END),
    je("keep"),
    load8("r11", "rsi", 1), // its length
    add("rsi", 2),
    add("r11", "rsi"),
    mov("rdi", "r9"),
    "compare",
    cmp("rsi", "r11"),
    je("found"),
    load8("rcx", "rsi"),
    load8("rdx", "rdi"),
    add("rsi", 1),
    add("rdi", 1),
    cmp("rcx", "rdx"),
    je("compare"), // never beyond the variable's end: no name holds a zero
    mov("rsi", "r11"),
    jmp("name"),
    "found",
    cmp("rax", HEADERS),
    je("slow"),
    cmp("rax", DROPPED),
    je("variable"),
    mov("rcx", "rbp"),
    add("rcx", "rax"),
    store("rcx", 0, "rdi"),
    cmp("rax", AT.pwd),
    je("variable"), // it is judged first
    "keep",
    store("r13", 0, "r9"),
    add("r13", 8),
    jmp("variable"),
    "variablesEnd",
    load("rax", "rbp", AT.path),
    testZero("rax"), // shells differ in what it is then
    je("slow"),
  );
}

/** PWD as a shell exports it: the caller's where it leads to the current folder, else what the kernel tells. */
function addCurrentFolder(): Code {
  return lines(
    load("rsi", "rbp", AT.pwd),
    testZero("rsi"),
    je("ownFolder"),
    load8("rax", "rsi"),
    cmp("rax", character("/")),
    jne("ownFolder"),
    statAt(AT_FDCWD, 0),
    jne("ownFolder"),
    load("r14", "rbp", AT.stat + ST_DEV),
    load("r15", "rbp", AT.stat + ST_INO),
    addressOf("rsi", "dot"),
    statAt(AT_FDCWD, 0),
    jne("slow"),
    load("rax", "rbp", AT.stat + ST_DEV),
    cmp("rax", "r14"),
    jne("ownFolder"),
    load("rax", "rbp", AT.stat + ST_INO),
    cmp("rax", "r15"),
    je("folderKnown"),
    "ownFolder",
    lea("rax", "rbp", CURRENT),
    store("rbp", AT.pwd, "rax"),
    "folderKnown",
    load("rax", "rbp", AT.pwd),
    sub("rax", FOLDER_NAME.length),
    store("r13", 0, "rax"),
    add("r13", 8),
    store("rbp", AT.variablesEnd, "r13"),
  );
}

function readBootId(): Code {
  return lines(
    mov("rdi", AT_FDCWD),
    addressOf("rsi", "bootId"),
    mov("rdx", O_CLOEXEC),
    kernel(SYS.openat),
    testZero("rax"),
    jl("slow"),
    mov("rdi", "rax"),
    lea("rsi", "rbp", AT.boot),
    mov("rdx", BOOT_ID_LENGTH + 2),
    kernel(SYS.read),
    mov("r15", "rax"),
    kernel(SYS.close),
    cmp("r15", BOOT_ID_LENGTH + 1),
    jne("slow"),
    lea("rdi", "rbp", AT.boot),
    lea("rdx", "rbp", AT.boot + BOOT_ID_LENGTH),
    "digit", // 0-9, a-f, -
    load8("rax", "rdi"),
    cmp("rax", character("-")),
    je("nextDigit"),
    mov("rcx", "rax"),
    sub("rcx", character("0")),
    cmp("rcx", 10),
    jb("nextDigit"),
    sub("rax", character("a")),
    cmp("rax", 6),
    jae("slow"),
    "nextDigit",
    add("rdi", 1),
    cmp("rdi", "rdx"),
    jne("digit"),
    load8("rax", "rdi"),
    cmp("rax", character("\n")),
    jne("slow"),
    mov("rax", 0),
    store8("rdi", 0, "rax"),
  );
}

/** The first base below which all is whole, as the header goes through them. Ends at "whole", or slow. */
function checkBases(): Code {
  return lines(
    addressOf("rsi", "root"),
    statAt(AT_FDCWD, AT_SYMLINK_NOFOLLOW),
    jne("slow"),
    load32("rax", "rbp", AT.stat + ST_UID),
    store("rbp", AT.rootOwner, "rax"), // who owns / decides anyway (65534 in a user namespace)
    call("judgeFolder"),
    testZero("rax"),
    jne("slow"),
    testZero("r12"),
    jne("user"),
    ...["rootCache", "rootLib"].map((base) =>
      lines(addressOf("rsi", base), addressOf("rdi", "empty"), call("checkBase"))
    ),
    jmp("slow"),
    "user",
    load("rsi", "rbp", AT.cacheHome),
    addressOf("rdi", "empty"),
    call("checkBase"),
    load("rsi", "rbp", AT.home),
    addressOf("rdi", "homeCache"),
    call("checkBase"),
    load("rsi", "rbp", AT.runtimeDir),
    addressOf("rdi", "empty"),
    call("checkBase"),
    mov("rax", "r12"),
    call("decimal"), // to rsi
    mov("rdi", "rsi"),
    addressOf("rsi", "temporary"),
    call("checkBase"),
    jmp("slow"),
    // rsi: its path, rdi: what comes after; returns if it is not the one
    "checkBase",
    testZero("rsi"),
    je("notWhole"),
    load8("rax", "rsi"),
    cmp("rax", character("/")),
    jne("notWhole"),
    lea("r15", "rbp", TEXTS),
    lea("r14", "rbp", TEXTS + TEXTS_SIZE),
    store("rbp", AT.folder, "r15"),
    push("rsi"),
    call("put"),
    mov("rsi", "rdi"),
    call("put"),
    pop("rax"),
    addressOf("rsi", "temporary"),
    cmp("rax", "rsi"),
    jne("noUserId"),
    addressOf("rsi", "temporaryEnd"),
    call("put"),
    "noUserId",
    addressOf("rsi", "place"),
    call("put"),
    call("endText"),
    load("r8", "rbp", AT.folder),
    "parent", // what is before each / but the first
    add("r8", 1),
    load8("rax", "r8"),
    testZero("rax"),
    je("parentsEnd"),
    cmp("rax", character("/")),
    jne("parent"),
    mov("rax", 0),
    store8("r8", 0, "rax"),
    load("rsi", "rbp", AT.folder),
    statAt(AT_FDCWD, AT_SYMLINK_NOFOLLOW),
    jne("notWhole"),
    call("judgeFolder"),
    testZero("rax"),
    jne("notWhole"),
    mov("rax", character("/")),
    store8("r8", 0, "rax"),
    jmp("parent"),
    "parentsEnd",
    mov("rdi", AT_FDCWD),
    load("rsi", "rbp", AT.folder),
    mov("rdx", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
    kernel(SYS.openat),
    testZero("rax"),
    jl("notWhole"),
    mov("r13", "rax"),
    addressOf("rsi", "empty"),
    statAt("r13", AT_EMPTY_PATH),
    jne("close"),
    call("judgeOwnFolder"),
    testZero("rax"),
    jne("close"),
    addressOf("r8", "files"),
    "file",
    load("rax", "r8"), // its mode
    testZero("rax"),
    je("whole"),
    lea("rsi", "r8", 16),
    statAt("r13", AT_SYMLINK_NOFOLLOW),
    jne("close"),
    load32("rax", "rbp", AT.stat + ST_UID),
    cmp("rax", "r12"),
    jne("close"),
    load32("rax", "rbp", AT.stat + ST_MODE),
    load("rcx", "r8"),
    cmp("rax", "rcx"),
    jne("close"),
    load("rax", "rbp", AT.stat + ST_SIZE),
    load("rcx", "r8", 8),
    cmp("rax", "rcx"),
    jne("close"),
    add("r8", 16),
    "nextFile",
    load8("rax", "r8"),
    add("r8", 1),
    testZero("rax"),
    jne("nextFile"),
    jmp("file"),
    "close",
    mov("rdi", "r13"),
    kernel(SYS.close),
    "notWhole",
    RET,
  );
}

/** The folder of the boot, and in it the file, with the size that was noted when it was made. */
function checkFrozen(): Code {
  return lines(
    "whole", // r13: its descriptor; the end of the program closes it
    mov("rdi", "r13"),
    lea("rsi", "rbp", AT.boot),
    mov("rdx", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
    kernel(SYS.openat),
    testZero("rax"),
    jl("slow"),
    mov("r13", "rax"),
    addressOf("rsi", "empty"),
    statAt("r13", AT_EMPTY_PATH),
    jne("slow"),
    call("judgeOwnFolder"),
    testZero("rax"),
    jne("slow"),
    mov("rdi", "r13"),
    addressOf("rsi", "sizeName"),
    mov("rdx", O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC),
    kernel(SYS.openat),
    testZero("rax"),
    jl("slow"),
    mov("rdi", "rax"),
    lea("rsi", "rbp", AT.number),
    mov("rdx", AT.numberEnd - AT.number - 1),
    kernel(SYS.read),
    cmp("rax", 2),
    jl("slow"),
    lea("rcx", "rbp", AT.number - 1),
    add("rcx", "rax"), // the last byte
    load8("rax", "rcx"),
    cmp("rax", character("\n")),
    jne("slow"),
    lea("rsi", "rbp", AT.number),
    mov("r14", 0),
    "sizeDigit",
    load8("rax", "rsi"),
    sub("rax", character("0")),
    cmp("rax", 10),
    jae("slow"),
    multiply("r14", 10),
    add("r14", "rax"),
    add("rsi", 1),
    cmp("rsi", "rcx"),
    jne("sizeDigit"),
    addressOf("rsi", "runtimeName"),
    statAt("r13", AT_SYMLINK_NOFOLLOW),
    jne("slow"),
    load32("rax", "rbp", AT.stat + ST_UID),
    cmp("rax", "r12"),
    jne("slow"),
    load32("rax", "rbp", AT.stat + ST_MODE),
    cmp("rax", S_IFREG | 0o500),
    jne("slow"),
    load("rax", "rbp", AT.stat + ST_SIZE),
    cmp("rax", "r14"),
    jne("slow"),
  );
}

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
    cmp("rax", -1),
    je("putLimit"),
    call("decimal"),
    "putLimit",
    call("put"),
    call("endText"),
    store("rbp", AT.file, "r15"),
    addressOf("rsi", "fileVariable"),
    call("put"),
    load("r8", "rbp", AT.name),
    load8("rax", "r8"),
    cmp("rax", character("/")),
    je("isAbsolute"),
    cmp("rax", character(".")),
    jne("isRelative"),
    load8("rax", "r8", 1),
    cmp("rax", character("/")),
    jne("isRelative"),
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

/** Puts what rax points to at the end of the vector at r13. */
const append: Code = lines(store("r13", 0, "rax"), add("r13", 8));

function addVariables({ variables }: Launch): Code {
  return lines(
    load("r13", "rbp", AT.variablesEnd),
    ...[AT.file, AT.nofileText, AT.codeCache].map((at) => lines(load("rax", "rbp", at), append)),
    ...Object.keys(variables).map((name) => lines(addressOf("rax", `variable ${name}`), append)),
    mov("rax", 0),
    append,
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
    cmp("rax", -EFAULT),
    je("damaged"),
    addressOf("rsi", "end"),
    load("rax", "rsi"),
    addressOf("rsi", "endMark"),
    load("rcx", "rsi"),
    cmp("rax", "rcx"),
    jne("damaged"),
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
    cmp("rax", -E2BIG),
    je("say"),
    "failed",
    addressOf("rsi", "noShell"),
    "say",
    mov("rdx", 0),
    "measure",
    mov("rcx", "rsi"),
    add("rcx", "rdx"),
    load8("rax", "rcx"),
    add("rdx", 1),
    testZero("rax"),
    jne("measure"),
    sub("rdx", 1),
    mov("r12", 126),
    jmp("exit"),
    "damaged",
    sub("rsp", BUFFERS_SIZE),
    lea("r15", "rbp", TEXTS),
    lea("r14", "rbp", TEXTS + TEXTS_SIZE),
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

function routines(): Code {
  return lines(
    // copies the text that rsi points to to the end of the text that is made
    "put",
    load8("rax", "rsi"),
    testZero("rax"),
    je("putEnd"),
    cmp("r15", "r14"),
    jae("slow"),
    store8("r15", 0, "rax"),
    add("rsi", 1),
    add("r15", 1),
    jmp("put"),
    "putEnd",
    RET,
    "endText",
    cmp("r15", "r14"),
    jae("slow"),
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
    testZero("rax"),
    jne("decimalDigit"),
    RET,
    // whether what stat told is a folder that nobody but the user and root can change: 0
    "judgeFolder",
    load32("rax", "rbp", AT.stat + ST_UID),
    testZero("rax"),
    je("judgeMode"),
    cmp("rax", "r12"),
    je("judgeMode"),
    load("rcx", "rbp", AT.rootOwner),
    cmp("rax", "rcx"),
    jne("bad"),
    "judgeMode",
    load32("rax", "rbp", AT.stat + ST_MODE),
    mov("rcx", "rax"),
    and("rcx", S_IFMT | WRITABLE_FOR_OTHERS),
    cmp("rcx", S_IFDIR),
    je("good"),
    and("rax", S_IFMT | S_ISVTX), // as /tmp
    cmp("rax", S_IFDIR | S_ISVTX),
    jne("bad"),
    "good",
    mov("rax", 0),
    RET,
    // whether it is the user's own, 0700
    "judgeOwnFolder",
    load32("rax", "rbp", AT.stat + ST_UID),
    cmp("rax", "r12"),
    jne("bad"),
    load32("rax", "rbp", AT.stat + ST_MODE),
    and("rax", ~S_ISGID),
    cmp("rax", S_IFDIR | 0o700),
    je("good"),
    "bad",
    mov("rax", 1),
    RET,
    // the caller's words, without the first, and the zero
    "appendCallers",
    load("rcx", "rbx"),
    lea("rsi", "rbx", 16),
    "append",
    cmp("rcx", 2), // where there is no word at all, too
    jl("appendEnd"),
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

/** A text that ends with a zero. */
const text = (label: string, content: string): Code => [label, ...new TextEncoder().encode(content), 0];

function tables({ id, files, words, variables, headerVariables, header }: Launch): Code {
  const names: [name: string, what: number][] = [
    ...headerVariables.map((name): [string, number] => [name, HEADERS]),
    ...[...Object.keys(variables), "SKIFF_FILE", "SKIFF_NOFILE", "DENO_DIR"]
      .filter((name) => !headerVariables.includes(name)).map((name): [string, number] => [name, DROPPED]),
    ...Object.entries(VALUES),
  ];
  return lines(
    "names",
    ...names.map(([name, what]) => [what, name.length + 1, ...new TextEncoder().encode(`${name}=`)]),
    [END],
    "files",
    ...files.map(({ name, permissions, size }) => [
      ...bytes(BigInt(S_IFREG | permissions), 8),
      ...bytes(BigInt(size), 8),
      ...new TextEncoder().encode(`${name}\0`),
    ]),
    bytes(0n, 8),
    ...words.map((word, index) => text(`word ${index}`, word)),
    ...Object.entries(variables).map(([name, value]) => text(`variable ${name}`, `${name}=${value}`)),
    text("empty", ""),
    text("dot", "."),
    text("slash", "/"),
    text("root", "/"),
    text("ownProgram", "/proc/self/exe"),
    text("bootId", "/proc/sys/kernel/random/boot_id"),
    text("rootCache", "/var/cache"),
    text("rootLib", "/var/lib"),
    text("homeCache", "/.cache"),
    text("temporary", "/tmp/skiff-"),
    text("temporaryEnd", "-cache"),
    text("place", `/skiff/${id}`),
    text("sizeName", "size"),
    text("runtimeName", "skiff"),
    text("runtimePath", "/skiff"),
    text("mainPath", "/main.js"),
    text("codeCacheVariable", "DENO_DIR="),
    text("codeCachePath", "/cache"),
    text("nofileVariable", "SKIFF_NOFILE="),
    text("unlimited", "unlimited"),
    text("fileVariable", "SKIFF_FILE="),
    text("shell", "/bin/sh"),
    text("shellOption", "-c"),
    text("tooLong", "Error: start skiff: the arguments and variables are too long\n"),
    text("noShell", "Error: start skiff: /bin/sh cannot be executed\n"),
    text("error", "Error: start skiff: "),
    text("isDamaged", " is damaged\nhint: download it again\n"),
    text("endMark", END_MARK),
    text("header", header),
    text("end", END_MARK),
  );
}
