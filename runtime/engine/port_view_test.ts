import { deepStrictEqual as equal, throws } from "node:assert";
import { listPorts, portDocument, portLines } from "./port_view.ts";
import { arrangeMappings, parsePublish } from "../network/ports.ts";

const published = arrangeMappings(
  ["8000-8001:80-81", "127.0.0.1:9000:80", "[::1]:53:53/udp"].map(parsePublish),
);

Deno.test("port tells where each port is published, or one of them, as podman does", () => {
  equal(portLines(published), [
    "53/udp -> [::1]:53",
    "80/tcp -> 0.0.0.0:8000",
    "80/tcp -> 127.0.0.1:9000",
    "81/tcp -> 0.0.0.0:8001",
  ]);
  equal(portLines(published, "80"), ["0.0.0.0:8000", "127.0.0.1:9000"]);
  equal(portLines(published, "53/udp"), ["[::1]:53"]);
  throws(() => portLines(published, "53"), {
    name: "NotFoundError",
    message: 'failed to find published port "53"',
  });
  throws(() => portLines(published, "80/udp"), { message: 'failed to find published port "80/udp"' });
  throws(() => portLines(published, "1/2/3"), {
    message: "port formats are port/protocol. '1/2/3' is invalid",
  });
  throws(() => portLines(published, "a"), { message: 'invalid port "a": it is PORT or PORT/PROTOCOL' });
});

Deno.test("ps lists mappings and exposed ports in podman's form", () => {
  equal(listPorts({ published: [parsePublish("80:80")], exposed: ["90-91/udp", "80/tcp"] }), {
    Ports: [{ host_ip: "", container_port: 80, host_port: 80, range: 1, protocol: "tcp" }],
    ExposedPorts: { "80": ["tcp"], "90": ["udp"], "91": ["udp"] },
  });
  equal(listPorts({ published: [], exposed: [] }), { Ports: null, ExposedPorts: null });
});

Deno.test("inspect has the bindings of what is published, and null for what is exposed only", () => {
  const { ports, bindings, exposed } = portDocument({
    ports: [parsePublish("8080:80")],
    exposed: ["443/tcp"],
  });
  equal(ports, { "80/tcp": [{ HostIp: "", HostPort: "8080" }], "443/tcp": null });
  equal(bindings, { "80/tcp": [{ HostIp: "", HostPort: "8080" }] });
  equal(exposed, { "80/tcp": {}, "443/tcp": {} });
});
