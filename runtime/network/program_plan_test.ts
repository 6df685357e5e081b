import { assertEquals } from "../../tests/assertions.ts";
import { parsePublish } from "./ports.ts";
import { planPasta, planSlirp4netns } from "./program_plan.ts";

Deno.test("slirp4netns gets podman's flags, and the options of the mode", () => {
  assertEquals(
    planSlirp4netns("/s", "/run/api").args.join(" "),
    "--disable-host-loopback --mtu=65520 --enable-sandbox --enable-seccomp --enable-ipv6 --api-socket=/run/api",
  );
  assertEquals(
    planSlirp4netns("/s", "/run/api", {
      allowHostLoopback: true,
      mtu: 1500,
      ipv6: false,
      cidr: "10.9.0.0/16",
      outbound: { ipv4: "eth0" },
    }).args.join(" "),
    "--mtu=1500 --enable-sandbox --enable-seccomp --cidr=10.9.0.0/16 --outbound-addr=eth0 --api-socket=/run/api",
  );
});

Deno.test("pasta gets podman's flags where the user says nothing else", () => {
  assertEquals(
    planPasta("/p").args.join(" "),
    "--config-net -t none -u none -T none -U none --no-map-gw --dns-forward 169.254.1.1 --quiet",
  );
  assertEquals(
    planPasta("/p", ["--map-gw", "-t", "auto", "--mtu=1500"]).args.join(" "),
    "--config-net -t auto --mtu=1500 -u none -T none -U none --dns-forward 169.254.1.1 --quiet",
  );
});

const PORTS = ["8080:80", "127.0.0.1:8000-8002:90-92", "[::1]:53:53/udp"].map(parsePublish);

Deno.test("published ports are pasta's own options, and slirp4netns's requests", () => {
  assertEquals(
    planPasta("/p", [], PORTS).args.join(" "),
    "--config-net -t 8080:80 -t 127.0.0.1/8000-8002:90-92 -u ::1/53:53 -T none -U none --no-map-gw " +
      "--dns-forward 169.254.1.1 --quiet",
  );
  const { args, api } = planSlirp4netns("/s", "/run/api", { cidr: "10.9.0.0/16" }, PORTS.slice(0, 2));
  assertEquals(args.at(-1), "--api-socket=/run/api");
  assertEquals(api!.guest, "10.9.0.100");
  assertEquals(api!.ports.length, 4);
  assertEquals(api!.ports[0], { protocol: "tcp", hostAddress: "", hostPort: 8080, containerPort: 80 });
});
