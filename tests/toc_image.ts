/** Images with busybox whose layer has a table of contents, for registries of tests. */
import { MEDIA_TYPE } from "../runtime/spec/image.ts";
import { encode, type FakeRegistry } from "./fake_registry.ts";
import { busyboxEntries } from "./images.ts";
import {
  estargzLayer,
  type LayerMember,
  type TocLayer,
  type TocLayerOptions,
  zstdChunkedLayer,
} from "./toc_layers.ts";

export type TocFormat = "estargz" | "zstd:chunked";

const PACKERS = { estargz: estargzLayer, "zstd:chunked": zstdChunkedLayer };

/** Busybox and whatever else, in one layer. */
export function tocLayer(
  format: TocFormat,
  more: readonly LayerMember[],
  options: TocLayerOptions = {},
): TocLayer {
  const members = busyboxEntries().map((entry): LayerMember => {
    const name = entry.path;
    if (entry.link !== undefined) return { name, type: "symlink", mode: 0o777, linkname: entry.link };
    if (entry.content === undefined) {
      return { name: `${name}/`, type: "directory", mode: entry.mode ?? 0o755 };
    }
    const data = typeof entry.content === "string" ? encode(entry.content) : entry.content;
    return { name, type: "file", mode: entry.mode ?? 0o644, data: data as Uint8Array<ArrayBuffer> };
  });
  return PACKERS[format]([...members, ...more], options);
}

/** Puts an image of these layers into the registry. */
export async function addTocImage(
  registry: FakeRegistry,
  name: string,
  layers: readonly TocLayer[],
): Promise<void> {
  for (const { descriptor, blob } of layers) registry.blobs.set(descriptor.digest, blob);
  const config = await registry.addBlob(encode(tocConfig(layers)), MEDIA_TYPE.ociConfig);
  const manifest = encode({
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.ociManifest,
    config,
    layers: layers.map(({ descriptor }) => descriptor),
  });
  await registry.addManifest(name, manifest, MEDIA_TYPE.ociManifest);
}

export function tocConfig(layers: readonly TocLayer[]) {
  return {
    architecture: Deno.build.arch === "aarch64" ? "arm64" : "amd64",
    os: "linux",
    config: { Cmd: ["/bin/sh"], Env: ["PATH=/bin"] },
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
  };
}
