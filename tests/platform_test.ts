/** Images of other platforms: pulled beside this machine's own, and run where the kernel has an emulator for them. */
import { assertEquals, assertIncludes, type Host, hostTest, type Result } from "./harness.ts";
import { busyboxEntries } from "./images.ts";

const NATIVE = Deno.build.arch === "aarch64" ? "arm64" : "amd64";
/** Neither machine runs programs of it by itself. */
const FOREIGN = "s390x";

/** The head of a program for s390x; the rest nobody reads. @see elf(5) */
function foreignProgram(): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(256);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 2, 1]);
  const view = new DataView(header.buffer);
  view.setUint16(16, 2);
  view.setUint16(18, 22);
  view.setUint32(20, 1);
  return header;
}

async function foreignImage(host: Host): Promise<string> {
  const entries = busyboxEntries().filter(({ path }) => path !== "bin/echo");
  return await host.makeImage({
    layers: [{ entries: [...entries, { path: "bin/echo", mode: 0o755, content: foreignProgram() }] }],
    config: { Cmd: ["/bin/echo", "emulated"], Env: ["PATH=/bin"] },
    architecture: FOREIGN,
  });
}

/**
 * Where programs for s390x are given to `interpreter`: binfmt_misc belongs to a user namespace since Linux 6.7, so it is
 * one of the test's own, in which all ids are what they are outside.
 */
async function withEmulator(host: Host, flags: string, script: string): Promise<Result> {
  const magic = Array.from(
    foreignProgram().subarray(0, 20),
    (byte) => `\\x${byte.toString(16).padStart(2, "0")}`,
  )
    .join("");
  const rule = `:skiff-test:M::${magic}::/bin/busybox:${flags}`;
  const inside = "read go; mount -t binfmt_misc none /proc/sys/fs/binfmt_misc || exit 99; " +
    'printf %s "$0" >/proc/sys/fs/binfmt_misc/register || exit 98; exec "$@"';
  const child = new Deno.Command("/usr/bin/unshare", {
    args: [
      ...["-U", "-m", "--propagation", "slave", "/bin/sh", "-c", inside, rule],
      ...[...host.prefix, "/bin/sh", "-c", script],
    ],
    clearEnv: true,
    env: { ...host.env, SKIFF: host.binary },
    cwd: "/",
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const ended = child.output();
  const writer = child.stdin.getWriter();
  // its namespace is there when it is another one than ours
  const own = await Deno.readLink("/proc/self/ns/user");
  const end = Date.now() + 60_000;
  while (await Deno.readLink(`/proc/${child.pid}/ns/user`).catch(() => own) === own) {
    if (Date.now() > end) throw new Error("unshare made no user namespace");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  for (const map of ["uid_map", "gid_map"]) {
    await Deno.writeTextFile(`/proc/${child.pid}/${map}`, "0 0 4294967295\n");
  }
  await writer.write(new TextEncoder().encode("go\n"));
  await writer.close();
  const { code, signal, stdout, stderr } = await ended;
  return { code, signal, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

/** Linux 6.7 */
function hasOwnBinfmt(): boolean {
  const [major = 0, minor = 0] = Deno.osRelease().split(".").map(Number);
  return (major > 6 || major === 6 && minor >= 7) &&
    Deno.readTextFileSync("/proc/filesystems").includes("binfmt_misc");
}

hostTest("an image of another platform says so, and what is missing to run it", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const reference = await foreignImage(host);
  const image = await host.image();
  await host.ok("pull", "-q", image);
  await host.ok("pull", "-q", "--platform", `linux/${FOREIGN}`, reference);
  const inspected = await host.ok("inspect", "--format", "{{.Os}}/{{.Architecture}}", reference);
  assertEquals(inspected, `linux/${FOREIGN}`);
  const mismatch =
    `Warning: image platform (linux/${FOREIGN}) does not match the expected platform (linux/${NATIVE})`;
  const missing =
    `the image is linux/${FOREIGN}, this machine linux/${NATIVE} and no emulator is registered: ` +
    "let the kernel start qemu-s390x (Debian: packages qemu-user-static and binfmt-support)";
  const ran = await host.run("--rm", reference);
  assertEquals([ran.code, ran.stdout], [126, ""]);
  assertEquals(ran.stderr.split("\n")[0], `${mismatch}; ${missing}`);
  assertIncludes(ran.stderr, "Error: /bin/echo: Exec format error\nit is for another processor");
  for (
    const words of [["--platform", `linux/${FOREIGN}`], ["--arch", FOREIGN], [
      "--os",
      "linux",
      "--arch",
      FOREIGN,
    ]]
  ) {
    const asked = await host.run("--rm", ...words, reference);
    assertEquals([asked.code, asked.stderr.split("\n")[0]], [126, `Warning: ${missing}`]);
  }
  // programs of the image that this processor runs do so
  const native = await host.run("--rm", "--platform", `linux/${FOREIGN}`, reference, "/bin/true");
  assertEquals(native.code, 0);
  assertEquals((await host.run("--rm", image, "true")).stderr, "");
});

hostTest("with an emulator, an image of another platform runs and builds", {
  needs: ["registry", "busybox", "root"],
  // a kernel is nothing that can be installed for a test
  notHere: hasOwnBinfmt() ? null : "no binfmt_misc for user namespaces (Linux 6.7)",
}, async (host) => {
  const reference = await foreignImage(host);
  await host.ok("pull", "-q", "--platform", `linux/${FOREIGN}`, reference);
  const run = `"$SKIFF" run --rm --network=none --platform linux/${FOREIGN} ${reference}`;
  // without F the kernel looks for the interpreter in the container, which has it here
  for (const flags of ["F", ""]) {
    const { code, stdout, stderr } = await withEmulator(host, flags, run);
    assertEquals([code, stdout], [0, "emulated\n"], stderr);
    assertEquals(stderr.includes("/bin/busybox has to be in the image"), flags === "", stderr);
  }
  const dockerfile = `printf 'FROM --platform=linux/${FOREIGN} ${reference}\\nRUN ["/bin/echo","built"]\\n'`;
  const built = await withEmulator(
    host,
    "F",
    `cd && mkdir b && ${dockerfile} >b/Dockerfile && "$SKIFF" build --progress plain --network none -t built b`,
  );
  assertEquals(built.code, 0, built.stderr);
  assertIncludes(built.stderr, "built\n");
});
