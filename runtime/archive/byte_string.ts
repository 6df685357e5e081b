/**
 * Names as the kernel has them: bytes, not text. A byte string holds one byte in each character
 * (U+0000–U+00FF), so that it compares, splits and keys a map like text and loses nothing. (TextDecoder's
 * latin1 is windows-1252 and would lose 0x80–0x9f.)
 */

const encoder = new TextEncoder();
const ASCII = /^[\0-\x7f]*$/;
const utf8 = new TextDecoder("utf-8");

/** The bytes from `start` up to `end` as a byte string. */
export function byteString(bytes: Uint8Array, start = 0, end = bytes.length): string {
  let text = "";
  for (let at = start; at < end; at += 4096) {
    text += String.fromCharCode.apply(
      null,
      bytes.subarray(at, Math.min(end, at + 4096)) as unknown as number[],
    );
  }
  return text;
}

/** The bytes that a byte string stands for. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

/** The same, with the NUL that C wants; a NUL within would have cut the name short, so callers refuse it before. */
export function cstringOf(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length + 1);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

/** Ordinary text as a byte string, in UTF-8. */
export function byteStringOf(text: string): string {
  return ASCII.test(text) ? text : byteString(encoder.encode(text));
}

/** A byte string for people: UTF-8 where it is, control characters escaped so that no terminal obeys them. */
export function displayName(name: string): string {
  return escapeControls(utf8.decode(bytesOf(name)));
}

function escapeControls(text: string): string {
  // deno-lint-ignore no-control-regex -- they are what is looked for
  return text.replace(/[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, (char) => {
    const code = char.charCodeAt(0);
    return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16)}`;
  });
}
