/** What the tests of compressors pack. */

/** Nothing, one byte, 700 kB that no one can pack, and 3 MB of zeros. */
export function contents(): Uint8Array<ArrayBuffer>[] {
  const noise = new Uint8Array(700_000);
  for (let at = 0; at < noise.length; at += 50_000) crypto.getRandomValues(noise.subarray(at, at + 50_000));
  return [new Uint8Array(0), Uint8Array.of(1), noise, new Uint8Array(3 << 20)];
}

/** Lines that resemble each other. */
export function numbered(lines: number): Uint8Array<ArrayBuffer> {
  const text = Array.from({ length: lines }, (_, n) => `${(n * 7919) % 1000} line ${n}`).join("\n");
  return new TextEncoder().encode(text);
}
