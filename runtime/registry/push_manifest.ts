/** @see OCI distribution-spec, "Pushing Manifests" */

import { RegistryError } from "../errors.ts";
import { type Digest, digestOf, isDigest } from "../spec/digest.ts";
import { MANIFEST_ACCEPT } from "../image/manifest.ts";
import type { ApiRequest, RegistryClient } from "./client.ts";
import { answerError } from "./error_answer.ts";
import { drain } from "./transport.ts";

/** Puts a manifest under a tag or its digest. @throws {RegistryError} where the registry has taken something else */
export async function putManifest(
  client: RegistryClient,
  name: string,
  place: string,
  bytes: Uint8Array,
  mediaType: string,
): Promise<void> {
  const response = await client.request({
    method: "PUT",
    path: `/v2/${client.options.source.path}/manifests/${place}`,
    headers: { "Content-Type": mediaType },
    body: bytes,
  });
  if (response.status < 200 || response.status > 299) throw await answerError(`push ${name}`, response);
  const claimed = response.head.get("docker-content-digest");
  await drain(response);
  const digest = await digestOf(bytes);
  if (isDigest(claimed) && claimed.startsWith("sha256:") && claimed !== digest) {
    throw new RegistryError(
      `push ${name}: the registry has taken ${claimed} instead of ${digest}`,
      response.status,
    );
  }
}

/** Asks what a tag or digest leads to. */
export function manifestQuestion(client: RegistryClient, place: string): ApiRequest {
  const path = `/v2/${client.options.source.path}/manifests/${place}`;
  return { method: "HEAD", path, headers: { Accept: MANIFEST_ACCEPT.join(", ") }, once: true };
}

/** Whether it leads to that manifest already. A registry that does not say so leaves it open: false. */
export async function leadsToManifest(
  client: RegistryClient,
  question: ApiRequest,
  digest: Digest,
): Promise<boolean> {
  const response = await client.request(question);
  await drain(response);
  return response.status === 200 && response.head.get("docker-content-digest") === digest;
}
