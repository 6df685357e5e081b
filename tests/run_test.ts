/** What each option of `run` does, seen from inside the container. */

import {
  assert,
  assertEquals,
  assertIncludes,
  assertMatch,
  driverTest,
  type Host,
  waitFor,
} from "./harness.ts";

/** The image, pulled; each test pulls it once into its own store. */
async function busybox(host: Host): Promise<string> {
  const image = await host.image();
  await host.ok("pull", "-q", image);
  return image;
}

/** Runs `script` in a shell with these options, and gives what it printed; it must succeed. */
async function inside(host: Host, image: string, options: string[], script: string): Promise<string> {
  const { code, stdout, stderr } = await host.run("--rm", ...options, image, "sh", "-c", script);
  assertEquals([code, stderr], [0, ""], `run ${options.join(" ")}: ${script}`);
  return stdout.replace(/\n$/, "");
}

/** The number of the process with this title, if there is one. */
function processTitled(title: string): string | undefined {
  for (const { name } of Deno.readDirSync("/proc")) {
    try {
      if (/^\d+$/.test(name) && Deno.readTextFileSync(`/proc/${name}/cmdline`).startsWith(title)) return name;
    } catch {
      // it has gone
    }
  }
}

const REGISTRY = { needs: ["registry" as const] };

driverTest("-e, --env-file, --entrypoint, -w, -u, --hostname", REGISTRY, async (host) => {
  const image = await busybox(host);
  const file = `${host.home}/vars`;
  await Deno.writeTextFile(file, '# comment\nA=file\nB=file\nQ="kept"\n');
  await host.own(file);
  const env = ["--env-file", file, "-e", "B=line", "-e", "C"];
  const words = [...env, image, "sh", "-c", 'echo "$A $B $C $Q"'];
  const { stdout } = await host.skiff(["run", "--rm", "--net=none", ...words], { env: { C: "caller" } });
  assertEquals(stdout, 'file line caller "kept"\n');
  assertEquals(await inside(host, image, ["-w", "/tmp"], "pwd"), "/tmp");
  assertEquals(await inside(host, image, ["-w", "/made/for/it"], "pwd"), "/made/for/it");
  assertEquals(await inside(host, image, ["-u", "12:34"], "id -u; id -g"), "12\n34");
  assertEquals(await inside(host, image, ["--hostname", "box"], "hostname; cat /etc/hostname"), "box\nbox");
  assertEquals(await inside(host, image, ["-h", "box2"], "hostname"), "box2");
  const list = await host.run("--rm", "--entrypoint", '["echo","from list"]', image, "and words");
  assertEquals(list.stdout, "from list and words\n");
  const one = await host.run("--rm", "--entrypoint", "echo", image, "only words");
  assertEquals(one.stdout, "only words\n");
  assertEquals((await host.run("--rm", "--env-file", "/nosuch", image, "true")).code, 125);
});

driverTest("an image's config is the default, and options replace it", REGISTRY, async (host) => {
  const image = await host.makeImage({
    layers: [{
      entries: [{ path: "bin/" }, { path: "etc/" }, {
        path: "etc/passwd",
        content: "u:x:7:8::/home/u:/bin/sh\n",
      }],
    }],
    config: {
      Env: ["A=image"],
      Entrypoint: ["/nosuch-entry"],
      Cmd: ["/nosuch-cmd"],
      User: "u",
      WorkingDir: "/work",
    },
  });
  const missing = await host.run("-q", "--rm", image);
  assertEquals(missing.code, 127);
  assertIncludes(missing.stderr, "/nosuch-entry");
  const id = await host.ok("create", "--net=none", image);
  const format =
    "{{.Config.Env}} {{.Config.Entrypoint}} {{.Config.Cmd}} {{.Config.User}} {{.Config.WorkingDir}}";
  assertMatch(
    await host.ok("inspect", "--format", format, id),
    /A=image.*\] \[?\/nosuch-entry\]? \[\/nosuch-cmd\] u \/work$/,
  );
});

