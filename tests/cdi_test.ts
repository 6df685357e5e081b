/** `--device VENDOR/CLASS=NAME`: what a CDI specification asks for, and the hooks that it names. @see CDI SPEC.md */

import { makeContext } from "./build_context.ts";
import { assertEquals, assertIncludes, type Host, hostTest, type Need, waitFor } from "./harness.ts";

const NEEDS = { needs: ["registry", "busybox", "uidmap"] as Need[], driver: "overlay" as const };
const HOOK_KINDS = "prestart createRuntime createContainer poststart poststop".split(" ");

/** Appends what it is told to a file; one for the container makes a link in its root. */
const HOOK = `#!/bin/sh
state=$(cat | tr -d ' \\n')
field() { echo "$state" | sed "s/.*\\"$1\\":\\"\\{0,1\\}\\([^,\\"}]*\\).*/\\1/"; }
echo "$1 $(field status) $WHO" >> "$0.log"
case $1 in
  fail) echo it hurts >&2; exit 3;;
  slow) exec sleep 100;;
  hang) echo $$ > "$0.pid"; exec sleep 1000;;
  last) test -s "$(field bundle)/config.json" && echo told >> "$0.log";;
  createContainer)
    root=$(sed 's/.*"root":{"path":"\\([^"]*\\)".*/\\1/' "$(field bundle)/config.json")
    test -c "$root/dev/vendor0" && test -f "$root/etc/vendor" && ln -sf /by/hook "$root/link";;
esac
`;

/** Says where specifications are, and writes one. */
async function prepare(host: Host): Promise<{ log: () => string }> {
  const folder = `${host.home}/cdi`, hook = `${host.home}/hook`;
  await Deno.mkdir(folder);
  const call = (kind: string, word = kind, more = {}) => ({
    hookName: kind,
    path: hook,
    args: ["hook", word],
    env: ["WHO=cdi", "PATH=/bin:/usr/bin"],
    ...more,
  });
  const startContainer = {
    hookName: "startContainer",
    path: "/bin/sh",
    args: ["sh", "-c", "cat > /tmp/state"],
  };
  const device = (name: string, containerEdits: unknown) => ({ name, containerEdits });
  const spec = {
    cdiVersion: "0.6.0",
    kind: "vendor.com/device",
    containerEdits: { env: ["ALL=1"] },
    devices: [
      device("one", {
        env: ["ONE=a=b", "PATH=/bin:/vendor"],
        deviceNodes: [{ path: "/dev/vendor0", hostPath: "/dev/zero", type: "c", permissions: "rw" }],
        mounts: [
          {
            hostPath: "/etc/hostname",
            containerPath: "/etc/vendor",
            options: ["ro", "nosuid", "nodev", "bind"],
          },
          { hostPath: "tmpfs", containerPath: "/mnt/scratch", type: "tmpfs", options: ["size=64k"] },
        ],
        additionalGids: [0, 44],
        hooks: [...HOOK_KINDS.map((kind) => call(kind)), startContainer],
      }),
      device("bad-hook", { hooks: [call("createContainer", "fail")] }),
      device("bad-runtime-hook", { hooks: [call("createRuntime", "fail")] }),
      device("slow-hook", { hooks: [call("createRuntime", "slow", { timeout: 1 })] }),
      device("hanging-hook", { hooks: [call("createRuntime", "hang")] }),
      device("rough-hooks", {
        hooks: [
          ...["fail", "poststart"].map((word) => call("poststart", word)),
          ...["fail", "last"].map((word) => call("poststop", word)),
        ],
      }),
      device("gone", { deviceNodes: [{ path: "/dev/gone" }] }),
    ],
  };
  await Deno.writeTextFile(`${folder}/vendor.json`, JSON.stringify(spec));
  await Deno.writeTextFile(
    `${folder}/gpu.yaml`,
    `cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n- {name: all, containerEdits: {env: [GPU=all]}}\n`,
  );
  await Deno.writeTextFile(
    `${folder}/wrong.yaml`,
    "cdiVersion: 0.6.0\nkind: vendor.com/other\ndevices: []\n",
  );
  await Deno.writeTextFile(hook, HOOK, { mode: 0o755 });
  await Deno.writeTextFile(
    `${host.home}/.config/containers/containers.conf`,
    `[engine]\ncdi_spec_dirs = ["${folder}"]\n`,
  );
  await host.own(folder, hook, `${host.home}/.config/containers/containers.conf`);
  return { log: () => Deno.readTextFileSync(`${hook}.log`) };
}

