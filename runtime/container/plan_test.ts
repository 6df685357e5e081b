import { deepStrictEqual as assertEquals } from "node:assert";
import type { ContainerConfig } from "./config.ts";
import { parseTmpfs, parseVolume } from "./mount_options.ts";
import { planContainer, type PlanFacts } from "./plan.ts";
import type { NetworkAttachment } from "../network/plan.ts";
import { generateFiles } from "./generated_files.ts";

const config = (change: Partial<ContainerConfig> = {}): ContainerConfig => ({
  version: 1,
  id: "ab".repeat(32),
  name: "brave_hopper",
  createdAt: "2026-01-01T00:00:00Z",
  root: { kind: "image", id: "cd".repeat(32), digest: "sha256:x", diffIds: [] },
  imageName: "docker.io/library/x:latest",
  entrypoint: ["/entry"],
  cmd: ["serve"],
  env: ["PATH=/bin"],
  workdir: "/srv",
  user: "www",
  groupAdd: [],
  hostname: "h",
  tty: false,
  interactive: false,
  init: false,
  readOnly: false,
  labels: {},
  stopSignal: 15,
  stopTimeout: 10,
  privileged: false,
  capAdd: [],
  capDrop: [],
  security: { seccomp: { kind: "default" }, noNewPrivileges: false, mask: [], unmask: [] },
  securityOpt: [],
  rlimits: [],
  shmBytes: 1024,
  network: { mode: "none" },
  userns: "host",
  storageDriver: "overlay",
  mounts: [],
  log: { driver: "k8s-file", path: "/c/ctr.log", maxSize: 0 },
  autoRemove: false,
  ...change,
});

const facts = (change: Partial<PlanFacts> = {}): PlanFacts => ({
  containerDir: "/c",
  eventsPath: "/e/log",
  trashPath: "/t/rm-c",
  runtimeDir: "/r",
  socketPath: "/r/c/ab",
  rootfs: { kind: "directory", source: "/root", target: "/c/merged" },
  isSingleId: false,
  mapsTtyGroup: true,
  mayMountSysfs: true,
  isNested: false,
  canMakeDevices: false,
  generated: [{ source: "/c/hosts", destination: "/etc/hosts" }],
  volumePath: (name) => `/v/${name}/_data`,
  lastCapability: 40,
  freshVolumes: new Set(),
  devices: [],
  startOnAttach: false,
  ...change,
});

const mountsOf = (c: Partial<ContainerConfig>, f: Partial<PlanFacts> = {}) =>
  planContainer(config(c), facts(f)).init.spec.mounts;
const find = (mounts: ReturnType<typeof mountsOf>, path: string) =>
  mounts.find((m) => m.destination === path);

Deno.test("a container has podman's default mounts, parents first", () => {
  assertEquals(mountsOf({}).map((m) => [m.destination, m.type]), [
    ["/proc", "proc"],
    ["/dev", "tmpfs"],
    ["/sys", "sysfs"],
    ["/dev/pts", "devpts"],
    ["/dev/shm", "tmpfs"],
    ["/dev/mqueue", "mqueue"],
    ["/etc/hosts", "bind"],
    ["/sys/fs/cgroup", "cgroup"],
  ]);
});

Deno.test("terminals belong to group 5 where it is mapped", () => {
  assertEquals(find(mountsOf({}), "/dev/pts")!.options.includes("gid=5"), true);
  assertEquals(find(mountsOf({}, { mapsTtyGroup: false }), "/dev/pts")!.options.includes("gid=5"), false);
});

Deno.test("/sys and its cgroups are read-only, unless privileged", () => {
  assertEquals(find(mountsOf({}), "/sys")!.options, ["nosuid", "noexec", "nodev", "ro"]);
  assertEquals(find(mountsOf({}), "/sys/fs/cgroup")!.options.includes("ro"), true);
  assertEquals(find(mountsOf({ privileged: true }), "/sys")!.options.includes("ro"), false);
});

Deno.test("sysfs is bound where it cannot be mounted", () => {
  assertEquals(find(mountsOf({ network: { mode: "host" } }, { mayMountSysfs: false }), "/sys"), {
    destination: "/sys",
    type: "bind",
    source: "/sys",
    options: ["rbind", "rprivate", "nosuid", "noexec", "nodev", "ro"],
  });
});

Deno.test("a volume replaces the default mount of its target and what lies below", () => {
  const mounts = mountsOf({ mounts: [parseVolume("/dev:/dev", "/")] });
  const own = ["/proc", "/sys", "/dev", "/etc/hosts", "/sys/fs/cgroup"];
  assertEquals(mounts.map((m) => m.destination), own);
});

