/** What the kernel knows of the one thread of a process: signal handlers and the addresses it was told. */

import { SYSCALL } from "../../ffi/arch.ts";
import { PR_SET_NAME } from "../../ffi/constants/prctl.ts";
import { RLIMIT_NOFILE } from "../../ffi/constants/resource.ts";
import { SIGPIPE } from "../../ffi/constants/signal.ts";
import { memoryAt } from "../../ffi/memory.ts";
import { SLOT, type ThawProgram } from "../../ffi/thaw_program.ts";
import { addressOf, symbolAddress, SYS, systemCall } from "./own_memory.ts";

const ARCH_SET_FS = 0x1002, ARCH_GET_FS = 0x1003;
const SIGNALS = 64;
const SIG_DFL = 0n, SIG_IGN = 1n;
/** struct sigaction of the kernel: handler, flags, restorer, mask. */
const SIGACTION_WORDS = 4;
const SIGSET_SIZE = 8;
const ROBUST_LIST_HEAD_SIZE = 24;
/** Where struct pthread of the C library has the thread's id: looked for within so many bytes. */
const PTHREAD_SEARCHED = 0x900;
/** Where it has been since glibc 2.4. */
const USUAL_ID_OFFSET = 0x2d0;
const RSEQ_SIZE = 32, RSEQ_SIGNATURE = 0x53053053;

/** To be taken before the process stops. */
export interface ThreadState {
  threadPointer: bigint;
  idAddress: bigint;
  robustList: bigint;
  alternateStack: Uint8Array;
  handlers: { signal: number; action: Uint8Array }[];
  /** Undefined where the C library has registered none. */
  restartableSequence?: bigint;
}

export function readThreadState(): ThreadState {
  const words = new BigUint64Array(SIGACTION_WORDS);
  const at = addressOf(words);
  systemCall(SYS.arch_prctl, ARCH_GET_FS, at);
  const threadPointer = words[0]!;
  systemCall(SYS.get_robust_list, 0, at, at + 8n);
  const robustList = words[0]!;
  systemCall(SYS.sigaltstack, 0, at);
  const alternateStack = new Uint8Array(words.slice(0, 3).buffer);
  const handlers: ThreadState["handlers"] = [];
  for (let signal = 1; signal <= SIGNALS; signal++) {
    if (systemCall(SYSCALL.rt_sigaction, signal, 0, at, SIGSET_SIZE) !== 0) continue;
    // What the caller ignored is his; of what is ignored only SIGPIPE is the runtime's doing.
    if (words[0] === SIG_DFL || (words[0] === SIG_IGN && signal !== SIGPIPE)) continue;
    handlers.push({ signal, action: new Uint8Array(words.slice().buffer) });
  }
  return {
    threadPointer,
    idAddress: findThreadId(threadPointer),
    robustList,
    alternateStack,
    handlers,
    restartableSequence: findRestartableSequence(threadPointer),
  };
}

function findThreadId(threadPointer: bigint): bigint {
  const words = new Int32Array(memoryAt(threadPointer, PTHREAD_SEARCHED));
  let index = words.indexOf(Deno.pid);
  if (words[USUAL_ID_OFFSET / 4] === Deno.pid) index = USUAL_ID_OFFSET / 4;
  else if (index < 0 || words.indexOf(Deno.pid, index + 1) >= 0) {
    throw new Error("freeze: the thread's id is not found");
  }
  return threadPointer + BigInt(index * 4);
}

/** glibc 2.35 and newer tell where it is. @see rseq(2) */
function findRestartableSequence(threadPointer: bigint): bigint | undefined {
  try {
    const size = new DataView(memoryAt(symbolAddress("__rseq_size"), 4)).getUint32(0, true);
    const offset = new DataView(memoryAt(symbolAddress("__rseq_offset"), 8)).getBigInt64(0, true);
    return size > 0 ? threadPointer + offset : undefined;
  } catch {
    return undefined;
  }
}

/** The calls that tell the kernel all of it again. From the last on the thread's variables are there. */
export function addThread(program: ThawProgram, state: ThreadState): void {
  program.call(SYS.gettid, [], { storeAt: state.idAddress, expect: "anything" });
  program.call(SYS.set_tid_address, [state.idAddress], { expect: "anything" });
  program.call(SYS.set_robust_list, [state.robustList, ROBUST_LIST_HEAD_SIZE], { expect: "anything" });
  if (state.restartableSequence !== undefined) {
    program.call(SYS.rseq, [state.restartableSequence, RSEQ_SIZE, 0, RSEQ_SIGNATURE], { expect: "anything" });
  }
  for (const { signal, action } of state.handlers) {
    program.call(SYSCALL.rt_sigaction, [signal, program.put(action), 0, SIGSET_SIZE]);
  }
  program.call(SYS.sigaltstack, [program.put(state.alternateStack), 0]);
  program.call(SYSCALL.prctl, [PR_SET_NAME, program.put(new TextEncoder().encode("skiff\0"))]);
  // The runtime raises its soft limit of descriptors to the hard one: the hard one, read to where the soft one stands
  for (const to of [SLOT.limit, SLOT.limit - 8n]) program.call(SYSCALL.prlimit64, [0, RLIMIT_NOFILE, 0, to]);
  program.call(SYSCALL.prlimit64, [0, RLIMIT_NOFILE, SLOT.limit, 0], { expect: "anything" });
  program.call(SYS.arch_prctl, [ARCH_SET_FS, state.threadPointer]);
}
