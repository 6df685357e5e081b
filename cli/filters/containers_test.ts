import { deepStrictEqual as assertEquals, throws } from "node:assert";
import type { ContainerListEntry } from "../../runtime/engine/ps.ts";
import { filterContainers, filtersByState, isNamed } from "./containers.ts";

function container(name: string, changes: Partial<ContainerListEntry> = {}): ContainerListEntry {
  return {
    Id: name.repeat(64).slice(0, 64),
    Names: [name],
    Image: "docker.io/library/debian:12",
    ImageID: "ab".repeat(32),
    Command: ["sleep", "1"],
    Created: 1000,
    CreatedAt: "2026-11-20T10:00:00Z",
    State: "running",
    Status: "",
    Pid: 1,
    Health: "",
    RestartPolicy: "no",
    ExitCode: 0,
    Exited: false,
    StartedAt: 0,
    ExitedAt: 0,
    AutoRemove: false,
    Labels: {},
    Mounts: [],
    Networks: [],
    Ports: null,
    ExposedPorts: null,
    Pod: "",
    PodName: "",
    IsInfra: false,
    Size: null,
    ...changes,
  };
}

const FLEET = [
  container("a", {
    Labels: { sail: "red", mast: "" },
    Mounts: ["/data"],
    Ports: [{ host_ip: "", host_port: 8000, container_port: 80, range: 3, protocol: "tcp" }],
    ExposedPorts: { "53": ["udp"] },
  }),
  container("b", {
    State: "exited",
    Exited: true,
    ExitCode: 3,
    CreatedAt: "2026-11-20T09:59:00Z",
    Labels: { sail: "blue" },
  }),
  container("c", {
    State: "created",
    CreatedAt: "2026-11-20T10:00:00.000000001Z",
    Image: "localhost/bb:latest",
    Command: ["sh"],
  }),
];

const mountsOf = (id: string) =>
  FLEET.find(({ Id }) => Id === id)!.Names[0] === "a"
    ? [{ source: "sails", destination: "/data" }]
    : [{ source: "/srv/cargo", destination: "/cargo" }];

const CASES: [filters: string[], names: string][] = [
  [["id=aaa"], "a"],
  [["name=^[ab]$"], "a b"],
  [["label=sail"], "a b"],
  [["label=sail=red"], "a"],
  [["label=mast="], "a"],
  [["label!=sail"], "c"],
  [["label=sail", "label=mast"], "a"],
  [["status=exited"], "b"],
  [["status=exited", "status=created"], "b c"],
  [["status=stopped"], "b"],
  [["exited=3"], "b"],
  [["exited=0"], ""],
  [["ancestor=debian"], "a b"],
  [["ancestor=docker.io/library/debian:12"], "a b"],
  [["ancestor=bb:latest"], "c"],
  [["ancestor=abab"], "a b c"],
  [["publish=8002"], "a"],
  [["publish=80"], ""],
  [["publish=8002-9000/tcp"], "a"],
  [["publish=8002/udp"], ""],
  [["expose=82"], "a"],
  [["expose=53/udp"], "a"],
  [["expose=53"], ""],
  [["before=a"], "b"],
  [["since=a"], "c"],
  [["until=2026-11-20T09:00:00Z"], ""],
  [["until=2026-11-20T10:00:00Z"], "b"],
  [["volume=/data"], "a"],
  [["volume=sails"], "a"],
  [["volume=sails:/data"], "a"],
  [["volume=sails:/other"], ""],
  [["volume=/srv/cargo"], "b c"],
  [["command=sh"], "c"],
  [["name=a", "status=exited"], ""],
];
for (const [filters, names] of CASES) {
  Deno.test(`--filter ${filters.join(" --filter ")} keeps ${names || "nothing"}`, () => {
    assertEquals(
      filterContainers(FLEET, filters, FLEET, mountsOf).map(({ Names }) => Names[0]).join(" "),
      names,
    );
  });
}

const REFUSED: [filter: string, message: string][] = [
  ["foo=bar", "foo is an invalid filter"],
  ["foo", 'invalid filter "foo"'],
  ["status=sunk", "sunk is not a valid status"],
  ["publish=x", 'filter publish: "x" is no port, nor a range of ports'],
  ["expose=9-8", 'filter expose: "9-8" is no port, nor a range of ports'],
  ["exited=x", 'exited code "x" is not a number'],
  ["name=(", 'invalid filter "name=(": not a regular expression'],
  ["before=z", 'no container with name or ID "z" found: no such container'],
  ["name!=a", "name! is an invalid filter"],
];
for (const [filter, message] of REFUSED) {
  Deno.test(`--filter ${filter} is refused`, () =>
    throws(() => filterContainers(FLEET, [filter]), { message }));
}

Deno.test("only filters by state look at containers that do not run", () => {
  assertEquals([["status=exited"], ["exited=1"], ["name=a"]].map(filtersByState), [true, true, false]);
});

Deno.test("a short name is the end of a name, at a slash", () => {
  assertEquals(isNamed("docker.io/library/debian:12", "debian"), true);
  assertEquals(isNamed("docker.io/library/debian:12", "library/debian:12"), true);
  assertEquals(isNamed("docker.io/library/debian:12", "ian"), false);
  assertEquals(isNamed("localhost:5000/debian", "localhost:5000/debian"), true);
});
