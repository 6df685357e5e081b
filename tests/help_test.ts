/** Help, man pages, and what is said to a terminal only. */

import { ALL_GROUPS, VERBS } from "../cli/verbs.ts";
import { assert, assertEquals, assertIncludes, assertMatch, hostTest } from "./harness.ts";

const PATHS = [
  ...VERBS.map(({ name }) => [name]),
  ...ALL_GROUPS.flatMap(({ name, verbs }) => [[name], ...verbs.map((verb) => [name, verb.name])]),
];

hostTest("every command and group has help, aligned, with what it is good for", {}, async (host) => {
  const script = PATHS.map((words) =>
    `echo "=== ${words.join(" ")}"; "$SKIFF" ${words.join(" ")} --help || exit`
  );
  const { code, stdout, stderr } = await host.sh(script.join("\n"));
  assertEquals([code, stderr], [0, ""]);
  const texts = stdout.split(/^=== /m).slice(1);
  assertEquals(texts.length, PATHS.length);
  for (const text of texts) {
    const [title, summary, empty, ...rest] = text.split("\n");
    assert(summary !== "" && empty === "", `${title} begins with its summary`);
    assertIncludes(rest.join("\n"), `Usage:\n  skiff ${title}`);
    for (const block of text.split("\n\n").filter((one) => /^(Options|Commands):\n/.test(one))) {
      const columns = new Set(
        block.trimEnd().split("\n").slice(1).filter((line) => !/^ {8}/.test(line)).map((line) =>
          /^ +(-\w, )?[\S]+( [^ ]\S*)*  +/.exec(line)![0].length
        ),
      );
      assertEquals([title, columns.size], [title, 1], block);
    }
  }
});

hostTest("help tells of topics, and what a slip may have meant", {}, async (host) => {
  assertMatch(
    await host.ok("help", "exit-codes"),
    /^What the exit code .*\n\n[^]*\n {2}125 +skiff itself failed/,
  );
  const { code, stderr } = await host.skiff(["help", "storag"]);
  assertEquals(code, 125);
  assertIncludes(stderr, "Did you mean this?\n\tstorage\n");
  assertIncludes((await host.skiff(["imags"])).stderr, "Did you mean this?\n\timages\n");
  assertIncludes((await host.skiff(["container", "exsts", "x"])).stderr, "\texists\n");
  assertIncludes((await host.skiff(["ps", "--quite"])).stderr, "\t--quiet\n");
});

hostTest("man pages are rendered without a warning", { needs: ["man", "mandoc", "groff"] }, async (host) => {
  await host.ok("man", "--dir", `${host.home}/man`);
  const lint = 'mandoc -T lint -W warning "$f" && LC_ALL=C.UTF-8 groff -man -T utf8 -ww -z "$f"';
  const { code, stdout, stderr } = await host.sh(`for f in ~/man/man[17]/*; do ${lint} || exit; done`);
  assertEquals([code, stdout, stderr], [0, "", ""]);
  const files = [...Deno.readDirSync(`${host.home}/man/man1`)].map(({ name }) => name);
  assertEquals(files.length, 1 + PATHS.length);
  const shown = await host.sh("MANPATH=~/man MANWIDTH=100 man skiff-run; MANPATH=~/man man 7 skiff-storage");
  assertEquals([shown.code, shown.stderr], [0, ""]);
  assertMatch(shown.stdout, /\nSYNOPSIS\n +skiff run \[options\] IMAGE \[COMMAND \[ARG\.\.\.\]\]\n/);
  assertIncludes(shown.stdout, "skiff.db");
  assertMatch(
    (await host.skiff(["man", "rn"])).stderr,
    /^Error: no manual page for rn\nDid you mean .*skiff-run/,
  );
});

hostTest("colours are for terminals that want them", {}, async (host) => {
  assert(!(await host.skiff(["rm"])).stderr.includes("\x1b"));
  for (const [env, colour] of [[{}, true], [{ NO_COLOR: "1" }, false], [{ TERM: "dumb" }, false]] as const) {
    const pty = host.pty(["rm"], { env });
    assertEquals(await pty.wait(), 125);
    assertEquals(pty.text.includes("\x1b[31mError:\x1b[39m you must"), colour, JSON.stringify(pty.text));
    assertEquals(pty.text.includes("\x1b"), colour);
  }
});
