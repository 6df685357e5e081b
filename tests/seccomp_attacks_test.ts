/** Attacks on the kernel through system calls and capabilities, each with a control that shows it is live. */
import { DEFAULT_CAPABILITIES } from "../runtime/security/capabilities.ts";
import { seccompFilter } from "../runtime/security/seccomp.ts";
import {
  assert,
  assertEquals,
  assertIncludes,
  type Host,
  hostTest,
  type Need,
  whatIsMissing,
} from "./harness.ts";
import { compileProbe, probeVolume } from "./probes.ts";

const EPERM = 1, ENOSYS = 38;
const isX86 = Deno.build.arch === "x86_64";

/** What the probe must be told inside; on x86-64 also by x32 numbers and i386's int 0x80. */
const DENIED: Record<string, number> = {
  ...Object.fromEntries(
    [
      ...["socket-alg", "socket-alg-high", "socket-vsock", "socket-vsock-high"],
      ...["io-uring-setup", "io-uring-enter", "io-uring-register"],
      ...["clone-newuser", "unshare-nothing", "setns", "tiocsti", "tiocsti-high", "tioclinux"],
      ...["personality-no-randomize", "keyctl", "bpf", "userfaultfd", "open-by-handle"],
      ...isX86
        ? [
          ...["x32-socket-alg", "x32-socket-vsock", "x32-io-uring", "x32-unshare", "x32-tiocsti"],
          ...["i386-socket-alg", "i386-socketcall-alg", "i386-socket-vsock", "i386-socketcall-vsock"],
          ...["i386-io-uring", "i386-unshare", "i386-tiocsti"],
        ]
        : [],
    ].map((name) => [name, EPERM]),
  ),
  clone3: ENOSYS,
};

const ALLOWED: Record<string, number> = {
  "socket-inet": 0,
  "socket-unix": 0,
  "clone-plain": 0,
  "personality-ask": 0,
  ...isX86 ? { "i386-socket-inet": 0 } : {},
};

/** Calls that the kernel itself answers otherwise without a filter, whatever the machine's settings. */
const LIVE = Object.keys(DENIED).filter((name) =>
  !["bpf", "open-by-handle", "clone-newuser", "userfaultfd", "keyctl"].includes(name)
);

