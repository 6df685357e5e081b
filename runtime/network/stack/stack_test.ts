import { deepStrictEqual as equal } from "node:assert/strict";
import { shareDescriptors } from "./stack.ts";

Deno.test("however few descriptors there are, a guest leaves the holder some", () => {
  const HOLDER = 256, PINGS = 128, QUESTIONS = 256, STREAMS = 2 * 64;
  for (const limit of [1024, 4096, 524_288]) {
    const { connections, handedOver, endpoints } = shareDescriptors(limit);
    equal(handedOver >= 8, true, `of ${limit}: ${handedOver}`);
    // a socket and two pipes beside its own
    equal(
      connections + 5 * handedOver + endpoints + HOLDER + PINGS + QUESTIONS + STREAMS <= limit,
      true,
      `of ${limit}`,
    );
    equal(connections > endpoints && endpoints >= 64, true, `of ${limit}: ${connections}, ${endpoints}`);
  }
});
