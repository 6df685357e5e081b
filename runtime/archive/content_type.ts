// deno-lint-ignore-file no-control-regex
/** The media type that the beginning of a file tells. @see WHATWG MIME Sniffing; Go's http.DetectContentType */

/** How much of the beginning is looked at. */
export const SNIFFED_BYTES = 512;

/** Of the first bytes, each a character. */
const SIGNATURES: readonly [prefix: RegExp, mediaType: string][] = [
  [/^%PDF-/, "application/pdf"],
  [/^%!PS-Adobe-/, "application/postscript"],
  [/^\xfe\xff../s, "text/plain; charset=utf-16be"],
  [/^\xff\xfe../s, "text/plain; charset=utf-16le"],
  [/^\xef\xbb\xbf/, "text/plain; charset=utf-8"],
  [/^\x00\x00\x01\x00/, "image/x-icon"],
  [/^BM/, "image/bmp"],
  [/^GIF8[79]a/, "image/gif"],
  [/^RIFF....WEBPVP/s, "image/webp"],
  [/^\x89PNG\r\n\x1a\n/, "image/png"],
  [/^\xff\xd8\xff/, "image/jpeg"],
  [/^OggS\x00/, "application/ogg"],
  [/^ID3/, "audio/mpeg"],
  [/^RIFF....WAVE/s, "audio/wave"],
  [/^RIFF....AVI /s, "video/avi"],
  [/^\x1a\x45\xdf\xa3/, "video/webm"],
  [/^\x00\x01\x00\x00/, "font/ttf"],
  [/^OTTO/, "font/otf"],
  [/^wOFF/, "font/woff"],
  [/^wOF2/, "font/woff2"],
  [/^\x1f\x8b\x08/, "application/x-gzip"],
  [/^PK\x03\x04/, "application/zip"],
  [/^Rar!\x1a\x07(\x00|\x01\x00)/, "application/x-rar-compressed"],
  [/^\x00asm/, "application/wasm"],
  [/^[\t\n\f\r ]*<\?xml/, "text/xml; charset=utf-8"],
  [
    /^[\t\n\f\r ]*<(!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|!--)[ >]/i,
    "text/html; charset=utf-8",
  ],
];

const BINARY = /[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]/;

/** @param head the first SNIFFED_BYTES, or all there are */
export function detectContentType(head: Uint8Array): string {
  const text = Array.from(head.subarray(0, SNIFFED_BYTES), (byte) => String.fromCharCode(byte)).join("");
  const known = SIGNATURES.find(([prefix]) => prefix.test(text))?.[1];
  return known ?? (BINARY.test(text) ? "application/octet-stream" : "text/plain; charset=utf-8");
}