Deno.test("generated files appear in a folder of the user's on /etc, where they can", () => {
  const hosts = (...volumes: string[]) =>
    mountsOf({ mounts: volumes.map((text) => parseVolume(text, "/")) })
      .filter(({ destination }) => destination === "/etc/hosts");
  const [generated] = hosts();
  assertEquals(hosts("/e:/etc"), [{ ...generated!, options: [...generated!.options, "nofail"] }]);
  assertEquals(hosts("/mine:/etc/hosts").map(({ source }) => source), ["/mine"]);
});

Deno.test("binds and volumes are private, volumes nosuid and nodev, with what the user says on top", () => {
  const mounts = mountsOf({
    mounts: [
      parseVolume("data:/d:ro", "/"),
      parseVolume("/s:/s:rslave,suid,bind", "/"),
      parseVolume("/b:/b", "/"),
      parseTmpfs("/t:size=1m"),
    ],
  });
  assertEquals(find(mounts, "/d"), {
    destination: "/d",
    type: "bind",
    source: "/v/data/_data",
    options: ["rbind", "rprivate", "nosuid", "nodev", "ro"],
  });
  assertEquals(find(mounts, "/s")!.options, ["rslave", "suid", "bind"]);
  assertEquals(find(mounts, "/b")!.options, ["rbind", "rprivate"]);
  assertEquals(find(mounts, "/t")!.options, ["size=1m", "nosuid", "nodev", "tmpcopyup"]);
});

Deno.test("as real root a bind serves no device nodes, which the container could make", () => {
  const mounts = mountsOf({ mounts: [parseVolume("/b:/b", "/")] }, { canMakeDevices: true });
  assertEquals(find(mounts, "/b")!.options, ["rbind", "rprivate", "nodev"]);
});

Deno.test("in a nested user namespace every tmpfs is root's", () => {
  const mounts = mountsOf({ mounts: [parseTmpfs("/t:uid=7")] }, { isNested: true });
  assertEquals(find(mounts, "/dev")!.options.slice(-2), ["uid=0", "gid=0"]);
  assertEquals(find(mounts, "/t")!.options, ["uid=7", "nosuid", "nodev", "tmpcopyup", "gid=0"]);
  assertEquals(find(mounts, "/proc")!.options.includes("uid=0"), false);
});

Deno.test("a read-only root leaves scratch folders writable", () => {
  const plan = planContainer(config({ readOnly: true }), facts());
  assertEquals(plan.init.spec.root.readonly, true);
  const scratch = plan.init.spec.mounts.filter((m) => m.type === "tmpfs").map((m) => m.destination);
  assertEquals(scratch, ["/dev", "/run", "/tmp", "/dev/shm", "/var/tmp"]);
});

Deno.test("nothing is inheritable or ambient, and the default set is docker's", () => {
  const { capabilities } = planContainer(config(), facts()).init.spec.process;
  assertEquals([capabilities!.inheritable, capabilities!.ambient], [[], []]);
  assertEquals(capabilities!.bounding.length, 14);
});

Deno.test("a kernel's own highest capability bounds a privileged container", () => {
  const { capabilities } =
    planContainer(config({ privileged: true }), facts({ lastCapability: 37 })).init.spec
      .process;
  assertEquals(capabilities!.bounding.at(-1), "CAP_AUDIT_READ");
});

Deno.test("a privileged container is unmasked and gets the host's devices", () => {
  const devices = [{ source: "/dev/fuse", destination: "/dev/fuse" }];
  const { init } = planContainer(config({ privileged: true }), facts({ devices }));
  assertEquals(init.spec.linux.maskedPaths, []);
  assertEquals(init.annex.devices, devices);
});

Deno.test("a user-mode network is an interface of init's and a stack of the monitor's", () => {
  const plan = planContainer(config({ network: { mode: "slirp", options: { mtu: 1500 } } }), facts());
  assertEquals(plan.init.annex.tun?.mtu, 1500);
  assertEquals(plan.network?.kind, "user-mode");
  assertEquals(plan.init.spec.linux.namespaces.at(-1), { type: "network" });
  const none = planContainer(config(), facts());
  assertEquals([none.init.annex.tun, none.network], [undefined, undefined]);
});

