/** RUN --mount=type=ssh with the programs of OpenSSH: keys from files, and the user's own agent. */
import { assertEquals, assertIncludes, hostTest, waitFor } from "./harness.ts";
import { makeContext } from "./build_context.ts";

const PROGRAMS = ["/usr/bin/ssh-add", "/usr/bin/ssh-keygen"];

/** Copies programs of the host and the libraries that they need below `root`, under their own paths. */
async function copyPrograms(root: string): Promise<void> {
  const ldd = new Deno.Command("ldd", { args: PROGRAMS }).outputSync();
  const libraries = new TextDecoder().decode(ldd.stdout).matchAll(/(?:=> |^\s+)(\/\S+)(?= \()/gm);
  for (const path of new Set([...PROGRAMS, ...[...libraries].map(([, path]) => path!)])) {
    await Deno.mkdir(`${root}${path.replace(/\/[^/]*$/, "")}`, { recursive: true });
    await Deno.copyFile(path, `${root}${path}`);
    await Deno.chmod(`${root}${path}`, 0o755);
  }
}

const KINDS = [["ed25519"], ["ecdsa", "-b", "384"], ["rsa", "-b", "2048", "-m", "PEM"]];

hostTest("a RUN lists and signs with keys of files and of an agent, and can do nothing else with them", {
  needs: ["registry", "busybox", "openssh"],
}, async (host) => {
  const image = await host.image("busybox");
  const keygen = (...words: string[]) =>
    host.program(["ssh-keygen", "-q", ...words]).then(({ code, stdout, stderr }) => {
      assertEquals(code, 0, stderr);
      return stdout;
    });
  const keys = KINDS.map(([kind]) => `${host.home}/${kind}`);
  for (const [at, path] of keys.entries()) await keygen("-t", ...KINDS[at]!, "-N", "", "-C", "", "-f", path);
  const context = await makeContext(host, {
    Dockerfile: `FROM ${image}
COPY rootfs/ /
COPY *.pub message /k/
RUN --mount=type=ssh,required ssh-add -l && for key in /k/*.pub; do \\
    ssh-keygen -q -Y sign -f $key -n skiff /k/message && ssh-keygen -Y check-novalidate -n skiff -s /k/message.sig </k/message && \\
    rm /k/message.sig || exit 1; done
RUN --mount=type=ssh,id=work ssh-add -D; ssh-add -x </dev/null; ssh-add -s /k/none.so </dev/null; ssh-add -l; :
RUN ssh-add -l || echo "none: $?"
`,
    message: "to be signed",
  });
  const prints: string[] = [];
  for (const path of keys) {
    await Deno.copyFile(`${path}.pub`, `${context}/${path.split("/").at(-1)}.pub`);
    prints.push((await keygen("-l", "-f", path)).split(" ")[1]!);
  }
  await copyPrograms(`${context}/rootfs`);
  await host.program(["ssh-keygen", "-q", "-t", "ed25519", "-N", "a phrase", "-f", `${host.home}/locked`]);

  const socket = `${host.home}/agent.sock`;
  const agent = host.spawnProgram(["ssh-agent", "-D", "-a", socket]);
  await waitFor("the agent", () =>
    host.program(["ssh-add", "-l"], { env: { SSH_AUTH_SOCK: socket } })
      .then(({ stdout }) => stdout.includes("no identities")));
  const listed = async () =>
    (await host.program(["ssh-add", "-l"], { env: { SSH_AUTH_SOCK: socket } })).stdout;
  try {
    await host.program(["ssh-add", "-q", keys[0]!], { env: { SSH_AUTH_SOCK: socket } });
    const words = ["build", "--progress", "plain", "--network", "none", "--ssh", `default=${keys.join(",")}`];
    const { code, stderr } = await host.skiff([...words, "--ssh", `work=${socket}`, "-t", "signed", context]);
    assertEquals(code, 0, stderr);
    const printed = stderr.split("\n").flatMap((line) => /^#\d+ \d+\.\d+ (.*)$/.exec(line)?.[1] ?? []);
    const signatures = printed.filter((line) => /^Good "skiff" signature with \S+ key SHA256:/.test(line));
    assertEquals(signatures.map((line) => line.replace(/.* with (\S+) .*/, "$1")), [
      "ECDSA",
      "ED25519",
      "RSA",
    ]);
    assertEquals(prints.filter((print) => !printed.some((line) => line.split(" ")[1] === print)), []);
    assertIncludes(stderr, "Failed to remove all identities.");
    assertIncludes(stderr, "none: 2");
    // the agent still has its key, and would have been rid of it
    assertIncludes(await listed(), prints[0]!);
    await host.program(["ssh-add", "-D"], { env: { SSH_AUTH_SOCK: socket } });
    assertIncludes(await listed(), "no identities");
  } finally {
    agent.child.kill("SIGTERM");
    await agent.result;
  }
  const locked = await host.skiff(["build", "--ssh", `default=${host.home}/locked`, context]);
  assertEquals(
    [locked.code, locked.stderr],
    [
      1,
      `Error: ssh agent default: key ${host.home}/locked: this private key is passphrase protected\n` +
      `give it to an agent by 'ssh-add ${host.home}/locked', and use --ssh default\n`,
    ],
  );
});
