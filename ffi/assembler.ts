/**
 * Machine code with labels: bytes, names of places, and distances to them.
 *
 * ```
 * assemble(["again", ...SYSCALL_INSTRUCTION, 0xe9, { to: "again" }]); // jmp again
 * ```
 */

/** Code with labels: a string names a place, `{ to }` is the distance to one in four bytes. */
export type Piece = number | string | { to: string };
export type Code = readonly Piece[];

export function assemble(pieces: Code): Uint8Array<ArrayBuffer> {
  const code: number[] = [];
  const places = new Map<string, number>();
  const jumps: { at: number; to: string }[] = [];
  for (const piece of pieces) {
    if (typeof piece === "number") code.push(piece);
    else if (typeof piece === "string") {
      if (places.has(piece)) throw new Error(`two places are called "${piece}"`);
      places.set(piece, code.length);
    } else {
      jumps.push({ at: code.length, to: piece.to });
      code.push(0, 0, 0, 0);
    }
  }
  for (const { at, to } of jumps) {
    const place = places.get(to);
    if (place === undefined) throw new Error(`no place is called "${to}"`);
    bytes(BigInt(place - at - 4), 4).forEach((byte, index) => code[at + index] = byte);
  }
  return Uint8Array.from(code);
}

/** Little-endian bytes of `value`. */
export function bytes(value: bigint, length: 4 | 8): number[] {
  return Array.from({ length }, (_, at) => Number((value >> BigInt(8 * at)) & 0xffn));
}

/** Of x86-64. */
export const SYSCALL_INSTRUCTION = [0x0f, 0x05];

/** One instruction a line; a string is a label. */
export function lines(...parts: readonly (string | Code)[]): Code {
  return parts.flatMap((part) => typeof part === "string" ? [part] : [...part]);
}