driverTest("-v binds folders and keeps named volumes", REGISTRY, async (host) => {
  const image = await busybox(host);
  const folder = `${host.home}/shared`;
  await Deno.mkdir(folder);
  await Deno.writeTextFile(`${folder}/in`, "from the host");
  await host.own(folder, `${folder}/in`);
  assertEquals(
    await inside(host, image, ["-v", `${folder}:/s`], "cat /s/in; echo back > /s/out"),
    "from the host",
  );
  assertEquals(await Deno.readTextFile(`${folder}/out`), "back\n");
  const readOnly = await host.run("--rm", "-v", `${folder}:/s:ro`, image, "sh", "-c", "echo x > /s/out");
  assertEquals(readOnly.code, 1);
  assertIncludes(readOnly.stderr, "Read-only file system");
  assertEquals(await inside(host, image, ["-v", "data:/d"], "echo kept > /d/f"), "");
  assertEquals(await inside(host, image, ["-v", "data:/elsewhere"], "cat /elsewhere/f"), "kept");
  assertEquals(await inside(host, image, ["-v", "./shared:/s"], "cat /s/out"), "back");
  const absent = await host.run("--rm", "-v", "/no/such/folder:/s", image, "true");
  assertEquals(absent.code, 125);
  assertIncludes(absent.stderr, "/no/such/folder");
});

driverTest("a new named volume starts with the image's content", REGISTRY, async (host) => {
  const image = await busybox(host);
  assertEquals(await inside(host, image, ["-v", "bin:/bin"], "test -x /bin/sh && echo copied"), "copied");
});

driverTest("--tmpfs, --read-only, --shm-size", REGISTRY, async (host) => {
  const image = await busybox(host);
  assertEquals(
    await inside(host, image, ["--tmpfs", "/t:size=1m"], "grep -c ' /t tmpfs ' /proc/mounts; echo x > /t/f"),
    "1",
  );
  const denied = await host.run("--rm", "--read-only", image, "sh", "-c", "echo x > /file");
  assertEquals(denied.code, 1);
  assertIncludes(denied.stderr, "Read-only file system");
  assertEquals(await inside(host, image, ["--read-only"], "echo x > /tmp/file && echo ok"), "ok");
  assertMatch(
    await inside(host, image, ["--shm-size", "8m"], "grep ' /dev/shm ' /proc/mounts"),
    /size=8192k/,
  );
});

driverTest("--init reaps and forwards; without it the program is pid 1", REGISTRY, async (host) => {
  const image = await busybox(host);
  assertEquals(await inside(host, image, [], "echo $$"), "1");
  assert(await inside(host, image, ["--init"], "echo $$") !== "1", "an init is pid 1");
  await host.ok(
    "run",
    "--net=none",
    "-d",
    "--init",
    "--name",
    "i",
    image,
    "sh",
    "-c",
    "trap 'exit 7' TERM; echo up; while :; do sleep 0.1; done",
  );
  await host.untilLogged("i");
  await host.ok("stop", "i");
  assertEquals(await host.ok("wait", "i"), "7");
});

driverTest("--label, --label-file, --cidfile, --name and --replace", REGISTRY, async (host) => {
  const image = await busybox(host);
  const labels = `${host.home}/labels`;
  await Deno.writeTextFile(labels, "a=file\nb=file\n");
  await host.own(labels);
  const options = [
    "--label-file",
    labels,
    "-l",
    "b=line",
    "--label",
    "bare",
    "--cidfile",
    `${host.home}/cid`,
  ];
  const id = await host.ok("create", "--net=none", "--name", "one", ...options, image, "true");
  assertEquals(
    await host.ok("inspect", "-f", "{{json .Config.Labels}}", "one"),
    '{"a":"file","b":"line","bare":""}',
  );
  assertEquals(await Deno.readTextFile(`${host.home}/cid`), id);
  const taken = await host.skiff(["create", "--name", "one", image, "true"]);
  assertEquals(taken.code, 125);
  assertIncludes(taken.stderr, `the container name "one" is already in use by ${id}`);
  const second = await host.ok("create", "--net=none", "--name", "one", "--replace", image, "true");
  assertEquals(await host.ok("ps", "-aq", "--no-trunc"), second);
  const again = await host.skiff(["create", "--cidfile", `${host.home}/cid`, image, "true"]);
  assertEquals(again.code, 125);
});

