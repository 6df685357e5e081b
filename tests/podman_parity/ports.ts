/** Published ports: of created containers, as two engines cannot have the same port of the host. */

import type { Group } from "./table.ts";

/** podman's words for what is wrong with --publish and --expose are compared in full by runtime/network/ports_test.ts. */
export const PORTS: Group = {
  name: "ports",
  setUp: [
    "E pull -q $I",
    "E create -q --name c -p 8080:80 -p 127.0.0.1:9000-9002:90-92/udp -p '[::1]:7000:70' $I true",
    "E create -q --name any -p 80 -p 81-82 --expose 99 $I true",
  ],
  cases: [
    "E inspect -f '{{json .HostConfig.PortBindings}}' c",
    "E inspect -f '{{json .NetworkSettings.Ports}}' c",
    "E inspect -f '{{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}}' c",
    {
      line: "E ps -a --filter name=^c --format '{{.Ports}}'",
      differs: { stdout: "an IPv6 address before a port stands in brackets, as for docker" },
    },
    "E ps -a --filter name=^c --format json | grep -cE '\"(host_ip|container_port|host_port|range|protocol)\"'",
    "E inspect -f '{{range $p, $b := .NetworkSettings.Ports}}{{$p}} {{len $b}} {{end}}' any",
    "E port c",
    "E port any 80",
    "E port c 1/2/3",
    "E port c x",
    "E port -a",
    "E port -a c",
    ...["E create -q --network none -p 80 $I true | wc -l", "E run -q --rm --network host -p 80 $I echo up"]
      .map((
        line,
      ) => ({ line, differs: { stderr: "a warning begins with Warning:" } })),
    "E create -q -p 8080:80 -p 8080:80 --name twice $I true | wc -l",
    "E inspect -f '{{json .HostConfig.PortBindings}}' twice",
    "E create -q -p 8000-8010:80-90 -p 8005:81 $I true",
    {
      line: "E create -q -p 8080:80 -p 127.0.0.1:8080:80 $I true",
      differs: {
        code: "podman's container could never start: the one address is among the others",
        stdout: "podman's container could never start",
        stderr: "podman's container could never start",
      },
    },
    ...[
      "8080:80/xyz",
      "a:80",
      "1.2.3:80:80",
      "[::1]:80",
      "1:2:3:4:5",
      "8080:",
      ":8080:80",
      "80-",
      "70000",
      "90-80",
    ].map((
      text,
    ) => `E run -q -p '${text}' $I true`),
    {
      line: "E create -q -p 0:80 $I true | wc -l",
      differs: {
        stdout: "docker's way to ask for a free port",
        stderr: "docker's way to ask for a free port",
      },
    },
    "E create -q --expose a $I true",
    "E create -q --expose 80/xyz $I true",
    "E update",
    "E update nosuch x",
  ],
};
