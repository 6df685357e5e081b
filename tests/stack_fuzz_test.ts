import { deepStrictEqual as equal } from "node:assert/strict";
import type { FuzzReport } from "./stack_fuzz_run.ts";
import { runInOwnNetwork } from "./own_network.ts";

/** SKIFF_FUZZ_FRAMES=1000000 for the whole of it; SKIFF_FUZZ_SEED for another one. */
const FRAMES = Number(Deno.env.get("SKIFF_FUZZ_FRAMES") ?? 100_000);
const SEED = Number(Deno.env.get("SKIFF_FUZZ_SEED") ?? 20261121);

const fuzz = (frames: number, ...more: string[]) =>
  runInOwnNetwork<FuzzReport>("stack_fuzz_run.ts", `${SEED}`, `${frames}`, ...more);

Deno.test(`${FRAMES} hostile frames: no fault, nothing read outside of a packet, bounded memory`, async () => {
  const report = await fuzz(FRAMES);
  equal(report.faults, []);
  equal(report.leaks, []);
  const { descriptors, grownBytes, packetSlots, toGuest, datagrams, connections, questions } = report;
  // ports, pings, questions and connections at their limits, and what the test itself has open
  equal(descriptors < 1024 + 128 + 256 + 1024 + 300, true, `${descriptors} descriptors`);
  equal(grownBytes < 8 << 20, true, `${grownBytes} bytes more in the second half`);
  equal(packetSlots < 200, true, `${packetSlots} packets kept`);
  // it got through to all that it is to shake
  const counts = [
    ...[1, 6, 17, 58].map((protocol) => toGuest[protocol] ?? 0),
    datagrams,
    connections,
    questions,
  ];
  equal(counts.every((count) => count > 20), true, JSON.stringify(report));
});

Deno.test("control: a stack that believes a length is found out", async () => {
  const report = await fuzz(5000, "control");
  equal(report.leaks.includes("to the host by UDP"), true, JSON.stringify(report.leaks));
});