driverTest("--stop-signal and --stop-timeout decide how it stops", REGISTRY, async (host) => {
  const image = await busybox(host);
  const trap = "trap 'exit 11' USR1; echo up; while :; do sleep 0.1; done";
  await host.ok("run", "--net=none", "-d", "--name", "a", "--stop-signal", "USR1", image, "sh", "-c", trap);
  await host.untilLogged("a");
  await host.ok("stop", "a");
  assertEquals(await host.ok("wait", "a"), "11");
  // or whoever stops it
  const other = trap.replace("11", "12").replace("USR1", "USR2");
  await host.ok("run", "--net=none", "-d", "--name", "s", image, "sh", "-c", other);
  await host.untilLogged("s");
  await host.ok("stop", "--signal", "USR2", "s");
  assertEquals(await host.ok("wait", "s"), "12");
  await host.ok("create", "--net=none", "--name", "b", "--stop-timeout", "0", image, "sleep", "1000");
  // a machine that is slow may take as long as that by itself, but not every time
  await waitFor("a stop that is a kill at once, not after ten seconds", async () => {
    await host.ok("start", "b");
    const before = Date.now();
    await host.ok("stop", "b");
    assertEquals(await host.ok("wait", "b"), "137");
    return Date.now() - before < 8000;
  });
});

driverTest("kill sends any signal, to one or to all", REGISTRY, async (host) => {
  const image = await busybox(host);
  const trap = "trap 'echo hup' HUP; trap 'exit 12' TERM; echo up; while :; do sleep 0.1; done";
  for (const name of ["a", "b"]) {
    await host.ok("run", "--net=none", "-d", "--name", name, image, "sh", "-c", trap);
  }
  await host.untilLogged("a");
  assertEquals(await host.ok("kill", "-s", "SIGTERM", "a"), "a");
  assertEquals(await host.ok("wait", "a"), "12");
  await host.ok("kill", "--all");
  assertEquals(await host.ok("wait", "b"), "137");
});

driverTest("capabilities are Docker's, more, fewer or all", REGISTRY, async (host) => {
  const image = await busybox(host);
  const effective = (...options: string[]) =>
    inside(host, image, options, "sed -n 's/^CapEff:[^0-9a-f]*//p' /proc/self/status");
  assertEquals(await effective(), "00000000a80425fb");
  assertEquals(await effective("--cap-drop", "all"), "0000000000000000");
  assertEquals(await effective("--cap-drop", "ALL", "--cap-add", "CAP_CHOWN,kill"), "0000000000000021");
  assertEquals(await effective("--cap-add=net_admin"), "00000000a80435fb");
  assertMatch(await effective("--privileged"), /^0000[0-9a-f]{4}ffffffff$/);
  assertEquals((await host.run("--rm", "--cap-add", "cap_nonsense", image, "true")).code, 125);
});

