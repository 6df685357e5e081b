import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { VerificationError } from "../errors.ts";
import type { Digest } from "../spec/digest.ts";
import { type Manifest, MEDIA_TYPE } from "../spec/image.ts";
import type { StepRecord } from "./cache.ts";
import {
  INLINE_CACHE_FIELD,
  makeCacheDocument,
  makeInlineCache,
  readCacheDocument,
  readInlineCache,
} from "./cache_document.ts";

const digest = (char: string) => `sha256:${char.repeat(64)}` as Digest;
const layer = (char: string) => ({
  diffId: digest(char),
  digest: digest(char),
  size: 7,
  mediaType: MEDIA_TYPE.ociLayer as string,
});
const record = (key: string, layerChar: string | null): StepRecord => ({
  key: key.repeat(64),
  kind: "run",
  description: "[1/2] RUN é",
  parent: "",
  layer: layerChar === null ? null : layer(layerChar),
  createdAt: "2026-01-02T03:04:05Z",
});
const STEPS = [record("1", "a"), record("2", null), record("3", "b"), record("4", "a")];
const manifest = (layers: ReturnType<typeof layer>[]): Manifest => ({
  schemaVersion: 2,
  config: { mediaType: "x", digest: digest("c"), size: 1 },
  layers: layers.map(({ digest, size, mediaType }) => ({ digest, size, mediaType })),
});
const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

Deno.test("a cache's document is read as it was written", () => {
  const { document, layers } = makeCacheDocument(STEPS);
  assertEquals(layers.map(({ digest }) => digest), [digest("a"), digest("b")]);
  const steps = readCacheDocument("x", encode(document), manifest(layers));
  assertEquals([...steps.values()], STEPS);
});

Deno.test("an image carries the cache of its own steps", () => {
  const layers = [layer("z"), layer("a"), layer("b")];
  const config = encode({
    rootfs: { diff_ids: layers.map(({ diffId }) => diffId) },
    [INLINE_CACHE_FIELD]: makeInlineCache(STEPS, layers),
  });
  assertEquals([...readInlineCache("x", config, manifest(layers)).values()], STEPS);
  assertEquals(readInlineCache("x", encode({}), manifest(layers)).size, 0);
});

Deno.test("an image of many steps carries them all", () => {
  const steps = Array.from({ length: 1000 }, (_, at) => ({
    ...record("1", null),
    key: String(at).padStart(64, "0"),
  }));
  const config = encode({ rootfs: { diff_ids: [] }, [INLINE_CACHE_FIELD]: makeInlineCache(steps, []) });
  assertEquals(readInlineCache("x", config, manifest([])).size, 1000);
});

Deno.test("a step's time is one", () => {
  for (const createdAt of ["", "yesterday", "\x1b[2J", "2026-13-40T99:00:00Z"]) {
    const { document } = makeCacheDocument([{ ...record("1", null), createdAt }]);
    throws(() => readCacheDocument("x", encode(document), manifest([])), VerificationError);
  }
  const { document } = makeCacheDocument([{ ...record("1", null), createdAt: new Date(0).toISOString() }]);
  assertEquals(readCacheDocument("x", encode(document), manifest([])).size, 1);
});

Deno.test("records of BuildKit, and layers that cannot be unpacked, are left out", () => {
  const foreign = {
    layers: [{ blob: digest("a") }],
    records: [{ digest: digest("1"), layers: [{ layer: 0 }] }],
  };
  assertEquals(readCacheDocument("x", encode(foreign), manifest([])).size, 0);
  const { document } = makeCacheDocument([record("1", "a")]);
  const odd = { ...layer("a"), mediaType: "application/x-strange" };
  assertEquals(readCacheDocument("x", encode(document), manifest([odd])).size, 0);
});

for (
  const damaged of ["", "{", "7", '{"records":[{"digest":"sha256:xyz"}]}', '{"layers":[{"blob":"../x"}]}']
) {
  Deno.test(`a damaged document is refused: ${damaged}`, () => {
    throws(
      () => readCacheDocument("x", new TextEncoder().encode(damaged), manifest([])),
      VerificationError,
    );
  });
}
