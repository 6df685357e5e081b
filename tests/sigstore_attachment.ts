/** Signs an image at a registry as cosign does, in words of the test's own: what skiff reads is not what skiff wrote. */

import { type KeyObject, sign } from "node:crypto";
import type { LocalRegistry } from "./harness.ts";

const MEDIA_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json";
const OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";

export interface Attachment {
  key: KeyObject;
  /** What the signature says: `docker-reference` and `docker-manifest-digest`. */
  identity: string;
  digest: string;
  /** Instead of what was signed. */
  payload?: string;
  /** Instead of the signature. */
  annotations?: Record<string, string>;
}

export function signedPayload(identity: string, digest: string): string {
  return JSON.stringify({
    critical: {
      identity: { "docker-reference": identity },
      image: { "docker-manifest-digest": digest },
      type: "cosign container image signature",
    },
    optional: null,
  });
}

/** The digest that a name leads to. */
export async function digestAt(
  registry: LocalRegistry,
  name: string,
  tag: string,
  mediaType = `${OCI_MANIFEST}, application/vnd.docker.distribution.manifest.v2+json`,
): Promise<string> {
  const response = await fetch(`http://${registry.address}/v2/${name}/manifests/${tag}`, {
    method: "HEAD",
    headers: { Accept: mediaType },
  });
  await response.body?.cancel();
  const digest = response.headers.get("docker-content-digest");
  if (!response.ok || digest === null) throw new Error(`${name}:${tag} is not there`);
  return digest;
}

/** Puts signatures beside the manifest `digest` of a repository, in the place of those that are there. */
export async function attach(
  registry: LocalRegistry,
  name: string,
  digest: string,
  all: Attachment[],
): Promise<void> {
  const put = async (bytes: Uint8Array<ArrayBuffer>) => {
    const own = `sha256:${new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex()}`;
    await registry.pushBlob(name, bytes, own);
    return { digest: own, size: bytes.length };
  };
  const layers = [];
  for (const one of all) {
    const signed = new TextEncoder().encode(signedPayload(one.identity, one.digest));
    const algorithm = one.key.asymmetricKeyType === "ed25519" ? null : "sha256";
    const signature = new Uint8Array(sign(algorithm, signed, one.key)).toBase64();
    const bytes = one.payload === undefined ? signed : new TextEncoder().encode(one.payload);
    const annotations = one.annotations ?? { "dev.cosignproject.cosign/signature": signature };
    layers.push({ mediaType: MEDIA_TYPE, ...await put(bytes), annotations });
  }
  const rootfs = { type: "layers", diff_ids: layers.map((layer) => layer.digest) };
  const json = JSON.stringify({ architecture: "", os: "", config: {}, rootfs });
  const config = { mediaType: OCI_CONFIG, ...await put(new TextEncoder().encode(json)) };
  const manifest = JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers });
  await registry.pushManifest(name, digest.replace(":", "-") + ".sig", manifest, OCI_MANIFEST);
}
