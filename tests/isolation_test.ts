/** What a container looks like from inside, beside podman's where that is installed. */
import {
  assert,
  assertEquals,
  assertIncludes,
  assertMatch,
  driverTest,
  type Host,
  hostTest,
  type Need,
} from "./harness.ts";

const NEEDS: Need[] = ["registry", "busybox"];

async function pulled(host: Host): Promise<string> {
  const image = await host.image();
  await host.ok("pull", "-q", image);
  return image;
}

/** What podman's container prints. Its runtime folder is the test's own, and so is the process that it leaves. */
async function podmanRun(host: Host, words: string[]): Promise<string> {
  const runtime = `${host.folder}/run`;
  await Deno.mkdir(runtime, { recursive: true, mode: 0o700 });
  await host.own(runtime);
  const podman = async (...command: string[]) => {
    const [program, ...args] = [...await hideUnifiedCgroup(), ...host.prefix, "podman", ...command];
    const env = { ...host.env, XDG_RUNTIME_DIR: runtime };
    const output = await new Deno.Command(program!, { args, env, clearEnv: true, cwd: host.home }).output();
    const [stdout, stderr] = [output.stdout, output.stderr].map((bytes) => new TextDecoder().decode(bytes));
    if (!output.success) throw new Error(`podman ${command.join(" ")}: ${stderr}`);
    return stdout!;
  };
  try {
    return await podman("run", "--rm", "--tls-verify=false", "--network", "none", ...words);
  } finally {
    await podman("system", "migrate");
  }
}

/** Where cgroup v1 and v2 are mounted side by side, crun starts nothing as long as it sees the latter. */
async function hideUnifiedCgroup(): Promise<string[]> {
  const unified = "/sys/fs/cgroup/unified";
  if (Deno.uid() !== 0 || !await Deno.stat(unified).then(() => true, () => false)) return [];
  return ["/usr/bin/unshare", "-m", "/bin/sh", "-c", `umount -l ${unified} && exec "$@"`, "sh"];
}

interface Mount {
  flags: string[];
  type: string;
  data: string[];
}

/** By mount point. @see proc_pid_mountinfo(5) */
function readMounts(mountinfo: string): Map<string, Mount> {
  return new Map(
    mountinfo.trim().split("\n").map((line) => {
      const [own, rest] = line.split(" - ").map((half) => half.split(" "));
      return [own![4]!, { flags: own![5]!.split(","), type: rest![0]!, data: rest![2]!.split(",") }];
    }),
  );
}

/** Flags that take something away. */
const RESTRICTIONS = ["ro", "nosuid", "nodev", "noexec"];

hostTest("each of podman's mounts is there, of the same kind and at least as restricted", {
  needs: [...NEEDS, "podman"],
  timeoutMs: 180_000,
}, async (host) => {
  const image = await pulled(host);
  const show = ["cat", "/proc/self/mountinfo"];
  for (const options of [[], ["--read-only"], ["-v", "/usr:/v:ro", "--tmpfs", "/t"]]) {
    const ours = readMounts((await host.run("--rm", ...options, image, ...show)).stdout);
    for (const [path, theirs] of readMounts(await podmanRun(host, [...options, image, ...show]))) {
      // The rest depends on the storage driver and on how the host's cgroup tree is shown.
      if (path.startsWith("/sys/fs/cgroup/")) continue;
      const own = ours.get(path);
      assert(own, `podman mounts ${path} as ${theirs.type}`);
      if (path !== "/" && path !== "/sys/fs/cgroup") assertEquals([path, own.type], [path, theirs.type]);
      const missing = theirs.flags.filter((flag) => RESTRICTIONS.includes(flag) && !own.flags.includes(flag));
      assertEquals([path, missing], [path, []]);
    }
  }
});

hostTest(
  "/dev holds what podman's holds, with the same modes",
  { needs: [...NEEDS, "podman"] },
  async (host) => {
    const image = await pulled(host);
    const show = ["sh", "-c", "stat -c '%A %t:%T %N' /dev/* /dev/pts/*"];
    assertEquals((await host.run("--rm", image, ...show)).stdout, await podmanRun(host, [image, ...show]));
  },
);

