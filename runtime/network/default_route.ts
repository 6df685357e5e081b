/** By which of its networks a container's traffic leaves. Pure. */

import type { BridgeNetwork, NetworkAttachment } from "./plan.ts";

type Place = Pick<NetworkAttachment, "network">;

/** Of routes of networks that name none, as podman's. */
export const DEFAULT_METRIC = 100;

/** Of the places that lead out by that IP version the one with the least metric; of equals the first. */
export function leadingOut<P extends Place>(places: readonly P[], isIpv6: boolean): P | undefined {
  return places.filter(({ network }) => gatewayOut(network, isIpv6) !== undefined)
    .reduce<P | undefined>(
      (best, place) => best && metricOf(best) <= metricOf(place) ? best : place,
      undefined,
    );
}

/** Where a default route of that IP version leads; nowhere on networks without a way out. */
export function gatewayOut(network: BridgeNetwork, isIpv6: boolean): string | undefined {
  if (network.internal || network.noDefaultRoute) return undefined;
  return network.subnets.find(({ gateway }) => gateway !== undefined && gateway.includes(":") === isIpv6)
    ?.gateway;
}

function metricOf({ network }: Place): number {
  return network.metric ?? DEFAULT_METRIC;
}
