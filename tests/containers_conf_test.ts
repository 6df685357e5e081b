/** containers.conf: what new containers have where nothing else is asked for. @see containers.conf(5) */
import { assert, assertEquals, assertIncludes, type Host, hostTest } from "./harness.ts";

async function write(host: Host, path: string, text: string): Promise<string> {
  const full = `${host.home}/${path}`;
  await host.sh(`mkdir -p "$(dirname ${full})"`);
  await Deno.writeTextFile(full, text);
  await host.own(full);
  return full;
}

const CONF = `
[containers]
annotations = ["who=conf", "both=conf"]
default_capabilities = ["CHOWN", "cap_net_admin"]
default_sysctls = ["net.ipv4.ping_group_range=0 5"]
default_ulimits = ["nofile=500:600"]
dns_searches = ["example.org"]
dns_servers = ["192.0.2.53"]
env = ["FROM=conf", "OWN=conf"]
host_containers_internal_ip = "192.0.2.1"
init = true
log_driver = "json-file"
log_size_max = 70000
oom_score_adj = 300
read_only = true
shm_size = "3m"
tz = "Europe/Berlin"
umask = "0027"
volumes = ["SHARED:/shared:ro", "SHARED:/place"]
[engine]
stop_timeout = 77
detach_keys = "ctrl-x"
`;

const SCRIPT = `umask; echo $FROM $OWN; ulimit -n; grep CapBnd /proc/self/status | cut -c9-
  cat /proc/sys/net/ipv4/ping_group_range /proc/self/oom_score_adj /etc/resolv.conf; grep internal /etc/hosts
  df -k /dev/shm | tail -1 | awk '{print $2}'; touch /x 2>&1; date -d @0 +%Z; ls /shared; ls /place; readlink /proc/1/exe`;

