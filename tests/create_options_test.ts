/** The rarer options of `run`, seen from inside: names, accounts, namespaces, ids, devices, environment. */

import {
  assert,
  assertEquals,
  assertIncludes,
  assertMatch,
  type Host,
  hostTest,
  type Need,
  waitFor,
} from "./harness.ts";
import { busyboxEntries } from "./images.ts";

const NEEDS = { needs: ["registry", "busybox", "uidmap"] as Need[] };

async function inside(host: Host, options: string[], script: string): Promise<string> {
  const words = ["-q", "--rm", ...options, await host.image(), "sh", "-c", script];
  const { code, stdout, stderr } = await host.run(...words);
  assertEquals(code, 0, stderr);
  return stdout.trimEnd();
}

async function refusal(host: Host, options: string[], exitCode = 125): Promise<string> {
  const { code, stderr } = await host.run("-q", "--rm", ...options, await host.image(), "true");
  assertEquals(code, exitCode, stderr);
  assertEquals(host.containers(), []);
  return stderr.split("\n").find((line) => line.startsWith("Error: "))!.slice("Error: ".length);
}

/** A container that others join; gives what a script in it prints. */
async function startOther(host: Host, ...options: string[]): Promise<(script: string) => Promise<string>> {
  const words = ["-q", "-d", "--network", "none", "--name", "other", ...options];
  await host.ok("run", ...words, await host.image(), "sleep", "1000");
  return (script) => host.ok("exec", "other", "sh", "-c", script);
}

hostTest("hosts, resolver and their files", NEEDS, async (host) => {
  const hosts = await inside(
    host,
    ["--network", "host", "--add-host", "a:1.2.3.4", "--add-host", "b;c:::1"],
    "cat /etc/hosts",
  );
  assertEquals(hosts.split("\n").slice(0, 2), ["1.2.3.4\ta", "::1\tb c"]);
  assertIncludes(hosts, Deno.readTextFileSync("/etc/hosts").trim());
  const resolver = "--network host --dns 1.1.1.1 --dns-search a.b --dns-option ndots:2".split(" ");
  assertEquals(
    await inside(host, resolver, "cat /etc/resolv.conf"),
    "search a.b\nnameserver 1.1.1.1\noptions ndots:2",
  );
  const none = "--network host --no-hosts --no-hostname --dns none".split(" ");
  assertEquals(await inside(host, none, "ls /etc"), "group\npasswd");
  await Deno.writeTextFile(`${host.home}/hosts`, "9.9.9.9 nine\n");
  await host.own(`${host.home}/hosts`);
  assertMatch(
    await inside(host, ["--hosts-file", "hosts"], "cat /etc/hosts"),
    /^9\.9\.9\.9 nine\n127\.0\.0\.1\tlocalhost/,
  );
  assertEquals(
    await refusal(host, ["--dns", "1.1.1.1"]),
    "conflicting options: dns and the network mode: none",
  );
});

