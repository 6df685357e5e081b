/** Images and volumes that try to lead a mount, a file or a stream of the container's start out of it. */
import { busyboxEntries, type Entry } from "./images.ts";
import {
  assert,
  assertEquals,
  assertIncludes,
  driverTest,
  type Host,
  hostTest,
  type TestOptions,
  waitFor,
} from "./harness.ts";
import { compileProbe } from "./probes.ts";

/** Prints `MAJOR:MINOR PATH` of each masked file, `folder PATH` of an empty folder; nothing where there is none. */
const SHOW_MASKS = `for path in /proc/kcore /proc/keys /proc/timer_list /proc/interrupts /proc/sched_debug; do
  if [ -e $path ]; then stat -c "%t:%T %n" $path; fi
done
for path in /proc/acpi /sys/firmware; do [ -d $path ] && [ -z "$(ls -A $path)" ] && echo folder $path; done; true`;

const MASKED = /^(1:3 \/proc\/\w+|folder \/\S+)$/;

/** With each driver as the test user, and once as real root, whom nothing of the host would stop. */
function attackTest(name: string, options: TestOptions, fn: (host: Host) => Promise<void>): void {
  driverTest(name, options, fn);
  hostTest(`as root, ${name}`, { ...options, needs: ["root", ...(options.needs ?? [])], asRoot: true }, fn);
}

/** A folder of the host with one file, which the attacks try to reach; it must be as it was in the end. */
async function canary(host: Host): Promise<{ path: string; assertUntouched: () => void }> {
  const path = `${host.home}/canary`;
  await Deno.mkdir(`${path}/folder`, { recursive: true });
  await Deno.writeTextFile(`${path}/file`, "untouched");
  await host.own(path, `${path}/folder`, `${path}/file`);
  const describe = () =>
    [path, `${path}/folder`, `${path}/file`].map((one) => {
      const { mode, uid, gid, size, mtime, ctime } = Deno.lstatSync(one);
      const content = one.endsWith("file")
        ? Deno.readTextFileSync(one)
        : [...Deno.readDirSync(one)].map((e) => e.name);
      return { one, mode, uid, gid, size, mtime, ctime, content };
    });
  const before = describe();
  return { path, assertUntouched: () => assertEquals(describe(), before) };
}

function image(host: Host, entries: Entry[], config: Record<string, unknown> = {}): Promise<string> {
  const replaced = new Set(entries.map(({ path }) => path.replace(/\/$/, "")));
  const base = busyboxEntries().filter(({ path }) => !replaced.has(path.replace(/\/$/, "")));
  return host.makeImage({
    layers: [{ entries: [...base, ...entries] }],
    config: { Env: ["PATH=/bin"], ...config },
  });
}

/** Runs a script in a root of its own that nothing protects: the control of an attack. */
function unprotected(host: Host, script: string) {
  return host.program([
    "unshare",
    "--user",
    "--map-root-user",
    "--mount",
    "--pid",
    "--fork",
    "sh",
    "-ec",
    script,
  ]);
}

attackTest("links at /dev/console and /dev/pts lead nowhere (CVE-2025-52565)", {
  needs: ["registry", "busybox", "python3"],
}, async (host) => {
  const outside = await canary(host);
  const reference = await image(host, [
    { path: "dev/console", link: `${outside.path}/stray` },
    { path: "dev/pts", link: `${outside.path}/folder` },
    { path: "dev/ptmx", link: `${outside.path}/file` },
    { path: "dev/null", link: `${outside.path}/file` },
    { path: "dev/shm", link: "/etc" },
  ]);
  await host.ok("pull", "-q", reference);
  const session = host.pty([
    ...["run", "--rm", "-it", "--network", "none", ...host.driverArgs, reference],
    ...["sh", "-c", "stat -c '%F %t' /dev/console; tty; echo /dev/pts/* /dev/shm/*; echo end"],
  ]);
  await session.expect(
    "character special file 88\r\n/dev/pts/0\r\n/dev/pts/0 /dev/pts/ptmx /dev/shm/*\r\nend",
  );
  assertEquals(await session.wait(), 0);
  outside.assertUntouched();

  const control = await unprotected(
    host,
    `mkdir -p root/dev && ln -s ${outside.path}/stray root/dev/console && : > root/dev/console`,
  );
  assertEquals([control.code, Deno.readTextFileSync(`${outside.path}/stray`)], [0, ""]);
});

