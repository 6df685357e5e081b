import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { parseDuration, parseTime } from "./time_argument.ts";

const NOW = Date.parse("2026-11-20T12:00:00Z");

const DURATIONS: [string, number | undefined][] = [
  ["1h30m", 5_400_000],
  ["250ms", 250],
  ["1.5s", 1500],
  ["-5s", -5000],
  ["0", 0],
  ["10us", 0.01],
  ["5", undefined],
  ["", undefined],
  ["1d", undefined],
  ["m", undefined],
];
for (const [text, ms] of DURATIONS) {
  Deno.test(`the duration "${text}" is ${ms} ms`, () => assertEquals(parseDuration(text), ms));
}

const TIMES: [string, string][] = [
  ["10m", "2026-11-20T11:50:00.000Z"],
  ["1795218904", "2026-11-20T23:55:04.000Z"],
  ["1795218904.5", "2026-11-20T23:55:04.500Z"],
  ["2026-11-20T10:00:00Z", "2026-11-20T10:00:00.000Z"],
  ["2026-11-20T10:00:00.123456789Z", "2026-11-20T10:00:00.123Z"],
  ["2026-11-20T10:00:00+02:00", "2026-11-20T08:00:00.000Z"],
  ["2026-11-20 10:00:00+0200", "2026-11-20T08:00:00.000Z"],
  ["2026-11-20T10:00Z", "2026-11-20T10:00:00.000Z"],
  ["2026-11-20Z", "2026-11-20T00:00:00.000Z"],
];
for (const [text, iso] of TIMES) {
  Deno.test(`the time "${text}" is ${iso}`, () => {
    assertEquals(new Date(parseTime(text, "since", NOW)).toISOString(), iso);
  });
}

Deno.test("what is neither a time nor a duration is refused by name", () => {
  throws(() => parseTime("soon", "since", NOW), {
    message: 'parse --since "soon": not a time or a duration',
  });
});
