/** Echo requests to the world, which is loopback here; prints what the guest was told. Run by stack_echo_test.ts. */

import { GuestRig, icmpFrame } from "../runtime/network/stack/guest_rig.ts";
import { MAX_PINGS } from "../runtime/network/stack/limits.ts";
import { allowPing, setUpLoopback } from "./own_network.ts";

export interface EchoReport {
  /** [source, type, code, what follows the checksum, whether that is right] by what was asked. */
  allowed: Told[];
  traced: Told;
  unreachable: Told[];
  refused: Told[];
  descriptors: number;
}

export type Told = [source: string, type: number, code: number, rest: number[], isRight: boolean];

const ICMP = 1, ICMPV6 = 58;
const WORLD = ["192.0.2.1", "2001:db8::1"];
const NOWHERE = ["198.51.100.1", "2001:db8:1::1"];
const DATA = [0x12, 0x34, 0, 7, 1, 2, 3, 4];

function ask(rig: GuestRig, to: string, hopLimit = 64): Told {
  const isIpv6 = to.includes(":");
  rig.send(icmpFrame(to, [isIpv6 ? 128 : 8, 0], DATA, { hopLimit }));
  const { source, payload, isRight } = rig.next(isIpv6 ? ICMPV6 : ICMP);
  return [source, payload[0]!, payload[1]!, [...payload.subarray(4)], isRight];
}

if (import.meta.main) {
  setUpLoopback(...WORLD);
  using other = new GuestRig();
  const refused = WORLD.map((to) => ask(other, to));
  allowPing();
  using rig = new GuestRig();
  const allowed = WORLD.map((to) => ask(rig, to));
  const traced = ask(rig, WORLD[0]!, 9);
  const unreachable = NOWHERE.map((to) => ask(rig, to));
  for (let id = 0; id < 3 * MAX_PINGS; id++) {
    rig.send(icmpFrame(WORLD[0]!, [8, 0], [id >> 8, id & 255, 0, 1]));
  }
  const descriptors = [...Deno.readDirSync("/proc/self/fd")].length;
  rig.until(() => rig.received.filter(({ protocol }) => protocol === ICMP).length >= MAX_PINGS);
  const report: EchoReport = { allowed, traced, unreachable, refused, descriptors };
  console.log(JSON.stringify(report));
}
