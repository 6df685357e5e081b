import { assertEquals } from "../../../tests/assertions.ts";
import { keptValidators } from "./downloads.ts";

const NOW = Date.parse("Sat, 21 Nov 2026 12:00:00 GMT");

function kept(headers: Record<string, string>) {
  return keptValidators((name) => headers[name], NOW);
}

Deno.test("a download is known by its tag, or by a date that is old enough for one content", () => {
  const old = "Sat, 21 Nov 2026 11:58:00 GMT", young = "Sat, 21 Nov 2026 11:59:30 GMT";
  assertEquals(kept({}), undefined);
  assertEquals(kept({ etag: '"a"' }), { etag: '"a"', lastModified: undefined });
  assertEquals(kept({ etag: "" }), undefined);
  assertEquals(kept({ "last-modified": old }), { etag: undefined, lastModified: old });
  assertEquals(kept({ "last-modified": young }), undefined);
  assertEquals(kept({ "last-modified": "some day" }), undefined);
  assertEquals(kept({ etag: 'W/"a"', "last-modified": young }), { etag: 'W/"a"', lastModified: young });
  // the server's clock is the one that counts
  assertEquals(kept({ "last-modified": young, date: "Sat, 21 Nov 2026 12:01:00 GMT" }), {
    etag: undefined,
    lastModified: young,
  });
  assertEquals(kept({ etag: '"a"', "cache-control": "private, No-Store" }), undefined);
});
