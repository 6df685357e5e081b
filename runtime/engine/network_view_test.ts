import { assertEquals } from "../../tests/assertions.ts";
import type { ContainerConfig } from "../container/config.ts";
import type { ContainerStatus } from "../container/state.ts";
import { networkSettings } from "./network_view.ts";

const view = (network: ContainerConfig["network"], status: Partial<ContainerStatus>) =>
  networkSettings({ network } as ContainerConfig, status as ContainerStatus, undefined);

Deno.test("a running container has its addresses, one that is stopped has none", () => {
  const running = view({ mode: "slirp", options: { cidr: "10.9.0.0/16" } }, { status: "running", pid: 7 });
  assertEquals([running.IPAddress, running.IPPrefixLen, running.Gateway], ["10.9.0.100", 16, "10.9.0.2"]);
  assertEquals([running.GlobalIPv6Address, running.SandboxKey], ["fd00::100", "/proc/7/ns/net"]);
  const stopped = view({ mode: "slirp" }, { status: "exited", pid: 0 });
  assertEquals([stopped.IPAddress, stopped.SandboxKey], ["", ""]);
  assertEquals(view({ mode: "host" }, { status: "running", pid: 7 }).SandboxKey, "");
});

Deno.test("faults of the network are told where there were some", () => {
  const status = { status: "running", pid: 7 } as ContainerStatus;
  const { Faults, LastFault } = networkSettings({ network: { mode: "slirp" } } as ContainerConfig, status, {
    count: 3,
    at: "T",
    message: "broken",
  });
  assertEquals([Faults, LastFault], [3, "T: broken"]);
});
