/**
 * Keeps a booted runtime with the program loaded as a file, from which later commands start: they map it and go on
 * where it stopped, which takes 3 ms where booting and loading takes 25.
 *
 * ```
 *  header        starts, in the background,   skiff run … main.js __freeze FOLDER
 *  first         takes all low descriptors, and becomes
 *  second        boots (its own descriptors are numbered high), loads the program, rehearses commands, ends the
 *                runtime's idle threads, stops: forks a child that waits, reads the child's memory, writes FOLDER/skiff,
 *                tries it, publishes it with its size beside it
 *  a command     the program before the header, or the header: looks whether owner, mode and size are as they
 *                were, and then:
 *                exec FOLDER/skiff HOW-TO-START-WITHOUT … WORDS             (ffi/thaw_program.ts)
 *                maps the memory, makes the descriptors, and returns from the call that stopped
 * ```
 *
 * A file is good for this boot of this kernel: it holds addresses of the kernel's pages, and times. It holds nothing
 * of a user's: the process is started without variables, in /. Where anything is other than it was, an address taken, a
 * descriptor open, the command starts as if there were no file.
 */

import { SYSCALL } from "../../ffi/arch.ts";
import { O_CLOEXEC, O_RDONLY, O_WRONLY } from "../../ffi/constants/fcntl.ts";
import { close, dup2, open } from "../../ffi/file.ts";
import { libc } from "../../ffi/libc.ts";
import { memoryAt } from "../../ffi/memory.ts";
import { _exit } from "../../ffi/process.ts";
import { letChildHaveMemory, prepareFork } from "../../ffi/fork.ts";
import { PAGES_OFFSET, SLOT, stopCode, THAW_ADDRESS, ThawProgram } from "../../ffi/thaw_program.ts";
import { isBootId } from "../config/launch.ts";
import { removeIfThere } from "../state/listing.ts";
import { addDescriptors, addFreeChecks, addStandardChecks, readDescriptors } from "./descriptors.ts";
import { endIdleThreads } from "./idle_threads.ts";
import { isKernels, isOwnPage, type Mapping, PAGE, parseMaps, type Run, wantedRuns } from "./memory_map.ts";
import { addressOf, mapCode, mapPage, symbolAddress, SYS, systemCall } from "./own_memory.ts";
import { readFrame, takeOver } from "./take_over.ts";
import { warmUp } from "./warm_up.ts";
import { addThread, readThreadState, type ThreadState } from "./thread.ts";

/** The runtime's own descriptors of a frozen process begin here. */
const FIRST_OWN_DESCRIPTOR = 200;
const BEGIN = "__freeze", GO_ON = "__freeze_now";
/** Where a rehearsal left something behind that cannot be kept: the same without one. */
const GO_ON_UNREHEARSED = "__freeze_unrehearsed";
const PROBE = "__thawed";

const MAP_PRIVATE_FIXED = 0x12, MAP_PRIVATE_NOREPLACE = 0x100002;
const MAP_ANONYMOUS_NOREPLACE_NORESERVE = 0x104022;
const MREMAP_MAYMOVE_FIXED = 3;
/** The kernel lets a stack grow, but not this one. */
const STACK_SIZE = 8n << 20n;
/** So many unwanted pages are kept rather than mapping twice. */
const GAP_PAGES = 32;
/** A mapping that has this part of its pages is kept whole: each start, and each of its forks, handles half as many. */
const WHOLE_FROM = 3 / 4;

const OLD_MS = 30 * 24 * 3600 * 1000;
/** Whatever goes wrong, the process that freezes ends. */
const TIME_LIMIT_S = 60;

/** What the program can load ahead. */
export type Preload = () => void;
/** What it can do ahead, with a new folder below the one that it is given. */
export type Rehearse = (folder: string) => Promise<unknown>;

/**
 * With `__freeze FOLDER`: makes the file, and does not return. In a process that is started from it, it returns
 * the command's words.
 *
 * @throws {Error} what stands against it; the process is to end
 */
