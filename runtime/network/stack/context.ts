/** What the protocols of one stack share. */

import type { StackPlan } from "../plan.ts";
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
   * The host's resolver behind the forwarder's addresses, for DNS over TCP: connections to port 53 of a nameserver's
   * address go there. Nothing where there is none.
   */
  resolver?(): { address: Uint8Array<ArrayBuffer>; port: number } | undefined;
  /** Called after each batch of packets and events: for answers that can be put together. */
  readonly afterBatch: (() => void)[];
}
