/**
 * Terminal escapes (ATTACKS 34): names, labels, commands, histories, file names and arguments hold control
 * characters, and no table, progress or error lets one through. The controls: `logs`, `--format` and `cat` hand
 * out the same text as it is, so the attack is live.
 */
import { findVerb } from "../cli/find_verb.ts";
import {
  assert,
  assertEquals,
  assertIncludes,
  assertMatch,
  type Host,
  hostTest,
  waitFor,
} from "./harness.ts";
import { busyboxEntries, type Entry } from "./images.ts";

/** A window title, a cleared screen, a colour by C1, and text that reads backwards. */
const EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202edne";
/** How it may be shown. */
const SHOWN = "\\x1b]0;owned\\x07";

/** What must not reach a terminal: all but the line break and the tab that make tables. */
// deno-lint-ignore no-control-regex
const DANGEROUS = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

/** The image, its container `c` and the volume; what is hostile in them is in every text that is free. */
async function makeStage(host: Host): Promise<string> {
  const entries: Entry[] = [...busyboxEntries(), { path: `tmp/${EVIL}`, content: EVIL }];
  const image = await host.makeImage({
    layers: [{ entries }],
    config: {
      Cmd: ["sh", "-c", 'cat /tmp/*; : > "/tmp/new$0"; while :; do sleep 1000; done', EVIL],
      Labels: { [`key${EVIL}`]: EVIL },
      Env: ["PATH=/bin", `EVIL=${EVIL}`],
      WorkingDir: "/tmp",
      StopSignal: "SIGKILL",
    },
    more: {
      author: EVIL,
      history: [{ created_by: `RUN ${EVIL}`, comment: EVIL, author: EVIL, created: "2026-01-01T00:00:00Z" }],
    },
  });
  await host.ok("run", "-d", "-q", "--network", "none", "--name", "c", "-l", `mine=${EVIL}`, image);
  await host.untilLogged("c", EVIL);
  await waitFor("its new file", async () => (await host.ok("diff", "c")).includes("/tmp/new"));
  return image;
}

/** Command lines that show what the stage holds. Where `shows` is set, the text must be there, escaped. */
const SHOWING: { words: string[]; shows?: boolean }[] = [
  { words: ["ps", "-a", "--no-trunc"], shows: true },
  { words: ["ps", "--format", "table {{.Labels}}\t{{.Names}}"], shows: true },
  { words: ["container", "ls"] },
  { words: ["images", "-a", "--digests"] },
  { words: ["image", "ls", "--format", "table {{.Repository}}\t{{.Labels}}"], shows: true },
  { words: ["inspect", "c"] },
  { words: ["image", "inspect", "IMAGE"] },
  { words: ["info"] },
  { words: ["history", "--no-trunc", "IMAGE"], shows: true },
  { words: ["image", "history", "--format", "table {{.Comment}}\t{{.CreatedBy}}", "IMAGE"], shows: true },
  { words: ["image", "tree", "IMAGE"] },
  { words: ["image", "diff", "IMAGE"] },
  { words: ["diff", "c"], shows: true },
  { words: ["container", "diff", "c"], shows: true },
  { words: ["top", "c"], shows: true },
  { words: ["top", "c", "pid", "args"], shows: true },
  { words: ["port", "c"] },
  { words: ["events", "--stream=false", "--since", "1h"] },
  { words: ["volume", "ls"] },
  { words: ["volume", "inspect", "-a"] },
  { words: ["system", "df", "-v"] },
];

hostTest("tables show control characters escaped", { needs: ["registry"] }, async (host) => {
  const image = await makeStage(host);
  // the controls: raw where raw is asked for
  assertIncludes(await host.ok("exec", "c", "sh", "-c", "cat /tmp/*"), EVIL);
  assertIncludes((await host.skiff(["logs", "c"])).stdout, EVIL);
  assertEquals(await host.ok("inspect", "-f", '{{index .Config.Labels "mine"}}', "c"), EVIL);
  if (findVerb(["volume", "create"]).kind === "verb") {
    await host.ok("volume", "create", "--label", `mine=${EVIL}`, "v");
  }
  const wrong: string[] = [];
  for (const { words, shows } of SHOWING) {
    if (findVerb(words).kind !== "verb") continue;
    const { code, stdout, stderr } = await host.skiff(words.map((word) => word === "IMAGE" ? image : word));
    const line = words.join(" ");
    if (code !== 0) wrong.push(`${line} exits with ${code}: ${stderr}`);
    if (DANGEROUS.test(stdout + stderr)) {
      wrong.push(`${line} lets through ${JSON.stringify(stdout + stderr)}`);
    }
    if (shows && !stdout.includes(SHOWN)) wrong.push(`${line} does not show it: ${JSON.stringify(stdout)}`);
  }
  assertEquals(wrong.join("\n"), "");
});

