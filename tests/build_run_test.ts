/** RUN in builds: where it runs, what is mounted for it, what of it stays, and what is left when it ends otherwise. */
import { assertEquals, assertIncludes, driverTest, type Host, hostTest, waitFor } from "./harness.ts";

const SECRET = "s3cr3t-0f-the-step";

/** Writes a context and gives its path. */
async function contextOf(
  host: Host,
  dockerfile: string,
  files: Record<string, string> = {},
): Promise<string> {
  const dir = `${host.home}/context-${crypto.randomUUID().slice(0, 8)}`;
  await Deno.mkdir(dir);
  await host.own(dir);
  for (const [name, text] of Object.entries({ Dockerfile: dockerfile, ...files })) {
    await Deno.writeTextFile(`${dir}/${name}`, text);
    await host.own(`${dir}/${name}`);
  }
  return dir;
}

/** What the steps have printed, one string a line, without the times. */
function printed(stderr: string): string[] {
  return stderr.split("\n").flatMap((line) => /^#\d+ \d+\.\d+ (.*)$/.exec(line)?.[1] ?? []);
}

/** Nothing of a step is left: its folder goes after the build has ended. */
async function untilNothingIsLeft(host: Host): Promise<void> {
  await waitFor("the step's container to go", () => host.containers().length === 0);
  await waitFor("its processes to go", () => host.processes().length === 0);
}

const FORMS = (image: string) => `
FROM ${image} AS other
RUN mkdir /data && echo from-other >/data/f && ln -s /etc/passwd /data/link

FROM ${image}
RUN true
WORKDIR /work/dir
ENV A=b
RUN --mount=type=bind,from=other,source=/data,target=/mnt cat /mnt/f; touch /mnt/g 2>/dev/null || echo read-only
RUN --mount=type=bind,from=other,source=data,target=/mnt,rw echo changed >/mnt/f; cat /mnt/f
RUN --mount=type=bind,from=other,source=/data/f,target=/one/file cat /one/file
RUN --mount=type=bind,target=/ctx cat /ctx/file; ls -A /ctx; echo x 2>/dev/null >/ctx/new || echo read-only
RUN --mount=type=cache,target=/cache,mode=0750,uid=5,gid=6 echo 1 >>/cache/n; stat -c '%a %u:%g' /cache
RUN --mount=type=cache,target=/elsewhere,id=/cache echo 2 >>/elsewhere/n; cat /elsewhere/n
RUN --mount=type=cache,target=/cache,id=filled,from=other,source=/data cat /cache/f
RUN --mount=type=tmpfs,target=/tmp/x,size=10m echo a >/tmp/x/b; grep -c ' /tmp/x .*size=10240k' /proc/self/mountinfo
RUN --mount=type=secret,id=tok --mount=type=secret,id=tok,target=/root/tok,mode=0444,uid=3 \\
    --mount=type=secret,id=tok,env=TOK --mount=type=secret,id=none \\
    cat /run/secrets/tok /root/tok; stat -c '%a %u' /root/tok; test -n "$TOK" && ls /run/secrets
RUN --network=none grep -c : /proc/net/dev
RUN --network=host readlink /proc/self/ns/net
RUN --network=none grep -v localhost /etc/hosts
USER 5:6
RUN id -u; id -g; pwd; echo $A; hostname
USER root
RUN <<END
echo line one
echo line two
END
RUN <<END
#!/bin/sh
echo script; ls -l /dev/pipes | wc -l
END
`;

driverTest("RUN has its mounts, network, user and scripts, and leaves no trace of them in the image", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image("busybox");
  const dir = await contextOf(host, FORMS(image), {
    file: "of the context\n",
    ignored: "ignored",
    ".dockerignore": "ignored\n",
  });
  const secret = `${host.home}/secret`;
  await Deno.writeTextFile(secret, `${SECRET}\n`);
  await host.own(secret);
  const args = [
    ...["build", "--progress", "plain", "-t", "mine", "--allow", "network.host"],
    ...["--secret", `id=tok,src=${secret}`, dir],
  ];
  const { code, stderr } = await host.skiff(args);
  assertEquals(code, 0, stderr);
  await Deno.remove(secret);
  const lines = printed(stderr);
  const netns = await Deno.readLink("/proc/self/ns/net");
  assertEquals(lines.filter((line) => line !== ".dockerignore" && line !== "Dockerfile"), [
    ...["from-other", "read-only", "changed", "from-other", "of the context", "file", "read-only"],
    ...["750 5:6", "1", "2", "from-other", "1", SECRET, SECRET, "444 3", "tok", "1", netns],
    "127.0.0.1\tbuildkitsandbox",
    ...["5", "6", "/work/dir", "b", "buildkitsandbox", "line one", "line two", "script", "2"],
  ]);
  // the image is the base's layers and the folder of WORKDIR
  const layersOf = async (name: string) =>
    JSON.parse(await host.ok("image", "inspect", "-f", "{{json .RootFS.Layers}}", name)) as string[];
  assertEquals((await layersOf("mine")).slice(0, -1), await layersOf(image));
  const listing = await host.ok("image", "diff", "mine");
  assertEquals(listing.split("\n").filter((line) => !/^[AC] \/work/.test(line)), []);
  assertEquals(await host.ok("ps", "-aq"), "");
  await untilNothingIsLeft(host);
  const found = await host.sh(`grep -rlE '${SECRET}' "$HOME" 2>/dev/null; true`);
  assertEquals(found.stdout, "");
  assertEquals(await Deno.readTextFile(`${dir}/file`), "of the context\n");
});

