/** What a program in a container must not have of who started it: signals, limits, keys, variables, terminal. */
import { assertEquals, assertIncludes, type Host, hostTest, type Need, waitFor } from "./harness.ts";
import { compileProbe, probeVolume } from "./probes.ts";

const NEEDS: Need[] = ["registry", "busybox"];

/** Every way in: a program run, run by pid 1 of ours, and executed in a container that runs. */
const WAYS = ["run", "run --init", "run --userns keep-id", "exec", "exec -u 1000"] as const;

/** Runs `prefix` (a caller in an odd state, ending in exec) and gives what `script` prints inside. */
async function inside(
  host: Host,
  image: string,
  way: string,
  prefix: string,
  script: string,
): Promise<string> {
  let words = `${way} --rm --network none ${image}`;
  if (way.startsWith("exec")) {
    const started = await host.sh(`${prefix} "$SKIFF" run -d --network none ${image} sleep 600`);
    words = `${way} ${started.stdout.trim()}`;
  }
  const { code, stdout, stderr } = await host.sh(`${prefix} "$SKIFF" ${words} sh -c '${script}'`);
  assertEquals(code, 0, `${way}: ${stderr}`);
  return stdout;
}

async function pulled(host: Host): Promise<string> {
  const image = await host.image();
  await host.ok("pull", "-q", image);
  return image;
}

const SHOW_SIGNALS = 'grep -E "^(SigBlk|SigIgn|SigCgt|SigPnd|ShdPnd)" /proc/self/status; true';
const BLOCKING = `exec python3 -c 'import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR1, 40])
for one in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD, 41): signal.signal(one, signal.SIG_IGN)
os.execvp(sys.argv[1], sys.argv[1:])'`;

hostTest(
  "every signal has its default action and none is blocked",
  { needs: [...NEEDS, "python3"] },
  async (host) => {
    const image = await pulled(host);
    for (const way of WAYS) {
      const shown = await inside(host, image, way, BLOCKING, SHOW_SIGNALS);
      const masks = shown.trim().split("\n").map((line) => line.split(/\s+/)[1]);
      assertEquals([way, masks.length, new Set(masks)], [way, 5, new Set(["0000000000000000"])]);
    }
    // (a shell between them would clear the mask)
    const control = await host.sh(`${BLOCKING} ${SHOW_SIGNALS.replace("; true", "")}`);
    const maskOf = (name: string) =>
      BigInt(`0x${new RegExp(`^${name}:\\s*(\\w+)`, "m").exec(control.stdout)?.[1]}`);
    const [blocked, ignored] = [0x80_0000_4200n, 0x100_0001_1003n];
    // whoever started the tests may ignore others as well, as nohup does
    assertEquals([maskOf("SigBlk"), maskOf("SigIgn") & ignored], [blocked, ignored], control.stdout);
  },
);

hostTest(
  "the soft limit of descriptors is the caller's, the umask is 022",
  { needs: NEEDS },
  async (host) => {
    const image = await pulled(host);
    const prefix = "umask 0; ulimit -Sn 789; exec";
    for (const way of WAYS) {
      assertEquals([way, await inside(host, image, way, prefix, "ulimit -Sn; umask")], [way, "789\n0022\n"]);
    }
    assertEquals((await host.sh(`${prefix} sh -c 'ulimit -Sn; umask'`)).stdout, "789\n0000\n");
    const chosen = await host.run(
      "--rm",
      "--ulimit",
      "nofile=100:200",
      image,
      "sh",
      "-c",
      "ulimit -Sn; ulimit -Hn",
    );
    assertEquals(chosen.stdout, "100\n200\n");
  },
);

hostTest("what is made in the root lets everybody through, whatever the caller's umask", {
  needs: NEEDS,
}, async (host) => {
  const image = await pulled(host);
  const show = 'stat -c "%a %u %n" /new /new/volume /work /work/here /tmpfs; pwd; ls -d /new/volume/.';
  for (const umask of ["000", "027", "077"]) {
    const options = `-v volume${umask}:/new/volume --tmpfs /tmpfs/here -w /work/here -u 1000`;
    const { stdout } = await host.sh(
      `umask ${umask}; exec "$SKIFF" run --rm --network none ${options} ${image} sh -c '${show}'`,
    );
    assertEquals([umask, ...stdout.trim().split("\n")], [
      umask,
      "755 0 /new",
      // podman gives a new volume to the program's user as well
      "755 1000 /new/volume",
      "755 1000 /work",
      "755 1000 /work/here",
      "755 0 /tmpfs",
      "/work/here",
      "/new/volume/.",
    ]);
    const builtIn = await host.sh(
      `umask ${umask}; exec "$SKIFF" run --rm --network none -u 1000 host stat -c %a / /usr`,
    );
    assertEquals([umask, builtIn.stdout], [umask, "755\n755\n"]);
  }
});

