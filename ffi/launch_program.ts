/**
 * What the packed executable begins with on x86-64: a static program, made here byte by byte, that does what the shell
 * header after it does at nearly every start, in 0.1 ms rather than 4. It looks whether what was unpacked and the
 * process that is kept for this boot are as they were, and executes that. Where anything is otherwise it executes the shell with
 * the header's text, which knows all the rest: it decides nothing by itself but that all is well.
 *
 * ```
 *  file   ELF headers, this program, its tables
 *         the header's text, a zero, END_MARK          at the first start, and where something is in the way:
 *         the compressed payload                       /bin/sh -c TEXT FILE WORDS…
 * ```
 *
 * What others could change between look and use cannot be there: no folder on the way may be theirs.
 *
 * @see scripts/packed_header.sh, runtime/frozen/freeze.ts; System V ABI, AMD64 supplement, 3.4.1
 */

import { assemble, bytes, type Code, lines } from "./assembler.ts";
import { elfHeaders, elfHeaderSize, PF_R, PF_X } from "./elf.ts";
import { checkCaller } from "./launch/caller.ts";
import { ASIDE, DROPPED, END, HEADERS, PUT_ASIDE, S_IFREG, VALUES } from "./launch/frame.ts";
import { handOver, handOverRoutines } from "./launch/hand_over.ts";
import { checkKept, keptRoutines } from "./launch/kept.ts";
import type { Launch } from "./launch/launch.ts";

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

/** Goes from the top to the bottom; where anything is otherwise, to "slow". */
const program = (launch: Launch): Code =>
  lines(checkCaller(launch), checkKept(), handOver(launch), keptRoutines(), handOverRoutines());

/** A text that ends with a zero. */
const text = (label: string, content: string): Code => [label, ...new TextEncoder().encode(content), 0];

function tables(launch: Launch): Code {
  const { id, files, words, variables, asideVariables, headerVariables, header } = launch;
  const names: [name: string, what: number][] = [
    ...headerVariables.map((name): [string, number] => [name, HEADERS]),
    ...asideVariables.map((name): [string, number] => [name, PUT_ASIDE]),
    ...[...Object.keys(variables), "SKIFF_FILE", "SKIFF_NOFILE", "DENO_DIR"]
      .filter((name) => !asideVariables.includes(name)).map((name): [string, number] => [name, DROPPED]),
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
    "zeros", // a struct sigaction of the kernel
    ...[0, 1, 2, 3].map(() => bytes(0n, 8)),
    text("aside", ASIDE),
    text("empty", ""),
    text("dot", "."),
    text("slash", "/"),
    text("root", "/"),
    text("ownProgram", "/proc/self/exe"),
    text("descriptors", "/proc/self/fd/"),
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
