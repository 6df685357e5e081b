import { deepStrictEqual as equal, throws } from "node:assert";
import type { ContainerConfig } from "../container/config.ts";
import type { CreateOptions } from "./options.ts";
import { resolvePorts } from "./publish.ts";

type Published = Pick<ContainerConfig, "network" | "ports" | "exposed">;

function resolve(
  options: Partial<CreateOptions>,
  network = { mode: "slirp" },
  exposed?: string[],
  isRootless?: boolean,
) {
  const config = { network, exposed } as Published;
  const warning = resolvePorts({ image: "i", command: [], ...options }, config, isRootless);
  const ports = config.ports?.map(({ hostAddress, hostPort, containerPort, count, protocol }) =>
    `${hostAddress}:${hostPort}:${containerPort}+${count}/${protocol}`
  );
  return { ports, exposed: config.exposed, warning };
}

Deno.test("what is exposed is kept, and published with --publish-all only", () => {
  equal(resolve({ expose: ["90-91", "90-91", ""] }, undefined, ["80/tcp"]), {
    ports: undefined,
    exposed: ["80/tcp", "90-91"],
    warning: undefined,
  });
  equal(
    resolve({ publish: ["8080:80"], expose: ["90-91/udp"], publishAll: true }, undefined, ["80/tcp"]).ports,
    [
      ":8080:80+1/tcp",
      ":0:90+1/udp",
      ":0:91+1/udp",
    ],
  );
});

Deno.test("networks without ports of their own have none published, which is told", () => {
  const warning =
    "Port mappings have been discarded as one of the Host, Container, Pod, and None network modes are in use";
  for (const mode of ["none", "host", "container", "ns"]) {
    equal(resolve({ publish: ["80"] }, { mode }), { ports: undefined, exposed: undefined, warning }, mode);
    equal(
      resolve({ expose: ["80"] }, { mode }),
      { ports: undefined, exposed: ["80"], warning: undefined },
      mode,
    );
    throws(() => resolve({ publish: ["x"] }, { mode }), { name: "InvalidArgumentError" });
  }
});

Deno.test("what a network cannot publish is refused", () => {
  throws(() => resolve({ publish: ["80/sctp"] }), {
    message: 'publish port 80/sctp: network "slirp" passes on TCP and UDP, not SCTP',
  });
  throws(() => resolve({ publish: ["80/sctp"] }, { mode: "bridge" }), {
    message: 'publish port 80/sctp: network "bridge" passes on TCP and UDP, not SCTP',
    hint: "root's bridges pass it on, by rules of the kernel",
  });
  equal(resolve({ publish: ["8080:80/sctp"] }, { mode: "bridge" }, undefined, false).ports, [
    ":8080:80+1/sctp",
  ]);
  throws(() => resolve({ publish: ["[::1]:8080:80/sctp"] }, { mode: "bridge" }, undefined, false), {
    message: "publish port [::1]:8080/sctp: the rules that pass SCTP on are not for the loopback",
  });
  throws(() => resolve({ publish: ["[::1]:8080:80"] }, { mode: "slirp4netns" }), {
    message: "publish port [::1]:8080/tcp: slirp4netns forwards from IPv4 addresses only",
  });
  equal(resolve({ publish: ["[::1]:8080:80"] }, { mode: "pasta" }).ports, ["::1:8080:80+1/tcp"]);
});
