/** What a hostile container may reach through the processes that start in it: the engine's file, descriptors, words. */
import { busyboxEntries } from "./images.ts";
import { assert, assertEquals, assertIncludes, driverTest, type Host, hostTest, waitFor } from "./harness.ts";
import { probeVolume } from "./probes.ts";

/** Descriptors above the standard streams that a leak would have. */
const NUMBERS = Array.from({ length: 62 }, (_, index) => index + 3);

driverTest("a container cannot overwrite the engine's file (CVE-2019-5736)", {
  needs: ["registry", "busybox", "gcc"],
}, async (host) => {
  const script = { path: "bin/evil", mode: 0o755, content: "#!/proc/self/exe\n" };
  const image = await host.makeImage({ layers: [{ entries: [...busyboxEntries(), script] }] });
  const volume = await probeVolume(host, "watch_probe");
  const id = await host.ok("run", "-d", "--network", "none", ...volume, image, "/probe");
  const engine = await engineFiles(host, id);
  await waitFor("the probe", async () => (await host.ok("logs", id)).includes("ready"));

  await host.run("--rm", image, "/bin/evil");
  await host.run("--rm", "--entrypoint", "/proc/self/exe", image, "sh");
  for (let count = 0; count < 3; count++) {
    await host.skiff(["exec", id, "/bin/evil"]);
    await host.skiff(["exec", id, "/proc/self/exe", "sleep", "1"]);
    await host.ok("exec", id, "true");
    await host.ok("exec", "-u", "1000", id, "true");
  }
  await waitFor("the probe to open a program", async () => {
    await host.ok("exec", id, "sleep", "0.3");
    return (await host.ok("logs", id)).includes("open /bin/busybox");
  });
  await host.ok("exec", id, "touch", "/stop");
  await host.ok("wait", id);
  const log = await host.ok("logs", id);
  const reached = [...log.matchAll(/^exe (.*)$/gm)].map(([, link]) => link!);
  assertEquals(reached.filter((link) => !["/bin/busybox", "/memfd:skiff-exec (deleted)"].includes(link)), []);
  assertEquals([...log.matchAll(/^wrote (.*)$/gm)].map(([, link]) => link), ["/bin/busybox"]);
  assertEquals(await hashes([...engine.keys()]), engine);

  // Control: an engine that enters without protection loses its file to the same probe.
  const victim = `${host.home}/engine`;
  await Deno.copyFile("/usr/bin/nsenter", victim);
  await host.own(victim);
  const before = await hashes([victim]);
  const watcher = host.spawnProgram([
    ...["unshare", "--user", "--map-root-user", "--pid", "--mount", "--fork", "--mount-proc"],
    ...[`${host.folder}/watch_probe`, host.home],
  ]);
  const pid = await waitFor("the unprotected namespace", () => {
    const children = Deno.readTextFileSync(`/proc/${watcher.pid}/task/${watcher.pid}/children`).trim();
    return watcher.output.stdout.includes("ready") && children;
  });
  const enter = ["-t", pid, "-U", "-m", "-p", "--preserve-credentials"];
  await waitFor("the probe to open the victim", async () => {
    const entered = await host.program([victim, ...enter, victim, "-t", "1", "-p", "sleep", "0.3"]);
    assertEquals([entered.code, entered.stderr], [0, ""]);
    return watcher.output.stdout.includes(`open ${victim}`);
  });
  await Deno.writeTextFile(`${host.home}/stop`, "");
  assertIncludes((await watcher.result).stdout, `wrote ${victim}`);
  assert((await hashes([victim])).get(victim) !== before.get(victim), "the control overwrites nothing");
});

hostTest("neither the words nor the environment of the command are seen in the container", {
  needs: ["registry", "busybox", "gcc"],
}, async (host) => {
  const image = await host.image();
  const volume = await probeVolume(host, "watch_probe");
  const env = { SKIFF_TEST_SECRET: "canary-of-the-caller" };
  for (const options of [[], ["--init"]]) {
    await host.ok("pull", "-q", image);
    const run = ["run", "-d", "--network", "none", "--label", "canary=canary-word", ...options, ...volume];
    const { stdout, stderr } = await host.skiff([...run, image, "/probe"], { env });
    assertEquals(stderr.replace(/^Warning: .*\n/, ""), "");
    const id = stdout.trim();
    await waitFor("the probe", async () => (await host.ok("logs", id)).includes("ready"));
    for (let count = 0; count < 5; count++) {
      await host.skiff(["exec", "-e", "TOKEN=canary-word", id, "true"], { env });
    }
    // Control: the probe sees what is there to be seen.
    await waitFor("the probe to see an argument and an environment", async () => {
      await host.ok("exec", id, "sh", "-c", "sleep 0.2; : canary-argument");
      const seen = await host.ok("logs", id);
      return seen.includes("canary-argument") && seen.includes("environ PATH=");
    });
    await host.ok("exec", id, "touch", "/stop");
    await host.ok("wait", id);
    const log = await host.ok("logs", id);
    const cmdlines = log.split("\n").filter((line) => line.startsWith("cmdline "));
    assertEquals(cmdlines.filter((line) => line.includes("canary-word")), []);
    assert(!log.includes("canary-of-the-caller"), log);
  }
});

