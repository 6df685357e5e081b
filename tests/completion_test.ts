/** Completion, by real shells: what a user sees who types and presses Tab. */

import { assert, assertEquals, assertIncludes, type Host, hostTest, type PtySession } from "./harness.ts";

/** A folder on PATH with `skiff` in it, and a shell's environment. */
async function shellEnv(host: Host): Promise<Record<string, string>> {
  const bin = `${host.home}/bin`;
  await Deno.mkdir(bin);
  await Deno.symlink(host.binary, `${bin}/skiff`);
  await host.own(bin);
  return { PATH: `${bin}:${host.env.PATH}`, PS1: "> ", TERM: "dumb", HISTFILE: "/dev/null", PROMPT: "> " };
}

/** Containers on and off, a volume and an image with a port in its name. */
async function stage(host: Host): Promise<string> {
  const image = await host.image();
  await host.ok(
    "run",
    "-d",
    "-q",
    "--network=none",
    "--stop-timeout=0",
    "--name",
    "web-on",
    image,
    "sleep",
    "1000",
  );
  await host.ok("network", "create", "inner-net");
  await host.ok("pod", "create", "--infra=false", "duo-pod");
  await host.ok("secret", "create", "--env", "pass-1", "HOME");
  await Deno.writeTextFile(`${host.home}/some-file`, "");
  await host.ok("create", "-q", "--network=none", "-v", "web-data:/data", "--name", "web-off", image, "true");
  // a name that a shell would take apart is offered to nobody
  await host.sh("mkdir -p in/config.d 'in/$(touch ~/evil)' && touch in/config.d/site.conf in/config.d/siteb");
  await host.ok("cp", "in", "web-off:/srv");
  await host.ok(
    "create",
    "-q",
    "-p",
    "127.0.0.1:0:5432",
    "-p",
    "127.0.0.1::5300/udp",
    "--name",
    "db-1",
    image,
    "true",
  );
  return image;
}

/** What the shell makes of each line and one Tab. `REGISTRY` stands for the registry's address. */
const COMPLETED: [typed: string, shown: string][] = [
  ["skiff compl", "skiff completion "],
  ["skiff container exi", "skiff container exists "],
  ["skiff stop --ti", "skiff stop --time "],
  ["skiff stop web", "skiff stop web-on "],
  ["skiff start web", "skiff start web-off "],
  ["skiff rm -f web-of", "skiff rm -f web-off "],
  ["skiff run --rm --network=no", "skiff run --rm --network=none "],
  ["skiff run --rm --network inn", "skiff run --rm --network inner-net "],
  ["skiff network rm inn", "skiff network rm inner-net "],
  ["skiff network connect inner-net web-of", "skiff network connect inner-net web-off "],
  ["skiff secret rm pas", "skiff secret rm pass-1 "],
  ["skiff run --secret pas", "skiff run --secret pass-1 "],
  ["skiff run --pod duo", "skiff run --pod duo-pod "],
  ["skiff pod start duo", "skiff pod start duo-pod "],
  ["skiff pod ps --filter ctr-num", "skiff pod ps --filter ctr-number="],
  ["skiff secret ls -f na", "skiff secret ls -f name="],
  ["skiff network ls --filter dang", "skiff network ls --filter dangling="],
  ["skiff run --rm --network container:web", "skiff run --rm --network container:web-on "],
  ["skiff run --rm ho", "skiff run --rm host "],
  ["skiff run --pull=nev", "skiff run --pull=never "],
  ["skiff run --rm REGIST", "skiff run --rm REGISTRY/busybox:latest "],
  ["skiff run -v web-d", "skiff run -v web-data:"],
  ["skiff ps --filter anc", "skiff ps --filter ancestor="],
  ["skiff ps --filter=anc", "skiff ps --filter=ancestor="],
  ["skiff ps --filter status=ex", "skiff ps --filter status=exited "],
  ["skiff ps --filter=name=web-of", "skiff ps --filter=name=web-off "],
  ["skiff images -f dangling=t", "skiff images -f dangling=true "],
  ["skiff kill -s SIGTE", "skiff kill -s SIGTERM "],
  ["skiff --log-level de", "skiff --log-level debug "],
  ["skiff volume ls --filter dri", "skiff volume ls --filter driver="],
  ["skiff cp web-of", "skiff cp web-off:"],
  ["skiff cp web-on:/bin/busyb", "skiff cp web-on:/bin/busybox "],
  ["skiff cp web-off:/sr", "skiff cp web-off:/srv/"],
  ["skiff cp web-off:/srv/con", "skiff cp web-off:/srv/config.d/"],
  [
    "skiff cp some-file web-off:/srv/../srv/config.d/site.",
    "skiff cp some-file web-off:/srv/../srv/config.d/site.conf ",
  ],
  ["skiff cp web-off:sr", "skiff cp web-off:srv/"],
  ["skiff port db-1 54", "skiff port db-1 5432 "],
  ["skiff port db-1 530", "skiff port db-1 5300/udp "],
  ["skiff volume inspect web", "skiff volume inspect web-data "],
  ["skiff help exit", "skiff help exit-codes "],
  ["skiff run --env-file ~/some-f", "skiff run --env-file ~/some-file "],
  ["skiff run --env-file=./some-f", "skiff run --env-file=./some-file "],
  ["skiff run $(touch ~/evil) --r", "skiff run $(touch ~/evil) --r"],
];