hostTest("no variable of the caller or the engine is in the environment", { needs: NEEDS }, async (host) => {
  const image = await pulled(host);
  const prefix = "export SECRET=canary DENO_DIR=/x SKIFF_X=y LD_PRELOAD=; exec";
  const expected: Record<string, string[]> = {
    run: ["HOME", "HOSTNAME", "PATH", "container"],
    exec: ["HOME", "HOSTNAME", "PATH", "container"],
  };
  for (const way of WAYS) {
    const names = (await inside(host, image, way, prefix, 'cat /proc/self/environ | tr "\\0" "\\n"')).trim()
      .split("\n").map((line) => line.split("=")[0]!).filter((name) => !["PWD", "SHLVL"].includes(name))
      .sort();
    assertEquals([way, names], [way, expected[way.split(" ")[0]!]]);
  }
  assertIncludes((await host.sh(`${prefix} env`)).stdout, "SECRET=canary");
});

hostTest("the session keyring is a new one", { needs: [...NEEDS, "gcc"] }, async (host) => {
  const image = await pulled(host);
  const probe = await compileProbe("keyring_probe", host.folder);
  const options = [
    "--network",
    "none",
    "--security-opt",
    "seccomp=unconfined",
    "-v",
    `${probe}:/probe:ro`,
    image,
  ];
  const call = (...words: string[]) => host.program([probe, "make", host.binary, ...words]);
  assertEquals((await call("run", "--rm", ...options, "/probe", "find")).stdout, "not found\n");
  const id = (await call("run", "-d", ...options, "sleep", "600")).stdout.trim();
  assertEquals((await call("exec", id, "/probe", "find")).stdout, "not found\n");
  assertEquals((await host.program([probe, "make", probe, "find"])).stdout, "found\n");
});

/** Field 7 of /proc/PID/stat, 0 without a controlling terminal, and whether /dev/tty opens. */
const SHOW_TERMINAL =
  'cut -d" " -f7 /proc/$$/stat; (: < /dev/tty) 2>/dev/null && echo opened || echo refused';

hostTest("the caller's terminal is not the container's", { needs: [...NEEDS, "python3"] }, async (host) => {
  const image = await pulled(host);
  const id = await host.ok("run", "-d", "--network", "none", image, "sleep", "600");
  const show = async (words: string[]) => {
    const session = host.pty([...words, "sh", "-c", `${SHOW_TERMINAL}; echo end`]);
    await session.expect(/end\r?\n/);
    assertEquals(await session.wait(), 0);
    return /(\d+)\r?\n(opened|refused)\r?\nend/.exec(session.text)?.slice(1);
  };
  assertEquals(await show(["run", "--rm", "--network", "none", image]), ["0", "refused"]);
  assertEquals(await show(["run", "--rm", "-i", "--network", "none", image]), ["0", "refused"]);
  assertEquals(await show(["exec", id]), ["0", "refused"]);
  // With -t it is the first terminal of the container's own devpts: 136:0.
  assertEquals(await show(["run", "--rm", "-it", "--network", "none", image]), ["34816", "opened"]);
  assertEquals(await show(["run", "--rm", "-it", "--init", "--network", "none", image]), ["34816", "opened"]);
  assertEquals(await show(["exec", "-it", id]), ["34816", "opened"]);
});

hostTest("the program leads a session and its own process group; with --init its group has the terminal", {
  needs: [...NEEDS, "python3"],
}, async (host) => {
  const image = await pulled(host);
  // pid, process group, session, foreground group of the terminal
  const show = async (...words: string[]) => {
    const session = host.pty(["run", "--rm", "-it", "--network", "none", ...words]);
    await session.expect(/stat( \d+){4}/);
    assertEquals(await session.wait(), 0);
    return /stat((?: \d+){4})/.exec(session.text)?.[1];
  };
  const script = "set -- $(cat /proc/$$/stat); echo stat $1 $5 $6 $8";
  assertEquals(await show(image, "sh", "-c", script), " 1 1 1 1");
  assertEquals(await show("--init", image, "sh", "-c", script), " 2 2 1 2");
});

hostTest("pid 1 of --init is the container's own in all that can be seen", {
  needs: [...NEEDS, "gcc"],
}, async (host) => {
  const image = await pulled(host);
  const volume = await probeVolume(host, "watch_probe");
  const id = await host.ok(
    "run",
    "-d",
    "--init",
    "-u",
    "1000",
    "--network",
    "none",
    ...volume,
    image,
    "sleep",
    "600",
  );
  const script =
    'cat /proc/1/comm; grep -E "^(Uid|CapEff|CapBnd|Seccomp):" /proc/1/status; ls /proc/1/fd; readlink /proc/1/exe';
  assertEquals((await host.ok("exec", "-u", "1000", id, "sh", "-c", script)).split("\n"), [
    "init",
    "Uid:\t1000\t1000\t1000\t1000",
    "CapEff:\t0000000000000000",
    "CapBnd:\t00000000a80425fb",
    "Seccomp:\t2",
    "/memfd:skiff-exec (deleted)",
  ]);
  // what has lost its parent is collected
  const orphan = await host.ok("exec", id, "sh", "-c", "sh -c 'sleep 0.01 & echo $!'");
  await waitFor(
    "the end of the orphan",
    async () => (await host.skiff(["exec", id, "test", "-e", `/proc/${orphan}`])).code === 1,
  );
  await host.ok("stop", "-t", "20", id);
  assertEquals((await host.ok("wait", id)).trim(), "143");
  const { code, stderr } = await host.run("--rm", "--init", image, "/none");
  assertEquals([code, stderr.includes("No such file or directory")], [127, true]);
});
