/** What the rehearsal of a push finds: an image of the store that was pushed before, and the registry that has it. */

import { recordImage } from "../image/store.ts";
import { parseReference, repositoryName } from "../image/reference.ts";
import { answerOnPaper } from "../registry/rehearse.ts";
import { type Digest, digestHex, digestOf } from "../spec/digest.ts";
import { type ImageConfig, MEDIA_TYPE } from "../spec/image.ts";
import { putRepoDigest } from "../state/images.ts";
import { rememberPacked } from "../state/packed_layers.ts";
import { blobPath } from "../storage/blobs.ts";
import type { Engine } from "./engine.ts";

/** Puts it into the store under that name, of an address of the loopback. The registry is there as long as what is returned. */
export async function preparePush(engine: Engine, name: string): Promise<Disposable> {
  const db = await engine.database();
  const tar = new Uint8Array(1024);
  const layer = { mediaType: MEDIA_TYPE.ociLayer, digest: await store(engine, tar), size: tar.length };
  const packed = { mediaType: MEDIA_TYPE.ociLayerGzip, digest: await digestOf(new Uint8Array(1)), size: 1 };
  const config: ImageConfig = {
    architecture: "amd64",
    os: "linux",
    rootfs: { type: "layers", diff_ids: [layer.digest] },
  };
  const configBytes = encode(config);
  const configDigest = await store(engine, configBytes);
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.ociManifest,
    config: { mediaType: MEDIA_TYPE.ociConfig, digest: configDigest, size: configBytes.length },
  };
  const id = await recordImage(db, {
    name,
    digest: await store(engine, encode({ ...manifest, layers: [layer] })),
    imageId: digestHex(configDigest),
    config,
    layers: [{ ...layer, diffId: layer.digest }],
    size: layer.size,
  });
  const bytes = encode({ ...manifest, layers: [packed] });
  const pushed = { bytes, digest: await digestOf(bytes) };
  rememberPacked(db, layer.digest, "gzip", packed);
  putRepoDigest(db, `${repositoryName(parseReference(name))}@${pushed.digest}`, id);
  return answerOnPaper(pushed);
}

function encode(document: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(document));
}

/** At once, as nothing may wait for the event loop. */
async function store({ folders }: Engine, bytes: Uint8Array): Promise<Digest> {
  const digest = await digestOf(bytes);
  Deno.writeFileSync(blobPath(folders, digest), bytes);
  return digest;
}
