import { deepStrictEqual as assertEquals, throws } from "node:assert";
import fc from "fast-check";
import { SkiffError, UnsupportedError, VerificationError } from "../errors.ts";
import type { Digest } from "../spec/digest.ts";
import { type ImageConfig, type Manifest, MEDIA_TYPE } from "../spec/image.ts";
import { checkImageManifest, pairLayers, parseManifestDocument } from "./manifest.ts";

const A = `sha256:${"a".repeat(64)}` as Digest;
const B = `sha256:${"b".repeat(64)}` as Digest;
const layer = { mediaType: MEDIA_TYPE.ociLayerGzip, digest: A, size: 3 };
const config = { mediaType: MEDIA_TYPE.ociConfig, digest: B, size: 1 };
const manifest = { schemaVersion: 2, mediaType: MEDIA_TYPE.ociManifest, config, layers: [layer] };
const entry = { mediaType: MEDIA_TYPE.ociManifest, digest: A, size: 3 };
const index = { schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests: [entry] };
const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const read = (value: unknown, contentType: string) => parseManifestDocument("m", bytes(value), contentType);

Deno.test("manifest and index are told apart", () => {
  assertEquals(read(manifest, MEDIA_TYPE.ociManifest).kind, "manifest");
  assertEquals(read(index, MEDIA_TYPE.ociIndex + "; charset=utf-8").kind, "index");
  assertEquals(read({ ...index, mediaType: undefined }, MEDIA_TYPE.ociIndex).kind, "index");
  assertEquals(read(manifest, "application/json").kind, "manifest");
  assertEquals(read({ ...index, mediaType: undefined }, "").kind, "index");
  const docker = { ...manifest, mediaType: MEDIA_TYPE.dockerManifest };
  assertEquals(read(docker, MEDIA_TYPE.dockerManifest).mediaType, MEDIA_TYPE.dockerManifest);
});

Deno.test("type confusion is refused", () => {
  const cases: [unknown, string, string][] = [
    [{ ...manifest, ...index }, MEDIA_TYPE.ociIndex, "read m: it has both manifests and layers"],
    [{ ...index, config }, MEDIA_TYPE.ociIndex, "read m: it has both manifests and layers"],
    [{ ...index, fsLayers: [] }, MEDIA_TYPE.ociIndex, "read m: it has both manifests and layers"],
    [
      manifest,
      MEDIA_TYPE.ociIndex,
      `read m: it was sent as ${MEDIA_TYPE.ociIndex} but says it is ${MEDIA_TYPE.ociManifest}`,
    ],
    [
      { ...manifest, mediaType: undefined },
      MEDIA_TYPE.ociIndex,
      "read m: it is sent as an index but has no manifests",
    ],
    [
      { ...index, mediaType: undefined },
      MEDIA_TYPE.ociManifest,
      "read m: it is sent as a manifest but has no layers",
    ],
    [
      { ...manifest, mediaType: MEDIA_TYPE.ociIndex },
      "text/plain",
      "read m: it is sent as an index but has no manifests",
    ],
    [{ ...manifest, mediaType: 7 }, MEDIA_TYPE.ociManifest, "read m: its mediaType is no text"],
    [[], MEDIA_TYPE.ociManifest, "read m: it is no JSON object"],
  ];
  for (const [json, type, message] of cases) throws(() => read(json, type), new VerificationError(message));
  throws(() => read({ schemaVersion: 1, fsLayers: [] }, ""), UnsupportedError);
  throws(() => read(manifest, "text/html"), VerificationError);
  throws(() => read({ ...manifest, mediaType: undefined }, "text/html"), UnsupportedError);
});

Deno.test("a document beyond the limit is refused before it is parsed", () => {
  throws(
    () => parseManifestDocument("m", new Uint8Array((4 << 20) + 1), MEDIA_TYPE.ociManifest),
    new VerificationError("read m: it is larger than 4194304 bytes"),
  );
});

Deno.test("foreign layers and what is no image are refused", () => {
  const check = (change: Partial<Manifest>) =>
    checkImageManifest("m", { ...manifest, ...change } as Manifest);
  check({});
  throws(
    () => check({ layers: [{ ...layer, urls: ["https://evil.example/x"] }] }),
    new VerificationError(`use m: layer ${A} is foreign, to be had from other urls`),
  );
  throws(
    () =>
      check({
        layers: [{ ...layer, mediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" }],
      }),
    new UnsupportedError(
      `use m: layer ${A} is of the unknown type application/vnd.docker.image.rootfs.foreign.diff.tar.gzip`,
    ),
  );
  throws(
    () => check({ config: { ...config, mediaType: "application/vnd.cncf.helm.config.v1+json" } }),
    new UnsupportedError(
      "use m: it is no container image (its config is application/vnd.cncf.helm.config.v1+json)",
    ),
  );
});

Deno.test("layers are paired with diff ids", () => {
  const image = (ids: Digest[]): ImageConfig => ({
    architecture: "amd64",
    os: "linux",
    rootfs: { type: "layers", diff_ids: ids },
  });
  assertEquals(pairLayers("m", manifest as Manifest, image([B])), [{ ...layer, diffId: B }]);
  throws(
    () => pairLayers("m", manifest as Manifest, image([])),
    new VerificationError("use m: it has 1 layers but its config names 0"),
  );
  throws(
    () => pairLayers("m", { ...manifest, layers: [layer, layer] } as Manifest, image([A, B])),
    new VerificationError(`use m: layer ${A} is described in two ways`),
  );
});

Deno.test("no document whatever gets past with an error of another kind", () => {
  const types = fc.constantFrom("", "text/html", ...Object.values(MEDIA_TYPE));
  const some = fc.record({
    schemaVersion: fc.constantFrom(1, 2, "2"),
    mediaType: fc.oneof(types, fc.jsonValue()),
    layers: fc.oneof(fc.constant([layer]), fc.jsonValue()),
    manifests: fc.oneof(fc.constant([entry]), fc.jsonValue()),
    config: fc.oneof(fc.constant(config), fc.jsonValue()),
  }, { requiredKeys: [] });
  fc.assert(fc.property(fc.oneof(some, fc.jsonValue()), types, (json, type) => {
    try {
      const document = read(json, type);
      const fields = json as Record<string, unknown>;
      if (document.kind === "index" && (fields.layers ?? null) !== null) {
        throw new Error("layers in an index");
      }
      if (document.kind === "manifest" && (fields.manifests ?? null) !== null) throw new Error("confusion");
    } catch (error) {
      if (!(error instanceof SkiffError)) throw error;
    }
  }));
});
