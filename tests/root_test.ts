/** What is different where skiff runs as real root: no user namespace stands between a container and the host. */
import { assert, assertEquals, assertIncludes, type Host, hostTest, type Need, waitFor } from "./harness.ts";
import { probeVolume } from "./probes.ts";

const NEEDS: Need[] = ["root", "registry", "busybox"];
const AS_ROOT = { asRoot: true };

async function pulled(host: Host): Promise<string> {
  const image = await host.image();
  await host.ok("pull", "-q", image);
  return image;
}

hostTest("as root, the built-in image runs and hides what others cannot read", {
  ...AS_ROOT,
  needs: ["root"],
}, async (host) => {
  const { code, stdout, stderr } = await host.run("--rm", "host", "sh", "-c", "cat /etc/os-release; id -u");
  assertEquals([code, stdout], [0, `${Deno.readTextFileSync("/etc/os-release")}0\n`], stderr);
  const before = Deno.statSync("/etc/shadow");
  const hidden = await host.run(
    "--rm",
    "host",
    "sh",
    "-c",
    "cat /etc/shadow; ls -A /root /home /tmp; echo x > /etc/shadow",
  );
  assertEquals(hidden.stdout, "/home:\n\n/root:\n\n/tmp:\n");
  assertEquals(Deno.statSync("/etc/shadow").ctime, before.ctime);
});

hostTest("as root, an image runs in the host's user namespace and in its own of every other kind", {
  ...AS_ROOT,
  needs: NEEDS,
}, async (host) => {
  const image = await pulled(host);
  const namespaces = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];
  const list = namespaces.map((name) => `/proc/self/ns/${name}`).join(" ");
  const { stdout, stderr } = await host.run(
    "--rm",
    image,
    "sh",
    "-c",
    `for ns in ${list}; do readlink $ns; done`,
  );
  const shared = stdout.trim().split("\n").filter((link, index) =>
    link === Deno.readLinkSync(`/proc/self/ns/${namespaces[index]}`)
  );
  assertEquals(shared, [Deno.readLinkSync("/proc/self/ns/user")], stderr);
  assertEquals((await host.run("--rm", image, "sh", "-c", "exit 7")).code, 7);
  const chown = await host.run("--rm", image, "sh", "-c", "touch /f; chown 1234:5678 /f; stat -c %u:%g /f");
  assertEquals(chown.stdout, "1234:5678\n");
});

hostTest("as root, a device node that a container makes opens nothing", {
  ...AS_ROOT,
  needs: NEEDS,
}, async (host) => {
  const image = await pulled(host);
  // 1:1 is the machine's memory, 1:5 zero: one is dangerous, both are opened alike.
  const attack =
    "for at in / /dev/ /dev/shm/ /v/ /t/; do mknod ${at}node c 1 5 && head -c1 ${at}node | wc -c; done 2>/dev/null";
  const options = ["-v", "volume:/v", "--tmpfs", "/t"];
  const { stdout } = await host.run("--rm", ...options, image, "sh", "-c", attack);
  assertEquals(stdout, "0\n".repeat(5));
  const usual =
    "for name in null zero full random urandom; do : < /dev/$name && echo $name; done; head -c1 /dev/zero | wc -c";
  assertEquals(
    (await host.run("--rm", image, "sh", "-c", usual)).stdout,
    "null\nzero\nfull\nrandom\nurandom\n1\n",
  );
  const control = await host.run(
    "--rm",
    "--privileged",
    image,
    "sh",
    "-c",
    "mknod /node c 1 5 && head -c1 /node | wc -c",
  );
  assertEquals(control.stdout, "1\n");
});

hostTest("as root, kernel files are masked and read-only, and privileged containers are not", {
  ...AS_ROOT,
  needs: NEEDS,
}, async (host) => {
  const image = await pulled(host);
  const writes =
    `for file in /proc/sys/kernel/hostname /proc/sys/kernel/core_pattern /sys/kernel/profiling /proc/irq/default_smp_affinity; do
    (: >> $file) 2>/dev/null && echo $file; done; stat -c %t:%T /proc/keys; mkdir /sys/fs/cgroup/new 2>/dev/null && echo made; true`;
  assertEquals((await host.run("--rm", image, "sh", "-c", writes)).stdout, "1:3\n");
  const { stdout } = await host.run(
    "--rm",
    "--privileged",
    image,
    "sh",
    "-c",
    writes.replace("mkdir", "false"),
  );
  assertIncludes(stdout, "/proc/sys/kernel/core_pattern\n");
  assertIncludes(stdout, "0:0\n");
  const capabilities = await host.run("--rm", "--privileged", image, "grep", "^CapEff", "/proc/self/status");
  const own = /^CapBnd:\s*(\w+)/m.exec(Deno.readTextFileSync("/proc/self/status"))?.[1];
  assertEquals(capabilities.stdout, `CapEff:\t${own}\n`);
});

hostTest("as root, a container cannot overwrite the engine's file", {
  ...AS_ROOT,
  needs: [...NEEDS, "gcc"],
}, async (host) => {
  const image = await pulled(host);
  const volume = await probeVolume(host, "watch_probe");
  const id = await host.ok("run", "-d", "--network", "none", ...volume, image, "/probe");
  await waitFor("the probe", async () => (await host.ok("logs", id)).includes("ready"));
  for (let count = 0; count < 3; count++) {
    await host.skiff(["exec", id, "/proc/self/exe", "sleep", "1"]);
    await host.ok("exec", id, "true");
  }
  await waitFor("the probe to open both programs", async () => {
    await host.ok("exec", id, "sleep", "0.3");
    const seen = await host.ok("logs", id);
    return seen.includes("open /bin/busybox") && seen.includes("exe /memfd:skiff-exec (deleted)");
  });
  await host.ok("exec", id, "touch", "/stop");
  await host.ok("wait", id);
  const log = await host.ok("logs", id);
  const links = (kind: string) =>
    [...log.matchAll(new RegExp(`^${kind} (.*)$`, "gm"))].map(([, link]) => link!).sort();
  assertEquals(links("exe"), ["/bin/busybox", "/memfd:skiff-exec (deleted)"]);
  assertEquals(links("wrote"), ["/bin/busybox"]);
});

hostTest("as root, a container ends with its monitor and leaves no mount", {
  ...AS_ROOT,
  needs: NEEDS,
}, async (host) => {
  const image = await pulled(host);
  const id = await host.ok("run", "-d", "--network", "none", image, "sleep", "600");
  const { monitorPid, initPid } = JSON.parse(
    Deno.readTextFileSync(`${host.data}/containers/${id}/state.json`),
  );
  host.kill9(monitorPid);
  await waitFor("the end of init", () => !/^State:\s+[^ZX]/m.test(statusOf(initPid)));
  assertEquals((await host.ok("wait", id)).trim(), "137");
  assert(!Deno.readTextFileSync("/proc/self/mountinfo").includes(id));
});

function statusOf(pid: number): string {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/status`);
  } catch {
    return "";
  }
}
