import { deepStrictEqual as assertEquals } from "node:assert";
import type { ContainerConfig } from "../container/config.ts";
import { parseTmpfs, parseVolume } from "../container/mount_options.ts";
import type { ImageRow } from "../state/images.ts";
import { containerDocument } from "./container_document.ts";
import { imageDocument } from "./image_document.ts";

/** The keys that `podman inspect` 4.3 prints. */
const PODMAN = {
  container:
    "AppArmorProfile Args BoundingCaps Config ConmonPidFile Created Dependencies Driver EffectiveCaps ExecIDs GraphDriver HostConfig HostnamePath HostsPath Id Image ImageDigest ImageName IsInfra IsService MountLabel Mounts Name Namespace NetworkSettings OCIConfigPath OCIRuntime Path PidFile Pod ProcessLabel ResolvConfPath RestartCount Rootfs State StaticDir",
  State:
    "CheckpointedAt Dead Error ExitCode FinishedAt Health OOMKilled OciVersion Paused Pid Restarting RestoredAt Running StartedAt Status",
  Config:
    "Annotations AttachStderr AttachStdin AttachStdout Cmd CreateCommand Domainname Entrypoint Env HealthcheckOnFailureAction Hostname Image Labels OnBuild OpenStdin Passwd StdinOnce StopSignal StopTimeout Timeout Tty Umask User Volumes WorkingDir sdNotifyMode",
  HostConfig:
    "AutoRemove Binds BlkioDeviceReadBps BlkioDeviceReadIOps BlkioDeviceWriteBps BlkioDeviceWriteIOps BlkioWeight BlkioWeightDevice CapAdd CapDrop Cgroup CgroupConf CgroupManager CgroupMode CgroupParent Cgroups ConsoleSize ContainerIDFile CpuCount CpuPercent CpuPeriod CpuQuota CpuRealtimePeriod CpuRealtimeRuntime CpuShares CpusetCpus CpusetMems Devices DiskQuota Dns DnsOptions DnsSearch ExtraHosts GroupAdd IOMaximumBandwidth IOMaximumIOps IpcMode Isolation KernelMemory Links LogConfig Memory MemoryReservation MemorySwap MemorySwappiness NanoCpus NetworkMode OomKillDisable OomScoreAdj PidMode PidsLimit PortBindings Privileged PublishAllPorts ReadonlyRootfs RestartPolicy Runtime SecurityOpt ShmSize Tmpfs UTSMode Ulimits UsernsMode VolumeDriver VolumesFrom",
  NetworkSettings:
    "Bridge EndpointID Gateway GlobalIPv6Address GlobalIPv6PrefixLen HairpinMode IPAddress IPPrefixLen IPv6Gateway LinkLocalIPv6Address LinkLocalIPv6PrefixLen MacAddress Ports SandboxID SandboxKey",
  Mount: "Destination Driver Mode Name Options Propagation RW Source Type",
  image:
    "Annotations Architecture Author Comment Config Created Digest GraphDriver History Id Labels ManifestType NamesHistory Os Parent RepoDigests RepoTags RootFS Size User Version VirtualSize",
};

/** What `docker inspect` has beside them. @see Docker Engine API 1.41, ContainerInspect */
const DOCKER = {
  container: "LogPath Platform",
  HostConfig: "CgroupnsMode Init MaskedPaths ReadonlyPaths",
  NetworkSettings: "Networks",
  image: "Metadata Variant",
};

const words = (...texts: string[]) => texts.flatMap((text) => text.split(" "));

/** The keys that are asked for and not there. */
const missing = (value: object, keys: string[]) => keys.filter((key) => !(key in value));

const config: ContainerConfig = {
  version: 1,
  id: "ab".repeat(32),
  name: "brave_hopper",
  createdAt: "2026-01-01T00:00:00Z",
  root: { kind: "image", id: "cd".repeat(32), digest: "sha256:x", diffIds: [] },
  imageName: "docker.io/library/x:latest",
  entrypoint: ["/entry"],
  cmd: ["serve", "-v"],
  env: ["A=b"],
  workdir: "/srv",
  user: "www",
  groupAdd: [],
  hostname: "h",
  tty: false,
  interactive: false,
  init: false,
  readOnly: false,
  labels: { a: "b" },
  stopSignal: 3,
  stopTimeout: 10,
  privileged: false,
  capAdd: ["NET_ADMIN"],
  capDrop: ["CHOWN"],
  security: { seccomp: { kind: "default" }, noNewPrivileges: false, mask: [], unmask: [] },
  securityOpt: [],
  rlimits: [{ type: "RLIMIT_NOFILE", soft: 1, hard: 2 }],
  shmBytes: 1024,
  network: { mode: "container", id: "ef" },
  userns: "keep-id",
  storageDriver: "overlay",
  mounts: [parseVolume("/s:/b:ro", "/"), parseVolume("data:/v:rslave", "/"), parseTmpfs("/t")],
  log: { driver: "k8s-file", path: "/c/ctr.log", maxSize: 0 },
  autoRemove: false,
};