hostTest("a device of CDI comes with its variables, nodes, mounts, groups and hooks", NEEDS, async (host) => {
  const { log } = await prepare(host);
  const script = `id -G; echo $ALL $ONE $PATH; head -c 2 /dev/vendor0 | wc -c; readlink /link
    cat /etc/vendor; echo x > /etc/vendor; df -k /mnt/scratch | tail -1 | awk '{print $2}'
    sed 's/.*"status":"\\([a-z]*\\)".*/\\1/' /tmp/state`;
  const words = ["-q", "--network", "none", "--device", "vendor.com/device=one", "--gpus", "all"];
  const first = await host.run(...words, "--name", "c", await host.image(), "sh", "-c", script);
  assertEquals(first.stdout.split("\n"), [
    "0 44",
    "1 a=b /bin:/vendor",
    "2",
    "/by/hook",
    Deno.readTextFileSync("/etc/hostname").trimEnd(),
    "64",
    "created",
  ]);
  assertIncludes(first.stderr, "Read-only file system");
  const statuses = "creating creating creating running stopped".split(" ");
  const told = (times: number) =>
    Array(times).fill(HOOK_KINDS.map((kind, at) => `${kind} ${statuses[at]} cdi`)).flat();
  // nobody waits for those of the end, so the next start may be told before
  await waitFor("the hook of the end", () => log().split("\n").length > HOOK_KINDS.length);
  assertEquals(log().trimEnd().split("\n"), told(1));
  // what a device is, is looked up again at each start
  await host.ok("start", "-a", "c");
  await waitFor("its second end", () => log().split("\n").length > 2 * HOOK_KINDS.length);
  assertEquals(log().trimEnd().split("\n"), told(2));
  // nested user namespaces have hooks as well
  const kept = await host.run(
    "--rm",
    "--userns",
    "keep-id",
    ...words,
    await host.image(),
    "readlink",
    "/link",
  );
  assertEquals([kept.stdout, kept.code], ["/by/hook\n", 0], kept.stderr);
  await waitFor("the end of one that is removed", () => log().split("\n").length > 3 * HOOK_KINDS.length);
  assertEquals(log().trimEnd().split("\n"), told(3));
});

hostTest(
  "a step of a build gets the devices that it asks for, where the build allows them",
  NEEDS,
  async (host) => {
    await prepare(host);
    const build = async (step: string, ...options: string[]) => {
      const folder = await makeContext(host, { Dockerfile: `FROM ${await host.image()}\nRUN ${step}\n` });
      return await host.skiff(["build", "--progress", "plain", "--network", "none", ...options, folder]);
    };
    const script = "test -c /dev/vendor0 && test -f /etc/vendor && echo seen $ONE $ALL $(readlink /link)";
    const one = `--device=vendor.com/device=one,required ${script}`;
    const refused = await build(one);
    assertIncludes(refused.stderr, "device vendor.com/device=one is requested by the build but not allowed");
    const allowed = await build(one, "--allow", "device=vendor.com/device=one");
    assertEquals(allowed.code, 0, allowed.stderr);
    assertIncludes(allowed.stderr, "seen a=b 1 /by/hook");
    // for all steps, by an option that the caller himself gives
    const asked = await build(script, "--device", "vendor.com/device=one");
    assertIncludes(asked.stderr, "seen a=b 1 /by/hook");
    const missing = await build("--device=vendor.com/none,required true");
    assertIncludes(missing.stderr, 'required device "vendor.com/none" is not registered');
    const without = await build("--device=vendor.com/none true");
    assertEquals(without.code, 0, without.stderr);
    assertIncludes(without.stderr, 'it goes on without device "vendor.com/none", which is not registered');
  },
);

