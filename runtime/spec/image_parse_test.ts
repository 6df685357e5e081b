import { deepStrictEqual as assertEquals, throws } from "node:assert";
import fc from "fast-check";
import { VerificationError } from "../errors.ts";
import { parseImageConfig, parseIndex, parseJson, parseManifest } from "./image_parse.ts";

const A = `sha256:${"a".repeat(64)}`;
const layer = { mediaType: "application/vnd.oci.image.layer.v1.tar", digest: A, size: 3 };
const manifest = { schemaVersion: 2, config: { mediaType: "c", digest: A, size: 1 }, layers: [layer] };
const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

Deno.test("a manifest keeps what it says and drops what is unknown", () => {
  assertEquals(parseManifest("m", { ...manifest, annotations: null, unknown: 1 }) as unknown, manifest);
});

Deno.test("one wrong field is named", () => {
  const cases: [unknown, string][] = [
    [{ ...manifest, schemaVersion: 1 }, "read m: schemaVersion: schemaVersion is not 2"],
    [
      { ...manifest, config: { ...manifest.config, digest: "sha256:../../x" } },
      'read m: config.digest: malformed digest "sha256:../../x"',
    ],
    [{ ...manifest, layers: [{ ...layer, size: -1 }] }, "read m: layers.0.size: negative size"],
    [{ ...manifest, layers: [{ ...layer, size: 1.5 }] }, "read m: layers.0.size: size is no whole number"],
    [{ ...manifest, layers: [{ ...layer, size: 1e300 }] }, "read m: layers.0.size: size is no whole number"],
    [{ ...manifest, layers: Array(1025).fill(layer) }, "read m: layers: too many layers"],
    [null, "read m: Invalid type: Expected Object but received null"],
  ];
  for (const [json, message] of cases) throws(() => parseManifest("m", json), new VerificationError(message));
});

Deno.test("null stands for absent, as Go writes it", () => {
  const config = {
    architecture: "amd64",
    os: "linux",
    config: { Env: null, Cmd: ["a"], Volumes: { "/x": {} } },
  };
  assertEquals(
    parseImageConfig(
      "c",
      bytes({ ...config, rootfs: { type: "layers", diff_ids: null }, history: null }),
    ) as unknown,
    {
      architecture: "amd64",
      os: "linux",
      config: { Cmd: ["a"], Volumes: { "/x": {} } },
      rootfs: { type: "layers", diff_ids: [] },
    },
  );
});

Deno.test("a label named __proto__ changes no prototype", () => {
  const json = '{"architecture":"amd64","os":"linux","config":{"Labels":{"__proto__":"x","a":"b"}},' +
    '"rootfs":{"type":"layers","diff_ids":[]}}';
  const config = parseImageConfig("c", new TextEncoder().encode(json));
  assertEquals(config.config?.Labels, { a: "b" });
});

Deno.test("an index reads the platform of each entry", () => {
  const entry = { ...layer, platform: { os: "linux", architecture: "arm", variant: "v7", "os.version": "" } };
  assertEquals(parseIndex("i", { schemaVersion: 2, manifests: [entry] }).manifests[0]!.platform, {
    os: "linux",
    architecture: "arm",
    variant: "v7",
  });
});

Deno.test("bytes that are no UTF-8 or no JSON are refused", () => {
  for (const bad of [new Uint8Array([0x22, 0xff, 0x22]), bytes("x").slice(1), new Uint8Array()]) {
    throws(() => parseJson("d", bad), new VerificationError("read d: it is no JSON document"));
  }
});

Deno.test("any JSON value is either a manifest or a VerificationError", () => {
  fc.assert(fc.property(fc.jsonValue(), (json) => {
    for (const parse of [parseManifest, parseIndex]) {
      try {
        parse("m", json);
      } catch (error) {
        if (!(error instanceof VerificationError)) throw error;
      }
    }
  }));
});
