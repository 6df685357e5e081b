/**
 * Attacks through what an image says about itself: labels, annotations, unknown fields of its config. They describe it,
 * and change nothing of the sandbox.
 *
 * The live control is podman with crun, which takes annotations of the manifest for options: it keeps the caller's
 * groups for `run.oci.keep_original_groups`.
 */

import { assert, assertEquals, driverTest, type Host, hostTest, type Need } from "./harness.ts";
import { type BuiltImage, busyboxImage, sha256 } from "./images.ts";

const NEEDS: Need[] = ["registry", "busybox", "uidmap"];

/** What some engine, runtime or hook takes, took or might take for an order. */
const HOSTILE: Record<string, string> = {
  "run.oci.keep_original_groups": "1",
  "run.oci.seccomp_fail_unknown_syscall": "0",
  "run.oci.seccomp.receiver": "/tmp/receiver",
  "run.oci.seccomp_bpf_data": "BgAAAAAA/38=",
  "run.oci.mount_context_type": "rootcontext",
  "run.oci.pidfd_receiver": "/tmp/receiver",
  "run.oci.hooks.stdout": "/tmp/hooked",
  "run.oci.systemd.force_cgroup_v1": "/sys/fs/cgroup",
  "io.podman.annotations.privileged": "TRUE",
  "io.podman.annotations.init": "TRUE",
  "io.podman.annotations.seccomp": "unconfined",
  "io.podman.annotations.label": "disable",
  "io.podman.annotations.userns": "host",
  "io.podman.annotations.volumes-from": "other",
  "io.podman.annotations.publish-all": "TRUE",
  "io.containers.trace-syscall": "of:/tmp/traced",
  "io.containers.capabilities": "SYS_ADMIN,NET_ADMIN",
  "io.containers.type": "infra",
  "io.kubernetes.cri-o.userns-mode": "host",
  "io.kubernetes.cri-o.TTY": "true",
  "io.kubernetes.cri-o.Devices": "/dev/kmsg",
  "io.kubernetes.cri-o.umask": "000",
  "org.systemd.property.DeviceAllow": '\'[("/dev/kmsg", "rwm")]\'',
  "org.criu.config": "/tmp/criu",
  "com.docker.security-opt": "seccomp=unconfined",
  "seccomp.security.alpha.kubernetes.io/pod": "unconfined",
  "container.apparmor.security.beta.kubernetes.io/main": "unconfined",
  "io.skiff.privileged": "true",
  "io.skiff.devices": "/dev/kmsg",
};

/** Fields that a container's config or a runtime's document has, where an image's have no business. */
const HOSTILE_FIELDS = {
  Privileged: true,
  privileged: true,
  CapAdd: ["ALL"],
  capAdd: ["ALL"],
  SecurityOpt: ["seccomp=unconfined"],
  security: { seccomp: { kind: "unconfined" }, unmask: ["ALL"] },
  HostConfig: { Privileged: true, PidMode: "host", Binds: ["/:/host"] },
  mounts: [{ kind: "bind", source: "/", destination: "/host", options: [] }],
  devices: [{ source: "/dev/kmsg", destination: "/dev/kmsg", permissions: "rwm" }],
  namespaces: { pid: { mode: "host" }, ipc: { mode: "host" } },
  network: { mode: "host" },
  Sysctls: { "net.ipv4.ip_default_ttl": "7" },
  sysctl: { "net.ipv4.ip_default_ttl": "7" },
  keepGroups: true,
  groupAdd: ["keep-groups"],
  umask: 0,
  hooks: { prestart: [{ path: "/bin/touch", args: ["touch", "/tmp/hooked"] }] },
};

async function hostileImage(words = HOSTILE): Promise<BuiltImage> {
  const image = await busyboxImage({ ...HOSTILE_FIELDS, Labels: words });
  const manifest = JSON.parse(image.manifest);
  manifest.annotations = words;
  manifest.config.annotations = words;
  for (const layer of manifest.layers) layer.annotations = words;
  const text = JSON.stringify(manifest);
  return { ...image, manifest: text, digest: await sha256(new TextEncoder().encode(text)) };
}

/**
 * Everything of the sandbox that a process can see, without what is another in each container. The processes are
 * listed by the shell itself: of the two ends of a pipe, one may or may not have been forked when the other looks.
 */
