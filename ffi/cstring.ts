/** C strings and arrays of them, in buffers that the caller keeps alive during the call. */

const encoder = new TextEncoder();

/**
 * A NUL-terminated copy. Bytes are taken as they are, text as UTF-8.
 *
 * @throws {TypeError} when it holds a NUL: C would see a shorter string than was checked.
 */
export function cstring(value: string | Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = typeof value === "string" ? encoder.encode(value) : value;
  if (bytes.indexOf(0) !== -1) throw new TypeError("string contains a NUL byte");
  const buffer = new Uint8Array(bytes.length + 1);
  buffer.set(bytes);
  return buffer;
}

/** A `char *[]` that ends with NULL. */
export interface CstringArray {
  /** The pointers. Valid only while `strings` is reachable. */
  readonly pointers: BigUint64Array<ArrayBuffer>;
  /** Holds the strings that the pointers point into. */
  readonly strings: Uint8Array<ArrayBuffer>;
}

/** Builds argv or envp. */
export function cstringArray(values: readonly string[]): CstringArray {
  const parts = values.map((value) => cstring(value));
  const strings = new Uint8Array(Math.max(1, parts.reduce((sum, part) => sum + part.length, 0)));
  const base = Deno.UnsafePointer.value(Deno.UnsafePointer.of(strings));
  const pointers = new BigUint64Array(values.length + 1);
  let offset = 0;
  parts.forEach((part, index) => {
    strings.set(part, offset);
    pointers[index] = BigInt(base) + BigInt(offset);
    offset += part.length;
  });
  return { pointers, strings };
}