hostTest("every kind of namespace is the container's own", { needs: [...NEEDS, "uidmap"] }, async (host) => {
  const image = await pulled(host);
  const kinds = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];
  const show = ["sh", "-c", kinds.map((kind) => `readlink /proc/self/ns/${kind}`).join("; ")];
  const links = async (...options: string[]) =>
    (await host.run("--rm", ...options, image, ...show)).stdout.trim().split("\n");
  const outside = kinds.map((kind) => Deno.readLinkSync(`/proc/self/ns/${kind}`));
  const shared = (found: string[], other: string[]) =>
    kinds.filter((_, index) => found[index] === other[index]);

  const id = await host.ok("run", "-d", "--network", "none", image, "sleep", "600");
  const one = (await host.ok("exec", id, ...show)).split("\n");
  assertEquals(shared(one, outside), []);
  assertEquals(shared(await links(), one), ["user"]);
  assertEquals(shared(await links("--network", "host"), outside), ["net"]);
  assertEquals(shared(await links("--network", `container:${id}`), one), ["net", "user"]);
  for (const userns of ["keep-id", "nomap"]) {
    assertEquals(shared(await links("--userns", userns), [...outside, ...one]), []);
    const joined = ["--network", `container:${id}`, "--userns", userns];
    assertEquals(shared(await links(...joined), one), ["net"]);
    const joining = await host.ok("run", "-d", ...joined, image, "sleep", "600");
    assertEquals(shared((await host.ok("exec", joining, ...show)).split("\n"), one), ["net"]);
    const nested = await host.ok("run", "-d", "--network", "none", "--userns", userns, image, "sleep", "600");
    const [first, second] = [await host.ok("exec", nested, ...show), await host.ok("exec", nested, ...show)];
    assertEquals([shared(first.split("\n"), one), first], [[], second]);
  }
});

hostTest("keep-id and nomap map the ids that they say", { needs: [...NEEDS, "uidmap"] }, async (host) => {
  const image = await pulled(host);
  const { uid, gid } = host.ids;
  await Deno.mkdir(`${host.home}/shared`);
  await host.own(`${host.home}/shared`);
  const script = "id -u; id -g; touch /shared/$0 2>/dev/null; stat -c %u:%g /shared /etc/passwd";
  const show = async (userns: string) =>
    (await host.run(
      "--rm",
      "--userns",
      userns,
      "-v",
      `${host.home}/shared:/shared`,
      image,
      "sh",
      "-c",
      script,
      userns,
    ))
      .stdout.trim().split("\n");
  assertEquals(await show("host"), ["0", "0", "0:0", "0:0"]);
  assertEquals(await show("keep-id"), [String(uid), String(gid), `${uid}:${gid}`, "0:0"]);
  assertEquals(await show("nomap"), ["0", "0", "65534:65534", "0:0"]);
  const made = [...Deno.readDirSync(`${host.home}/shared`)].map(({ name }) => name).sort();
  assertEquals(made, ["host", "keep-id"]);
  for (const name of made) assertEquals(Deno.statSync(`${host.home}/shared/${name}`).uid, uid);
  const id = await host.ok("run", "-d", "--network", "none", "--userns", "keep-id", image, "sleep", "600");
  assertEquals(await host.ok("exec", id, "id", "-u"), String(uid));
  assertEquals(await host.ok("exec", "-u", "0", id, "id", "-u"), "0");
});

driverTest(
  "a read-only root takes nothing but what podman leaves writable",
  { needs: NEEDS },
  async (host) => {
    const image = await pulled(host);
    const script =
      `for at in / /etc /bin /usr /var /root /proc/sys/kernel /sys /sys/fs/cgroup /home/alice /dev /dev/shm /run /tmp /var/tmp; do
    : 2>/dev/null > $at/new && echo $at; done; true`.replace(
        ": 2>/dev/null > $at/new",
        "(: > $at/new) 2>/dev/null",
      );
    const { stdout } = await host.run("--rm", "--read-only", image, "sh", "-c", script);
    assertEquals(stdout.trim().split("\n"), ["/dev", "/dev/shm", "/run", "/tmp", "/var/tmp"]);
    const control = await host.run("--rm", image, "sh", "-c", script);
    assertIncludes(control.stdout, "/etc\n");
  },
);

hostTest("sizes and limits are the ones asked for", { needs: NEEDS }, async (host) => {
  const image = await pulled(host);
  const script =
    `df -k /dev/shm /t | awk 'NR > 1 { print $2 }'; stat -c %a:%u /t; ulimit -Sc; ulimit -Hc; ulimit -Su; hostname`;
  const { stdout, stderr } = await host.run(
    ...["--rm", "--shm-size", "1m", "--tmpfs", "/t:size=2m,mode=700", "--ulimit", "core=1024:2048"],
    ...["--ulimit", "nproc=1000", "--hostname", "box", image, "sh", "-c", script],
  );
  assertEquals(stdout.split("\n"), ["1024", "2048", "700:0", "2", "4", "1000", "box", ""], stderr);
});

