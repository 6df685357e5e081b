/** Pods: what their containers share, who looks after it, and what is left at the end. */

import {
  assertEquals,
  assertIncludes,
  assertMatch,
  type Host,
  hostTest,
  type Need,
  waitFor,
} from "./harness.ts";

const NEEDS = { needs: ["registry", "busybox", "uidmap"] as Need[] };

/** A web server whose one page is `word`. */
const server = (word: string) => `mkdir /www; echo ${word} >/www/index.html; httpd -f -p 80 -h /www`;

async function refusal(host: Host, ...words: string[]): Promise<string> {
  const { code, stderr } = await host.skiff(words);
  assertEquals(code, 125, words.join(" "));
  return stderr.split("\n")[0]!;
}

const statusOf = (host: Host, pod: string) => host.ok("pod", "inspect", "-f", "{{.State}}", pod);

async function ask(port: number): Promise<string | undefined> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/`);
    return (await answer.text()).trim();
  } catch {
    return undefined;
  }
}

const answer = (port: number) => waitFor("the server answers", () => ask(port));

hostTest(
  "the containers of a pod share network, host name and memory, and its ports",
  NEEDS,
  async (host) => {
    const image = await host.image();
    const id = await host.ok("pod", "create", "-p", "127.0.0.1::80", "--label", "a=b", "web");
    assertMatch(id, /^[0-9a-f]{64}$/);
    assertEquals(await statusOf(host, "web"), "Created");
    await host.ok("run", "-q", "-d", "--pod", "web", "--name", "one", image, "sh", "-c", server("hello"));
    const port = Number((await host.ok("port", "one")).split(":").at(-1));
    assertEquals(await answer(port), "hello");

    const script = "hostname; wget -qO- http://127.0.0.1/; echo here >/dev/shm/x; readlink /proc/self/ns/pid";
    const [name, page, pid] =
      (await host.ok("run", "--rm", "--pod", id.slice(0, 8), image, "sh", "-c", script))
        .split("\n");
    assertEquals([name, page], ["web", "hello"]);
    const seen = "cat /dev/shm/x; hostname; grep -c web /etc/hosts; readlink /proc/self/ns/pid";
    const [memory, hostname, hosts, ownPid] = (await host.ok("exec", "one", "sh", "-c", seen)).split("\n");
    assertEquals([memory, hostname, hosts], ["here", "web", "1"]);
    assertEquals(pid === ownPid, false);

    const infra = `${id.slice(0, 12)}-infra`;
    assertEquals(
      await host.ok("ps", "--sort", "names", "--format", "{{.Names}} {{.PodName}} {{.IsInfra}} {{.Ports}}"),
      `${infra} web true 127.0.0.1:${port}->80/tcp\none web false 127.0.0.1:${port}->80/tcp`.split("\n")
        .sort()
        .join("\n"),
    );
    assertEquals(
      await host.ok("ps", "-aq", "--no-trunc", "--filter", "pod=web"),
      await podContainers(host, "web"),
    );
    const [ofPod, isInfra, network] =
      (await host.ok("inspect", "-f", "{{.Pod}} {{.IsInfra}} {{.HostConfig.NetworkMode}}", "one")).split(" ");
    const infraId = await host.ok("inspect", "-f", "{{.Id}}", infra);
    assertEquals([ofPod, isInfra, network], [id, "false", `container:${infraId}`]);
    const format =
      "{{.Name}} {{.Status}} {{.InfraID}} {{.ContainerNames}} {{.ContainerStatuses}} {{.NumberOfContainers}}";
    assertEquals(
      await host.ok("pod", "ps", "--filter", "label=a=b", "--format", format),
      `web Running ${infraId.slice(0, 12)} ${infra},one running,running 2`,
    );
    const [headings] = (await host.ok("pod", "ps", "--ctr-names", "--ctr-ids", "--ns")).split("\n");
    assertEquals(headings!.split(/ {2,}/), [
      "POD ID",
      "NAME",
      "STATUS",
      "CREATED",
      "INFRA ID",
      "IDS",
      "NAMES",
      "CGROUP",
      "NAMESPACES",
    ]);
    assertEquals(await statusOf(host, "web"), "Running");

    // with its containers the pod's network goes and comes
    assertEquals(await host.ok("pod", "stop", "-t", "0", "web"), id);
    assertEquals([await statusOf(host, "web"), await ask(port)], ["Exited", undefined]);
    assertEquals(await host.ok("ps", "-q"), "");
    await host.ok("start", "one");
    assertEquals(await answer(port), "hello");

    // whoever kills what holds the network takes nothing along but that; a restart mends it
    const monitor = Number(await host.ok("inspect", "-f", "{{.State.ConmonPid}}", infra));
    Deno.kill(monitor, "SIGKILL");
    await waitFor("the infra container's end", async () => await statusOf(host, "web") === "Degraded");
    assertEquals(await host.ok("inspect", "-f", "{{.State.Status}}", "one"), "running");
    assertEquals(await host.ok("pod", "restart", "web"), id);
    assertEquals([await statusOf(host, "web"), await answer(port)], ["Running", "hello"]);

    assertIncludes(
      await refusal(host, "pod", "rm", "web"),
      "its container one is running - running or paused containers cannot be removed without force",
    );
    const left =
      `Error: container ${infraId} is the infra container of pod ${id} and cannot be removed without removing the pod`;
    assertEquals(await refusal(host, "rm", "-f", infra), left);
    assertEquals(await host.ok("pod", "rm", "-f", "web"), id);
    assertEquals([await host.ok("ps", "-aq"), await host.ok("pod", "ps", "-q")], ["", ""]);
    assertEquals([host.containers(), await ask(port)], [[], undefined]);
    assertEquals((await host.skiff(["pod", "exists", "web"])).code, 1);
  },
);

/** The newest first. */
async function podContainers(host: Host, pod: string): Promise<string> {
  const ids = await host.ok("pod", "inspect", "-f", "{{range .Containers}}{{.Id}} {{end}}", pod);
  return ids.trim().split(" ").toReversed().join("\n");
}

hostTest(
  "a pod is made with its first container, and owns what its containers share",
  NEEDS,
  async (host) => {
    const image = await host.image();
    const file = `${host.home}/pod.id`;
    const run = ["run", "-q", "--rm", "--pod"];
    // network options go to the new pod
    await host.ok(
      "run",
      "-q",
      "-d",
      "--pod",
      "new:job",
      "--hostname",
      "desk",
      "--add-host",
      "db:10.1.2.3",
      image,
      "sleep",
      "1000",
    );
    assertEquals(
      await host.ok(...run, "job", image, "sh", "-c", "hostname; grep -c 10.1.2.3 /etc/hosts"),
      "desk\n1",
    );
    assertEquals(
      await refusal(host, ...run, "new:job", image, "true"),
      'Error: adding pod to state: name "job" is in use: pod already exists',
    );
    // what fails leaves no pod
    assertEquals((await host.skiff([...run, "new:none", "-v", "/no/such:/x", image, "true"])).code, 125);
    assertEquals(
      (await host.skiff([...run, "new:none", "--pull", "never", "localhost/nosuch", "true"])).code,
      125,
    );
    assertEquals(await host.ok("pod", "ps", "--format", "{{.Name}}"), "job");

    const shared = "network cannot be configured when it is shared with a pod";
    const ports =
      `Error: invalid config provided: published or exposed ports must be defined when the pod is created: ${shared}`;
    const networks =
      `Error: invalid config provided: networks must be defined when the pod is created: ${shared}`;
    const REFUSED: [string[], string][] = [
      [["-p", "80"], ports],
      [["-P"], ports],
      [
        ["--add-host", "a:1.2.3.4"],
        `Error: invalid config provided: extra host entries must be specified on the pod: ${shared}`,
      ],
      [["--ip", "10.88.0.4"], networks],
      [["--network-alias", "x"], networks],
      [
        ["--hostname", "x"],
        "Error: invalid config provided: cannot set hostname when joining the pod UTS namespace: invalid configuration",
      ],
      [["--userns", "keep-id"], "Error: --userns and --pod cannot be set together"],
      [["--pod-id-file", file], "Error: cannot specify both --pod and --pod-id-file"],
    ];
    for (const [words, message] of REFUSED) {
      assertEquals(await refusal(host, ...run, "job", ...words, image, "true"), message);
    }
    assertEquals(
      await refusal(host, ...run, "nosuch", image, "true"),
      "Error: no pod with name or ID nosuch found: no such pod",
    );
    // a namespace that it asks for itself is its own
    const links = "for one in net uts ipc; do readlink /proc/self/ns/$one; done";
    const namespaces = async (...words: string[]) =>
      (await host.ok(...run, "job", ...words, image, "sh", "-c", links)).split("\n");
    const [net, uts, ipc] = await namespaces();
    const own = await namespaces("--network", "none", "--uts", "private");
    assertEquals([own[0] === net, own[1] === uts, own[2] === ipc], [false, false, true]);

    // names come from one stock, and a file tells the id
    assertEquals(
      await refusal(host, "run", "-q", "--name", "job", image, "true"),
      'Error: create container: name "job" is in use: pod already exists',
    );
    await host.ok("create", "-q", "--name", "box", image);
    assertEquals(
      await refusal(host, "pod", "create", "box"),
      'Error: adding pod to state: name "box" is in use: container already exists',
    );
    assertEquals(
      await refusal(host, "rename", "box", "job"),
      'Error: rename container "box": name "job" is in use: pod already exists',
    );
    const pod = await host.ok("pod", "create", "--share", "+pid", "--network", "none", "--pod-id-file", file);
    assertEquals(
      await refusal(host, "pod", "create", "--pod-id-file", file),
      `Error: pod id file exists. Ensure another pod is not using it or delete ${file}`,
    );
    const processes = await host.ok(
      "run",
      "-q",
      "--rm",
      "--pod-id-file",
      file,
      image,
      "ps",
      "-o",
      "pid,args",
    );
    assertEquals(processes.split("\n").slice(1).map((line) => line.trim().replace(/ +/, " ")), [
      "1 /pause",
      processes.split("\n")[2]!.trim(),
    ]);
    assertEquals(await host.ok("pod", "inspect", "-f", "{{.SharedNamespaces}}", pod), "[ipc net pid uts]");
    assertEquals(await host.ok("pod", "rm", "--pod-id-file", file), pod);

    // what prepares a pod has ended before its others begin
    await host.ok("pod", "create", "--network", "none", "early");
    const create = ["create", "-q", "--pod", "early", "--name"];
    const prepare = ["sh", "-c", "echo ready >/dev/shm/x"];
    await host.ok(...create, "main", image, "cat", "/dev/shm/x");
    await host.ok(...create, "prepares", "--init-ctr", "once", image, ...prepare);
    await host.ok("pod", "start", "early");
    assertEquals([await host.ok("wait", "main"), await host.ok("logs", "main")], ["0", "ready"]);
    assertEquals((await host.skiff(["container", "exists", "prepares"])).code, 1);

    // the infra container's last chance is to go with all others
    await host.ok("rm", "-f", "-a");
    assertEquals([await host.ok("ps", "-aq"), await host.ok("pod", "ps", "-q")], ["", ""]);
  },
);

hostTest("a pod of the exit policy stop ends though its last monitor was killed", NEEDS, async (host) => {
  const image = await host.image();
  await host.ok("pod", "create", "--exit-policy", "stop", "--network=none", "brief");
  for (const name of ["first", "last"]) {
    await host.ok("run", "-q", "-d", "--name", name, "--pod", "brief", image, "sleep", "1000");
  }
  const monitorOf = async (name: string) =>
    Number(await host.ok("inspect", "--format", "{{.State.ConmonPid}}", name));
  host.kill9(await monitorOf("first"));
  await waitFor(
    "its end",
    async () => await host.ok("inspect", "--format", "{{.State.Status}}", "first") === "exited",
  );
  assertEquals(await statusOf(host, "brief"), "Degraded");
  host.kill9(await monitorOf("last"));
  await waitFor("the pod's end", async () => await statusOf(host, "brief") === "Exited");
  // it starts again, and what was is no reason to end it
  await host.ok("pod", "start", "brief");
  assertEquals(await statusOf(host, "brief"), "Running");
});

hostTest("a pod's policies, and its states", NEEDS, async (host) => {
  const image = await host.image();
  const waits = ["sh", "-c", "trap 'exit 0' TERM; echo up; sleep 1000 & wait"];
  const brief = await host.ok(
    "pod",
    "create",
    "--exit-policy",
    "stop",
    "--label=a",
    "--network=none",
    "brief",
  );
  await host.ok("run", "-q", "-d", "--name", "first", "--pod", "brief", image, ...waits);
  // not the last one
  await host.ok("run", "-q", "--name", "second", "--pod", "brief", image, "true");
  assertEquals(await statusOf(host, "brief"), "Degraded");
  await host.ok("stop", "first");
  await waitFor("the pod's end", async () => await statusOf(host, "brief") === "Exited");
  // who comes while the pod ends finds it running, or starts it again
  for (let round = 0; round < 4; round++) {
    await host.ok("run", "-q", "--rm", "--pod", "brief", image, "true");
  }
  await waitFor("the pod's end", async () => await statusOf(host, "brief") === "Exited");

  await host.ok(
    "pod",
    "create",
    "--restart",
    "on-failure:1",
    "-v",
    `${host.home}:/here:ro`,
    "--network",
    "none",
    "again",
  );
  await host.ok(
    "run",
    "-q",
    "-d",
    "--name",
    "twice",
    "--pod",
    "again",
    image,
    "sh",
    "-c",
    "ls -d /here; exit 3",
  );
  await waitFor(
    "the second run",
    async () => await host.ok("inspect", "-f", "{{.State.Status}} {{.RestartCount}}", "twice") === "exited 1",
  );
  assertEquals(await host.ok("logs", "twice"), "/here\n/here");

  // a pod may have its network from others
  for (const network of ["host", "container:first"]) {
    await host.ok("start", "first");
    const net = ["readlink", "/proc/self/ns/net"];
    const theirs = network === "host"
      ? Deno.readLinkSync("/proc/self/ns/net")
      : await host.ok("exec", "first", ...net);
    const pod = await host.ok("pod", "create", "--network", network);
    assertEquals(await host.ok("run", "-q", "--rm", "--pod", pod, image, ...net), theirs);
    await host.ok("pod", "rm", "-f", pod);
  }
  await host.ok("stop", "first");
  await waitFor("the pod's end", async () => await statusOf(host, "brief") === "Exited");

  // nothing is shared without an infra container
  await host.ok("pod", "create", "--infra=false", "loose");
  assertIncludes(await refusal(host, "pod", "start", "loose"), "have no dependencies, cannot start pod");
  assertIncludes(
    await refusal(host, "pod", "create", "--infra=false", "-p", "80", "x"),
    "you must have an infra container",
  );
  await host.ok("create", "-q", "--name", "alone", "--pod", "loose", "--network", "none", image, ...waits);
  assertEquals(await statusOf(host, "loose"), "Created");
  await host.ok("pod", "start", "loose");
  assertEquals(await statusOf(host, "loose"), "Running");
  const id = await host.ok("pod", "inspect", "-f", "{{.Id}}", "loose");
  assertEquals(await host.ok("pod", "unpause", "loose"), "");
  assertEquals((await host.skiff(["pod", "pause", "loose"])).stdout, `${id}\n`);
  assertEquals(await statusOf(host, "loose"), "Paused");
  assertEquals(await host.ok("pod", "unpause", "loose"), id);
  await host.untilLogged("alone");
  assertEquals(await host.ok("pod", "kill", "--signal", "TERM", "loose"), id);
  assertEquals([await host.ok("wait", "alone"), await statusOf(host, "loose")], ["0", "Exited"]);

  // `again` has an infra container that runs still
  assertEquals(await host.ok("container", "prune", "-f"), "");
  const pruned = (await host.ok("system", "prune", "-f", "--filter", "label!=a")).split("\n");
  assertEquals(pruned.slice(0, 2), ["Deleted Pods", id]);
  assertEquals(await host.ok("pod", "prune", "-f"), brief);
  assertEquals(await host.ok("pod", "ps", "--format", "{{.Name}} {{.Status}}"), "again Degraded");
  // at once: one of them removes it, or both do
  const doomed = await host.ok("pod", "create", "--network", "none", "doomed");
  const removals = await Promise.all([1, 2].map(() => host.skiff(["pod", "rm", "doomed"])));
  const told = removals.map(({ stdout, stderr }) => (stdout + stderr).trim());
  const gone = /^Error: no pod with name or ID \w+ found: no such pod$/;
  assertEquals(told.includes(doomed), true, told.join("\n"));
  for (const text of told) if (text !== doomed) assertMatch(text, gone);
  const { code, stderr } = await host.skiff(["pod", "rm", "nosuch", "again"]);
  assertEquals([code, stderr], [1, "Error: no pod with name or ID nosuch found: no such pod\n"]);
  assertEquals(await host.ok("ps", "-aq"), "");
});

hostTest(
  "the logs and processes of a pod are those of its containers, and a clone has its own",
  NEEDS,
  async (host) => {
    const image = await host.image();
    const script = (word: string) => `echo ${word}; trap 'exit 0' TERM; sleep 1000 & wait`;
    await host.ok("pod", "create", "--network", "none", "--label", "a=b", "web");
    for (const name of ["one", "two"]) {
      await host.ok("run", "-q", "-d", "--name", name, "--pod", "web", image, "sh", "-c", script(name));
      await host.untilLogged(name, name);
    }
    assertEquals(await host.ok("pod", "logs", "--names", "web"), "one one\ntwo two");
    assertEquals(await host.ok("pod", "logs", "-c", "two", "web"), "two");
    assertEquals(
      await refusal(host, "pod", "logs", "-c", "none", "web"),
      "Error: container none is not in pod web: no such container",
    );
    const processes = (await host.ok("pod", "top", "web", "pid", "comm")).split("\n").map((line) =>
      line.trim().split(/ +/)
    );
    assertEquals(processes[0], ["PID", "COMMAND"]);
    assertEquals(processes.filter(([pid]) => pid === "1").map(([, comm]) => comm), ["pause", "sh", "sh"]);
    assertEquals(await refusal(host, "pod", "top", "web", "nosuch"), 'Error: unknown descriptor "nosuch"');

    const clone = await host.ok("pod", "clone", "--start", "--label", "c=d", "web", "copy");
    assertEquals(
      await host.ok(
        "pod",
        "ps",
        "--format",
        "{{.Name}} {{.Status}} {{.Labels}} {{.ContainerNames}}",
        "--filter",
        "name=copy",
      ),
      `copy Running map[c:d] ${clone.slice(0, 12)}-infra,one-clone,two-clone`,
    );
    const ipc = (name: string) => host.ok("exec", name, "readlink", "/proc/self/ns/ipc");
    assertEquals(await host.ok("exec", "one-clone", "hostname"), "copy");
    assertEquals([
      await ipc("one-clone") === await ipc("two-clone"),
      await ipc("one-clone") === await ipc("one"),
    ], [true, false]);
    const second = await host.ok("pod", "clone", "--destroy", "web");
    assertEquals(
      await host.ok("pod", "ps", "--sort", "name", "--format", "{{.Name}} {{.Status}}"),
      "copy Running\nweb-clone Created",
    );
    await host.ok("pod", "rm", "-f", "-a");
    assertEquals([await host.ok("ps", "-aq"), second.length], ["", 64]);
  },
);

hostTest("a pod on a network has its address, and is found by its name", NEEDS, async (host) => {
  const image = await host.image();
  await host.ok("network", "create", "--subnet", "10.89.200.0/24", "inner");
  await host.ok("pod", "create", "--network", "inner", "--ip", "10.89.200.7", "web");
  await host.ok("run", "-q", "-d", "--pod", "web", "--name", "one", image, "sh", "-c", server("hello"));
  const ask = "until wget -qO- http://web/; do sleep 0.1; done";
  assertEquals(await host.ok("run", "-q", "--rm", "--network", "inner", image, "sh", "-c", ask), "hello");
  assertIncludes(await host.ok("exec", "one", "ip", "addr", "show", "eth0"), "inet 10.89.200.7/24 ");
  assertEquals(await host.ok("pod", "ps", "--format", "{{.Name}} {{.Networks}}"), "web inner");
  await host.ok("pod", "rm", "-f", "web");
  await host.ok("network", "rm", "inner");
});