const status = {
  status: "exited" as const,
  pid: 0,
  monitorPid: 0,
  startedAt: "2026-01-01T00:00:01Z",
  finishedAt: "2026-01-01T00:00:02Z",
  exitCode: 7,
  error: "",
  oomKilled: false,
};

const document = containerDocument(config, {
  status,
  containerDir: "/c",
  volumePath: (name) => `/volumes/${name}/_data`,
  execIds: [],
  lastCapability: 40,
  driverData: {},
});

Deno.test("a container's document has every key of podman's and docker's", () => {
  assertEquals(missing(document, words(PODMAN.container, DOCKER.container)), []);
  assertEquals(missing(document.State, words(PODMAN.State)), []);
  assertEquals(missing(document.Config, words(PODMAN.Config)), []);
  assertEquals(missing(document.HostConfig, words(PODMAN.HostConfig, DOCKER.HostConfig)), []);
  assertEquals(missing(document.NetworkSettings, words(PODMAN.NetworkSettings, DOCKER.NetworkSettings)), []);
  assertEquals(missing(document.Mounts[1]!, words(PODMAN.Mount)), []);
});

Deno.test("path and arguments are the argv, the state tells the end", () => {
  assertEquals([document.Path, document.Args], ["/entry", ["serve", "-v"]]);
  assertEquals([document.State.Status, document.State.ExitCode, document.State.Running], [
    "exited",
    7,
    false,
  ]);
});

Deno.test("a time that is not set is Go's zero time", () => {
  const created = containerDocument(config, {
    status: { ...status, status: "created", startedAt: "", finishedAt: "" },
    containerDir: "/c",
    volumePath: String,
    execIds: [],
    lastCapability: 40,
    driverData: {},
  });
  assertEquals([created.State.StartedAt, created.State.FinishedAt], Array(2).fill("0001-01-01T00:00:00Z"));
});

Deno.test("mounts, binds and tmpfs are told apart", () => {
  assertEquals(document.HostConfig.Binds, ["/s:/b:ro", "data:/v:rw,rslave"]);
  assertEquals(document.HostConfig.Tmpfs, { "/t": "rw,nosuid,nodev,tmpcopyup" });
  assertEquals(document.Mounts.map((mount) => [mount.Type, mount.Source, mount.RW, mount.Propagation]), [
    ["bind", "/s", false, "rprivate"],
    ["volume", "/volumes/data/_data", true, "rslave"],
  ]);
});

Deno.test("capabilities are told as what was added to and taken from the default", () => {
  assertEquals([document.HostConfig.CapAdd, document.HostConfig.CapDrop], [["CAP_NET_ADMIN"], ["CAP_CHOWN"]]);
});

Deno.test("signals, networks and user namespaces are named as podman names them", () => {
  assertEquals(document.Config.StopSignal, "SIGQUIT");
  assertEquals(document.HostConfig.NetworkMode, "container:ef");
  assertEquals(document.HostConfig.UsernsMode, "keep-id");
});

Deno.test("an image's document has every key of podman's and docker's", () => {
  const row: ImageRow = {
    id: "cd".repeat(32),
    digest: "sha256:m",
    indexDigest: null,
    architecture: "amd64",
    os: "linux",
    created: "2026-01-01T00:00:00Z",
    recordedAt: "2026-01-02T00:00:00Z",
    size: 3,
    config: JSON.stringify({
      architecture: "amd64",
      os: "linux",
      rootfs: { type: "layers", diff_ids: ["sha256:d"] },
    }),
  };
  const image = imageDocument(row, { names: ["x:1"], repoDigests: [], manifestType: "t", annotations: {} });
  assertEquals(missing(image, words(PODMAN.image, DOCKER.image)), []);
  assertEquals([image.RootFS.Layers, image.RepoTags], [["sha256:d"], ["x:1"]]);
});