hostTest("a privileged container gets capabilities and devices, in its own user namespace", {
  needs: [...NEEDS, "uidmap"],
}, async (host) => {
  const image = await pulled(host);
  const script =
    `grep -E "^(CapEff|CapInh|CapAmb|Seccomp):" /proc/self/status; [ -c /dev/fuse ] && echo fuse; ls /dev | wc -l
    mount -t tmpfs none /tmp && echo mounted; (: > /proc/sys/kernel/core_pattern) 2>/dev/null && echo written
    head -c1 /dev/mem 2>/dev/null | wc -c; mknod /tmp/node c 1 1 2>/dev/null && echo made; true`;
  const lines = (await host.run("--rm", "--privileged", image, "sh", "-c", script)).stdout.trim().split("\n");
  const last = Number(Deno.readTextFileSync("/proc/sys/kernel/cap_last_cap"));
  const all = (2n ** BigInt(last + 1) - 1n).toString(16).padStart(16, "0");
  assertEquals(lines.slice(0, 4), [
    "CapInh:\t0000000000000000",
    `CapEff:\t${all}`,
    "CapAmb:\t0000000000000000",
    "Seccomp:\t0",
  ]);
  // Rootless, it is no more on the host than its user.
  assert(lines.includes("mounted") && !lines.includes("written") && !lines.includes("made"), lines.join());
  assertEquals(lines.at(-1), "0");
});

hostTest("a folder of the user's at /dev is left as it is", { needs: NEEDS }, async (host) => {
  const image = await pulled(host);
  await Deno.mkdir(`${host.home}/devices`);
  await Deno.writeTextFile(`${host.home}/devices/note`, "");
  await host.own(`${host.home}/devices`);
  const { stdout } = await host.run("--rm", "-v", `${host.home}/devices:/dev`, image, "ls", "/dev");
  assertEquals([stdout, [...Deno.readDirSync(`${host.home}/devices`)].length], ["note\n", 1]);
});

hostTest("no score, niceness or scheduler of its own", { needs: NEEDS }, async (host) => {
  const image = await pulled(host);
  const script = "cat /proc/self/oom_score_adj; cut -d' ' -f18,19,41 /proc/self/stat";
  const inside = await host.run("--rm", image, "sh", "-c", script);
  assertEquals(inside.stdout, (await host.sh(script)).stdout);
});

hostTest(
  "an oom score of its own, also of what is entered later; AppArmor",
  { needs: NEEDS },
  async (host) => {
    const image = await pulled(host);
    const score = ["cat", "/proc/self/oom_score_adj"];
    for (
      const options of [[], ["--userns", "keep-id"], ["--init"], ["--restart", "no", "--network", "none"]]
    ) {
      const { stdout, stderr } = await host.run(
        "--rm",
        "--oom-score-adj",
        "501",
        ...options,
        image,
        ...score,
      );
      assertEquals([stdout, stderr.includes("Error")], ["501\n", false], stderr);
    }
    const own = (await host.sh(score.join(" "))).stdout.trim();
    await host.ok(
      "run",
      "-d",
      "--name",
      "box",
      "--network",
      "none",
      "--oom-score-adj",
      "77",
      image,
      "sleep",
      "600",
    );
    assertEquals(await host.ok("exec", "box", ...score), "77");
    assertEquals(await host.ok("inspect", "--format", "{{.HostConfig.OomScoreAdj}}", "box"), "77");
    const refused = async (...options: string[]) => {
      const { code, stderr } = await host.run("--rm", ...options, image, "true");
      return [code, stderr];
    };
    assertEquals(await refused("--oom-score-adj", "2000"), [
      125,
      "Error: set oom score 2000: it must be between -1000 and 1000\n",
    ]);
    const lower = Number(own) - 1;
    assertEquals(await refused("--oom-score-adj", `${lower}`), [
      125,
      `Error: set oom score ${lower}: without root it cannot be below the caller's\n`,
    ]);
    const [code, stderr] = await refused("--security-opt", "apparmor=foo");
    assertEquals(code, 125);
    assertMatch(stderr as string, /^Error: apparmor profile "foo" specified, /);
  },
);