export async function freeze(
  [step, folder]: readonly string[],
  preload: Preload,
  rehearse: Rehearse,
): Promise<string[]> {
  if (Deno.build.arch !== "x86_64") throw new Error("freeze: only on x86-64");
  if (step === BEGIN) takeLowDescriptors();
  systemCall(SYS.alarm, TIME_LIMIT_S);
  closeLowDescriptors();
  prepareFork();
  // before a rehearsal, which gives the process another title
  const words = ownWords();
  const cold = words.slice(0, words.findIndex((word) => word.endsWith("/main.js")) + 1);
  // Nothing of it may draw a random number: the generator's state would be every command's.
  preload();
  warmUp();
  if (step === GO_ON_UNREHEARSED) return freezeNow(folder!, cold);
  try {
    await rehearse(folder!);
    closeLowDescriptors();
    return freezeNow(folder!, cold);
  } catch {
    return execute([...cold, GO_ON_UNREHEARSED, folder!]);
  }
}

function freezeNow(folder: string, cold: readonly string[]): string[] {
  makeAllOld();
  const frame = readFrame();
  endIdleThreads();
  const thread = readThreadState();
  // The kernel puts the heap's end elsewhere; sbrk(2) of the C library asks for it where it knows none.
  new BigUint64Array(memoryAt(symbolAddress("__curbrk"), 8))[0] = 0n;
  const stopped = stop();
  if (stopped.pid === 0) return takeOver(frame);
  try {
    write(folder, stopped, thread);
    publish(folder, cold);
  } catch (error) {
    removeIfThere(`${folder}/.skiff`);
    throw error;
  } finally {
    Deno.kill(stopped.pid, "SIGKILL");
    removeOld(folder);
  }
  return _exit(0);
}

/**
 * What loading left behind goes, and the rest is old: a command that writes to it copies a page. Nothing old is collected,
 * for the room that this makes between what stays would be used first, and each piece of it cost the copy of a page.
 */
function makeAllOld(): void {
  const { gc } = globalThis as { gc?: (options: { type: "minor" }) => void };
  for (let age = 0; age < 2; age++) gc?.({ type: "minor" });
}

function closeLowDescriptors(): void {
  for (let fd = 3; fd < FIRST_OWN_DESCRIPTOR; fd++) close(fd);
}

/** Executes this program once more with descriptors 3 … open: what that process opens comes after them. */
function takeLowDescriptors(): never {
  const words = ownWords().map((word) => word === BEGIN ? GO_ON : word);
  try {
    dup2(2, FIRST_OWN_DESCRIPTOR - 1);
  } catch {
    throw new Error("freeze: too few descriptors are allowed (ulimit -n)");
  }
  // Three different files, by which copies of them are told apart.
  const standard = [open("/dev/null", O_RDONLY), open("/dev/zero", O_WRONLY), 2];
  standard.forEach((fd, to) => fd !== to && dup2(fd, to));
  return execute(words);
}

/** With all low descriptors open; what the caller had open above them goes. */
function execute(words: readonly string[]): never {
  const buffers = words.map((word) => new TextEncoder().encode(`${word}\0`));
  const vector = new BigUint64Array([...buffers.map(addressOf), 0n]);
  const path = new TextEncoder().encode(`${Deno.execPath()}\0`);
  for (let fd = 3; fd < FIRST_OWN_DESCRIPTOR; fd++) dup2(0, fd);
  systemCall(SYSCALL.close_range, FIRST_OWN_DESCRIPTOR, 0xffff_ffff, 0);
  libc("frozen").execv(path, new Uint8Array(vector.buffer));
  return _exit(125);
}

function ownWords(): string[] {
  return Deno.readTextFileSync("/proc/self/cmdline").split("\0").slice(0, -1);
}

interface Stopped {
  /** 0 in the process that is brought back. */
  pid: number;
  stackPointer: bigint;
  resumeAddress: bigint;
}

function stop(): Stopped {
  const { code, resumeOffset } = stopCode();
  const address = mapCode(code);
  const page = mapPage();
  const words = new BigUint64Array(memoryAt(page, PAGE));
  const call = new Deno.UnsafeFnPointer(
    Deno.UnsafePointer.create(address)!,
    {
      parameters: ["pointer"],
      result: "i32",
    } as const,
  );
  const pointer = Deno.UnsafePointer.create(page);
  letChildHaveMemory();
  const pid = call.call(pointer);
  if (pid < 0) throw new Error("freeze: fork failed");
  return { pid, stackPointer: words[0]!, resumeAddress: address + BigInt(resumeOffset) };
}