hostTest("who has no account gets one, but not in a file of the host's", NEEDS, async (host) => {
  const script = "tail -n1 /etc/passwd /etc/group; echo $HOME";
  const read = async (...options: string[]) =>
    (await inside(host, options, script)).split("\n").filter((line) =>
      line !== "" && !line.startsWith("==>")
    );
  assertEquals(await read("-u", "1234:77", "-w", "/tmp"), [
    "1234:*:1234:77:container user:/tmp:/bin/sh",
    "77:x:77:1234",
    "/tmp",
  ]);
  const { uid, gid } = host.ids;
  const [kept, group] = await read("--userns", "keep-id", "--read-only");
  assertMatch(kept!, new RegExp(`^skiff-test:\\*:${uid}:${gid}:[^:]*:/:/bin/sh$`));
  assertEquals(group, `skiff-test:x:${gid}:skiff-test`);
  assertEquals((await read("-u", "1234", "--passwd=false"))[0], "nobody:x:65534:65534:nobody:/:/bin/false");
  const format = ["--passwd-entry", "me:*:$UID:$GID:$NAME:$HOME:/bin/ash", "--group-entry", "us:x:$GID:me"];
  assertEquals((await read("-u", "1234:77", ...format)).slice(0, 2), [
    "me:*:1234:77:container user:/:/bin/ash",
    "us:x:77:me",
  ]);
  assertMatch((await read("--hostuser", "daemon"))[0]!, /^daemon:\*:1:1:/);
  assertIncludes(await refusal(host, ["--hostuser", "nobody-here"]), "unknown user nobody-here");
  // started again, nothing is added twice
  await host.ok(
    "create",
    "-q",
    "--network",
    "none",
    "--name",
    "again",
    "-u",
    "1234",
    await host.image(),
    "grep",
    "-c",
    "^1234",
    "/etc/passwd",
  );
  assertEquals([await host.ok("start", "-a", "again"), await host.ok("start", "-a", "again")], ["1", "1"]);
  const etc = `${host.home}/etc`;
  await Deno.mkdir(etc);
  await Deno.writeTextFile(`${etc}/passwd`, "root:x:0:0::/:/bin/sh\n");
  await host.own(etc, `${etc}/passwd`);
  for (const mount of [`${etc}:/etc`, `${etc}/passwd:/etc/passwd`]) {
    assertEquals(await inside(host, ["-u", "1234", "-v", mount], "grep -c 1234 /etc/passwd || true"), "0");
  }
  // nor where the image leads there by a link
  const link = [{ path: "etc/passwd", link: "/host/passwd" }];
  const linked = await host.makeImage({ layers: [{ entries: busyboxEntries() }, { entries: link }] });
  const words = ["-q", "--rm", "-u", "1234", "-v", `${etc}:/host`, linked, "sh", "-c"];
  assertEquals((await host.run(...words, "cat /etc/passwd")).stdout, "root:x:0:0::/:/bin/sh\n");
  assertEquals(await Deno.readTextFile(`${etc}/passwd`), "root:x:0:0::/:/bin/sh\n");
  // control: the link does lead there
  await host.run("-q", "--rm", "-v", `${etc}:/host`, linked, "sh", "-c", "echo added >> /etc/passwd");
  assertIncludes(await Deno.readTextFile(`${etc}/passwd`), "added");
});

hostTest("groups, umask, sysctls, time zone and devices", NEEDS, async (host) => {
  assertMatch(await inside(host, ["--group-add", "5", "--group-add", "alice"], "id -G"), /^0 5 1000$/);
  const keep = await host.sh(
    `exec "$SKIFF" run -q --rm --network none --group-add keep-groups ${await host.image()} id -G`,
  );
  assertEquals([keep.code, keep.stderr], [0, ""]);
  assertIncludes(
    await refusal(host, ["--group-add", "keep-groups", "--group-add", "5"]),
    "not allowed with any other",
  );
  assertEquals(await inside(host, ["--umask", "077"], "umask"), "0077");
  const sysctls = ["--sysctl", "net.ipv4.ip_forward=1", "--sysctl", "kernel.msgmax=9000"];
  const ofMachine = Deno.readTextFileSync("/proc/sys/kernel/msgmax");
  assertEquals(await inside(host, sysctls, "cd /proc/sys; cat net/ipv4/ip_forward kernel/msgmax"), "1\n9000");
  assertEquals(Deno.readTextFileSync("/proc/sys/kernel/msgmax"), ofMachine);
  assertEquals(
    await refusal(host, ["--sysctl", "kernel.pid_max=99"]),
    "sysctl 'kernel.pid_max' is not allowed",
  );
  assertEquals(
    await inside(host, ["--device", "/dev/zero:/dev/deep/x:rw"], "head -c 2 /dev/deep/x | od -An -tx1"),
    " 00 00",
  );
  assertEquals(
    await refusal(host, ["--device", "/etc/passwd"]),
    "/etc/passwd is not a valid device: not a device node",
  );
  const domain = ["--domainname", "nis.example"];
  assertEquals(await inside(host, domain, "cat /proc/sys/kernel/domainname"), "nis.example");
  assertIncludes(await refusal(host, ["--uts", "host", ...domain]), "cannot set the domain name");
  const zone = "/usr/share/zoneinfo/Asia/Tokyo";
  if (await Deno.stat(zone).then(() => true, () => false)) {
    assertEquals(await inside(host, ["--tz", "Asia/Tokyo"], "date +%Z"), "JST");
  }
  assertIncludes(await refusal(host, ["--tz", "../../../etc/passwd"]), 'set time zone "../../../etc/passwd"');
});

