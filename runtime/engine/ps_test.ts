import { strictEqual as assertEquals } from "node:assert";
import { duration, statusText } from "./ps.ts";

const status = {
  status: "running" as const,
  pid: 1,
  monitorPid: 2,
  startedAt: "2026-01-01T00:00:00Z",
  finishedAt: "2026-01-01T00:00:00Z",
  exitCode: 3,
  error: "",
  oomKilled: false,
};
const later = Date.parse("2026-01-01T02:00:00Z");

Deno.test("a state is worded as docker and podman word it", () => {
  assertEquals(statusText(status, later), "Up 2 hours");
  assertEquals(statusText({ ...status, status: "exited" }, later), "Exited (3) 2 hours ago");
  assertEquals(statusText({ ...status, status: "created" }, later), "Created");
  assertEquals(statusText({ ...status, status: "stopping" }, later), "Stopping");
});

Deno.test("durations are rounded as go-units rounds them", () => {
  const cases: [number, string][] = [
    [0.5, "Less than a second"],
    [1, "1 second"],
    [59, "59 seconds"],
    [60, "About a minute"],
    [120, "2 minutes"],
    [3599, "59 minutes"],
    [3600, "About an hour"],
    [3600 * 47, "47 hours"],
    [86400 * 3, "3 days"],
    [86400 * 14, "2 weeks"],
    [86400 * 70, "2 months"],
    [86400 * 800, "2 years"],
    [-5, "Less than a second"],
  ];
  for (const [seconds, text] of cases) assertEquals(duration(seconds * 1000), text, String(seconds));
});