/** Where in the file a stretch of a mapping's pages is. */
interface Kept {
  mapping: Mapping;
  run: Run;
}

function write(folder: string, stopped: Stopped, thread: ThreadState): void {
  const { pid } = stopped;
  const maps = parseMaps(Deno.readTextFileSync(`/proc/${pid}/maps`));
  const descriptors = readDescriptors(pid);
  const program = new ThawProgram();
  // as long as nothing is mapped, there is a way back
  addStandardChecks(program);
  addFiles(program);
  addFreeChecks(program, descriptors);
  const kept = addMemory(program, maps, pid);
  addDescriptors(program, descriptors);
  addThread(program, thread);
  for (const slot of [SLOT.image, SLOT.runtime]) program.call(SYSCALL.close, [0], { firstFrom: slot });

  using file = Deno.openSync(`${folder}/.skiff`, { write: true, create: true, truncate: true, mode: 0o700 });
  writeAll(file, program.emit(stopped.stackPointer, stopped.resumeAddress));
  using memory = Deno.openSync(`/proc/${pid}/mem`);
  for (const { mapping, run } of kept) {
    memory.seekSync(mapping.start + BigInt(run.first * PAGE), Deno.SeekMode.Start);
    writeAll(file, readExactly(memory, run.count * PAGE));
  }
  file.syncSync();
}

/** The file itself, and the runtime's. */
function addFiles(program: ThawProgram): void {
  const path = (text: string) => program.put(new TextEncoder().encode(`${text}\0`));
  program.call(SYS.open, [path("/proc/self/exe"), O_RDONLY | O_CLOEXEC], { storeAt: SLOT.image });
  program.call(SYS.open, [path(Deno.execPath()), O_RDONLY | O_CLOEXEC], { storeAt: SLOT.runtime });
}

/** The calls that map all that the process has mapped; gives what they expect in the file, from PAGES_OFFSET on. */
function addMemory(program: ThawProgram, maps: readonly Mapping[], pid: number): Kept[] {
  const own = maps.filter((mapping) => !isKernels(mapping));
  const kept = own.flatMap((mapping) => runsOf(mapping, pid).map((run) => ({ mapping, run })));
  const size = kept.reduce((sum, { run }) => sum + run.count * PAGE, PAGES_OFFSET);
  // Of a file that was cut off pages could be mapped, and be missed when they are needed.
  program.call(SYS.lseek, [0, 0, Deno.SeekMode.End], { firstFrom: SLOT.image, expect: size });
  const whole = new Set(
    kept.filter(({ mapping, run }) => isWhole(mapping, run)).map(({ mapping }) => mapping),
  );
  for (const mapping of own) {
    if (mapping.isShared) throw new Error(`freeze: ${mapping.name || "memory"} is shared`);
    if (mapping.start < THAW_ADDRESS + BigInt(size) && mapping.end > THAW_ADDRESS) {
      throw new Error("freeze: the place of the thawing program is taken");
    }
    if (!whole.has(mapping)) addMapping(program, mapping);
  }
  let offset = PAGES_OFFSET;
  for (const { mapping, run } of kept) {
    const start = mapping.start + BigInt(run.first * PAGE), length = run.count * PAGE;
    const flags = whole.has(mapping) ? MAP_PRIVATE_NOREPLACE : MAP_PRIVATE_FIXED;
    program.call(SYS.mmap, [start, length, mapping.rights, flags, 0, offset], {
      fifthFrom: SLOT.image,
      expect: start,
    });
    offset += length;
  }
  addKernels(program, maps);
  return kept;
}

/** The kernel's pages move to where they were: the C library knows their addresses. */
function addKernels(program: ThawProgram, maps: readonly Mapping[]): void {
  const kernels = maps.filter((one) => isKernels(one) && one.name !== "[vsyscall]");
  const vdso = kernels.find(({ name }) => name === "[vdso]")!.start;
  for (const { start, end } of kernels) {
    // mremap asks nobody whose place it takes
    program.call(SYS.mmap, [start, end - start, 0, MAP_ANONYMOUS_NOREPLACE_NORESERVE, 0xffff_ffff, 0], {
      expect: start,
    });
  }
  for (const { start, end } of kernels) {
    program.call(SYS.mremap, [start - vdso, end - start, end - start, MREMAP_MAYMOVE_FIXED, start], {
      baseFrom: SLOT.vdso,
      expect: start,
    });
  }
}

