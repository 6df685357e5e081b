/** Whether what was unpacked, and the process that is kept for this boot, are as they were made. */

import { type Code, lines } from "../assembler.ts";
import {
  add,
  addressOf,
  and,
  call,
  jmp,
  lea,
  load,
  load32,
  load8,
  mov,
  multiply,
  pop,
  push,
  RET,
  store,
  store8,
  sub,
  when,
} from "../x86_instructions.ts";
import {
  AT,
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  BOOT_ID_LENGTH,
  character,
  expectFile,
  kernel,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  openAt,
  PATH_MAX,
  roomForTexts,
  S_IFDIR,
  S_IFMT,
  S_IFREG,
  S_ISGID,
  S_ISVTX,
  ST_MODE,
  ST_UID,
  statAt,
  SYS,
  TEXTS,
  TEXTS_SIZE,
  WRITABLE_FOR_OTHERS,
} from "./frame.ts";

/** All that the launching program looks at before it executes the file of this boot. Goes on, or at "slow". */
export const checkKept = (): Code => lines(readBootId(), checkBases(), checkFrozen());

/** What the above calls. */
export const keptRoutines = (): Code => lines(checkBase(), checkBehindLinks(), judge());

function readBootId(): Code {
  return lines(
    addressOf("rsi", "bootId"),
    openAt(AT_FDCWD, O_CLOEXEC, "slow"),
    mov("rdi", "rax"),
    lea("rsi", "rbp", AT.boot),
    mov("rdx", BOOT_ID_LENGTH + 2),
    kernel(SYS.read),
    mov("r15", "rax"),
    kernel(SYS.close),
    when("r15", "!=", BOOT_ID_LENGTH + 1, "slow"),
    lea("rdi", "rbp", AT.boot),
    lea("rdx", "rbp", AT.boot + BOOT_ID_LENGTH),
    "digit", // 0-9, a-f, -
    load8("rax", "rdi"),
    when("rax", "==", character("-"), "nextDigit"),
    mov("rcx", "rax"),
    sub("rcx", character("0")),
    when("rcx", "below", 10, "nextDigit"),
    sub("rax", character("a")),
    when("rax", "at least", 6, "slow"),
    "nextDigit",
    add("rdi", 1),
    when("rdi", "!=", "rdx", "digit"),
    load8("rax", "rdi"),
    when("rax", "!=", character("\n"), "slow"),
    mov("rax", 0),
    store8("rdi", 0, "rax"),
  );
}

/** Where in the frame the bases of users are, and the labels of what follows them. */
const BASES: [at: number, rest: string][] = [
  [AT.cacheHome, "empty"],
  [AT.home, "homeCache"],
  [AT.runtimeDir, "empty"],
];

/** The end of the room for texts, while there are few of them. */
const LINKED = TEXTS + TEXTS_SIZE - PATH_MAX;

/** The first base below which all is whole, as the header goes through them. Ends at "whole", or slow. */
function checkBases(): Code {
  return lines(
    addressOf("rsi", "root"),
    statAt(AT_FDCWD, AT_SYMLINK_NOFOLLOW, "slow"),
    load32("rax", "rbp", AT.stat + ST_UID),
    store("rbp", AT.rootOwner, "rax"), // who owns / decides anyway (65534 in a user namespace)
    call("judgeFolder"),
    when("rax", "!=", 0, "slow"),
    when("r12", "!=", 0, "user"),
    ...["rootCache", "rootLib"].map((base) =>
      lines(addressOf("rsi", base), addressOf("rdi", "empty"), call("checkBase"))
    ),
    jmp("slow"),
    "user",
    ...BASES.map(([at, rest]) => lines(load("rsi", "rbp", at), addressOf("rdi", rest), call("checkBase"))),
    mov("rax", "r12"),
    call("decimal"), // to rsi
    mov("rdi", "rsi"),
    addressOf("rsi", "temporary"),
    call("checkBase"),
    ...BASES.map(([at, rest]) =>
      lines(load("rsi", "rbp", at), addressOf("rdi", rest), call("checkBehindLinks"))
    ),
    jmp("slow"),
  );
}

/** rsi: its path, rdi: what comes after. Goes on at "whole", or returns if this is not the one. */
function checkBase(): Code {
  return lines(
    "checkBase",
    when("rsi", "==", 0, "notWhole"),
    load8("rax", "rsi"),
    when("rax", "!=", character("/"), "notWhole"),
    roomForTexts,
    store("rbp", AT.folder, "r15"),
    push("rsi"),
    call("put"),
    mov("rsi", "rdi"),
    call("put"),
    pop("rax"),
    addressOf("rsi", "temporary"),
    when("rax", "!=", "rsi", "noUserId"),
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
    when("rax", "==", 0, "parentsEnd"),
    when("rax", "!=", character("/"), "parent"),
    mov("rax", 0),
    store8("r8", 0, "rax"),
    load("rsi", "rbp", AT.folder),
    statAt(AT_FDCWD, AT_SYMLINK_NOFOLLOW, "notWhole"),
    call("judgeFolder"),
    when("rax", "!=", 0, "notWhole"),
    mov("rax", character("/")),
    store8("r8", 0, "rax"),
    jmp("parent"),
    "parentsEnd",
    load("rsi", "rbp", AT.folder),
    openAt(AT_FDCWD, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, "notWhole"),
    mov("r13", "rax"),
    addressOf("rsi", "empty"),
    statAt("r13", AT_EMPTY_PATH, "close"),
    call("judgeOwnFolder"),
    when("rax", "!=", 0, "close"),
    addressOf("r8", "files"),
    "file",
    load("rax", "r8"), // its mode
    when("rax", "==", 0, "whole"),
    lea("rsi", "r8", 16),
    statAt("r13", AT_SYMLINK_NOFOLLOW, "close"),
    load("rcx", "r8"),
    load("rdx", "r8", 8),
    expectFile("rcx", "rdx", "close"),
    add("r8", 16),
    "nextFile",
    load8("rax", "r8"),
    add("r8", 1),
    when("rax", "!=", 0, "nextFile"),
    jmp("file"),
    "close",
    mov("rdi", "r13"),
    kernel(SYS.close),
    "notWhole",
    RET,
  );
}

