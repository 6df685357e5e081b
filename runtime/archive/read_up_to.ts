/** Reads a certain length of what comes in pieces. */

export interface AsyncReader {
  /** Fills `into` from its start and gives how many bytes it wrote, or null at the end. */
  read(into: Uint8Array): Promise<number | null>;
}

/** The next `length` bytes, or fewer where the source ends before. */
export async function readUpTo(source: AsyncReader, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const count = await source.read(bytes.subarray(at));
    if (count === null) return bytes.subarray(0, at);
    at += count;
  }
  return bytes;
}