hostTest("the environment can be the caller's, or less than the image's", NEEDS, async (host) => {
  const env = async (options: string[], caller: Record<string, string> = {}) => {
    const words = ["run", "-q", "--rm", "--network", "none", ...options, await host.image(), "/bin/env"];
    const { code, stdout, stderr } = await host.skiff(words, { env: caller });
    assertEquals(code, 0, stderr);
    return stdout.trimEnd().split("\n").map((line) => line.replace(/^HOSTNAME=.*/, "HOSTNAME")).sort();
  };
  assertEquals(await env(["--unsetenv-all", "-e", "A=1"]), ["A=1", "HOME=/root", "HOSTNAME"]);
  assert(!(await env(["--unsetenv", "PATH"])).some((line) => line.startsWith("PATH=")));
  const [path] = (await env(["--env-merge", "PATH=${PATH}:/x"])).filter((line) => line.startsWith("PATH="));
  assertMatch(path!, /:\/bin:\/x$/);
  assertIncludes((await env(["--env-host"], { OF_CALLER: "1" })).join("\n"), "OF_CALLER=1");
  const proxy = { http_proxy: "http://proxy:3128" };
  assertIncludes((await env([], proxy)).join("\n"), "http_proxy=http://proxy:3128");
  assertEquals((await env(["--http-proxy=false"], proxy)).length, 4);
  assertIncludes((await env(["-e", "OF_*"], { OF_CALLER: "1", OFF: "2" })).join("\n"), "OF_CALLER=1");
});

hostTest("namespaces are joined, and nothing of the machine's is changed", NEEDS, async (host) => {
  const inOther = await startOther(host, "--hostname", "otherhost");
  await inOther("echo shared > /dev/shm/mark");
  const ids = "for n in ipc uts pid; do readlink /proc/self/ns/$n; done";
  const joined = await inside(
    host,
    "--ipc container:other --uts container:other --pid container:other".split(" "),
    `${ids}; hostname; cat /dev/shm/mark; ps | grep -c '[s]leep 1000'`,
  );
  assertEquals(joined, `${await inOther(ids)}\notherhost\nshared\n1`);
  const machine = ["ipc", "uts", "pid"].map((name) => Deno.readLinkSync(`/proc/self/ns/${name}`)).join("\n");
  const asHost = await inside(
    host,
    "--ipc host --uts host --pid host".split(" "),
    `${ids}; hostname; test -e /proc/${Deno.pid}/stat && echo seen`,
  );
  assertEquals(asHost, `${machine}\n${Deno.hostname()}\nseen`);
  assertEquals(
    await inside(host, ["--userns", "keep-id", "--uts", "container:other"], "hostname"),
    "otherhost",
  );
  assertEquals(await inside(host, ["--ipc", "none"], "test -e /dev/shm || echo none"), "none");
  await host.ok("rm", "-f", "-t", "0", "other");
  await startOther(host, "--ipc", "private");
  const { code, stderr } = await host.run("-q", "--ipc", "container:other", await host.image(), "true");
  assertEquals(code, 125);
  assertIncludes(stderr, "is not allowed: non-shareable IPC");
  await host.ok("rm", "-f", "-t", "0", "other");
  assertEquals(
    await refusal(host, ["--uts", "host", "--hostname", "x"]),
    "cannot set hostname when running in the host UTS namespace",
  );
  assertEquals(await refusal(host, ["--pid", "foo"]), "unrecognized namespace mode foo passed");
});

