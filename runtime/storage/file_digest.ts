import { type Digest, digestAlgorithm } from "../spec/digest.ts";

/** The digest of a file of any size, by the algorithm of `like`. node:crypto is loaded for it. */
export async function fileDigest(path: string, like: Digest | "sha256" = "sha256"): Promise<Digest> {
  const { createHash } = await import("node:crypto");
  const algorithm = like === "sha256" ? like : digestAlgorithm(like);
  const hash = createHash(algorithm);
  using file = await Deno.open(path, { read: true });
  const buffer = new Uint8Array(1 << 20);
  for (let n = await file.read(buffer); n !== null; n = await file.read(buffer)) {
    hash.update(buffer.subarray(0, n));
  }
  return `${algorithm}:${hash.digest("hex")}` as Digest;
}
