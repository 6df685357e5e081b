/** What the protocols of one stack share. */

import type { StackPlan } from "../plan.ts";
import type { AddressBytes } from "./addresses.ts";
import type { Destinations } from "./destinations.ts";
import type { Host } from "./host.ts";
import type { Link } from "./link.ts";

/** Why nothing can be delivered, as an errno of the host's socket. */
export type Unreachable = (ipHeaderAndEightBytes: Uint8Array<ArrayBuffer>, errno: number) => void;

export interface StackContext {
  readonly plan: StackPlan;
  readonly link: Link;
  readonly host: Host;
  readonly destinations: Destinations;
  /**
   * Tells the guest by ICMP that a packet could not be delivered, after an errno of the host (ENETUNREACH,
   * EHOSTUNREACH, EACCES …). The packet is given from its IP header on, at least eight bytes of its transport with it.
   */
  unreachable?: Unreachable;
  /**
   * A connection to the DNS forwarder for the guest at that address, for connections to port 53 of a nameserver's
   * address: one end of a socket pair, the caller's; -errno where there can be no more. Nothing where there is no
   * forwarder.
   */
  resolverStream?(asker: AddressBytes): number;
  /** Connections that ended since the last batch: garbage. */
  ended: number;
  /** Called after each batch of packets and events: for answers that can be put together. */
  readonly afterBatch: (() => void)[];
}