/**
 * The same where links are on the way: they are followed once, and what they lead to is judged. Returns if there is no such
 * base; one that is not whole is unpacked by the header before it looks at the next.
 */
function checkBehindLinks(): Code {
  return lines(
    "checkBehindLinks",
    when("rsi", "==", 0, "noBase"),
    load8("rax", "rsi"),
    when("rax", "!=", character("/"), "noBase"),
    roomForTexts,
    call("put"),
    mov("rsi", "rdi"),
    call("put"),
    call("endText"),
    lea("rsi", "rbp", TEXTS),
    openAt(AT_FDCWD, O_PATH | O_DIRECTORY | O_CLOEXEC, "slow"),
    mov("r13", "rax"),
    roomForTexts,
    addressOf("rsi", "descriptors"),
    call("put"),
    mov("rax", "r13"),
    call("decimal"), // to rsi
    call("put"),
    call("endText"),
    lea("rdi", "rbp", TEXTS),
    lea("rsi", "rbp", LINKED),
    mov("rdx", PATH_MAX - 1),
    kernel(SYS.readlink),
    mov("r8", "rax"),
    mov("rdi", "r13"),
    kernel(SYS.close),
    when("r8", "<", 1, "slow"),
    lea("rsi", "rbp", LINKED),
    add("r8", "rsi"),
    mov("rax", 0),
    store8("r8", 0, "rax"),
    addressOf("rdi", "empty"),
    call("checkBase"),
    jmp("slow"),
    "noBase",
    RET,
  );
}

/** The folder of the boot, and in it the file, with the size that was noted when it was made. */
function checkFrozen(): Code {
  return lines(
    "whole", // r13: its descriptor; the end of the program closes it
    lea("rsi", "rbp", AT.boot),
    openAt("r13", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, "slow"),
    mov("r13", "rax"),
    addressOf("rsi", "empty"),
    statAt("r13", AT_EMPTY_PATH, "slow"),
    call("judgeOwnFolder"),
    when("rax", "!=", 0, "slow"),
    addressOf("rsi", "sizeName"),
    openAt("r13", O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, "slow"),
    mov("rdi", "rax"),
    lea("rsi", "rbp", AT.number),
    mov("rdx", AT.numberEnd - AT.number - 1),
    kernel(SYS.read),
    when("rax", "<", 2, "slow"),
    lea("rcx", "rbp", AT.number - 1),
    add("rcx", "rax"), // the last byte
    load8("rax", "rcx"),
    when("rax", "!=", character("\n"), "slow"),
    lea("rsi", "rbp", AT.number),
    mov("r14", 0),
    "sizeDigit",
    load8("rax", "rsi"),
    sub("rax", character("0")),
    when("rax", "at least", 10, "slow"),
    multiply("r14", 10),
    add("r14", "rax"),
    add("rsi", 1),
    when("rsi", "!=", "rcx", "sizeDigit"),
    addressOf("rsi", "runtimeName"),
    statAt("r13", AT_SYMLINK_NOFOLLOW, "slow"),
    expectFile(S_IFREG | 0o500, "r14", "slow"),
  );
}

function judge(): Code {
  return lines(
    // whether what stat told is a folder that nobody but the user and root can change: 0
    "judgeFolder",
    load32("rax", "rbp", AT.stat + ST_UID),
    when("rax", "==", 0, "judgeMode"),
    when("rax", "==", "r12", "judgeMode"),
    load("rcx", "rbp", AT.rootOwner),
    when("rax", "!=", "rcx", "bad"),
    "judgeMode",
    load32("rax", "rbp", AT.stat + ST_MODE),
    mov("rcx", "rax"),
    and("rcx", S_IFMT | WRITABLE_FOR_OTHERS),
    when("rcx", "==", S_IFDIR, "good"),
    and("rax", S_IFMT | S_ISVTX), // as /tmp
    when("rax", "!=", S_IFDIR | S_ISVTX, "bad"),
    "good",
    mov("rax", 0),
    RET,
    // whether it is the user's own, 0700
    "judgeOwnFolder",
    load32("rax", "rbp", AT.stat + ST_UID),
    when("rax", "!=", "r12", "bad"),
    load32("rax", "rbp", AT.stat + ST_MODE),
    and("rax", ~S_ISGID),
    when("rax", "==", S_IFDIR | 0o700, "good"),
    "bad",
    mov("rax", 1),
    RET,
  );
}
