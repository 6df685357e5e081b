import { deepStrictEqual as assertEquals, ok, rejects } from "node:assert";
import { generateKeyPairSync } from "node:crypto";
import { encryptBytes } from "../encryption/layer_cipher.ts";
import { wrapLayerKey } from "../encryption/layer_keys.ts";
import { RegistryError } from "../errors.ts";
import { parseManifestDocument } from "../image/manifest.ts";
import { digestOf } from "../spec/digest.ts";
import { MEDIA_TYPE } from "../spec/image.ts";
import type { Folders } from "../state/folders.ts";
import type { RegistryClient } from "./client.ts";
import { decryptImage } from "./encrypted_layers.ts";
import type { HttpResponse } from "./transport.ts";

/** A registry that has these bytes as every blob, or fails. */
function registry(answer: () => Uint8Array): RegistryClient {
  const openBlob = () => {
    const bytes = answer();
    let at = 0;
    const read = (into: Uint8Array) => {
      const piece = bytes.subarray(at, at + into.length);
      into.set(piece);
      at += piece.length;
      return Promise.resolve(piece.length === 0 ? null : piece.length);
    };
    return Promise.resolve({ status: 200, length: bytes.length, read, release() {} } as HttpResponse);
  };
  return { openBlob, waitToRetry: () => Promise.resolve(false) } as unknown as RegistryClient;
}

Deno.test("a decrypted manifest keeps what else it says, and a layer that does not come leaves no file", async () => {
  const home = await Deno.makeTempDir();
  try {
    const folders = { blobs: `${home}/blobs`, locks: `${home}/locks` } as Folders;
    for (const name of ["blobs/partial", "blobs/sha256", "locks"]) {
      await Deno.mkdir(`${home}/${name}`, { recursive: true });
    }
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const key = `${home}/key.pem`;
    await Deno.writeTextFile(key, privateKey.export({ type: "pkcs8", format: "pem" }) as string);
    const plain = new TextEncoder().encode("what was sealed\n");
    const inside = await digestOf(plain);
    await Deno.writeFile(`${home}/plain`, plain);
    using source = await Deno.open(`${home}/plain`);
    const { digest, size, layerKey } = await encryptBytes(
      "layer",
      { source, target: `${home}/sealed` },
      inside,
    );
    const annotations = await wrapLayerKey(layerKey, inside, { jwe: [publicKey], pkcs7: [], pgp: [] });
    const subject = { mediaType: MEDIA_TYPE.ociManifest, digest: inside, size: 7 };
    const manifest = {
      schemaVersion: 2,
      mediaType: MEDIA_TYPE.ociManifest,
      config: { mediaType: "application/vnd.oci.empty.v1+json", digest: inside, size: 2, data: "e30=" },
      layers: [{ mediaType: "text/plain+encrypted", digest, size, annotations }],
      subject,
    };
    const bytes = new TextEncoder().encode(JSON.stringify(manifest));
    const document = parseManifestDocument("manifest", bytes, "");
    ok(document.kind === "manifest");
    const image = { bytes, digest: await digestOf(bytes), document };
    const decrypt = (client: RegistryClient) =>
      decryptImage(folders, client, "here.test/x:1", image, { decryptionKeys: [key] });
    const files = () =>
      ["partial", "sha256"].flatMap((name) =>
        Deno.readDirSync(`${folders.blobs}/${name}`).map((entry) => entry.name).toArray()
      );

    const gone = registry(() => {
      throw new RegistryError("fetch blob: blob unknown to registry", 404);
    });
    await rejects(decrypt(gone), { message: "fetch blob: blob unknown to registry" });
    assertEquals(files(), []);

    // of what claims to be a disk full nothing is asked for
    const [layer] = document.manifest.layers;
    const huge = {
      ...image,
      document: {
        ...document,
        manifest: { ...document.manifest, layers: [{ ...layer!, size: 2 ** 40 }] },
      },
    };
    let asked = 0;
    const counting = registry(() => {
      asked++;
      throw new RegistryError("fetch blob: blob unknown to registry", 404);
    });
    const options = { decryptionKeys: [key] };
    await rejects(decryptImage(folders, counting, "here.test/x:1", huge, options), /larger than the limit/);
    assertEquals(asked, 0);
    await rejects(decryptImage(folders, counting, "here.test/x:1", image, options), RegistryError);
    assertEquals(asked, 1);

    const sealed = await Deno.readFile(`${home}/sealed`);
    const decrypted = await decrypt(registry(() => sealed));
    const written = JSON.parse(new TextDecoder().decode(decrypted.bytes));
    assertEquals(written, {
      ...manifest,
      layers: [{ mediaType: "text/plain", digest: inside, size: plain.length }],
    });
    assertEquals(decrypted.digest, await digestOf(decrypted.bytes));
    assertEquals(files(), [inside.slice(7)]);
    assertEquals(await Deno.readFile(`${folders.blobs}/sha256/${inside.slice(7)}`), plain);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