/** Mistakes that name what was typed, or what the image holds, in an error. */
const MISTAKEN: string[][] = [
  [EVIL],
  ["image", EVIL],
  ["help", EVIL],
  [`--${EVIL}`],
  ["run", `--${EVIL}`, "IMAGE"],
  ["ps", `-${EVIL}`],
  ["ps", EVIL],
  ["ps", "--filter", EVIL],
  ["ps", "--filter", `${EVIL}=1`],
  ["ps", "--filter", `status=${EVIL}`],
  ["ps", "--sort", EVIL],
  ["ps", "--format", `{{.${EVIL}}}`],
  ["ps", "--last", EVIL],
  ["--log-level", EVIL, "ps"],
  ["run", EVIL],
  ["run", `--name=${EVIL}`, "IMAGE"],
  ["run", `--network=${EVIL}`, "IMAGE"],
  ["run", `--userns=${EVIL}`, "IMAGE"],
  ["run", `--label==${EVIL}`, "IMAGE"],
  ["run", "--env-file", `/${EVIL}`, "IMAGE"],
  ["run", "--label-file", `/${EVIL}`, "IMAGE"],
  ["run", "--volume", `/${EVIL}/none:/x`, "IMAGE"],
  ["run", "--volume", `${EVIL}:/x`, "IMAGE"],
  ["run", "--tmpfs", `${EVIL}`, "IMAGE"],
  ["run", "--user", EVIL, "IMAGE"],
  ["run", "--cap-add", EVIL, "IMAGE"],
  ["run", "--ulimit", EVIL, "IMAGE"],
  ["run", "--security-opt", EVIL, "IMAGE"],
  ["run", "--security-opt", `seccomp=/${EVIL}`, "IMAGE"],
  ["run", "--shm-size", EVIL, "IMAGE"],
  ["run", "--stop-signal", EVIL, "IMAGE"],
  ["run", "--platform", EVIL, "IMAGE"],
  ["run", "--entrypoint", EVIL, "IMAGE"],
  ["run", "--cidfile", `/${EVIL}/x`, "IMAGE"],
  ["run", "--log-driver", EVIL, "IMAGE"],
  ["run", "--detach-keys", EVIL, "IMAGE"],
  ["run", "--rm", "IMAGE", EVIL],
  ["exec", "c", EVIL],
  ["exec", "--workdir", `/${EVIL}`, "c", "true"],
  ["exec", "--user", EVIL, "c", "true"],
  ["exec", EVIL, "true"],
  ["kill", "--signal", EVIL, "c"],
  ["wait", "--condition", EVIL, "c"],
  ["logs", "--since", EVIL, "c"],
  ["pull", EVIL],
  ["pull", `127.0.0.1:1/${EVIL}`],
  ["tag", "IMAGE", EVIL],
  ["rmi", EVIL],
  ...[
    "rm",
    "start",
    "stop",
    "restart",
    "pause",
    "unpause",
    "inspect",
    "logs",
    "attach",
    "port",
    "top",
    "diff",
  ]
    .map((verb) => [verb, EVIL]),
  ["container", "inspect", EVIL],
  ["image", "inspect", EVIL],
  ["image", "tree", EVIL],
  ["volume", "inspect", EVIL],
  ["volume", "rm", EVIL],
  ["volume", "create", EVIL],
  ["rename", "c", EVIL],
  ["history", EVIL],
  ["untag", EVIL],
  ["save", EVIL],
  ["save", "-o", `/${EVIL}/x`, "IMAGE"],
  ["load", "-i", `/${EVIL}`],
  ["import", `/${EVIL}`],
  ["export", EVIL],
  ["cp", `c:/${EVIL}/none`, "/tmp"],
  ["cp", `/${EVIL}`, "c:/"],
  ["login", EVIL],
  ["logout", EVIL],
  ["events", "--filter", EVIL],
  ["healthcheck", "run", EVIL],
];

hostTest("errors show control characters escaped", { needs: ["registry"] }, async (host) => {
  const image = await makeStage(host);
  const wrong: string[] = [];
  const attempt = async (words: string[]) => {
    const typed = words.map((word) => word === "IMAGE" ? image : word);
    const { code, stdout, stderr } = await host.skiff(["--log-level", "debug", ...typed]);
    const line = JSON.stringify(words);
    if (code === 0 || stderr === "") wrong.push(`${line} is no mistake: ${code} ${stdout}${stderr}`);
    if (DANGEROUS.test(stdout + stderr)) {
      wrong.push(`${line} lets through ${JSON.stringify(stdout + stderr)}`);
    }
  };
  const left = MISTAKEN.filter((words) => words[0] === EVIL || words[1] === EVIL || isThere(words));
  while (left.length > 0) await Promise.all(left.splice(0, 4).map(attempt));
  assertEquals(wrong.join("\n"), "");
});

