/** A stream of whoever calls, into a file. */

import { VerificationError } from "../errors.ts";
import { read, writeAll } from "../../ffi/file.ts";
import { DEFAULT_LAYER_LIMIT_BYTES } from "./layers.ts";

/** To its end, which it must have where a layer would. Waits: for forked children. @param what for the error */
export function copyStream(from: number, to: number, what: string): void {
  const buffer = new Uint8Array(1 << 18);
  let total = 0;
  for (let length = read(from, buffer); length > 0; length = read(from, buffer)) {
    total += length;
    if (total > DEFAULT_LAYER_LIMIT_BYTES) {
      throw new VerificationError(`${what}: it is larger than ${DEFAULT_LAYER_LIMIT_BYTES} bytes`);
    }
    writeAll(to, buffer.subarray(0, length));
  }
}