/** What the eye sees of a line: without colours and modes, and with what was overwritten gone. */
function asShown(bytes: string): string {
  // deno-lint-ignore no-control-regex
  let line = bytes.replace(/\x1b\[[?\d;]*[a-zA-Z]/g, "");
  while (/.[\b]/.test(line)) line = line.replace(/(.)[\b](.?)/, (_, before, after) => after || before);
  return line;
}

/** Types each line, presses Tab, and takes the line back. */
async function typeAll(pty: PtySession, host: Host, image: string): Promise<string[]> {
  const address = image.split("/")[0]!;
  const wrong: string[] = [];
  for (const [typed, shown] of COMPLETED) {
    const fill = (text: string) => text.replace("REGISTRY", address).replace("REGIST", address.slice(0, -2));
    // an end that the line editor itself shows says that the Tab has been worked off
    await pty.write(`${fill(typed)}\t#END\x15`);
    const line = asShown(await pty.expect(/[^\n]*#END/)).replace(/#END$/, "");
    if (line !== fill(shown)) wrong.push(`${fill(typed)}<TAB> gives ${JSON.stringify(line)}`);
    await pty.write("echo READY\n");
    await pty.expect(/[\r\n]READY\r?\n[^]*> /);
  }
  assert(!await Deno.lstat(`${host.home}/evil`).catch(() => null), "what is typed is not run");
  return wrong;
}

/** An interactive shell whose `setUp` has been carried out. */
async function withShell(
  host: Host,
  command: string[],
  setUp: string[],
  use: (pty: PtySession) => Promise<void>,
): Promise<void> {
  const pty = host.ptyProgram(command, { env: await shellEnv(host), cols: 300 });
  try {
    await pty.expect("> ");
    for (const [index, line] of setUp.entries()) {
      await pty.write(`${line} && echo DONE-${index}-\n`);
      await pty.expect(new RegExp(`[\\n\\r]DONE-${index}-\\r?\\n[^]*> `));
    }
    await use(pty);
  } finally {
    await pty.write("\x15exit\n");
    await pty.wait();
  }
}

hostTest(
  "bash completes commands, options, values and names",
  { needs: ["registry", "bash"] },
  async (host) => {
    const image = await stage(host);
    const setUp = [
      "bind 'set bell-style none' && bind 'set enable-bracketed-paste off'",
      "source <(skiff completion bash)",
    ];
    await withShell(host, ["/bin/bash", "--norc", "--noprofile", "-i"], setUp, async (pty) => {
      assertEquals(await typeAll(pty, host, image), []);
      const paths = (typed: string) => host.ok("__complete", "cp", typed);
      assertEquals(await paths("web-off:/srv/"), "web-off:/srv/config.d/\n:none,nospace");
      assertEquals([await paths("web-off:/nowhere/x"), await paths("nobody:/")], [":none", ":none"]);
      // where there are several, all are listed
      await pty.write("skiff rm web-o\t\t");
      await pty.expect(/web-off +web-on/);
    });
  },
);

hostTest("zsh completes them", { needs: ["registry", "zsh"] }, async (host) => {
  const image = await stage(host);
  const setUp = [
    "unsetopt prompt_sp prompt_cr beep && bindkey -e && bindkey '^U' kill-whole-line",
    "autoload -U compinit && compinit -u -d ~/.zcompdump && source <(skiff completion zsh)",
  ];
  await withShell(host, ["/bin/zsh", "-f", "-i"], setUp, async (pty) => {
    assertEquals(await typeAll(pty, host, image), []);
  });
});

hostTest("fish completes them", { needs: ["registry", "fish"] }, async (host) => {
  const image = await stage(host);
  const address = image.split("/")[0]!;
  const env = await shellEnv(host);
  const wrong: string[] = [];
  for (const [typed, shown] of COMPLETED) {
    const fill = (text: string) => text.replace("REGISTRY", address).replace("REGIST", address.slice(0, -2));
    const { stdout, stderr } = await host.program(
      [
        "/usr/bin/fish",
        "--no-config",
        "-c",
        'skiff completion fish | source; complete -C "$argv[1]"',
        fill(typed),
      ],
      { env },
    );
    const word = fill(shown).trimEnd().split(" ").at(-1)!;
    const offered = stdout.split("\n").map((line) => line.split("\t")[0]!);
    const isRight = typed.includes("$(") ? stdout === "" || offered.includes("--rm") : offered.includes(word);
    if (!isRight) wrong.push(`${fill(typed)}<TAB> gives ${JSON.stringify(offered)} ${stderr}`);
  }
  assertEquals(wrong, []);
  assert(!await Deno.lstat(`${host.home}/evil`).catch(() => null), "what is typed is not run");
});

hostTest("completion answers fast, and never with an error", { needs: ["registry"] }, async (host) => {
  await stage(host);
  const complete = (...words: string[]) => host.skiff(["__complete", ...words]);
  assertIncludes((await complete("stop", "")).stdout, "web-on\t");
  for (
    const words of [[], [""], ["nosuch", "x"], ["run", "--nosuch", ""], ["--log-level", ""], ["\x1b[2J", ""]]
  ) {
    const { code, stdout, stderr } = await complete(...words);
    assertEquals([code, stderr], [0, ""]);
    assertIncludes(stdout, ":none");
  }
  const env = { XDG_DATA_HOME: "/proc/there-is-no-such-store" };
  const { code, stdout, stderr } = await host.skiff(["__complete", "rm", ""], { env });
  assertEquals([code, stdout, stderr], [0, ":none\n", ""]);
});