function isThere(words: string[]): boolean {
  return words[0]!.startsWith("-") || findVerb(words).kind === "verb";
}

hostTest("what an archive is called cannot move the cursor", { needs: ["registry"] }, async (host) => {
  const image = await host.makeImage({
    layers: [{ entries: [...busyboxEntries(), { path: `${EVIL}/../../x`, content: "" }] }],
  });
  const { code, stderr } = await host.skiff(["pull", image]);
  assertEquals(code, 125);
  assertIncludes(stderr, SHOWN);
  assert(!DANGEROUS.test(stderr), JSON.stringify(stderr));
  assertMatch(stderr, /^Error: unpack layer entry [^\n]*\n$/m);
});

hostTest(
  "on a terminal, too, the program's own output is all that is raw",
  { needs: ["registry"] },
  async (host) => {
    await makeStage(host);
    const list = host.pty(["ps", "-a", "--no-trunc"], { cols: 400 });
    assertEquals(await list.wait(), 0);
    assert(!DANGEROUS.test(list.text.replaceAll("\r\n", "\n")), JSON.stringify(list.text));
    assertIncludes(list.text, SHOWN);
    const logs = host.pty(["logs", "c"]);
    await logs.wait();
    assertIncludes(logs.text, EVIL);
  },
);

hostTest("builds show steps, checks and errors escaped", { needs: ["busybox"] }, async (host) => {
  const rootfs = `${host.home}/root`;
  await host.sh(`mkdir -p root/bin && cp /bin/busybox root/bin/ && ln -s busybox root/bin/sh`, {
    cwd: host.home,
  });
  await host.sh(`tar -C ${rootfs} -cf ${host.home}/base.tar .`);
  await host.ok("import", "-q", `${host.home}/base.tar`, "base");
  const context = `${host.home}/context`;
  await Deno.mkdir(context);
  await Deno.writeTextFile(`${context}/file${EVIL}`, EVIL);
  await host.own(context);
  const good = [
    "FROM base AS one",
    `LABEL "key${EVIL}"="${EVIL}"`,
    `RUN : '${EVIL}'`,
    "COPY file* /",
    `ENV EVIL="${EVIL}"`,
  ].join("\n");
  const bad: Record<string, string> = {
    "an instruction": `FROM base\nEV${EVIL}IL x`,
    "a flag": `FROM base\nCOPY --fr${EVIL}om=x a b`,
    "a stage": `FROM base\nCOPY --from=no${EVIL} a b`,
    "a file": `FROM base\nCOPY no${EVIL} /`,
    "a command": `FROM base\nRUN false '${EVIL}'`,
    "an image": `FROM ba${EVIL}se`,
    "a signal": `FROM base\nSTOPSIGNAL ${EVIL}`,
    "a platform": `FROM --platform=${EVIL} base`,
    "a check": `FROM base\nLABEL a ${EVIL}\nCMD echo ${EVIL}`,
  };
  const file = `${host.home}/Dockerfile`;
  const build = async (text: string, ...words: string[]) => {
    await Deno.writeTextFile(file, text);
    return await host.skiff(["build", ...words, "--network", "none", "-f", file, context]);
  };
  for (const progress of ["plain", "tty"]) {
    const built = await build(good, "--no-cache", "--progress", progress, "-t", "evil");
    assertEquals(built.code, 0, built.stderr);
    const seen = progress === "tty" ? withoutProgress(built.stderr) : built.stderr;
    assert(
      !DANGEROUS.test(seen),
      `${progress}: ${JSON.stringify(DANGEROUS.exec(seen))} in ${JSON.stringify(seen)}`,
    );
    assertIncludes(built.stderr, SHOWN);
    for (const [what, text] of Object.entries(bad)) {
      for (const check of [[], ["--check"]]) {
        const { stdout, stderr } = await build(text, "--progress", progress, ...check);
        const seen = stdout + (progress === "tty" ? withoutProgress(stderr) : stderr);
        assert(!DANGEROUS.test(seen), `${what}, ${progress} ${check}: ${JSON.stringify(seen)}`);
      }
    }
  }
  // the control: the image has the text as it is
  assertEquals(await host.ok("inspect", "-f", `{{index .Config.Labels "key${EVIL}"}}`, "evil"), EVIL);
  assertIncludes((await host.sh(`cat ${context}/*`)).stdout, EVIL);
});

/** Without what draws the lines of the live view anew. */
function withoutProgress(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/\x1b\[(\d*[AJKm]|\?25[lh])|\r/g, "");
}
