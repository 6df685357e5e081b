/** Each option of `run`, seen from inside the container. */

import {
  assert,
  assertEquals,
  assertIncludes,
  assertMatch,
  driverTest,
  type Host,
  hostTest,
} from "./harness.ts";

const NEEDS = { needs: ["registry", "busybox"] as ("registry" | "busybox")[] };

/** What a script in a new container prints. */
async function inside(host: Host, options: string[], script: string): Promise<string> {
  const image = await host.image();
  const { code, stdout, stderr } = await host.run("-q", "--rm", ...options, image, "sh", "-c", script);
  assertEquals(code, 0, stderr);
  return stdout.trimEnd();
}

/** The error of a run that must not come about. */
async function refusal(host: Host, options: string[]): Promise<string> {
  const image = await host.image();
  const { code, stderr } = await host.run("-q", "--rm", ...options, image, "true");
  assertEquals(code, 125, stderr);
  assertEquals(host.containers(), []);
  return stderr.split("\n").find((line) => line.startsWith("Error: "))!.slice("Error: ".length);
}

driverTest(
  "a bind mount shows the host's folder, relative to here, and may be read-only",
  NEEDS,
  async (host) => {
    await Deno.mkdir(`${host.home}/shared`);
    await Deno.writeTextFile(`${host.home}/shared/file`, "from the host\n");
    await host.own(`${host.home}/shared`, `${host.home}/shared/file`);
    assertEquals(
      await inside(host, ["-v", "./shared:/s"], "cat /s/file; echo written > /s/new"),
      "from the host",
    );
    assertEquals(await Deno.readTextFile(`${host.home}/shared/new`), "written\n");
    const script = "touch /s/x 2>&1 || true";
    assertMatch(await inside(host, ["-v", `${host.home}/shared:/s:ro`], script), /Read-only file system/);
    assertEquals(await inside(host, ["-v", `${host.home}/shared/file:/f`], "cat /f"), "from the host");
  },
);

driverTest("a named volume keeps its content, and gets the image's at first", NEEDS, async (host) => {
  const image = await host.image();
  const copied = await inside(host, ["-v", "etc:/etc"], "cat /etc/passwd; echo mine > /etc/own");
  assertMatch(copied, /^root:/);
  assertEquals(
    await inside(host, ["-v", "etc:/v:ro"], "cat /v/own; test -s /v/passwd && echo passwd"),
    "mine\npasswd",
  );
  assertEquals(await inside(host, ["-v", "bare:/etc:nocopy"], "ls -A /etc | grep -c passwd || true"), "0");
  const gone = await host.run("-q", "--rm", "-v", "/anonymous", image, "true");
  assertEquals(gone.code, 0, gone.stderr);
  assertEquals(Array.from(Deno.readDirSync(`${host.data}/volumes`), ({ name }) => name).sort(), [
    "bare",
    "etc",
  ]);
});

hostTest("what cannot be mounted is refused in podman's words", NEEDS, async (host) => {
  assertEquals(await refusal(host, ["-v", "/nope:/x"]), "statfs /nope: no such file or directory");
  assertIncludes(await refusal(host, ["-v", "x:y"]), `invalid container path "y", must be an absolute path`);
  assertIncludes(await refusal(host, ["-v", "/tmp:/x:foo"]), `invalid option type "foo"`);
  assertIncludes(await refusal(host, ["-v", "/tmp:/x", "-v", "/usr:/x"]), "duplicate mount destination");
  assertIncludes(await refusal(host, ["--tmpfs", "t"]), "must be an absolute path");
});

hostTest("a tmpfs has the size and mode asked for", NEEDS, async (host) => {
  const mounted = await inside(host, ["--tmpfs", "/t:size=1m,mode=1777"], "grep ' /t ' /proc/mounts");
  assertMatch(mounted, /^tmpfs \/t tmpfs rw,nosuid,nodev,\S*size=1024k/);
  assertMatch(await inside(host, ["--shm-size", "2m"], "df -k /dev/shm | tail -1"), /\b2048\b/);
});

hostTest("the user is a name or a number, with or without a group", NEEDS, async (host) => {
  assertMatch(await inside(host, ["-u", "1234:5678"], "id"), /^uid=1234\(1234\) gid=5678\(5678\)/);
  assertMatch(await inside(host, ["-u", "1234"], "id; echo $HOME"), /^uid=1234\(1234\) gid=0.*\n\/$/);
  assertEquals(await inside(host, [], "id -u; echo $HOME"), "0\n/root");
});