hostTest(
  "shared memory of another container is its tmpfs, and no link that it put there",
  NEEDS,
  async (host) => {
    const options = ["--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined"];
    const inOther = await startOther(host, ...options);
    await inOther("umount /dev/shm && rmdir /dev/shm && ln -s / /dev/shm");
    const { code, stdout, stderr } = await host.run(
      "-q",
      "--rm",
      "--ipc",
      "container:other",
      await host.image(),
      "ls",
      "/dev/shm",
    );
    assertEquals([code, stdout], [125, ""]);
    assertIncludes(stderr, "share the memory of another container");
    // control: by its path the place is the machine's own root
    if (Deno.uid() !== 0) return;
    const pid = await host.ok("inspect", "--format", "{{.State.Pid}}", "other");
    const names = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    assertEquals(names(`/proc/${pid}/root/dev/shm/`), names("/"));
  },
);

hostTest("a container without a pid namespace of its own leaves no process behind", NEEDS, async (host) => {
  // no other process sleeps for so long
  const seconds = 10_000_000 + Math.floor(Math.random() * 1e6);
  const sleepers = () =>
    [...Deno.readDirSync("/proc")].filter(({ name }) => {
      try {
        return Deno.readTextFileSync(`/proc/${name}/cmdline`) === `sleep\0${seconds}\0`;
      } catch {
        return false;
      }
    }).length;
  // what the shell leaves has no parent in the container any more when that ends
  const script = `sleep ${seconds} & touch /mark/on; read line < /mark/go`;
  await startOther(host);
  for (const mode of ["host", "container:other"]) {
    const mark = await Deno.makeTempDir({ dir: host.home });
    await Deno.chown(mark, host.ids.uid, host.ids.gid);
    await host.sh(`mkfifo ${mark}/go`);
    const options = ["run", "-q", "--rm", "--network", "none", "--pid", mode, "-v", `${mark}:/mark`];
    const running = host.spawn([...options, await host.image(), "sh", "-c", script]);
    await waitFor("the start", () => Deno.stat(`${mark}/on`).then(() => true, () => false));
    await waitFor("the sleeper", () => sleepers() === 1);
    await host.sh(`echo > ${mark}/go`);
    assertEquals((await running.result).code, 0);
    assertEquals(sleepers(), 0);
  }
  // where the monitor is killed, the next command does its work, and touches nobody else's
  const pair = ["-d", "--network", "none", "--pid", "host"];
  const other = (await host.run(...pair, await host.image(), "sleep", `${seconds}`)).stdout.trim();
  await host.run(
    "-q",
    ...pair,
    "--name",
    "left",
    await host.image(),
    "sh",
    "-c",
    `sleep ${seconds} & exec sleep ${seconds}`,
  );
  await waitFor("the sleepers", () => sleepers() === 3);
  host.kill9(Number(await host.ok("inspect", "-f", "{{.State.ConmonPid}}", "left")));
  await waitFor("init has died with its monitor", () => sleepers() === 2);
  assertEquals(await host.ok("ps", "-a", "-f", "name=left", "--format", "{{.State}}"), "exited");
  await waitFor("the sleeper that was left", () => sleepers() === 1);
  assertEquals(await host.ok("ps", "-q", "--no-trunc", "-f", `id=${other}`), other);
  await host.ok("rm", "-f", "-t", "0", other);
});

hostTest("ids of a user namespace of its own", NEEDS, async (host) => {
  const map = "cat /proc/self/uid_map | tr -s ' ' | sed 's/^ //'";
  assertEquals(
    await inside(host, ["--userns", "keep-id:uid=1000,gid=1000"], `id -un; ${map}`),
    "alice\n0 1 1000\n1000 0 1\n1001 1001 64536",
  );
  assertEquals(
    await inside(
      host,
      ["--uidmap", "0:0:1", "--uidmap", "1:1:60000", "--gidmap", "0:1:65535"],
      `${map}; id -u`,
    ),
    "0 0 1\n1 1 60000\n0",
  );
  // a line that lies in several of the map around it
  assertEquals(await inside(host, ["--uidmap", "0:0:1000"], map), "0 0 1\n1 1 999");
  const auto = ["run", "-q", "-d", "--network", "none", "--userns", "auto:size=1500", "-v", "data:/data"];
  const image = await host.image();
  await Promise.all([0, 1].map((n) => host.ok(...auto, "--name", `auto${n}`, image, "sleep", "1000")));
  const maps = await Promise.all([0, 1].map((n) => host.ok("exec", `auto${n}`, "sh", "-c", map)));
  assertEquals(maps.sort(), ["0 1 1500", "0 1501 1500"]);
  await host.ok("rm", "-f", "-t", "0", "auto0", "auto1");
  for (
    const [options, message] of [
      [
        ["--userns", "auto", "--uidmap", "0:1:10"],
        "--userns and --uidmap/--gidmap/--subuidname/--subgidname are mutually exclusive",
      ],
      [["--userns", "foo"], "unrecognized namespace mode foo passed"],
      [
        ["--uidmap", "0:1:1000000"],
        `map ids: 0:1:1000000 needs more than the ${host.ids.subuidCount + 1} ids that there are`,
      ],
    ] as const
  ) assertEquals(await refusal(host, [...options]), message);
});

