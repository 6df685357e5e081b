import { deepStrictEqual as assertEquals } from "node:assert";
import { goTime, humanAge, humanDuration, humanSize, humanSizeSpaced, shortId } from "./humanize.ts";

const SIZES: [number, string][] = [
  [0, "0B"],
  [999, "999B"],
  [1000, "1kB"],
  [1_987_655, "1.99MB"],
  [1_997_907, "2MB"],
  [5_010_000, "5.01MB"],
  [123_456_789, "123MB"],
  [1.5e12, "1.5TB"],
];
for (const [bytes, text] of SIZES) {
  Deno.test(`${bytes} bytes are ${text}`, () => assertEquals(humanSize(bytes), text));
}

Deno.test("images have a blank before the unit", () => assertEquals(humanSizeSpaced(5_010_000), "5.01 MB"));

const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const DURATIONS: [number, string][] = [
  [-5, "Less than a second"],
  [999, "Less than a second"],
  [1999, "1 second"],
  [59 * SECOND, "59 seconds"],
  [MINUTE, "About a minute"],
  [119 * SECOND, "About a minute"],
  [2 * MINUTE, "2 minutes"],
  [59 * MINUTE, "59 minutes"],
  [60 * MINUTE, "About an hour"],
  [89 * MINUTE, "About an hour"],
  [90 * MINUTE, "2 hours"],
  [47 * HOUR, "47 hours"],
  [2 * DAY, "2 days"],
  [13 * DAY, "13 days"],
  [14 * DAY, "2 weeks"],
  [60 * DAY, "2 months"],
  [730 * DAY, "2 years"],
];
for (const [ms, text] of DURATIONS) {
  Deno.test(`${ms} ms are ${text}`, () => assertEquals(humanDuration(ms), text));
}

Deno.test("an age counts from now", () => {
  assertEquals(humanAge("2026-11-20T10:00:00.5Z", Date.parse("2026-11-20T10:02:01Z")), "2 minutes ago");
});

Deno.test("a time is written as Go prints it", () => {
  assertEquals(goTime("2026-11-20T23:55:04.898798632Z"), "2026-11-20 23:55:04.898798632 +0000 UTC");
  assertEquals(goTime("2026-11-20T23:55:04.500Z"), "2026-11-20 23:55:04.5 +0000 UTC");
  assertEquals(goTime("2026-11-20T23:55:04Z"), "2026-11-20 23:55:04 +0000 UTC");
});

Deno.test("an id is shortened to twelve digits, with or without its algorithm", () => {
  assertEquals(shortId("sha256:" + "ab".repeat(32)), "abababababab");
  assertEquals(shortId("ab".repeat(32)), "abababababab");
});
