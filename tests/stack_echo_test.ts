import { deepStrictEqual as equal } from "node:assert/strict";
import { GATEWAY, GATEWAY6 } from "../runtime/network/stack/guest_rig.ts";
import { MAX_PINGS } from "../runtime/network/stack/limits.ts";
import type { EchoReport, Told } from "./stack_echo_run.ts";
import { runInOwnNetwork } from "./own_network.ts";

const DATA = [0x12, 0x34, 0, 7, 1, 2, 3, 4];

Deno.test("echo requests to the world leave by ping sockets, where these are allowed, and else are told prohibited", async () => {
  const { allowed, traced, unreachable, refused, descriptors } = await runInOwnNetwork<EchoReport>(
    "stack_echo_run.ts",
  );
  equal(allowed, [["192.0.2.1", 0, 0, DATA, true], ["2001:db8::1", 129, 0, DATA, true]]);
  equal(traced, ["192.0.2.1", 0, 0, DATA, true]);
  const kinds = (told: Told[]) =>
    told.map(([source, type, code, , isRight]) => [source, type, code, isRight]);
  equal(kinds(unreachable), [[GATEWAY, 3, 0, true], [GATEWAY6, 1, 0, true]]);
  equal(kinds(refused), [[GATEWAY, 3, 13, true], [GATEWAY6, 1, 1, true]]);
  // the guest's own request is quoted: IP header, then type, code, checksum, id, sequence number
  equal(refused[0]![3].slice(4 + 20 + 4, 4 + 20 + 8), [0x12, 0x34, 0, 7]);
  equal(descriptors < MAX_PINGS + 60, true, `${descriptors} descriptors`);
});
