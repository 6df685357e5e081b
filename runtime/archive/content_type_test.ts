import { assertEquals } from "../../tests/assertions.ts";
import { detectContentType } from "./content_type.ts";

/** What Go's http.DetectContentType says of the same bytes. */
const CASES: [string, string][] = [
  ["", "text/plain; charset=utf-8"],
  ["hello\n", "text/plain; charset=utf-8"],
  ["a\x00b", "application/octet-stream"],
  ["\x1f\x8b\x08\x00", "application/x-gzip"],
  ["PK\x03\x04", "application/zip"],
  ["%PDF-1.7", "application/pdf"],
  ["\x89PNG\r\n\x1a\n", "image/png"],
  ["\xff\xd8\xff\xe0", "image/jpeg"],
  [" \n<HTML>", "text/html; charset=utf-8"],
  ["<html-like>", "text/plain; charset=utf-8"],
  ["<?xml version='1.0'?>", "text/xml; charset=utf-8"],
  ["\x00asm\x01", "application/wasm"],
  ["\x7fELF\x02\x01\x01\x00", "application/octet-stream"],
  ["\xef\xbb\xbfx", "text/plain; charset=utf-8"],
  ["caf\xe9", "text/plain; charset=utf-8"],
];

Deno.test("a file's beginning tells its media type", () => {
  for (const [text, mediaType] of CASES) {
    const bytes = Uint8Array.from(text, (char) => char.charCodeAt(0));
    assertEquals([text, detectContentType(bytes)], [text, mediaType]);
  }
});