/** Where the file has all of it, nothing else is mapped there; of a stack it never has. */
const isWhole = ({ start, end, name }: Mapping, run: Run) =>
  BigInt(run.count * PAGE) === end - start && name !== "[stack]";
const isRuntime = ({ name }: Mapping) => name === Deno.execPath();

function addMapping(program: ThawProgram, mapping: Mapping): void {
  const { end, rights, offset } = mapping;
  const start = mapping.name === "[stack]" ? end - STACK_SIZE : mapping.start;
  const call = isRuntime(mapping)
    ? { flags: MAP_PRIVATE_NOREPLACE, offset, rest: { fifthFrom: SLOT.runtime } }
    : { flags: MAP_ANONYMOUS_NOREPLACE_NORESERVE, offset: 0n, rest: {} };
  program.call(SYS.mmap, [
    start,
    end - start,
    rights,
    call.flags,
    call.rest.fifthFrom ? 0 : 0xffff_ffff,
    call.offset,
  ], {
    ...call.rest,
    expect: start,
  });
}

/** Of the runtime's file, which lies beside, what has been changed; of a library, which may be replaced, all. */
function runsOf(mapping: Mapping, pid: number): Run[] {
  const count = Number(mapping.end - mapping.start) / PAGE;
  if (mapping.rights === 0) return [];
  if (mapping.name.startsWith("/") && !isRuntime(mapping)) return [{ first: 0, count }];
  using pagemap = Deno.openSync(`/proc/${pid}/pagemap`);
  pagemap.seekSync(mapping.start / BigInt(PAGE) * 8n, Deno.SeekMode.Start);
  const entries = new BigUint64Array(readExactly(pagemap, count * 8).buffer);
  const runs = wantedRuns(count, (page) => isOwnPage(entries[page]!), isRuntime(mapping) ? 0 : GAP_PAGES);
  const wanted = runs.reduce((sum, run) => sum + run.count, 0);
  return !isRuntime(mapping) && wanted >= count * WHOLE_FROM && mapping.name !== "[stack]"
    ? [{ first: 0, count }]
    : runs;
}

function readExactly(file: Deno.FsFile, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const count = file.readSync(bytes.subarray(at));
    if (!count) throw new Error("freeze: the memory cannot be read");
    at += count;
  }
  return bytes;
}

function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
}

/** Starts a process from the new file, and puts it in its place if that works. */
function publish(folder: string, cold: readonly string[]): void {
  const fresh = `${folder}/.skiff`;
  Deno.chmodSync(fresh, 0o500);
  const { stdout } = new Deno.Command(fresh, {
    args: [...cold, PROBE],
    clearEnv: true,
    env: { SKIFF_FORM: "packed", SKIFF_FILE: fresh },
    stderr: "null",
  }).outputSync();
  const told = new TextDecoder().decode(stdout).trim();
  if (!told.startsWith(`${fresh} `)) throw new Error(`freeze: what was brought back says "${told}"`);
  // before the file that it is of has its name, for which it must be right
  Deno.writeTextFileSync(`${folder}/size`, `${Deno.statSync(fresh).size}\n`);
  Deno.renameSync(fresh, `${folder}/skiff`);
  removeIfThere(`${folder}/why`);
}

/** Of other boots, or of other machines that share the folder, which make theirs again. */
function removeOld(folder: string): void {
  const at = folder.lastIndexOf("/");
  const [parent, own] = [folder.slice(0, at), folder.slice(at + 1)];
  for (const { name } of Deno.readDirSync(parent)) {
    if (!isBootId(name) || name === own) continue;
    const { mtime } = Deno.statSync(`${parent}/${name}`);
    if (Date.now() - mtime!.getTime() > OLD_MS) Deno.removeSync(`${parent}/${name}`, { recursive: true });
  }
}