hostTest("containers.conf has the last word where the command has none", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image();
  const shared = `${host.home}/shared`;
  await host.sh("mkdir -p shared other && touch shared/file other/else");
  const usual = await host.run(
    "--rm",
    "--network",
    "none",
    image,
    "sh",
    "-c",
    "umask; ulimit -n; echo $FROM",
  );
  await write(host, ".config/containers/containers.conf", CONF.replaceAll("SHARED", shared));
  await write(host, ".config/containers/containers.conf.d/20.conf", '[containers]\numask = "0022"\n');
  await write(host, ".config/containers/containers.conf.d/30.conf", '[containers]\numask = "0077"\n');
  const { stdout, stderr, code } = await host.skiff(["run", "--rm", image, "sh", "-c", SCRIPT]);
  assertEquals(code, 0, stderr);
  const lines = stdout.split("\n");
  assertEquals(lines.slice(0, 5), ["0077", "conf conf", "500", "0000000000001001", "0\t5"]);
  assertIncludes(stdout, "\n300\n");
  assertIncludes(stdout, "nameserver 192.0.2.53");
  assertIncludes(stdout, "search example.org");
  assertIncludes(stdout, "192.0.2.1\thost.containers.internal");
  assertIncludes(stdout, "\n3072\n");
  assertIncludes(stdout, "Read-only file system");
  assertIncludes(stdout, "CET\nfile\nfile\n");
  const asked = [
    ...[
      "--umask",
      "0002",
      "-e",
      "OWN=command",
      "--ulimit",
      "nofile=400:400",
      "--cap-add",
      "KILL",
      "--cap-drop",
      "CHOWN",
    ],
    ...[
      "--dns",
      "192.0.2.54",
      "--oom-score-adj",
      "301",
      "--init=false",
      "--read-only=false",
      "--shm-size",
      "4m",
    ],
    ...["-v", `${host.home}/other:/place`, "--tz", "UTC", "--sysctl", "net.ipv4.ping_group_range=0 6"],
  ];
  const other = await host.skiff(["run", "--rm", ...asked, image, "sh", "-c", SCRIPT]);
  assertEquals(other.code, 0, other.stderr);
  assertEquals(other.stdout.split("\n").slice(0, 5), [
    "0002",
    "conf command",
    "400",
    "0000000000001020",
    "0\t6",
  ]);
  assertIncludes(other.stdout, "\n301\n");
  assertIncludes(other.stdout, "nameserver 192.0.2.54");
  assertIncludes(other.stdout, "\n4096\n");
  assert(!other.stdout.includes("Read-only") && !other.stdout.includes("192.0.2.53"), other.stdout);
  assertIncludes(other.stdout, "UTC\nfile\nelse\n");
  await host.ok("create", "--name", "box", "--annotation", "both=command", image);
  const fields =
    "{{.HostConfig.LogConfig.Type}} {{.Config.StopTimeout}} {{.HostConfig.Init}} {{.Config.Annotations.who}} " +
    "{{.Config.Annotations.both}}";
  assertEquals(await host.ok("inspect", "--format", fields, "box"), "json-file 77 true conf command");

  // another file instead of all, and one after it
  const conf = await write(host, "one.conf", '[containers]\nenv = ["FROM=one"]\nnetns = "none"\n');
  const over = await write(
    host,
    "two.conf",
    '[containers]\numask = "0011"\nfoo = 1\npids_limit = 5\n[nope]\nx = 1\n',
  );
  const env = { CONTAINERS_CONF: conf, CONTAINERS_CONF_OVERRIDE: over };
  const run = ["run", "--rm", image, "sh", "-c", "umask; echo $FROM; ls /sys/class/net"];
  const told = await host.skiff(run, { env });
  assertEquals([told.stdout, told.code], ["0011\none\nlo\n", 0], told.stderr);
  assertIncludes(
    told.stderr,
    "keys of containers.conf that have no effect here: containers.foo, nope, containers.pids_limit",
  );
  assertEquals((await host.skiff(run, { env })).stderr, "", "it is told once");
  const pools = await write(
    host,
    "pools.conf",
    '[network]\ndefault_subnet = "10.201.7.0/24"\ndefault_subnet_pools = [{"base" = "10.202.0.0/16", "size" = 28}]\n',
  );
  const network = async (...words: string[]) => {
    const { code, stdout, stderr } = await host.skiff(["network", ...words], {
      env: { CONTAINERS_CONF: pools },
    });
    assertEquals(code, 0, stderr);
    return stdout.trim();
  };
  await network("create", "pooled");
  const subnets = ["inspect", "--format", "{{range .Subnets}}{{.Subnet}}{{end}}"];
  assertEquals(await network(...subnets, "pooled"), "10.202.0.0/28");
  const byDefault = await network("ls", "--filter", "driver=bridge", "--format", "{{.Name}}");
  const first = byDefault.split("\n").find((name) =>
    name !== "pooled" && name !== "host" && name !== "none"
  )!;
  assertEquals(await network(...subnets, first), "10.201.7.0/24");
  const none = await write(host, "none.conf", "");
  const plain = await host.skiff([
    "run",
    "--rm",
    "--network",
    "none",
    image,
    "sh",
    "-c",
    "umask; ulimit -n; echo $FROM",
  ], {
    env: { CONTAINERS_CONF: none },
  });
  assertEquals(plain.stdout, usual.stdout);
  const bad = async (text: string) => {
    const path = await write(host, "bad.conf", text);
    const { code, stderr } = await host.skiff(run, { env: { CONTAINERS_CONF: path } });
    return [code, stderr.replaceAll(path, "FILE")];
  };
  assertEquals(await bad("[containers]\ntz = 3\n"), [
    125,
    "Error: decode configuration FILE: containers.tz must be a text\n",
  ]);
  assertEquals(await bad('[engine]\npull_policy = "foo"\n'), [
    125,
    'Error: containers.conf: unsupported pull policy "foo"\n',
  ]);
  // an image that is not there is not asked for
  const never = await write(host, "never.conf", '[engine]\npull_policy = "never"\n');
  const unasked = await host.skiff(["create", "127.0.0.1:1/nobody"], { env: { CONTAINERS_CONF: never } });
  assertEquals([unasked.code, unasked.stderr], [125, "Error: 127.0.0.1:1/nobody: image not known\n"]);
  assertIncludes(String(await bad("x = = 1")), "125,Error: decode configuration FILE: ");
  assertIncludes(String(await bad('[containers]\nnetns = "ns:/nope"\n')), "125,Error: ");
  const missing = await host.skiff(run, { env: { CONTAINERS_CONF: `${host.home}/missing` } });
  assertEquals([missing.code, missing.stderr], [
    125,
    `Error: finding config on system: CONTAINERS_CONF file: stat ${host.home}/missing: no such file or directory\n`,
  ]);
});
