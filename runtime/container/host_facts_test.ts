import { strictEqual as assertEquals } from "node:assert";
import { listDevices, readHardLimit, readHostname, readLastCapability } from "./host_facts.ts";

Deno.test("this machine tells its limits, name and capabilities", () => {
  assertEquals(readHardLimit("RLIMIT_NOFILE") >= 1024 || readHardLimit("RLIMIT_NOFILE") === -1, true);
  assertEquals(readLastCapability() >= 37, true);
  assertEquals(readHostname().length > 0, true);
});

Deno.test("devices do not include what every container has", () => {
  const devices = listDevices();
  assertEquals(devices.includes("/dev/null"), false);
  assertEquals(devices.some((path) => path.startsWith("/dev/pts/")), false);
});