hostTest("a RUN that fails tells its command, its exit code and its last output, and leaves nothing", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image("busybox");
  const dir = await contextOf(host, `FROM ${image}\nRUN echo before; echo why >&2; exit 37\n`);
  const { code, stdout, stderr } = await host.skiff(["build", "--progress", "plain", dir]);
  assertEquals([code, stdout], [1, ""]);
  assertEquals(printed(stderr).slice(0, 2), ["before", "why"]);
  assertIncludes(
    stderr,
    'process "/bin/sh -c echo before; echo why >&2; exit 37" did not complete successfully: exit code: 37',
  );
  assertIncludes(stderr, "   2 | >>> RUN echo before; echo why >&2; exit 37");
  for (
    const [line, message] of [
      ['RUN ["/no/such"]', 'process "/no/such" could not be run: '],
      ["RUN --mount=type=secret,id=nosuch,required=true true", "secret nosuch: not found"],
      ["RUN --mount=type=ssh,required=true true", "ssh agent default: not found"],
      ["RUN --mount=type=bind,source=/no/such,target=/x true", "/no/such"],
    ] as const
  ) {
    const failed = await host.skiff(["build", await contextOf(host, `FROM ${image}\n${line}\n`)]);
    assertEquals(failed.code, 1, failed.stderr);
    assertIncludes(failed.stderr, message);
  }
  await untilNothingIsLeft(host);
});

for (const signal of ["SIGINT", "SIGKILL"] as const) {
  hostTest(`a build that gets ${signal} while a RUN runs takes its container with it`, {
    needs: ["registry", "busybox"],
  }, async (host) => {
    const image = await host.image("busybox");
    const dir = await contextOf(host, `FROM ${image}\nRUN echo begun; sleep 1000\n`);
    const build = host.spawn(["build", "--progress", "plain", dir]);
    await waitFor("the step to run", () => printed(build.output.stderr).includes("begun"));
    build.child.kill(signal);
    const { code } = await build.result;
    assertEquals(code, signal === "SIGINT" ? 130 : 137);
    await untilNothingIsLeft(host);
    assertEquals(await host.ok("images", "-q", "--filter", "dangling=true"), "");
    const again = await contextOf(host, `FROM ${image}\nRUN echo begun\n`);
    assertEquals((await host.skiff(["build", "-q", again])).code, 0);
    await untilNothingIsLeft(host);
  });
}