driverTest("a working directory is never a descriptor of the host (CVE-2024-21626)", {
  needs: ["registry", "busybox"],
  timeoutMs: 180_000,
}, async (host) => {
  const links = NUMBERS.slice(0, 10).map((number) => ({
    path: `fd${number}`,
    link: `/proc/self/fd/${number}`,
  }));
  const image = await host.makeImage({ layers: [{ entries: [...busyboxEntries(), ...links] }] });
  const program = ["sh", "-c", "pwd; ls ../../../etc/passwd"];
  const id = await host.ok("run", "-d", "--network", "none", image, "sleep", "600");
  // what a number leads to has nothing to do with the driver: all are tried with one
  const numbers = host.driver === "overlay" ? NUMBERS : NUMBERS.slice(0, 10);
  const places = [
    ...numbers.map((number) => `/proc/self/fd/${number}`),
    ...links.map(({ path }) => `/${path}`),
    "/proc/1/cwd",
    "/proc/self/root",
    "/proc/self/cwd",
  ];
  await eachTwo(places, async (place) => {
    for (
      const words of [["run", "--rm", "--network", "none", "-w", place, image], [
        "exec",
        "-w",
        place,
        id,
      ]]
    ) {
      const { code, stdout } = await host.skiff([...words, ...program]);
      assertEquals([place, code, stdout], [place, code === 0 ? 125 : code, ""]);
    }
  });
  const fromImage = await host.makeImage({
    layers: [{ entries: busyboxEntries() }],
    config: { WorkingDir: "/proc/self/fd/7" },
  });
  assert((await host.run("--rm", fromImage, ...program)).code !== 0, "the image's WorkingDir was entered");

  // Control: where a descriptor did leak, that is a way out of a changed root.
  await Deno.mkdir(`${host.home}/root/proc`, { recursive: true });
  await Deno.copyFile("/bin/busybox", `${host.home}/root/busybox`);
  const escape = "cd /proc/self/fd/7 && exec /busybox cat etc/hostname";
  const { stdout } = await host.sh(
    `exec 7</; exec unshare --user --map-root-user --mount --pid --fork sh -c '
       mount -t proc proc root/proc && exec chroot root /busybox sh -c "$0"' '${escape}'`,
  );
  assertEquals(stdout, Deno.readTextFileSync("/etc/hostname"));
});

driverTest("a program starts with descriptors 0 to 2 and no other", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image();
  // The shell's own listing has one more, on the folder that it lists.
  const list = "for fd in /proc/self/fd/*; do echo ${fd##*/}; done";
  const leaking = (words: string[]) =>
    host.sh(`exec 3</etc/passwd 4</proc 7</ 9<>/dev/null; exec "$SKIFF" ${words.join(" ")}`);
  const run = ["run", "--network none", ...host.driverArgs];
  const id = await host.ok("run", "-d", "--network", "none", image, "sleep", "600");
  for (
    const words of [
      [...run, "--rm", image],
      [...run, "--rm -i", image],
      [...run, "--rm -t", image],
      [...run, "--rm --init", image],
      [...run, "--rm --privileged", image],
      [...run, "--rm --userns keep-id", image],
      ["exec", id],
      ["exec -i", id],
      ["exec -t", id],
    ]
  ) {
    const { stdout, stderr } = await leaking([...words, `sh -c '${list}'`]);
    assertEquals(stdout.split(/\s+/).filter((fd) => fd !== "").join(" "), "0 1 2 3", `${words}: ${stderr}`);
  }
  const streams = await host.ok("exec", id, "ls", "-l", "/proc/1/fd");
  assertEquals([...streams.matchAll(/ (\d+) -> (\w*)/g)].map(([, fd, kind]) => `${fd} ${kind}`), [
    "0 ",
    "1 pipe",
    "2 pipe",
  ]);
  // Control: a program that is simply started has what its caller had open.
  const { stdout } = await host.sh(`exec 7</; exec /bin/busybox sh -c '${list}'`);
  assertIncludes(stdout, "\n7\n");
});

/** Runs `action` for each, two at a time. */
async function eachTwo<T>(items: readonly T[], action: (item: T) => Promise<void>): Promise<void> {
  const rest = [...items];
  const worker = async () => {
    for (let item = rest.shift(); item !== undefined; item = rest.shift()) await action(item);
  };
  await Promise.all([worker(), worker()]);
}

/** The hashes of the executable and of what runs as the container's monitor. */
function engineFiles(host: Host, id: string): Promise<Map<string, string>> {
  const { monitorPid } = JSON.parse(Deno.readTextFileSync(`${host.data}/containers/${id}/state.json`));
  return hashes([host.binary, Deno.readLinkSync(`/proc/${monitorPid}/exe`)]);
}

async function hashes(paths: string[]): Promise<Map<string, string>> {
  const { stdout } = await new Deno.Command("sha256sum", { args: [...new Set(paths)] }).output();
  const lines = new TextDecoder().decode(stdout).trim().split("\n").map((line) => line.split("  "));
  return new Map(lines.map(([hash, path]) => [path!, hash!]));
}