hostTest("environment, file of it, working folder and entrypoint", NEEDS, async (host) => {
  await Deno.writeTextFile(`${host.home}/env`, "# note\nA=file\nB=file\nUSER\n");
  await host.own(`${host.home}/env`);
  const options = ["--env-file", "env", "-e", "B=word", "-w", "/new/folder"];
  assertEquals(
    await inside(host, options, "echo $A $B $USER; pwd"),
    `file word ${host.env.USER}\n/new/folder`,
  );
  const image = await host.image();
  const { stdout } = await host.run("-q", "--rm", "--entrypoint", "/bin/echo", image, "a", "b");
  assertEquals(stdout, "a b\n");
  assertIncludes(await refusal(host, ["-w", "relative"]), "it needs to be an absolute path");
});

hostTest("names, hosts and an init of its own", NEEDS, async (host) => {
  const script = "hostname; cat /etc/hostname; grep -c tester /etc/hosts";
  assertEquals(await inside(host, ["--hostname", "tester"], script), "tester\ntester\n1");
  assertEquals(await inside(host, [], "echo $$; tr '\\0' ' ' < /proc/1/cmdline | cut -c1-2"), "1\nsh");
  assertEquals(await inside(host, ["--init"], "test $$ != 1 && echo other"), "other");
});

driverTest("a read-only root leaves only scratch folders writable", NEEDS, async (host) => {
  const script = "touch /x 2>&1; for f in /tmp /run /var/tmp /dev/shm; do touch $f/x && echo $f; done";
  const said = await inside(host, ["--read-only"], script);
  assertMatch(said, /Read-only file system\n\/tmp\n\/run\n\/var\/tmp\n\/dev\/shm$/);
});

hostTest("limits are those asked for, else the caller's", NEEDS, async (host) => {
  assertEquals(await inside(host, ["--ulimit", "nofile=200:300"], "ulimit -Sn; ulimit -Hn"), "200\n300");
  assertEquals(await inside(host, [], "ulimit -Sn"), "1024");
  assertIncludes(await refusal(host, ["--ulimit", "x"]), "invalid ulimit");
});

hostTest("capabilities, no new privileges and privileged", NEEDS, async (host) => {
  const bits = async (options: string[]) =>
    BigInt(`0x${await inside(host, options, "awk '/^CapEff/ {print $2}' /proc/self/status")}`);
  const [chown, netAdmin, sysAdmin] = [1n, 1n << 12n, 1n << 21n];
  const usual = await bits([]);
  assert((usual & chown) !== 0n && (usual & netAdmin) === 0n);
  const changed = await bits(["--cap-add", "net_admin", "--cap-drop", "CHOWN"]);
  assert((changed & chown) === 0n && (changed & netAdmin) !== 0n);
  assertEquals(await bits(["--cap-drop", "all"]), 0n);
  assert((await bits(["--privileged"]) & sysAdmin) !== 0n);
  const script = "awk '/^NoNewPrivs/ {print $2}' /proc/self/status";
  assertEquals(await inside(host, ["--security-opt", "no-new-privileges"], script), "1");
  assertEquals(await inside(host, [], script), "0");
  assertEquals(
    await inside(
      host,
      ["--security-opt", "seccomp=unconfined"],
      "awk '/^Seccomp:/ {print $2}' /proc/self/status",
    ),
    "0",
  );
});

hostTest("a container may join the network of another, or have the host's", NEEDS, async (host) => {
  const image = await host.image();
  await host.run("-q", "-d", "--name", "first", "--hostname", "shared", image, "sleep", "600");
  const namespace = "readlink /proc/self/ns/net";
  const first = await host.ok("exec", "first", "readlink", "/proc/self/ns/net");
  const joined = await host.skiff([
    "run",
    "--rm",
    "--network",
    "container:first",
    image,
    "sh",
    "-c",
    `${namespace}; hostname`,
  ]);
  assertEquals(joined.stdout, `${first}\nshared\n`);
  const own = await host.skiff(["run", "--rm", "--network", "host", image, "sh", "-c", namespace]);
  assertEquals(own.stdout.trim(), Deno.readLinkSync("/proc/self/ns/net"));
  await host.ok("stop", "-t", "0", "first");
  const refused = await host.skiff(["run", "--rm", "--network", "container:first", image, "true"]);
  assertEquals(refused.code, 125);
  assertIncludes(refused.stderr, "it is not running");
  assertEquals((await host.skiff(["run", "--rm", "--network", "container:none", image, "true"])).code, 125);
});