attackTest(
  "an image whose /dev, /proc or /sys is a link is refused or stays inside",
  { needs: ["registry", "busybox"] },
  linkedFolders,
);

async function linkedFolders(host: Host): Promise<void> {
  const outside = await canary(host);
  const targets = [outside.path, `../../../../../..${outside.path}`, "/etc", "/", "nowhere", "/proc/1/root"];
  let ran = 0;
  for (const name of ["dev", "proc", "sys"]) {
    for (const link of targets) {
      const reference = await image(host, [{ path: name, link }]);
      const { code, stdout } = await host.run("--rm", reference, "sh", "-c", `${SHOW_MASKS}; echo ran`);
      const lines = stdout.split("\n").filter((line) => line !== "");
      const expected = code === 0 ? [0, ["ran"]] : [125, []];
      assertEquals([code, lines.filter((line) => !MASKED.test(line))], expected, `${name} -> ${link}`);
      if (code === 0) ran++;
      outside.assertUntouched();
    }
  }
  // those with the link to /etc do
  assert(ran >= 3, `only ${ran} of these images ran at all`);
  const control = await unprotected(
    host,
    `mkdir root && ln -s ${outside.path} root/dev && mount --bind canary/folder root/dev && : > root/dev/null`,
  );
  assertEquals([control.code, [...Deno.readDirSync(`${outside.path}/folder`)].map(({ name }) => name)], [0, [
    "null",
  ]]);
}

driverTest(
  "a volume over /proc or in it is refused, so that writes there reach procfs only (CVE-2025-52881)",
  {
    needs: ["registry", "busybox"],
  },
  async (host) => {
    const outside = await canary(host);
    const link = `${outside.path}/file`;
    const reference = await image(host, [{ path: "fake/keys", link }, { path: "toproc", link: "/proc" }]);
    await host.ok("pull", "-q", reference);
    for (const path of ["/proc", "/proc/self/attr", "/proc/sys/kernel", "/x/../proc/sys"]) {
      for (const option of [["-v", `fake:${path}`], ["--tmpfs", path]]) {
        const { code, stdout, stderr } = await host.run("--rm", ...option, reference, "true");
        assertEquals([path, code, stdout], [path, 125, ""]);
        assertIncludes(stderr, "cannot be mounted because it is inside /proc");
      }
    }
    const declared = await image(host, [], { Volumes: { "/proc": {}, "/proc/self/attr": {} } });
    assertEquals((await host.run("--rm", declared, "true")).code, 125);
    // By a link of the image it can be said all the same: then a mask must be on procfs, or the start fails.
    await host.ok("run", "--rm", "--network", "none", "-v", "fake:/fake", reference, "true");
    const linked = await host.run("--rm", "-v", "fake:/toproc", reference, "cat", "/proc/keys");
    assertEquals([linked.code !== 0, linked.stdout], [true, ""]);
    outside.assertUntouched();

    // Control: who writes to /proc by its path writes where the volume leads.
    const control = await unprotected(
      host,
      `mkdir -p root/proc/self/attr; ln -s ${link} root/proc/self/attr/exec; echo redirected > root/proc/self/attr/exec`,
    );
    assertEquals([control.code, Deno.readTextFileSync(link)], [0, "redirected\n"]);
  },
);

