/**
 * An assembler for classic BPF, the language of seccomp filters: instructions with labels go in, an array of
 * `struct sock_filter { __u16 code; __u8 jt, jf; __u32 k; }` comes out.
 *
 * A conditional jump reaches 255 instructions at most. Where a label is further away, the assembler puts an
 * unconditional jump, which has 32 bits, in between.
 *
 * @see linux/filter.h, linux/bpf_common.h, seccomp(2); Documentation/networking/filter.rst
 */

const BPF_LD_W_ABS = 0x20;
const BPF_ALU_AND_K = 0x54;
const BPF_JMP_JA = 0x05;
const BPF_RET_K = 0x06;
const CONDITION_CODE = { jeq: 0x15, jgt: 0x25, jge: 0x35, jset: 0x45 } as const;

/** The kernel refuses longer programs. @see linux/bpf_common.h */
export const BPF_MAXINSNS = 4096;
const SOCK_FILTER_SIZE = 8;
const MAX_SHORT_JUMP = 255;

/** A place in the program; `next` is the instruction after this one. */
export type Label = number | "next";
export type Condition = keyof typeof CONDITION_CODE;

type Instruction =
  /** A = *(u32 *)(data + offset) */
  | { op: "load"; offset: number }
  /** A &= value */
  | { op: "and"; value: number }
  /** if (A <condition> value) goto yes; else goto no, unsigned */
  | { op: Condition; value: number; yes: Label; no: Label }
  | { op: "jump"; to: Label }
  | { op: "return"; value: number }
  | { op: "label"; label: number };

/** Collects a program in order; jumps go forward only, as the kernel demands. */
export class BpfProgram {
  #instructions: Instruction[] = [];
  #labels = 0;

  /** A new name for a place that `place` will give later. */
  label(): number {
    return this.#labels++;
  }

  /** The next instruction is where `label` leads. */
  place(label: number) {
    this.#instructions.push({ op: "label", label });
  }

  load(offset: number) {
    this.#instructions.push({ op: "load", offset });
  }

  and(value: number) {
    this.#instructions.push({ op: "and", value: value >>> 0 });
  }

  jumpIf(op: Condition, value: number, yes: Label, no: Label) {
    this.#instructions.push({ op, value: value >>> 0, yes, no });
  }

  jump(to: Label) {
    this.#instructions.push({ op: "jump", to });
  }

  return(value: number) {
    this.#instructions.push({ op: "return", value: value >>> 0 });
  }

  /** The program as sock_filter array. Throws RangeError beyond 4096 instructions or on a jump backwards. */
  assemble(): Uint8Array {
    const items = this.#instructions;
    /** Conditional jumps whose yes (bit 0) or no (bit 1) target needs a long jump behind them. */
    const long = new Uint8Array(items.length);
    const starts = new Int32Array(items.length + 1);
    const places = new Int32Array(this.#labels).fill(-1);

    // Each round can only make more jumps long, so this ends.
    for (let changed = true; changed;) {
      changed = false;
      let at = 0;
      items.forEach((item, index) => {
        starts[index] = at;
        if (item.op === "label") places[item.label] = at;
        else at += 1 + (long[index]! & 1) + (long[index]! >> 1);
      });
      starts[items.length] = at;
      items.forEach((item, index) => {
        if (!("yes" in item)) return;
        for (const [bit, target] of [[1, item.yes], [2, item.no]] as const) {
          if (target === "next" || long[index]! & bit) continue;
          if (distance(places, target, starts[index]! + 1) > MAX_SHORT_JUMP) {
            long[index]! |= bit;
            changed = true;
          }
        }
      });
    }

    const length = starts[items.length]!;
    if (length > BPF_MAXINSNS) {
      throw new RangeError(`BPF program has ${length} instructions, the kernel takes ${BPF_MAXINSNS}`);
    }
    const bytes = new Uint8Array(length * SOCK_FILTER_SIZE);
    const view = new DataView(bytes.buffer);
    const emit = (at: number, code: number, jt: number, jf: number, k: number) => {
      view.setUint16(at * SOCK_FILTER_SIZE, code, true);
      view.setUint8(at * SOCK_FILTER_SIZE + 2, jt);
      view.setUint8(at * SOCK_FILTER_SIZE + 3, jf);
      view.setUint32(at * SOCK_FILTER_SIZE + 4, k, true);
    };
    items.forEach((item, index) => {
      const at = starts[index]!;
      switch (item.op) {
        case "label":
          return;
        case "load":
          return emit(at, BPF_LD_W_ABS, 0, 0, item.offset);
        case "and":
          return emit(at, BPF_ALU_AND_K, 0, 0, item.value);
        case "return":
          return emit(at, BPF_RET_K, 0, 0, item.value);
        case "jump":
          return emit(at, BPF_JMP_JA, 0, 0, item.to === "next" ? 0 : distance(places, item.to, at + 1));
      }
      // jeq k, jt, jf; [goto yes]; [goto no]; next:
      const longs = (long[index]! & 1) + (long[index]! >> 1);
      const offset = (target: Label) => target === "next" ? longs : distance(places, target, at + 1);
      const yes = long[index]! & 1 ? 0 : offset(item.yes);
      const no = long[index]! & 2 ? longs - 1 : offset(item.no);
      emit(at, CONDITION_CODE[item.op], yes, no, item.value);
      if (long[index]! & 1) emit(at + 1, BPF_JMP_JA, 0, 0, distance(places, item.yes, at + 2));
      if (long[index]! & 2) emit(at + longs, BPF_JMP_JA, 0, 0, distance(places, item.no, at + longs + 1));
    });
    return bytes;
  }
}

function distance(places: Int32Array, target: Label, from: number): number {
  const place = target === "next" ? from : places[target] ?? -1;
  if (place < from) throw new RangeError(`BPF jump to label ${target} does not go forward`);
  return place - from;
}