hostTest("the user namespace of another container is joined by its name or its file", NEEDS, async (host) => {
  const image = await host.image();
  const run = ["run", "-q", "-d", "--network", "none"];
  await host.ok(...run, "--name", "kept", "--userns", "keep-id:uid=1000,gid=1000", image, "sleep", "1000");
  await host.ok(...run, "--name", "plain", image, "sleep", "1000");
  const namespace = "readlink /proc/self/ns/user";
  const own = await host.ok("exec", "kept", "sh", "-c", namespace);
  const shared = await host.ok("exec", "plain", "sh", "-c", namespace);
  const pid = await host.ok("inspect", "--format", "{{.State.Pid}}", "kept");
  const script =
    `${namespace}; tr -s ' ' </proc/self/uid_map | head -1; touch /x; stat -c %u /x /bin/busybox`;
  const expected = `${own}\n 0 1 1000\n0\n0`;
  assertEquals(await inside(host, ["--userns", "container:kept"], script), expected);
  assertEquals(await inside(host, ["--userns", `ns:/proc/${pid}/ns/user`], script), expected);
  assertEquals(await inside(host, ["--userns", "container:plain"], namespace), shared);
  assertIncludes(
    await inside(host, ["--userns", "container:kept", "--pid", "container:kept"], "ps"),
    "sleep 1000",
  );
  // one that joined it is joined by its name as well, entered, and started again
  await host.ok(...run, "--name", "second", "--userns", "container:kept", image, "sleep", "1000");
  const mode = await host.ok("inspect", "--format", "{{.HostConfig.UsernsMode}} {{.Id}}", "second", "kept");
  assertEquals(mode.split("\n")[0]!.split(" ")[0], `container:${mode.split(" ").at(-1)}`);
  assertEquals(await inside(host, ["--userns", "container:second"], namespace), own);
  await host.ok("restart", "-t", "0", "second");
  assertEquals(await host.ok("exec", "second", "sh", "-c", namespace), own);
  await host.ok("rm", "-f", "-t", "0", "second");
  await host.ok("stop", "-t", "0", "kept");
  const refused = async (mode: string) => {
    const { code, stderr } = await host.run("-q", "--rm", "--userns", mode, image, "true");
    return [code, stderr.replace(/^Error: |\n$/g, "")];
  };
  assertIncludes((await refused("container:kept"))[1] as string, "join the user namespace of container");
  for (
    const [mode, message] of [
      ["ns:/nope", "cannot find specified user namespace path: stat /nope: no such file or directory"],
      ["ns:", "invalid config provided: namespace mode path requires a value"],
      ["container:", "invalid config provided: namespace mode container requires a value"],
      [
        "container:nope",
        'looking up container to share user namespace with: no container with name or ID "nope" found: no such container',
      ],
      ...["/proc/self/ns/net", "/etc/passwd"].map((path) => [
        `ns:${path}`,
        `use user namespace "ns:${path}": it is no user namespace of a container, and files of containers have no ids there`,
      ]),
    ]
  ) assertEquals(await refused(mode!), [125, message]);
});

