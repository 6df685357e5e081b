/** Other files than those that count, for tests and for preparing another machine; hidden as podman hides them. */

import type { TrustPlaces } from "../../runtime/engine/image_trust.ts";
import type { Flags, Values } from "../command.ts";

export const TRUST_PLACES = {
  policypath: { kind: "string", value: "FILE", help: "Instead of policy.json", hidden: true },
  registrypath: { kind: "string", value: "DIR", help: "Instead of registries.d", hidden: true },
} as const satisfies Flags;

export function trustPlacesFrom(options: Partial<Values<typeof TRUST_PLACES>>): TrustPlaces {
  return { policy: options.policypath || undefined, registries: options.registrypath || undefined };
}