Deno.test("without a network the loopback comes up, with another's none of ours is made", () => {
  const none = planContainer(config(), facts()).init;
  assertEquals(none.annex.loopbackUp, true);
  assertEquals(none.spec.linux.namespaces.map(({ type }) => type), [
    "mount",
    "pid",
    "ipc",
    "uts",
    "cgroup",
    "network",
  ]);
  const host = planContainer(config({ network: { mode: "host" } }), facts()).init;
  assertEquals(host.spec.linux.namespaces.some(({ type }) => type === "network"), false);
  const joined = planContainer(
    config({ network: { mode: "container", id: "ef" } }),
    facts({ networkPath: "/proc/7/ns/net" }),
  ).init;
  assertEquals(joined.annex.join, [{ type: "network", path: "/proc/7/ns/net" }]);
  assertEquals(joined.annex.loopbackUp, false);
});

Deno.test("namespaces of others are joined, of the machine's nothing is changed", () => {
  const namespaces = {
    pid: { mode: "host" },
    ipc: { mode: "container", id: "ef" },
    uts: { mode: "host" },
  } as const;
  const join = [{ type: "ipc" as const, path: "/proc/7/ns/ipc" }];
  const { spec, annex } = planContainer(config({ namespaces }), facts({ join, sharedMemoryOf: 7 })).init;
  assertEquals(spec.linux.namespaces, [
    { type: "mount" },
    { type: "cgroup" },
    { type: "ipc", path: "/proc/7/ns/ipc" },
    { type: "network" },
  ]);
  assertEquals([spec.hostname, annex.join, annex.sharedMemoryOf], [undefined, join, 7]);
  const destinations = (mode: "none" | "host") =>
    planContainer(config({ namespaces: { ipc: { mode } } }), facts()).init.spec.mounts
      .filter(({ destination }) => destination === "/dev/shm").map(({ type }) => type);
  assertEquals([destinations("none"), destinations("host")], [[], ["bind"]]);
});

Deno.test("the caller's file limit is kept unless one is asked for", () => {
  const callerNofile = { soft: 1024, hard: 4096 };
  const limits = (c: Partial<ContainerConfig>) =>
    planContainer(config(c), facts({ callerNofile })).init.spec.process.rlimits;
  assertEquals(limits({}), [{ type: "RLIMIT_NOFILE", soft: 1024, hard: 4096 }]);
  const asked = { type: "RLIMIT_NOFILE", soft: 5, hard: 6 };
  assertEquals(limits({ rlimits: [asked] }), [asked]);
});

Deno.test("only a fresh volume gets the image's content, with nocopy its folder's owner alone", () => {
  const mounts = [parseVolume("a:/a", "/"), parseVolume("b:/b", "/"), parseVolume("c:/c:nocopy", "/")];
  const plan = planContainer(config({ mounts }), facts({ freshVolumes: new Set(["a", "c"]) }));
  assertEquals(plan.init.annex.copyUp, [
    { source: "/v/a/_data", destination: "/a" },
    { source: "/v/c/_data", destination: "/c", ownerOnly: true },
  ]);
});

Deno.test("anonymous volumes go with the container", () => {
  const mount = { ...parseVolume("/d", "/"), name: "0f" } as ContainerConfig["mounts"][number];
  assertEquals(planContainer(config({ mounts: [mount, parseVolume("n:/n", "/")] }), facts()).removeWith, [
    "/v/0f",
  ]);
});

Deno.test("stdin ends with the first client of a foreground run only", () => {
  const stdio = (c: Partial<ContainerConfig>, startOnAttach: boolean) =>
    planContainer(config(c), facts({ startOnAttach })).stdio;
  assertEquals(stdio({ interactive: true }, true).stdinOnce, true);
  assertEquals(stdio({ interactive: true }, false).stdinOnce, false);
  assertEquals(stdio({}, true).stdinOnce, false);
});

Deno.test("generated files name the container, and follow the network", () => {
  const host = { hosts: "1.2.3.4 x\n", resolvConf: "nameserver 1.1.1.1\n" };
  const text = (c: Partial<ContainerConfig>, path: string) =>
    generateFiles(config(c), host, true).find((file) => file.destination === path)?.content;
  assertEquals(text({}, "/etc/hosts")!.split("\n")[2], "127.0.0.1\th brave_hopper");
  assertEquals(text({}, "/etc/resolv.conf"), "");
  assertEquals(text({}, "/run/.containerenv"), "");
  assertEquals(text({ network: { mode: "host" } }, "/etc/hosts"), host.hosts);
  assertEquals(text({ network: { mode: "host" } }, "/etc/resolv.conf"), host.resolvConf);
  assertEquals(text({ network: { mode: "container", id: "x" } }, "/etc/hosts"), undefined);
});

