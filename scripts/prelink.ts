/**
 * Gives the runtime's executable its place in memory when it is built, not at each start.
 *
 * Deno is a position-independent executable with 160,000 relocations, and each start of it writes 2.5 MB of pages
 * for them: 2.5 ms, once more in what a fork copies and an exit frees, and most of a third of an idle monitor's memory.
 * With a fixed address those pages are read from the file and shared by all. The price: this one file lies at the same
 * address in every process; libraries, stack, heap and all that V8 allocates do not.
 *
 * @see elf(5); System V ABI, AMD64 supplement, Relocation
 */

/** Far above vm.mmap_min_addr, far below whatever the kernel places. */
const BASE = 0x1000_0000n;

const ET_EXEC = 2;
const ET_DYN = 3;
const EM_X86_64 = 62;
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_GNU_STACK = 0x6474e551;
const SHT_DYNSYM = 11;
const SHF_ALLOC = 2n;
const STT_TLS = 6;
const DF_1_PIE = 0x0800_0000n;
const DT_PLTRELSZ = 2n, DT_PLTGOT = 3n, DT_RELA = 7n, DT_RELASZ = 8n, DT_JMPREL = 23n;
const DT_RELACOUNT = 0x6ffffff9n, DT_FLAGS_1 = 0x6ffffffbn;
/** Relocations that are written elsewhere or otherwise: nothing here would move them. */
const NOT_KNOWN = [17n, /* REL */ 22n, /* TEXTREL */ 36n /* RELR */];
/** Entries of the dynamic section that are addresses. */
const ADDRESSES: ReadonlySet<bigint> = new Set([
  ...[DT_PLTGOT, DT_RELA, DT_JMPREL],
  ...[4n, /* HASH */ 5n, /* STRTAB */ 6n, /* SYMTAB */ 12n, /* INIT */ 13n /* FINI */],
  ...[25n, /* INIT_ARRAY */ 26n, /* FINI_ARRAY */ 32n /* PREINIT_ARRAY */],
  ...[
    0x6ffffef5n, /* GNU_HASH */
    0x6ffffff0n, /* VERSYM */
    0x6ffffffcn, /* VERDEF */
    0x6ffffffen, /* VERNEED */
  ],
]);
const R_X86_64_64 = 1, R_X86_64_GLOB_DAT = 6, R_X86_64_JUMP_SLOT = 7, R_X86_64_RELATIVE = 8;
/** Those that take nothing but the address of a symbol. */
const BY_SYMBOL: readonly number[] = [R_X86_64_64, R_X86_64_GLOB_DAT, R_X86_64_JUMP_SLOT];

const EHDR_BYTES = 64, PHDR_BYTES = 56, SHDR_BYTES = 64, DYN_BYTES = 16, RELA_BYTES = 24, SYM_BYTES = 24;

/** A copy of `file` that is not position-independent; `file` itself where it is not of a kind that is known here. */
export function prelink(file: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const isElf = file.length > EHDR_BYTES && view.getUint32(0) === 0x7f454c46;
  if (!isElf || view.getUint16(16, true) !== ET_DYN || view.getUint16(18, true) !== EM_X86_64) return file;
  const copy = file.slice();
  new Prelinker(new DataView(copy.buffer)).run();
  return copy;
}

interface Segment {
  address: bigint;
  offset: bigint;
  length: bigint;
}

class Prelinker {
  readonly #view: DataView;
  readonly #segments: Segment[] = [];
  /** Offset in the file and value, by tag. */
  readonly #dynamic = new Map<bigint, { at: number; value: bigint }>();

  constructor(view: DataView) {
    this.#view = view;
  }

