import { deepStrictEqual as equal, throws } from "node:assert/strict";
import { parseSignal, signalName } from "./signal.ts";

Deno.test("signals are taken by name in any case, with and without SIG, and by number", () => {
  for (const text of ["SIGTERM", "TERM", "term", "SigTerm", "15"]) equal(parseSignal(text), 15);
  equal([parseSignal("IOT"), parseSignal("SIGPOLL"), parseSignal("cld")], [6, 29, 17]);
});

Deno.test("real-time signals are counted from both ends", () => {
  equal(parseSignal("SIGRTMIN"), 34);
  equal(parseSignal("RTMIN+3"), 37);
  equal(parseSignal("SIGRTMAX-1"), 63);
  equal(parseSignal("rtmax"), 64);
  equal([signalName(34), signalName(37), signalName(63), signalName(64)], [
    "SIGRTMIN",
    "SIGRTMIN+3",
    "SIGRTMAX-1",
    "SIGRTMAX",
  ]);
});

Deno.test("every number from 1 to 64 with a name comes back from its name", () => {
  for (let number = 1; number <= 64; number++) equal(parseSignal(signalName(number)), number);
});

Deno.test("what is no signal is refused", () => {
  for (
    const text of ["", "0", "65", "-1", "SIG", "NOPE", "RTMIN-1", "RTMAX+1", "RTMIN+31", "1e1", "SIGSIGTERM"]
  ) {
    throws(() => parseSignal(text), { name: "InvalidArgumentError", message: `invalid signal: ${text}` });
  }
});