hostTest("a step ends with the process that holds it, even where that one is killed with the whole build", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image("busybox");
  const dir = await contextOf(host, `FROM ${image}\nRUN echo begun; sleep 1000\n`);
  const build = host.spawn(["build", "--progress", "plain", dir]);
  await waitFor("the step to run", () => printed(build.output.stderr).includes("begun"));
  // stopped, the build cannot end before what it has started
  Deno.kill(build.pid, "SIGSTOP");
  const [holder] = childrenOf(build.pid);
  Deno.kill(holder!, "SIGKILL");
  await waitFor("the step to end", () => host.processes().every(({ pid }) => pid === build.pid));
  Deno.kill(build.pid, "SIGKILL");
  await build.result;
  // any command removes the folder, once its lock has gone with the last of its processes
  await waitFor("the folder to go", async () => {
    await host.ok("ps");
    return host.containers().length === 0;
  });
  await untilNothingIsLeft(host);
});

function childrenOf(pid: number): number[] {
  return Array.from(Deno.readDirSync(`/proc/${pid}/task`)).flatMap(({ name }) =>
    Deno.readTextFileSync(`/proc/${pid}/task/${name}/children`).split(" ").filter(Boolean).map(Number)
  );
}

hostTest("a locked cache mount is one build's at a time, a shared one both builds', a private one its own", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image("busybox");
  // whoever holds it makes a folder that nobody else may find there
  const locked = "mkdir /c/busy || exit 1; sleep 0.3; rmdir /c/busy; echo x >>/c/count";
  // each waits until both are there
  const shared = `touch /c/$ME; until [ -e /c/one ] && [ -e /c/two ]; do sleep 0.05; done`;
  const priv = "ls /c; touch /c/$ME; sleep 0.3";
  const dockerfile = (sharing: string, script: string) =>
    `FROM ${image}\nARG ME\nRUN --mount=type=cache,target=/c,id=${sharing},sharing=${sharing} ${script}\n`;
  for (const [sharing, script] of [["locked", locked], ["shared", shared], ["private", priv]] as const) {
    const dir = await contextOf(host, dockerfile(sharing, script));
    const results = await Promise.all(
      ["one", "two"].map((me) => host.skiff(["build", "--build-arg", `ME=${me}`, dir])),
    );
    for (const { code, stderr } of results) assertEquals(code, 0, stderr);
  }
  const count = await contextOf(
    host,
    `FROM ${image}\nRUN --mount=type=cache,target=/c,id=locked cat /c/count\n`,
  );
  const { stderr } = await host.skiff(["build", "--progress", "plain", count]);
  assertEquals(printed(stderr), ["x", "x"]);
  await untilNothingIsLeft(host);
});

hostTest("hosts, limits, capabilities, volumes, groups and namespaces of the build reach its steps", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image("busybox");
  const dir = await contextOf(
    host,
    `FROM ${image}
RUN grep added /etc/hosts | tr '\\t' ' '; ulimit -n; df -k /dev/shm | tail -1 | awk '{print $2}'; cat /vol/f
RUN grep -E 'CapEff|CapInh' /proc/self/status | tr '\\t' ' '
`,
  );
  await Deno.mkdir(`${host.home}/vol`);
  await Deno.writeTextFile(`${host.home}/vol/f`, "volume\n");
  await host.own(`${host.home}/vol`);
  const { code, stderr } = await host.skiff([
    ...["build", "--progress", "plain", "--add-host", "added:10.1.2.3", "--ulimit", "nofile=77:77"],
    ...["--shm-size", "8m", "-v", `${host.home}/vol:/vol`, "--cap-drop", "all", "--cap-add", "chown", dir],
  ]);
  assertEquals(code, 0, stderr);
  assertEquals(printed(stderr), [
    "10.1.2.3 added",
    "77",
    "8192",
    "volume",
    "CapInh: 0000000000000000",
    "CapEff: 0000000000000001",
  ]);
  const spaces = await contextOf(
    host,
    `FROM ${image}\nRUN id -G; hostname; for n in pid ipc uts cgroup; do ` +
      "readlink /proc/self/ns/$n; done\n",
  );
  const build = async (...words: string[]) => {
    const { code, stderr } = await host.skiff([
      "build",
      "--no-cache",
      "--progress",
      "plain",
      ...words,
      spaces,
    ]);
    assertEquals(code, 0, stderr);
    return printed(stderr);
  };
  const here = ["pid", "ipc", "uts", "cgroup"].map((name) => Deno.readLinkSync(`/proc/self/ns/${name}`));
  const own = await build("--pid=private", "--group-add=77,78");
  assertEquals(own.slice(0, 2), ["0 77 78", "buildkitsandbox"]);
  assertEquals(own.slice(2).filter((name) => here.includes(name)), []);
  const shared = await build("--pid=host", "--ipc=host", "--uts=host", "--cgroupns=host");
  assertEquals(shared, ["0", Deno.hostname(), ...here]);
  await untilNothingIsLeft(host);
});

