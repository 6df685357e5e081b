import { deepStrictEqual as equal } from "node:assert/strict";
import { gatewayOut, leadingOut } from "./default_route.ts";
import type { BridgeNetwork } from "./plan.ts";

const network = (gateways: string[], rest: Partial<BridgeNetwork> = {}) => ({
  network: {
    internal: false,
    noDefaultRoute: false,
    subnets: gateways.map((gateway) => ({ subnet: "", gateway })),
    ...rest,
  } as BridgeNetwork,
});

Deno.test("the network with the least metric leads out, of equals the first, of each IP version by itself", () => {
  const inner = network(["10.0.0.1"], { internal: true, metric: 1 });
  const routeless = network(["10.0.1.1"], { noDefaultRoute: true, metric: 1 });
  const first = network(["10.0.2.1"]);
  const second = network(["10.0.3.1", "fd00::1"], { metric: 100 });
  const costly = network(["fd01::1"], { metric: 101 });
  const cheap = network(["10.0.4.1"], { metric: 7 });
  equal(leadingOut([inner, routeless], false), undefined);
  equal(leadingOut([inner, routeless, first, second], false), first);
  equal(leadingOut([first, second, cheap], false), cheap);
  equal(leadingOut([costly, first, second], true), second);
  equal(leadingOut([first, cheap], true), undefined);
  equal([gatewayOut(second.network, true), gatewayOut(second.network, false)], ["fd00::1", "10.0.3.1"]);
});
