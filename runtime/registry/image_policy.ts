/** Whether policy.json lets something in from a registry: asked before anything of it is fetched, and of its manifest. */

import { checkPolicy, dockerScopes } from "../config/policy.ts";
import type { ConfigSources } from "../config/sources.ts";
import { formatReference, type Reference, repositoryName } from "../image/reference.ts";
import type { Digest } from "../spec/digest.ts";
import type { RegistryClient } from "./client.ts";

/** @throws {SkiffError} where the signatures that the policy asks for are not there: then nothing else may be read */
export type ManifestCheck = (
  client: RegistryClient,
  manifest: { bytes: Uint8Array; digest: Digest },
) => Promise<void>;

/** @throws {SkiffError} where the policy lets it in by no signature */
export async function askPolicy(sources: ConfigSources, reference: Reference): Promise<ManifestCheck> {
  const demands = await checkPolicy(sources, {
    transport: "docker",
    name: `docker://${formatReference(reference)}`,
    // beside a digest a tag says nothing
    scopes: dockerScopes(
      repositoryName(reference),
      reference.digest ? `@${reference.digest}` : `:${reference.tag}`,
    ),
  });
  return async (client, { bytes, digest }) => {
    if (demands.requirements.length === 0) return;
    const { checkImageSignatures } = await import("./image_signatures.ts");
    await checkImageSignatures(client, demands, { reference, manifest: bytes, digest });
  };
}