driverTest("a host file bound to /dev/null is neither written nor given away", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const outside = await canary(host);
  const reference = await host.image();
  const bound = ["-v", `${outside.path}/file:/dev/null`];
  const driver = host.driverArgs.join(" ");
  await host.ok("run", "--rm", "--network", "none", ...bound, reference, "echo", "output");
  await host.ok(
    "run",
    "--rm",
    "--network",
    "none",
    "-u",
    "1000",
    "--init",
    ...bound,
    reference,
    "echo",
    "output",
  );
  await host.sh(
    `exec "$SKIFF" ${driver} run --rm --network none ${
      bound.join(" ")
    } ${reference} echo o </dev/null >/dev/null 2>&1`,
  );
  await host.sh(
    `exec "$SKIFF" ${driver} run --rm --network none -u 1000 ${
      bound.join(" ")
    } ${reference} echo o <&- >&- 2>&-`,
  );
  const id = await host.ok(
    "run",
    "-d",
    "--network",
    "none",
    "-u",
    "1000",
    ...bound,
    reference,
    "sleep",
    "600",
  );
  await host.sh(`exec "$SKIFF" exec ${id} echo output </dev/null >/dev/null 2>&1`);
  await host.ok("exec", "-d", id, "echo", "output");
  outside.assertUntouched();
  const control = await unprotected(
    host,
    "mkdir dev && mount -t tmpfs none dev && : > dev/null && mount --bind canary/file dev/null && echo output > dev/null",
  );
  assertEquals([control.code, Deno.readTextFileSync(`${outside.path}/file`)], [0, "output\n"]);
});

driverTest("every file that is to be masked is, however many they are", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const files = ["cpuinfo", "meminfo", "version", "uptime", "loadavg", "stat"].map((name) => `/proc/${name}`);
  const script = `cat ${files.join(" ")} | wc -c`;
  const reference = await host.image();
  const run = (...options: string[]) => host.ok("run", "--rm", ...options, reference, "sh", "-c", script);
  assertEquals(await run("--security-opt", `mask=${files.join(":")}`), "0");
  // without it they tell
  assert(Number(await run()) > 1000);
});

driverTest("masks are the null device, whatever is raced into the container's /dev (CVE-2025-31133)", {
  needs: ["registry", "busybox", "gcc"],
}, async (host) => {
  const reference = await host.image();
  const flip = await compileProbe("flip_probe", host.folder);
  const volume = ["-v", "devices:/devices"];
  const prepare =
    "cd /devices && : > null && ln -s /proc/sys/kernel/core_pattern link && exec /probe null link";
  const flipper = await host.ok(
    ...[
      "run",
      "-d",
      "--network",
      "none",
      ...volume,
      "-v",
      `${flip}:/probe:ro`,
      reference,
      "sh",
      "-c",
      prepare,
    ],
  );
  await waitFor("the flipper", async () => (await host.ok("logs", flipper)).includes("ready"));
  for (let count = 0; count < 8; count++) {
    const { code, stdout, stderr } = await host.run(
      "--rm",
      "-v",
      "devices:/dev",
      reference,
      "sh",
      "-c",
      SHOW_MASKS,
    );
    assertEquals(code, 0, stderr);
    const lines = stdout.trim().split("\n");
    assert(lines.length > 1 && lines.every((line) => MASKED.test(line)), stdout);
  }
  // Control: who covers a file with the root's own /dev/null shows what that leads to.
  const control = await unprotected(
    host,
    `mkdir -p root/dev root/proc; ln -s /proc/sys/kernel/core_pattern root/dev/null; mount -t proc proc root/proc
     mount --bind root/dev/null root/proc/keys; cat root/proc/keys`,
  );
  assertEquals(control.stdout, Deno.readTextFileSync("/proc/sys/kernel/core_pattern"));
});