hostTest("without --network the network is the user-mode one", NEEDS, async (host) => {
  const first = await host.skiff(["run", "-q", "--rm", await host.image(), "ls", "/sys/class/net"]);
  assertEquals([first.stdout, first.stderr], ["eth0\nlo\n", ""]);
});

driverTest("user namespaces: keep-id keeps the caller's number, nomap leaves it out", {
  needs: ["registry", "busybox", "uidmap"],
}, async (host) => {
  const { uid } = host.ids;
  const script = "id -u; touch /tmp/x; stat -c %u /tmp/x /etc/passwd";
  assertEquals(await inside(host, ["--userns", "keep-id"], script), `${uid}\n${uid}\n0`);
  assertEquals(await inside(host, ["--userns", "nomap"], script), "0\n0\n0");
  const volume = ["--userns", "nomap", "-v", "own:/own"];
  assertEquals(await inside(host, volume, "touch /own/x; stat -c %u /own /own/x"), "0\n0");
});

driverTest("--rootfs uses a folder as it is", { needs: ["busybox"] }, async (host) => {
  const rootfs = `${host.home}/root`;
  await Deno.mkdir(`${rootfs}/bin`, { recursive: true });
  await Deno.copyFile("/bin/busybox", `${rootfs}/bin/busybox`);
  await host.own(rootfs, `${rootfs}/bin`, `${rootfs}/bin/busybox`);
  const { code, stdout, stderr } = await host.run(
    "--rm",
    "--rootfs",
    "./root",
    "/bin/busybox",
    "sh",
    "-c",
    "echo x > /made; echo $$",
  );
  assertEquals([code, stdout], [0, "1\n"], stderr);
  assertEquals(await Deno.readTextFile(`${rootfs}/made`), "x\n");
});

hostTest("the image host is this machine, without its users' files", {}, async (host) => {
  const { stdout, code, stderr } = await host.run(
    "--rm",
    "host",
    "sh",
    "-c",
    "cat /etc/os-release | head -1; ls -A /home /root; touch /usr/x 2>/dev/null && echo writable; echo x > /tmp/x && cat /tmp/x",
  );
  assertEquals(code, 0, stderr);
  assertIncludes(stdout, Deno.readTextFileSync("/etc/os-release").split("\n")[0]!);
  assertMatch(stdout, /\/home:\n\n\/root:\nx\n$/);
});

hostTest("hosts and hostname appear in what is mounted on /etc, where they can", NEEDS, async (host) => {
  const conf = `${host.home}/conf`;
  await Deno.mkdir(conf);
  await host.own(conf);
  const read = "cat /etc/hostname";
  assertEquals(await inside(host, ["--hostname", "box", "-v", `${conf}:/etc`], read), "box");
  assertEquals(await inside(host, ["--hostname", "box", "--tmpfs", "/etc"], read), "box");
  // a folder in which the user can make nothing is left as it is, and so is the host's /run
  assertEquals(await inside(host, ["-v", "/usr/lib:/etc"], "test -e /etc/hostname || echo none"), "none");
  assertEquals(await inside(host, ["-v", "/run:/run"], "test -e /run/.containerenv || echo none"), "none");
});

hostTest("a device of the host that is mounted can be used", NEEDS, async (host) => {
  assertEquals(await inside(host, ["-v", "/dev/null:/discard"], "echo text > /discard; echo $?"), "0");
});

hostTest("a new volume where the image has no folder belongs to the program's user", NEEDS, async (host) => {
  const options = ["--user", "1000:50", "-v", "fresh:/fresh"];
  assertEquals(await inside(host, options, "touch /fresh/file && stat -c %u:%g /fresh"), "1000:50");
  // and keeps its owner
  assertEquals(await inside(host, ["-v", "fresh:/fresh"], "stat -c %u:%g /fresh"), "1000:50");
  assertEquals(await inside(host, ["--read-only", "-u", "7", "-v", "other:/o:ro"], "stat -c %u /o"), "7");
});