/** Asks the agent for its keys and prints their comments; then what an agent answers to an order it does not know. */
const ASK_AGENT = String.raw`
use Socket;
socket(S, PF_UNIX, SOCK_STREAM, 0) or die;
connect(S, sockaddr_un($ARGV[0])) or die "connect: $!";
syswrite S, pack("NC", 1, 11); sysread S, $a, 4096; print "answer ", unpack("H*", $a), "\n";
`;

hostTest("a RUN reaches the user's ssh agent, and only the one that asks for it", {
  needs: ["registry", "debootstrap", "uidmap"],
}, async (host) => {
  const image = await host.image("debian");
  // SSH_AGENT_IDENTITIES_ANSWER with one key. @see draft-miller-ssh-agent, 4.4
  const string = (text: string) => [0, 0, 0, text.length, ...new TextEncoder().encode(text)];
  const body = [12, 0, 0, 0, 1, ...string("the key"), ...string("its comment")];
  const answer = new Uint8Array([0, 0, 0, body.length, ...body]);
  const path = `${host.home}/agent.sock`;
  const asked: string[] = [];
  using agent = Deno.listen({ transport: "unix", path });
  await host.own(path);
  const serving = (async () => {
    for await (const connection of agent) {
      const request = new Uint8Array(64);
      asked.push(request.subarray(0, await connection.read(request) ?? 0).toHex());
      await connection.write(answer);
      connection.close();
    }
  })();
  const dir = await contextOf(
    host,
    `FROM ${image}
COPY ask.pl /
RUN --mount=type=ssh,required=true perl /ask.pl "$SSH_AUTH_SOCK" && stat -c '%a %u %F' "$SSH_AUTH_SOCK"
RUN --mount=type=ssh,id=work,target=/run/a.sock,mode=0622,uid=33 perl /ask.pl /run/a.sock; stat -c '%a %u' /run/a.sock
RUN echo "socket \${SSH_AUTH_SOCK:-none}"; ls /run/buildkit /run/a.sock 2>/dev/null; echo rest
`,
    { "ask.pl": ASK_AGENT },
  );
  const words = [
    "build",
    "--progress",
    "plain",
    "--network",
    "none",
    "-t",
    "asked",
    "--ssh",
    `default=${path}`,
  ];
  const { code, stderr } = await host.skiff([...words, "--ssh", `work=${path}`, dir]);
  assertEquals(code, 0, stderr);
  const heard = `answer ${answer.toHex()}`;
  assertEquals(printed(stderr), [heard, "600 0 socket", heard, "622 33", "socket none", "rest"]);
  assertEquals(asked, ["000000010b", "000000010b"]);
  assertEquals(
    await host.ok("run", "--rm", "--network", "none", "asked", "find", "/run", "-name", "*sock*"),
    "",
  );
  await untilNothingIsLeft(host);
  agent.close();
  await serving;
});
