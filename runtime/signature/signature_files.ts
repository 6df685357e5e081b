/** Signatures in files: `signature-1`, `signature-2`, … in a `dir:`, or below a lookaside that is a folder. */

import { hostReason, InvalidArgumentError, VerificationError } from "../errors.ts";
import { printable } from "../spec/printable.ts";
import { SIGNATURE_LIMITS } from "./image_signature.ts";

/** @returns undefined where there is no such file */
export async function readSignatureFile(path: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const fail = (why: string, cause?: unknown) =>
    new VerificationError(`read signature "${printable(path)}": ${why}`, { cause });
  try {
    const { isFile, size } = await Deno.stat(path);
    if (!isFile) throw fail("it is no file");
    if (size > SIGNATURE_LIMITS.bytes) throw fail(`it is larger than ${SIGNATURE_LIMITS.bytes} bytes`);
    return await Deno.readFile(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound || (cause as { code?: string }).code === "ENOTDIR") {
      return undefined;
    }
    if (cause instanceof VerificationError) throw cause;
    throw fail(hostReason(cause), cause);
  }
}

/** Adds one after those that are there; whole or not at all. Returns its path. */
export async function addSignatureFile(folder: string, bytes: Uint8Array): Promise<string> {
  const temporary = `${folder}/.signature-${crypto.randomUUID()}`;
  try {
    await Deno.mkdir(folder, { recursive: true, mode: 0o755 });
    await Deno.writeFile(temporary, bytes, { createNew: true, mode: 0o644 });
    for (let number = 1;; number++) {
      // who reads that many takes none
      if (number > SIGNATURE_LIMITS.count) throw new Error(`it has ${SIGNATURE_LIMITS.count} already`);
      const path = `${folder}/signature-${number}`;
      try {
        // unlike a rename this replaces nobody's
        await Deno.link(temporary, path);
        return path;
      } catch (cause) {
        if (!(cause instanceof Deno.errors.AlreadyExists)) throw cause;
      }
    }
  } catch (cause) {
    throw new InvalidArgumentError(`write signature into "${printable(folder)}": ${hostReason(cause)}`, {
      cause,
    });
  } finally {
    await Deno.remove(temporary).catch(() => {});
  }
}