driverTest("--security-opt switches seccomp and new privileges", REGISTRY, async (host) => {
  const image = await busybox(host);
  const status = (field: string, ...options: string[]) =>
    inside(host, image, options, `sed -n 's/^${field}:[^0-9]*//p' /proc/self/status`);
  assertEquals(await status("Seccomp"), "2");
  assertEquals(await status("Seccomp", "--security-opt", "seccomp=unconfined"), "0");
  assertEquals(await status("NoNewPrivs", "--security-opt", "no-new-privileges"), "1");
  const profile = `${host.home}/profile.json`;
  const rule = { names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 28 };
  await Deno.writeTextFile(profile, JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", syscalls: [rule] }));
  await host.own(profile);
  const denied = await host.run("--rm", "--security-opt", `seccomp=${profile}`, image, "mkdir", "/x");
  assertEquals(denied.code, 1);
  assertIncludes(denied.stderr, "No space left on device");
});

driverTest("--ulimit sets limits, and the others are the caller's", REGISTRY, async (host) => {
  const image = await busybox(host);
  assertEquals(
    await inside(host, image, ["--ulimit", "nofile=100:200"], "ulimit -Sn; ulimit -Hn"),
    "100\n200",
  );
  assertEquals(await inside(host, image, [], "ulimit -Sn"), "1024");
});

driverTest("--network none, host and another container's", REGISTRY, async (host) => {
  const image = await busybox(host);
  const links = "ls /sys/class/net 2>/dev/null || sed -n 's/^ *\\([^:]*\\):.*/\\1/p' /proc/net/dev";
  assertEquals(await inside(host, image, [], "sed -n 's/^ *\\([a-z0-9]*\\):.*/\\1/p' /proc/net/dev"), "lo");
  const ofHost = await host.skiff([
    "run",
    "--rm",
    "--network",
    "host",
    image,
    "sh",
    "-c",
    "readlink /proc/self/ns/net",
  ]);
  assertEquals(ofHost.stdout.trim(), await Deno.readLink("/proc/self/ns/net"), links);
  await host.ok("run", "--net=none", "-d", "--name", "holder", "-h", "held", image, "sleep", "1000");
  const namespace = await host.ok("exec", "holder", "readlink", "/proc/self/ns/net");
  const joined = await host.ok(
    "run",
    "--rm",
    "--net",
    "container:holder",
    image,
    "readlink",
    "/proc/self/ns/net",
  );
  assertEquals(joined, namespace);
  const unknown = await host.skiff(["run", "--rm", "--net", "container:nosuch", image, "true"]);
  assertEquals(unknown.code, 125);
});

driverTest(
  "--userns keep-id is the caller inside, nomap hides him",
  { needs: ["registry", "uidmap"] },
  async (host) => {
    const image = await busybox(host);
    assertEquals(await inside(host, image, ["--userns", "keep-id"], "id -u"), String(host.ids.uid));
    const folder = `${host.home}/open`;
    await Deno.mkdir(folder);
    await Deno.writeTextFile(`${folder}/mine`, "");
    await host.own(folder, `${folder}/mine`);
    const owner = (userns: string) =>
      inside(host, image, ["--userns", userns, "-v", `${folder}:/h`], "stat -c %u /h/mine");
    assertEquals(await owner("host"), "0");
    assertEquals(await owner("keep-id"), String(host.ids.uid));
    assertEquals(await owner("nomap"), "65534");
  },
);

driverTest("--rootfs runs a folder as it is", REGISTRY, async (host) => {
  const folder = `${host.home}/root`;
  const script =
    `mkdir -p ${folder}/bin && cp "$(command -v busybox)" ${folder}/bin/busybox && ln -s busybox ${folder}/bin/sh`;
  assertEquals((await host.sh(script)).code, 0);
  const { code, stdout } = await host.run(
    "--rm",
    "--rootfs",
    folder,
    "/bin/sh",
    "-c",
    "echo inside > /made; echo ok",
  );
  assertEquals([code, stdout], [0, "ok\n"]);
  assertEquals(await Deno.readTextFile(`${folder}/made`), "inside\n");
});

driverTest("--pull never and missing, --log-driver none and json-file", REGISTRY, async (host) => {
  const unpulled = await host.image();
  const never = await host.run("--rm", "--pull=never", unpulled, "true");
  assertEquals([never.code, never.stderr], [125, `Error: ${unpulled}: image not known\n`]);
  const image = await busybox(host);
  assertEquals(await inside(host, image, ["--pull", "never"], "echo here"), "here");
  await host.ok("run", "--net=none", "--name", "silent", "--log-driver", "none", image, "echo", "x");
  assertEquals((await host.skiff(["logs", "silent"])).code, 125);
  await host.ok("run", "--net=none", "--name", "json", "--log-driver", "json-file", image, "echo", "x");
  assertEquals(await host.ok("logs", "json"), "x");
  const path = await host.ok("inspect", "-f", "{{.LogPath}}", "json");
  assertEquals(JSON.parse(await Deno.readTextFile(path)).log, "x\n");
});

driverTest("--pidfile and --conmon-pidfile name the processes", REGISTRY, async (host) => {
  const image = await busybox(host);
  const [pidfile, monitorPidfile] = [`${host.home}/pid`, `${host.home}/monitor`];
  // the command runs in that folder
  const files = ["--pidfile", pidfile, "--conmon-pidfile", "monitor"];
  const id = await host.ok("run", "--net=none", "-d", "--name", "p", ...files, image, "sleep", "1000");
  const pid = (await Deno.readTextFile(pidfile)).trim();
  assertEquals(await host.ok("inspect", "-f", "{{.State.Pid}}", "p"), pid);
  assertEquals((await Deno.readTextFile(`/proc/${pid}/cmdline`)).replaceAll("\0", " "), "sleep 1000 ");
  assertEquals(
    await host.ok("inspect", "-f", "{{.State.ConmonPid}}", "p"),
    (await Deno.readTextFile(monitorPidfile)).trim(),
  );
  // who runs skiff on a disk can unmount it
  const session = host.spawn(["exec", "p", "sleep", "1000"]);
  const sessionMonitor = await waitFor(
    "the session's monitor",
    () => processTitled(`skiff: exec ${id.slice(0, 12)}`),
  );
  for (const monitor of [await Deno.readTextFile(monitorPidfile), sessionMonitor]) {
    assertEquals(await Deno.readLink(`/proc/${monitor}/cwd`), "/");
  }
  await host.ok("rm", "-f", "-t", "0", "p");
  await session.result;
  const refused = await host.run("-d", "--pidfile", "/no/such", image, "true");
  assertEquals([refused.code, refused.stderr], [
    125,
    "Error: write pid file: openat `/no/such`: No such file or directory\n",
  ]);
});

driverTest(
  "what a container writes stays its own, and is there at the next start",
  REGISTRY,
  async (host) => {
    const image = await busybox(host);
    await host.ok(
      "run",
      "--net=none",
      "--name",
      "w",
      image,
      "sh",
      "-c",
      "echo $(cat /n 2>/dev/null)x >> /n; cat /n; rm -f /bin/ls",
    );
    assertEquals((await host.skiff(["start", "-a", "w"])).stdout, "x\nxx\n");
    assertEquals(
      await inside(host, image, [], "test -e /n || test ! -e /bin/ls || echo untouched"),
      "untouched",
    );
  },
);

driverTest("the built-in image host shows this machine, and none of the user's files", {}, async (host) => {
  const release = await Deno.readTextFile("/etc/os-release");
  const { code, stdout } = await host.run("--rm", "host", "cat", "/etc/os-release");
  assertEquals([code, stdout], [0, release]);
  await Deno.writeTextFile(`${host.home}/secret`, "x");
  const seen = await host.run(
    "--rm",
    "host",
    "sh",
    "-c",
    `ls -A /home /root; test -e ${host.home}/secret && echo seen; echo x > /tmp/f && echo writable`,
  );
  assertEquals(seen.stdout, "/home:\n\n/root:\nwritable\n");
  const denied = await host.run("--rm", "host", "sh", "-c", "echo x > /usr/x");
  assert(denied.code !== 0, "/usr is read-only");
});