Deno.test({
  name: `the kernel takes the default filter, and it denies what it should${
    whatIsMissing(["gcc"]) === null ? "" : " [needs gcc]"
  }`,
  ignore: whatIsMissing(["gcc"]) !== null,
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "skiff-probe-" });
    try {
      const probe = await compileProbe("seccomp_probe", folder);
      const filter = await seccompFilter({
        profile: { kind: "default" },
        capabilities: DEFAULT_CAPABILITIES,
        fakeOwnership: false,
        machine: isX86 ? "x86_64" : "aarch64",
        kernelRelease: Deno.osRelease(),
      });
      await Deno.writeFile(`${folder}/filter`, Uint8Array.fromBase64(filter!.program));
      const run = async (...args: string[]) => {
        const { stdout } = await new Deno.Command(probe, { args, stdin: "null" }).output();
        return readProbe(new TextDecoder().decode(stdout));
      };
      assertVerdicts(await run(`${folder}/filter`, probe));
      assertLive(await run());
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

/** Rootless and as root. */
function attackTest(name: string, needs: Need[], fn: (host: Host) => Promise<void>) {
  hostTest(name, { needs }, fn);
  hostTest(`${name} (as root)`, { needs: ["root", ...needs], asRoot: true }, fn);
}

attackTest("a container cannot reach AF_ALG, AF_VSOCK, io_uring, clone3 or TIOCSTI by any door", [
  "registry",
  "busybox",
  "gcc",
], async (host) => {
  const [image, volume] = [await pulledImage(host), await probeVolume(host, "seccomp_probe")];
  const inside = await host.run("--rm", ...volume, image, "/probe");
  assertVerdicts(readProbe(inside.stdout));

  const control = await host.run("--rm", "--security-opt", "seccomp=unconfined", ...volume, image, "/probe");
  assertLive(readProbe(control.stdout));
});

attackTest(
  "a container with a terminal of its own cannot type into it",
  ["registry", "busybox", "gcc"],
  async (host) => {
    const [image, volume] = [await pulledImage(host), await probeVolume(host, "seccomp_probe")];
    const inside = await host.run("--rm", "-t", ...volume, image, "/probe");
    assertVerdicts(readProbe(inside.stdout));
  },
);

attackTest("exec is under the container's filter", ["registry", "busybox", "gcc"], async (host) => {
  const [image, volume] = [await pulledImage(host), await probeVolume(host, "seccomp_probe")];
  const id = await host.ok("run", "-d", "--network", "none", ...volume, image, "sleep", "600");
  assertVerdicts(readProbe(await host.ok("exec", id, "/probe")));
  assertVerdicts(readProbe(await host.ok("exec", "-u", "1000", id, "/probe")));
  assertEquals(await statusField(host.ok("exec", id, "cat", "/proc/self/status"), "Seccomp"), "2");

  const control = await host.ok(
    ...["run", "-d", "--network", "none", "--security-opt", "seccomp=unconfined", ...volume, image],
    ...["sleep", "600"],
  );
  assertLive(readProbe(await host.ok("exec", control, "/probe")));
});

attackTest("a profile in Docker's format is followed by run and exec, and a broken one is refused", [
  "registry",
  "busybox",
], async (host) => {
  const image = await pulledImage(host);
  const file = `${host.folder}/profile.json`;
  const profile = {
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 95 }],
  };
  await Deno.writeTextFile(file, JSON.stringify(profile));
  const option = ["--security-opt", `seccomp=${file}`];
  const denied = await host.run("--rm", ...option, image, "mkdir", "/new");
  assertEquals([denied.code, denied.stderr], [
    1,
    "mkdir: can't create directory '/new': Operation not supported\n",
  ]);

  const id = await host.ok("run", "-d", "--network", "none", ...option, image, "sleep", "600");
  const executed = await host.skiff(["exec", id, "mkdir", "/new"]);
  assertEquals(executed.stderr, "mkdir: can't create directory '/new': Operation not supported\n");

  const control = await host.run("--rm", image, "mkdir", "/new");
  assertEquals([control.code, control.stderr], [0, ""]);

  await Deno.writeTextFile(file, JSON.stringify({ ...profile, defaultAction: "SCMP_ACT_NONSENSE" }));
  const broken = await host.run("--rm", ...option, image, "true");
  assertEquals(broken.code, 125);
  assertIncludes(broken.stderr, 'compile seccomp profile: unknown action "SCMP_ACT_NONSENSE"');
});

attackTest(
  "only unconfined and privileged containers run without a filter",
  ["registry", "busybox"],
  async (host) => {
    const image = await pulledImage(host);
    const seccompMode = (...options: string[]) =>
      statusField(
        host.run("--rm", ...options, image, "cat", "/proc/self/status").then(({ stdout }) => stdout),
        "Seccomp",
      );
    assertEquals(await seccompMode(), "2");
    assertEquals(await seccompMode("-u", "1000"), "2");
    assertEquals(await seccompMode("--cap-add", "ALL"), "2");
    assertEquals(await seccompMode("--cap-drop", "ALL"), "2");
    assertEquals(await seccompMode("--security-opt", "no-new-privileges"), "2");
    assertEquals(await seccompMode("--security-opt", "seccomp=unconfined"), "0");
    assertEquals(await seccompMode("--privileged"), "0");
  },
);

const NONE = "0000000000000000";
const DEFAULT = "00000000a80425fb";