hostTest("what hinders the program, not skiff, has podman's exit codes", NEEDS, async (host) => {
  assertIncludes(await refusal(host, ["-w", "/bin/busybox"], 126), "/bin/busybox");
  assertIncludes(
    await refusal(host, ["-u", "nobody-here"], 126),
    "unable to find user nobody-here: no matching entries in passwd file",
  );
  assertIncludes(
    await refusal(host, ["-u", "4294967296"], 126),
    "uids and gids must be in range 0-2147483647",
  );
  assertIncludes(await refusal(host, ["--group-add", "none-such"], 126), "unable to find group none-such");
  await startOther(host);
  const exec = async (...words: string[]) => (await host.skiff(["exec", ...words])).code;
  assertEquals(await exec("-w", "/missing", "other", "true"), 127);
  assertEquals(await exec("-w", "/bin/busybox", "other", "true"), 126);
  assertEquals(await exec("-u", "nobody-here", "other", "true"), 126);
  assertEquals(await exec("-d", "-w", "/missing", "other", "true"), 127);
});

hostTest("--seccomp-policy image takes the profile that is in the image's label", NEEDS, async (host) => {
  const forbids = '{"defaultAction":"SCMP_ACT_ALLOW",' +
    '"syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}';
  const build = async (profile: string) => {
    const text = `FROM ${await host.image()}\nLABEL io.containers.seccomp.profile=${
      JSON.stringify(profile)
    }\n`;
    const { code, stdout, stderr } = await host.skiff(["build", "-q", "-"], { stdin: text });
    assertEquals(code, 0, stderr);
    return stdout.trim();
  };
  const [image, wrong] = [await build(forbids), await build("no profile")];
  const run = async (name: string, ...options: string[]) => {
    const words = ["-q", "--rm", "--network", "none", ...options, name, "mkdir", "/made"];
    const { code, stderr } = await host.run(...words);
    return `${code} ${stderr.split("\n")[0]}`.trim();
  };
  const refused = "1 mkdir: can't create directory '/made': Operation not permitted";
  assertEquals(await run(image), "0");
  assertEquals(await run(image, "--seccomp-policy", "default"), "0");
  assertEquals(await run(image, "--seccomp-policy", "image"), refused);
  assertEquals(await run(image, "--seccomp-policy", "image", "--privileged"), "0");
  assertEquals(await run(image, "--seccomp-policy", "image", "--security-opt", "seccomp=unconfined"), "0");
  assertEquals(
    await run(await host.image(), "--seccomp-policy", "image"),
    "125 Error: no seccomp policy defined by image",
  );
  assertIncludes(
    await run(wrong, "--seccomp-policy", "image"),
    "125 Error: loading seccomp profile failed: ",
  );
  assertEquals(
    await run(image, "--seccomp-policy", "foo"),
    '125 Error: invalid seccomp policy "foo": valid policies are ["default" "image"]',
  );
});

hostTest("as root, devices are bound and namespaces shared as without", {
  needs: ["root", "registry", "busybox"],
  asRoot: true,
}, async (host) => {
  const device = ["--device", "/dev/zero:/dev/x:rw"];
  assertEquals(
    await inside(host, device, "head -c 1 /dev/x | od -An -tx1; stat -c %t:%T /dev/x"),
    " 00\n1:5",
  );
  assertIncludes(
    await refusal(host, ["--device", "/dev/zero:/dev/x:r"]),
    "not told apart without a device cgroup",
  );
  const asHost = await inside(
    host,
    ["--pid", "host", "--ipc", "host"],
    `test -e /proc/${Deno.pid}/stat && readlink /proc/self/ns/ipc`,
  );
  assertEquals(asHost, Deno.readLinkSync("/proc/self/ns/ipc"));
  await Deno.mkdir(`${host.home}/shared`);
  assertEquals(
    await inside(host, ["-u", "7:8", "-v", `${host.home}/shared:/s:U`], "touch /s/x; stat -c %u:%g /s/x"),
    "7:8",
  );
  assertEquals(await inside(host, ["-v", `${host.home}/shared:/s:O`], "rm /s/x; ls /s"), "");
  assertEquals([...Deno.readDirSync(`${host.home}/shared`)].map(({ name }) => name), ["x"]);
  assertIncludes(await refusal(host, ["--userns", "nomap"]), "only supported in rootless mode");
});