attackTest("a mount does not follow a link that another container flips on a shared volume", {
  needs: ["registry", "busybox", "gcc"],
  timeoutMs: 180_000,
}, async (host) => {
  const outside = await canary(host);
  const reference = await host.image();
  const flip = await compileProbe("flip_probe", host.folder);
  await Deno.mkdir(`${host.home}/marked`);
  await Deno.writeTextFile(`${host.home}/marked/mark`, "");
  await host.own(`${host.home}/marked`, `${host.home}/marked/mark`);
  let started = 0;
  const links = ["/", outside.path, `../../../../../../../../..${outside.path}`, "/proc", "/proc/self/fd/7"];
  for (const [index, link] of links.entries()) {
    const shared = `shared${index}`;
    const prepare =
      `mkdir -p /shared/target; ln -s ${link} /shared/link; exec /probe /shared/target /shared/link`;
    const flipper = await host.ok(
      ...["run", "-d", "--network", "none", ...host.driverArgs, "-v", `${shared}:/shared`],
      ...["-v", `${flip}:/probe:ro`, reference, "sh", "-c", prepare],
    );
    await waitFor("the flipper", async () => (await host.ok("logs", flipper)).includes("ready"));
    for (let count = 0; count < 4; count++) {
      // Mounted on the name itself, and on one below it that has to be made first.
      const below = count % 2 ? "/new/deep" : "";
      const { code, stdout } = await host.run(
        ...["--rm", "-v", `${shared}:/shared`, "-v", `${host.home}/marked:/shared/target${below}`, reference],
        ...[
          "sh",
          "-c",
          `${SHOW_MASKS}; ls -d ${host.folder} /proc/sys/kernel; (: > /proc/sys/kernel/hostname); echo ran`,
        ],
      );
      const lines = stdout.split("\n").filter((line) => line !== "" && !MASKED.test(line));
      if (code === 0) started++;
      // It starts with every mask in place, or without /proc, or it does not start.
      const expected = code === 0 ? [["/proc/sys/kernel", "ran"], ["ran"]] : [[]];
      assert(expected.some((one) => one.join() === lines.join()), `${link}: ${code} ${stdout}`);
      outside.assertUntouched();
    }
    await host.ok("rm", "--force", flipper);
  }
  assert(started > 3, `only ${started} of these containers started at all`);
  const control = await unprotected(
    host,
    `mkdir -p root/shared && ln -s ${outside.path}/folder root/shared/target && mkdir -p root/shared/target/new/deep
     mount --bind marked root/shared/target && ls canary/folder`,
  );
  assertEquals([control.code, control.stdout], [0, "mark\n"]);
  assertEquals([...Deno.readDirSync(`${outside.path}/folder`)].map(({ name }) => name), ["new"]);
});

hostTest("the cgroup tree cannot be written (CVE-2023-25809)", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const reference = await host.image();
  const options = "awk '$5 ~ \"^/sys/fs/cgroup\" { print $6 }' /proc/self/mountinfo";
  const script =
    `${options}; find /sys/fs/cgroup -type d | while read d; do mkdir $d/new 2>/dev/null && echo made $d; done
    mount -o remount,bind,rw /sys/fs/cgroup 2>/dev/null && echo remounted; readlink /proc/self/ns/cgroup`;
  for (const user of [[], ["--userns", "keep-id"], ["--userns", "nomap"], ["--cap-add", "SYS_ADMIN"]]) {
    const { stdout, stderr } = await host.run("--rm", ...user, reference, "sh", "-c", script);
    const lines = stdout.trim().split("\n");
    const namespace = lines.pop()!;
    assert(lines.length > 0, stderr);
    if (user.includes("SYS_ADMIN")) continue;
    assertEquals(lines.filter((words) => !words.split(",").includes("ro")), [], user.join(" "));
    assert(namespace !== Deno.readLinkSync("/proc/self/ns/cgroup"), "the host's cgroup namespace");
  }
  // Control: shown as it is, the same tree is mounted writable.
  const control = await unprotected(
    host,
    `mkdir tree && mount --rbind /sys/fs/cgroup tree && awk '$5 ~ "/tree" { print $6 }' /proc/self/mountinfo`,
  );
  assert(control.stdout.split("\n").some((words) => words.split(",").includes("rw")), control.stdout);
});