attackTest(
  "run and exec leave the inheritable and ambient sets empty",
  ["registry", "busybox"],
  async (host) => {
    const image = await pulledImage(host);
    const show = ["grep", "^Cap", "/proc/self/status"];
    const run = async (...options: string[]) => {
      const { stdout, stderr } = await host.run("--rm", ...options, image, ...show);
      assert(stdout !== "", stderr);
      return readCapabilities(stdout);
    };
    const root = { CapInh: NONE, CapPrm: DEFAULT, CapEff: DEFAULT, CapBnd: DEFAULT, CapAmb: NONE };
    const user = { ...root, CapPrm: NONE, CapEff: NONE };
    assertEquals(await run(), root);
    assertEquals(await run("-u", "1000"), user);
    assertEquals(await run("--cap-drop", "all"), { ...user, CapBnd: NONE });
    assertEquals(await run("--cap-drop", "all", "--cap-add", "chown"), {
      ...{ CapInh: NONE, CapPrm: "0000000000000001", CapEff: "0000000000000001" },
      ...{ CapBnd: "0000000000000001", CapAmb: NONE },
    });
    const privileged = await run("--privileged");
    assertEquals([privileged.CapInh, privileged.CapAmb], [NONE, NONE]);
    assertEquals(privileged.CapEff, privileged.CapBnd);

    const id = await host.ok("run", "-d", "--network", "none", image, "sleep", "600");
    assertEquals(readCapabilities(await host.ok("exec", id, ...show)), root);
    assertEquals(readCapabilities(await host.ok("exec", "-u", "1000", id, ...show)), user);
    const raised = readCapabilities(await host.ok("exec", "--privileged", id, ...show));
    assertEquals([raised.CapInh, raised.CapAmb], [NONE, NONE]);
  },
);

attackTest("a file's inheritable capabilities give an ordinary user nothing (CVE-2022-24769)", [
  "registry",
  "busybox",
  "gcc",
  "uidmap",
], async (host) => {
  const [image, volume] = [await pulledImage(host), await probeVolume(host, "capabilities_probe")];
  const attack = await host.run("--rm", ...volume, image, "/probe");
  assertEquals(attack.stderr, "");
  assertEquals(readCapabilities(attack.stdout).CapEff, NONE);

  const control = await host.run("--rm", ...volume, image, "/probe", "--inherit");
  assertEquals(readCapabilities(control.stdout).CapEff, "0000000000000001");

  const id = await host.ok("run", "-d", "--network", "none", ...volume, image, "sleep", "600");
  assertEquals(readCapabilities(await host.ok("exec", id, "/probe")).CapEff, NONE);
});

/** In the store already, so that stderr of a run holds what the container says. */
async function pulledImage(host: Host): Promise<string> {
  const image = await host.image();
  await host.ok("pull", "-q", image);
  return image;
}

/** `NAME ERRNO` lines. */
function readProbe(text: string): Record<string, number> {
  const lines = text.split(/\r?\n/).filter((line) => line !== "").map((line) => line.split(" "));
  return Object.fromEntries(lines.map(([name, errno]) => [name!, Number(errno)]));
}

function assertVerdicts(found: Record<string, number>) {
  const expected: Record<string, number> = { ...DENIED, ...ALLOWED, "no-such-call": ENOSYS };
  assertEquals(Object.entries(found).sort(), Object.entries(expected).sort());
}

/** Without the filter the same calls get past the door: the kernel answers something else. */
function assertLive(found: Record<string, number>) {
  assertEquals(LIVE.filter((name) => found[name] === undefined || found[name] === DENIED[name]), []);
}

/** `CapInh:\t0000…` lines of /proc/PID/status. */
function readCapabilities(text: string): Record<string, string> {
  return Object.fromEntries(
    [...text.matchAll(/^(Cap\w+):\s*([0-9a-f]+)/gm)].map(([, name, set]) => [name!, set!]),
  );
}

async function statusField(status: Promise<string>, name: string): Promise<string | undefined> {
  return new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(await status)?.[1];
}