hostTest("what cannot be had of a device of CDI is told as podman tells it", NEEDS, async (host) => {
  await prepare(host);
  const image = await host.image();
  const failure = async (...devices: string[]) => {
    const options = devices.flatMap((name) => ["--device", name]);
    const { code, stderr } = await host.run("-q", "--rm", "--network", "none", ...options, image, "true");
    return `${code} ${stderr.trimEnd().split("\n")[0]}`;
  };
  const hook = `error executing hook \`${host.home}/hook\` (exit code: `;
  assertEquals(
    await failure("vendor.com/device=x", "vendor.com/device=one", "a.b/cd=e"),
    "126 Error: setting up CDI devices: unresolvable CDI devices vendor.com/device=x, a.b/cd=e",
  );
  assertEquals(await failure("vendor.com/device=bad-hook"), `126 Error: ${hook}3): it hurts`);
  assertEquals(await failure("vendor.com/device=bad-runtime-hook"), `126 Error: ${hook}3): it hurts`);
  assertEquals(await failure("vendor.com/device=slow-hook"), `126 Error: ${hook}137)`);
  assertEquals(
    await failure("vendor.com/device=gone"),
    "126 Error: setting up CDI devices: failed to inject devices: failed to stat CDI host device " +
      '"/dev/gone": no such file or directory',
  );
  assertEquals(host.containers(), []);
  await host.ok("create", "--name", "c", "--device", "vendor.com/other=x", image, "true");
  const { stderr } = await host.skiff(["start", "c"]);
  assertIncludes(stderr, "unresolvable CDI devices vendor.com/other=x");
  assertIncludes(stderr, `failed to load CDI Spec ${host.home}/cdi/wrong.yaml: invalid CDI Spec: devices: `);
});

hostTest(
  "a hook that fails after the start hinders none, and none is left of a start that is given up",
  NEEDS,
  async (host) => {
    const { log } = await prepare(host);
    const image = await host.image();
    const words = ["-q", "--rm", "--network", "none", "--device"];
    const script = "until grep -q ^poststart /hooks/hook.log; do sleep 0.1; done";
    const program = ["-v", `${host.home}:/hooks:ro`, image, "sh", "-c", script];
    const { code, stderr } = await host.run(...words, "vendor.com/device=rough-hooks", ...program);
    assertEquals(code, 0, stderr);
    // those of the end come before the files go
    assertEquals(log().trimEnd().split("\n"), [
      ...["fail running cdi", "poststart running cdi", "fail stopped cdi", "last stopped cdi", "told"],
    ]);
    const run = host.run(...words, "vendor.com/device=hanging-hook", "-d", "--name", "c", image, "true");
    const pidFile = `${host.home}/hook.pid`;
    const pid = await waitFor(
      "the hook",
      () => Deno.readTextFile(pidFile).then((text) => text.trim(), () => ""),
    );
    await host.ok("rm", "-f", "c");
    assertEquals((await run).code, 125);
    await waitFor("the hook's end", () => Deno.stat(`/proc/${pid}`).then(() => false, () => true));
  },
);

for (const [how, ...options] of [["an attached run"], ["one with a terminal", "-it"]]) {
  hostTest(`Ctrl-C ends ${how} whose hook hangs, and the hook`, NEEDS, async (host) => {
    await prepare(host);
    const image = await host.image();
    await host.ok("pull", "-q", image);
    const words = ["--rm", "--network", "none", "--device", "vendor.com/device=hanging-hook", ...options!];
    const session = host.pty(["run", "-q", ...words, image, "true"]);
    const pid = await hookPid(host);
    await session.write("\x03");
    assertEquals(await session.wait(), 130);
    assertIncludes(session.text, "run hooks: ended by signal 2 before the program ran");
    await waitFor("the hook's end", () => Deno.stat(`/proc/${pid}`).then(() => false, () => true));
    assertEquals(await host.ok("ps", "-aq"), "");
  });
}

hostTest("a hook before the start does not outlive a monitor that is killed", NEEDS, async (host) => {
  await prepare(host);
  const image = await host.image();
  await host.ok("pull", "-q", image);
  const words = ["-d", "--name", "c", "--network", "none", "--device", "vendor.com/device=hanging-hook"];
  const run = host.skiff(["run", "-q", ...words, image, "true"]);
  const pid = await hookPid(host);
  const parent = /^PPid:\s+(\d+)$/m.exec(await Deno.readTextFile(`/proc/${pid}/status`))![1];
  host.kill9(Number(parent));
  assertEquals((await run).code, 125);
  await waitFor("the hook's end", () => Deno.stat(`/proc/${pid}`).then(() => false, () => true));
});

function hookPid(host: Host): Promise<string> {
  const read = () => Deno.readTextFile(`${host.home}/hook.pid`).then((text) => text.trim(), () => "");
  return waitFor("the hook", read);
}