const LOOK = `
grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp)' /proc/self/status
cut -d' ' -f4- /proc/self/mountinfo | sed 's/[0-9a-f]\\{32,\\}/ID/g; s#fd/[0-9]*#fd/N#g' | sort
cat /proc/self/uid_map /proc/self/gid_map /proc/net/dev /proc/sys/net/ipv4/ip_default_ttl
umask; ulimit -a; stat -c '%A %u:%g %t:%T %N' /* /dev/*; echo /proc/[0-9]*
cat /proc/1/environ 2>/dev/null | tr '\\0' '\\n' | grep -v HOSTNAME | sort
for n in pid ipc uts net user mnt cgroup; do test /proc/self/ns/$n -ef /proc/1/ns/$n && echo own $n; done
true
`;

async function look(host: Host, image: string, ...options: string[]): Promise<string> {
  const { code, stdout, stderr } = await host.run("--rm", ...options, image, "sh", "-c", LOOK);
  assertEquals(code, 0, stderr);
  return stdout;
}

driverTest("labels, annotations and stray fields of an image change nothing of the sandbox", {
  needs: NEEDS,
}, async (host) => {
  const plain = await host.image();
  const hostile = await host.makeImage(await hostileImage());
  for (const image of [plain, hostile]) await host.ok("pull", "-q", image);
  const usual = await look(host, plain);
  assertEquals(await look(host, hostile), usual);
  // nor do they as the user's own annotations and labels, which are for others to read
  const words = Object.entries(HOSTILE).flatMap(([key, value]) => [
    ...["--annotation", `${key}=${value}`],
    ...["--label", `${key}=${value}`],
  ]);
  assertEquals(await look(host, plain, ...words), usual);
  for (const made of ["/tmp/hooked", "/tmp/traced"]) {
    assertEquals(await Deno.stat(made).then(() => true, () => false), false);
  }
  // control: each order has an effect that would be seen, where the user gives it
  const orders = [
    ["--cap-add", "SYS_ADMIN"],
    ["--security-opt", "seccomp=unconfined"],
    ["--security-opt", "unmask=ALL"],
    ["--device", "/dev/fuse"],
    ["--sysctl", "net.ipv4.ip_default_ttl=7"],
    ["--umask", "0"],
    ["--pid", "host"],
    ["-v", "/usr:/host"],
  ];
  for (const order of orders) assert(await look(host, plain, ...order) !== usual, order.join(" "));
});

hostTest("an image cannot keep the caller's groups, as it can with podman", {
  needs: [...NEEDS, "root", "podman", "crun"],
}, async (host) => {
  const hostile = await host.makeImage(await hostileImage({ "run.oci.keep_original_groups": "1" }));
  const plain = await host.image();
  const { uid, gid } = host.ids;
  const runtime = `${host.folder}/run`;
  await Deno.mkdir(runtime, { mode: 0o700 });
  await host.own(runtime);
  const withGroups = async (...command: string[]) => {
    // where cgroup v1 and v2 are mounted side by side, crun starts nothing as long as it sees the latter
    const hide = 'umount -l /sys/fs/cgroup/unified 2>/dev/null; exec "$@"';
    const user = [
      "/usr/bin/setpriv",
      `--reuid=${uid}`,
      `--regid=${gid}`,
      `--groups=${gid},54321`,
      "--inh-caps=-all",
    ];
    const { success, stdout, stderr } = await new Deno.Command("/usr/bin/unshare", {
      args: ["-m", "/bin/sh", "-c", hide, "sh", ...user, ...command],
      env: { ...host.env, XDG_RUNTIME_DIR: runtime },
      clearEnv: true,
      cwd: host.home,
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout).trim();
  };
  const run = ["run", "-q", "--rm", "--network", "none"];
  const skiff = (...words: string[]) => withGroups(host.binary, ...run, ...words, "id", "-G");
  const podman = (...words: string[]) =>
    withGroups("podman", ...run, "--tls-verify=false", ...words, "id", "-G");
  try {
    assertEquals([await skiff(hostile), await skiff(plain)], ["0", "0"]);
    // control: the caller has a group that could be kept, the user may keep it, and podman obeys the image
    assertEquals(await skiff("--group-add", "keep-groups", plain), "0 65534");
    assertEquals([await podman(hostile), await podman(plain)], ["0 65534", "0"]);
  } finally {
    await withGroups("podman", "system", "migrate");
  }
});