  run(): void {
    this.#readSegments();
    const strange = NOT_KNOWN.find((tag) => this.#dynamic.has(tag));
    if (strange !== undefined) {
      throw new Error(`prelink: dynamic entry 0x${strange.toString(16)} is not known here`);
    }
    this.#view.setUint16(16, ET_EXEC, true);
    this.#move(24); // e_entry
    this.#moveSymbols();
    const relative = this.#applyRelative();
    this.#moveRelocations(DT_RELA, DT_RELASZ, relative);
    this.#moveRelocations(DT_JMPREL, DT_PLTRELSZ, 0);
    this.#move(this.#offsetOf(this.#value(DT_PLTGOT))); // its first word is the dynamic section's address
    this.#rewriteDynamic(relative);
    this.#moveHeaders();
  }

  #readSegments(): void {
    let dynamic: Segment | undefined;
    this.#eachHeader(32, 56, PHDR_BYTES, (at) => {
      const type = this.#view.getUint32(at, true);
      const segment = {
        offset: this.#word(at + 8),
        address: this.#word(at + 16),
        length: this.#word(at + 32),
      };
      if (type === PT_LOAD) this.#segments.push(segment);
      if (type === PT_DYNAMIC) dynamic = segment;
    });
    if (!dynamic) throw new Error("prelink: the executable has no dynamic section");
    const end = Number(dynamic.offset + dynamic.length);
    for (let at = Number(dynamic.offset); at < end; at += DYN_BYTES) {
      const tag = this.#word(at);
      if (tag === 0n) break;
      if (!this.#dynamic.has(tag)) this.#dynamic.set(tag, { at: at + 8, value: this.#word(at + 8) });
    }
  }

  /** Writes what relocations that add the base would write, and wipes them. Gives their number: they come first. */
  #applyRelative(): number {
    const first = this.#offsetOf(this.#value(DT_RELA));
    const count = Number(this.#value(DT_RELACOUNT));
    for (let at = first; at < first + count * RELA_BYTES; at += RELA_BYTES) {
      if (this.#view.getUint32(at + 8, true) !== R_X86_64_RELATIVE) {
        throw new Error("prelink: DT_RELACOUNT is wrong");
      }
      const target = this.#offsetOf(this.#word(at));
      this.#view.setBigUint64(target, this.#word(at + 16) + BASE, true);
    }
    new Uint8Array(this.#view.buffer, first, count * RELA_BYTES).fill(0);
    return count;
  }

  #moveRelocations(table: bigint, bytes: bigint, skipped: number): void {
    const first = this.#offsetOf(this.#value(table));
    const end = first + Number(this.#value(bytes));
    for (let at = first + skipped * RELA_BYTES; at < end; at += RELA_BYTES) {
      const type = this.#view.getUint32(at + 8, true);
      if (!BY_SYMBOL.includes(type)) throw new Error(`prelink: relocation of type ${type} is not known here`);
      this.#move(at);
    }
  }

  /** What the executable exports (Node-API) has addresses as well. */
  #moveSymbols(): void {
    this.#eachHeader(40, 60, SHDR_BYTES, (header) => {
      if (this.#view.getUint32(header + 4, true) !== SHT_DYNSYM) return;
      const first = Number(this.#word(header + 24));
      const end = first + Number(this.#word(header + 32));
      for (let at = first; at < end; at += SYM_BYTES) {
        const isDefined = this.#view.getUint16(at + 6, true) !== 0;
        const isTls = (this.#view.getUint8(at + 4) & 0xf) === STT_TLS;
        if (isDefined && !isTls) this.#move(at + 8);
      }
    });
  }

  #rewriteDynamic(relative: number): void {
    const wiped = BigInt(relative * RELA_BYTES);
    for (const [tag, { at, value }] of this.#dynamic) {
      let written = ADDRESSES.has(tag) ? value + BASE : value;
      if (tag === DT_RELA) written += wiped;
      else if (tag === DT_RELASZ) written -= wiped;
      else if (tag === DT_RELACOUNT) written = 0n;
      else if (tag === DT_FLAGS_1) written &= ~DF_1_PIE;
      this.#view.setBigUint64(at, written, true);
    }
  }

  #moveHeaders(): void {
    this.#eachHeader(32, 56, PHDR_BYTES, (at) => {
      if (this.#view.getUint32(at, true) === PT_GNU_STACK) return;
      this.#move(at + 16);
      this.#move(at + 24);
    });
    this.#eachHeader(40, 60, SHDR_BYTES, (at) => {
      if (this.#word(at + 8) & SHF_ALLOC) this.#move(at + 16);
    });
  }

  /** For each entry of the table whose offset and number the file's header has at these places. */
  #eachHeader(offsetAt: number, countAt: number, bytes: number, action: (at: number) => void): void {
    const first = Number(this.#word(offsetAt));
    const count = this.#view.getUint16(countAt, true);
    for (let index = 0; index < count; index++) action(first + index * bytes);
  }

  #value(tag: bigint): bigint {
    const found = this.#dynamic.get(tag);
    if (!found) throw new Error(`prelink: the dynamic section has no entry 0x${tag.toString(16)}`);
    return found.value;
  }

  /** The place in the file of what is loaded at an address. */
  #offsetOf(address: bigint): number {
    for (const segment of this.#segments) {
      const within = address - segment.address;
      if (within >= 0n && within < segment.length) return Number(segment.offset + within);
    }
    throw new Error(`prelink: nothing of the file is loaded at 0x${address.toString(16)}`);
  }

  #move(at: number): void {
    this.#view.setBigUint64(at, this.#word(at) + BASE, true);
  }

  #word(at: number): bigint {
    return this.#view.getBigUint64(at, true);
  }
}