Deno.test("a container with a network is told its address, where this machine is, and whom to ask for names", () => {
  const host = { hosts: "", resolvConf: "search corp\nnameserver 127.0.0.53\n", gateway: "192.0.2.1" };
  const text = (c: Partial<ContainerConfig>, path: string) =>
    generateFiles(config(c), host, true).find((file) => file.destination === path)?.content;
  const network = { mode: "slirp" } as const;
  assertEquals(text({ network }, "/etc/hosts")!.split("\n").slice(2), [
    "10.0.2.100\th brave_hopper",
    "192.0.2.1\thost.containers.internal host.docker.internal",
    "",
  ]);
  assertEquals(text({ network }, "/etc/resolv.conf"), "search corp\nnameserver 10.0.2.3\n");
  const moved = { mode: "slirp", options: { cidr: "10.9.8.128/25" } } as const;
  assertEquals(text({ network: moved }, "/etc/resolv.conf"), "search corp\nnameserver 10.9.8.131\n");
  const resolver = { servers: ["9.9.9.9"], search: [], options: ["ndots:2"] };
  assertEquals(text({ network, resolver }, "/etc/resolv.conf"), "nameserver 9.9.9.9\noptions ndots:2\n");
  const hosts = { added: [{ names: ["g"], address: "host-gateway" }] };
  assertEquals(text({ network, hosts }, "/etc/hosts")!.split("\n")[0], "192.0.2.1\tg");
});

Deno.test("a plan reaches the monitor through JSON as it is", () => {
  const plan = planContainer(
    config({ rlimits: [{ type: "RLIMIT_CORE", soft: -1, hard: -1 }], network: { mode: "host" }, user: "ü" }),
    facts({
      callerNofile: { soft: 1024, hard: -1 },
      nestedUserns: { uid: [{ containerID: 0, hostID: 1, size: 65536 }], gid: [] },
      freshVolumes: new Set(["data"]),
    }),
  );
  const isPlain = (value: unknown): boolean =>
    value === undefined || value === null || ["string", "boolean"].includes(typeof value) ||
    (typeof value === "number" && Number.isFinite(value)) ||
    (typeof value === "object" &&
      [Object.prototype, Array.prototype].includes(Object.getPrototypeOf(value)) &&
      Object.values(value).every(isPlain));
  assertEquals(isPlain(plan), true);
});

Deno.test("on networks a container is told all its addresses, and asks their gateways for names", () => {
  const onNetwork = (gateway: string, addresses: string[], dns: boolean): NetworkAttachment => ({
    network: {
      id: gateway,
      name: gateway,
      driver: "bridge",
      interface: "skiff1",
      subnets: [{ subnet: `${gateway}/24`, gateway }],
      internal: false,
      mtu: 0,
      dns,
      nameservers: [],
      routes: [],
      isolate: "",
      vlan: 0,
      noDefaultRoute: false,
    },
    interface: "eth0",
    addresses: addresses.map((address) => ({ address, prefix: 24 })),
    mac: "",
    gateways: [],
    aliases: [],
  });
  const attachments = [
    onNetwork("10.1.0.1", ["10.1.0.5"], false),
    onNetwork("10.2.0.1", ["10.2.0.5", "fd00::5"], true),
  ];
  const host = { hosts: "", resolvConf: "search corp\nnameserver 127.0.0.53\n", gateway: "192.0.2.1" };
  const text = (c: Partial<ContainerConfig>, path: string, places: readonly NetworkAttachment[]) =>
    generateFiles(config({ network: { mode: "bridge", networks: [] }, ...c }), {
      ...host,
      attachments: places,
    }, true)
      .find((file) => file.destination === path)?.content;
  assertEquals(text({}, "/etc/hosts", attachments)!.split("\n").slice(2), [
    "10.1.0.5\th brave_hopper",
    "10.2.0.5\th brave_hopper",
    "fd00::5\th brave_hopper",
    "192.0.2.1\thost.containers.internal host.docker.internal",
    "",
  ]);
  // the one that knows names comes first, and its domain before those of the machine
  assertEquals(
    text({}, "/etc/resolv.conf", attachments),
    "search dns.podman corp\nnameserver 10.2.0.1\nnameserver 10.1.0.1\n",
  );
  const resolver = { servers: ["9.9.9.9"] };
  assertEquals(
    text({ resolver }, "/etc/resolv.conf", attachments),
    "search dns.podman corp\nnameserver 10.2.0.1\nnameserver 10.1.0.1\n",
  );
  assertEquals(
    text({ resolver }, "/etc/resolv.conf", attachments.slice(0, 1)),
    "search corp\nnameserver 9.9.9.9\n",
  );
  assertEquals(
    text({ resolver: { search: ["a.b"] } }, "/etc/resolv.conf", attachments.slice(1)),
    "search a.b\nnameserver 10.2.0.1\n",
  );
});
