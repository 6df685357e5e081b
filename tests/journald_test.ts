/** The log driver `journald`, with a systemd-journald of the test's own. */

import {
  assert,
  assertEquals,
  assertIncludes,
  assertMatch,
  type Host,
  hostTest,
  type Need,
  waitFor,
} from "./harness.ts";
import { Journal } from "./journal.ts";

const NEEDS = { needs: ["registry", "busybox", "journald"] as Need[] };
const JOURNALD = ["--log-driver", "journald"];

async function pulled(host: Host): Promise<string> {
  const image = await host.image();
  await host.ok("pull", "-q", image);
  return image;
}

hostTest(
  "a line is an entry of the journal with podman's fields, and inspect tells of it",
  NEEDS,
  async (host) => {
    const image = await pulled(host);
    await using journal = await Journal.start(host);
    const script = "echo one; sleep 0.2; echo two >&2; sleep 0.2; printf 'no end'";
    const words = [
      "--name",
      "web",
      "--label",
      "app.name=shop",
      "-e",
      "STAGE=test",
      image,
      "sh",
      "-c",
      script,
    ];
    const options = [
      "--log-opt",
      "tag={{.Name}}/{{.ID}}",
      "--log-opt",
      "labels=app.name",
      "--log-opt",
      "env=STAGE",
    ];
    const { code, stdout, stderr } = await host.run(...JOURNALD, ...options, ...words);
    assertEquals([code, stdout, stderr], [0, "one\nno end", "two\n"]);
    const id = await host.ok("inspect", "--format", "{{.Id}}", "web");
    await host.ok("logs", "web"); // waits until all is there
    const entries = await journal.entries(`CONTAINER_ID_FULL=${id}`);
    const keys = ["MESSAGE", "PRIORITY", "CONTAINER_PARTIAL_MESSAGE"];
    assertEquals(entries.map((entry) => keys.map((key) => entry[key])), [
      ["one\n", "6", undefined],
      ["two\n", "3", undefined],
      ["no end", "6", "true"],
    ]);
    const { CONTAINER_ID, CONTAINER_NAME, CONTAINER_TAG, SYSLOG_IDENTIFIER, APP_NAME, STAGE, _UID } =
      entries[0]!;
    assertEquals(
      [CONTAINER_ID, CONTAINER_NAME, CONTAINER_TAG, SYSLOG_IDENTIFIER, APP_NAME, STAGE, _UID],
      [id.slice(0, 12), "web", `web/${id}`, `web/${id}`, "shop", "test", `${host.ids.uid}`],
    );
    const [end] = await journal.entries(`SKIFF_ID=${id}`);
    assertEquals([end!.SKIFF_EVENT, end!.MESSAGE], ["exited", `container exited ${id} (name=web)`]);
    const log = await host.ok("inspect", "--format", "{{json .HostConfig.LogConfig}} {{.LogPath}}", "web");
    assertEquals(log, '{"Type":"journald","Config":null,"Path":"","Tag":"{{.Name}}/{{.ID}}","Size":"0B"} ');
    // the name of the next run
    await host.ok("rename", "web", "shop");
    await host.ok("start", "-a", "shop");
    await host.ok("logs", "shop");
    const again = await journal.entries(`CONTAINER_ID_FULL=${id}`, "CONTAINER_NAME=shop");
    assertEquals(again.map((entry) => entry.CONTAINER_TAG), Array(3).fill(`shop/${id}`));
  },
);

hostTest(
  "logs reads the journal: all, the last, those of a time, in order and byte by byte",
  NEEDS,
  async (host) => {
    const image = await pulled(host);
    await using _journal = await Journal.start(host);
    await host.run(...JOURNALD, "--name", "web", image, "sh", "-c", "seq 1 200; echo err >&2; printf end");
    const numbers = (from: number) =>
      Array.from({ length: 201 - from }, (_, at) => `${at + from}\n`).join("");
    const both = async (...words: string[]) => {
      const { code, stdout, stderr } = await host.skiff(["logs", ...words]);
      return [code, stdout, stderr];
    };
    assertEquals(await both("web"), [0, `${numbers(1)}end`, "err\n"]);
    assertEquals(await both("-f", "web"), [0, `${numbers(1)}end`, "err\n"]);
    assertEquals(await both("--tail", "4", "web"), [0, `${numbers(199)}end`, "err\n"]);
    assertEquals(await both("--tail", "4", "-f", "web"), [0, `${numbers(199)}end`, "err\n"]);
    assertEquals(await both("--tail", "0", "web"), [0, "", ""]);
    assertEquals(await both("--since", "1h", "--tail", "1", "web"), [0, "end", ""]);
    assertEquals(await both("--until", "1h", "web"), [0, "", ""]);
    const timed = await host.ok("logs", "-t", "--tail", "3", "web");
    assertMatch(timed, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}000Z 200\n\S+Z end$/);
    const [at] = timed.split(" ");
    const { stdout: since } = await host.skiff(["logs", "--since", at!, "web"]);
    assert(since.endsWith("200\nend") || since === "200\nend", since.slice(0, 50));
    // what is not text, and a line without end
    const odd = "printf 'a\\000\\377\\r\\n\\n\\n'; head -c 100000 /dev/zero | tr '\\0' ü; echo";
    await host.run(...JOURNALD, "--name", "odd", image, "sh", "-c", odd);
    const plain = await host.sh(`"$SKIFF" start -a odd | cksum; "$SKIFF" logs odd | cksum`);
    const twice = await host.sh(`"$SKIFF" logs odd >f; wc -c <f; head -c $(($(wc -c <f) / 2)) f | cksum`);
    assertEquals(plain.stdout.split("\n")[0], twice.stdout.split("\n")[1], plain.stderr + twice.stderr);
    // several, each with its name
    await host.run(...JOURNALD, "--name", "db", image, "echo", "hello");
    assertEquals(await host.ok("logs", "-n", "--tail", "1", "web", "db"), "web enddb hello");
  },
);

hostTest(
  "logs -f follows the journal, and ends with the container or at the time that was asked for",
  NEEDS,
  async (host) => {
    const image = await pulled(host);
    await using _journal = await Journal.start(host);
    const script = "echo up; while [ ! -e /go ]; do sleep 0.05; done; seq 1 1000; echo last";
    await host.ok(
      "run",
      "-q",
      "-d",
      "--network",
      "none",
      ...JOURNALD,
      "--name",
      "web",
      image,
      "sh",
      "-c",
      script,
    );
    const following = host.spawn(["logs", "-f", "web"]);
    await waitFor("the first line", () => following.output.stdout.includes("up\n"));
    await host.ok("exec", "web", "touch", "/go");
    const { code, stdout, stderr } = await following.result;
    assertEquals([code, stderr], [0, ""]);
    assertEquals(stdout.split("\n").length, 1003);
    assertMatch(stdout, /^up\n1\n[^]*\n1000\nlast\n$/);
    // one that never ends: until the time that was asked for
    await host.ok(
      "run",
      "-q",
      "-d",
      "--network",
      "none",
      ...JOURNALD,
      "--name",
      "db",
      image,
      "sh",
      "-c",
      "echo up; sleep 600",
    );
    await host.untilLogged("db");
    const limit = new Date(Date.now() + 1500).toISOString();
    const limited = await host.skiff(["logs", "-f", "--until", limit, "db"], { timeoutMs: 30_000 });
    assertEquals([limited.code, limited.stdout], [0, "up\n"]);
  },
);

hostTest("without a journal there is no container, and containers.conf falls back", NEEDS, async (host) => {
  const image = await pulled(host);
  await using _journal = await Journal.start(host, "none");
  const { code, stderr } = await host.run(...JOURNALD, image, "true");
  assertEquals(code, 125);
  assertIncludes(
    stderr,
    'Error: use log driver "journald": no journal takes entries at /run/systemd/journal/socket',
  );
  assertIncludes(stderr, "--log-driver k8s-file writes a file instead");
  assertEquals(await host.ok("ps", "-aq"), "");
  const conf = `${host.home}/.config/containers/containers.conf`;
  await Deno.writeTextFile(
    conf,
    '[containers]\nlog_driver = "journald"\nlog_tag = "x"\nlog_size_max = 1000000\n',
  );
  await host.own(conf);
  const fallen = await host.run("--name", "web", image, "echo", "hello");
  assertEquals([fallen.code, fallen.stdout], [0, "hello\n"]);
  assertIncludes(fallen.stderr, 'containers.conf: log driver "journald"');
  assertEquals(await host.ok("inspect", "--format", "{{.HostConfig.LogConfig.Type}}", "web"), "k8s-file");
});

hostTest("containers.conf chooses the journal and its tag", NEEDS, async (host) => {
  const image = await pulled(host);
  await using journal = await Journal.start(host);
  const conf = `${host.home}/.config/containers/containers.conf`;
  await Deno.writeTextFile(
    conf,
    '[containers]\nlog_driver = "journald"\nlog_tag = "{{.ImageName}}"\nlog_size_max = 1000000\n',
  );
  await host.own(conf);
  assertEquals((await host.run("--name", "web", image, "echo", "hello")).code, 0);
  assertEquals(await host.ok("logs", "web"), "hello");
  const [entry] = await journal.entries("CONTAINER_NAME=web");
  assertEquals(entry!.CONTAINER_TAG, image);
});

hostTest(
  "options that the journal has no place for are refused before there is a container",
  NEEDS,
  async (host) => {
    const image = await pulled(host);
    await using _journal = await Journal.start(host);
    const refused = async (...words: string[]) => {
      const { code, stderr } = await host.run(...JOURNALD, ...words, image, "true");
      assertEquals(code, 125);
      return stderr;
    };
    assertIncludes(await refused("--log-opt", "max-size=1m"), "the journal has files and limits of its own");
    assertIncludes(await refused("--log-opt", "tag={{.Nope}}"), "can't evaluate field Nope");
    assertIncludes(await refused("--log-opt", "tag={{.Config}}"), ".Config is not one word");
    assertIncludes(await refused("--log-opt", "tag={{upper .Name}}"), "only fields of inspect");
    assertEquals(await host.ok("ps", "-aq"), "");
  },
);

hostTest(
  "what another user puts into the journal in a container's name is not its log",
  NEEDS,
  async (host) => {
    const image = await pulled(host);
    await using journal = await Journal.start(host);
    await host.run(...JOURNALD, "--name", "web", image, "echo", "genuine");
    const id = await host.ok("inspect", "--format", "{{.Id}}", "web");
    await journal.forge({ MESSAGE: "forged", PRIORITY: "6", CONTAINER_ID_FULL: id });
    await journal.forge({ MESSAGE: "forged", SKIFF_EVENT: "exited", SKIFF_ID: id });
    assertEquals((await journal.entries(`CONTAINER_ID_FULL=${id}`)).length, 2);
    assertEquals(await host.ok("logs", "web"), "genuine");
  },
);

hostTest("fields that are too large for a datagram reach the journal", NEEDS, async (host) => {
  const image = await pulled(host);
  await using journal = await Journal.start(host);
  const large = "x".repeat(900_000);
  await Deno.writeTextFile(`${host.home}/labels`, `large=${large}\n`);
  await host.own(`${host.home}/labels`);
  const options = ["--label-file", `${host.home}/labels`, "--log-opt", "labels=large", "--name", "web"];
  assertEquals((await host.run(...JOURNALD, ...options, image, "sh", "-c", "echo one; echo two")).code, 0);
  assertEquals(await host.ok("logs", "web"), "one\ntwo");
  const entries = await journal.entries("CONTAINER_NAME=web");
  assertEquals(entries.map(({ LARGE }) => LARGE === large), [true, true]);
});

hostTest(
  "a journal that takes nothing stops no container, and what it missed is told",
  NEEDS,
  async (host) => {
    const image = await pulled(host);
    await using journal = await Journal.start(host);
    journal.stop();
    const begun = Date.now();
    const { code, stdout } = await host.run(...JOURNALD, "--name", "web", image, "seq", "1", "200000");
    journal.goOn();
    assertEquals([code, stdout.length], [0, 1_288_895]);
    assert(Date.now() - begun < 30_000, "the container waited for the journal");
    let shown = { stdout: "", stderr: "" };
    await waitFor("lines are there", async () => {
      shown = await host.skiff(["logs", "web"]);
      return shown.stdout !== "";
    });
    const lines = shown.stdout.split("\n").slice(0, -1);
    assertEquals(lines, Array.from({ length: lines.length }, (_, at) => `${at + 1}`));
    assert(lines.length < 200_000);
    assertEquals(
      shown.stderr,
      `Warning: ${
        200_000 - lines.length
      } lines of container "web" are missing: the journal did not take them\n`,
    );
  },
);

hostTest(
  "a journal that comes back takes the next lines and the number of those it missed",
  NEEDS,
  async (host) => {
    const image = await pulled(host);
    await using journal = await Journal.start(host);
    const script = "echo up; while [ ! -e /flood ]; do sleep 0.05; done; seq 1 200000; touch /flooded; " +
      "while [ ! -e /go ]; do sleep 0.05; done; echo back";
    await host.ok(
      "run",
      "-q",
      "-d",
      "--network",
      "none",
      ...JOURNALD,
      "--name",
      "web",
      image,
      "sh",
      "-c",
      script,
    );
    await host.untilLogged("web");
    journal.stop();
    await host.ok("exec", "web", "touch", "/flood");
    await waitFor(
      "the flood is over",
      async () => (await host.skiff(["exec", "web", "test", "-e", "/flooded"])).code === 0,
    );
    journal.goOn();
    await waitFor(
      "the journal goes on",
      async () => (await journal.entries("CONTAINER_NAME=web")).length > 5,
    );
    await host.ok("exec", "web", "touch", "/go");
    await host.ok("wait", "web");
    const { stdout, stderr } = await host.skiff(["logs", "web"]);
    const lines = stdout.trim().split("\n");
    assertEquals([lines[0], lines.at(-1)], ["up", "back"]);
    const lost = 200_002 - lines.length;
    assert(lost > 0, "nothing was lost: the journal was not full");
    assertIncludes(stderr, `${lost} lines of container "web" are missing`);
    const [notice] = await journal.entries("SKIFF_EVENT=lost");
    assertEquals(
      notice!.MESSAGE,
      `${lost} lines of the output of this container are missing: the journal did not take them`,
    );
  },
);

hostTest("a flood of lines is in the journal, all of it", NEEDS, async (host) => {
  const image = await pulled(host);
  await using _journal = await Journal.start(host);
  assertEquals((await host.run("-d", ...JOURNALD, "--name", "web", image, "seq", "1", "50000")).code, 0);
  await host.ok("wait", "web");
  const { stdout } = await host.sh('"$SKIFF" logs web | cksum; seq 1 50000 | cksum');
  const [logged, written] = stdout.trim().split("\n");
  assertEquals(logged, written);
});

hostTest("a journal that is started anew gets the lines from then on", NEEDS, async (host) => {
  const image = await pulled(host);
  await using journal = await Journal.start(host);
  const script = "n=0; while [ ! -e /end ]; do n=$((n+1)); echo $n; sleep 0.1; done; echo end";
  await host.ok(
    "run",
    "-q",
    "-d",
    "--network",
    "none",
    ...JOURNALD,
    "--name",
    "web",
    image,
    "sh",
    "-c",
    script,
  );
  await host.untilLogged("web", "5\n");
  await journal.end();
  const before = await journal.entries("CONTAINER_NAME=web");
  await journal.begin();
  await waitFor(
    "new lines",
    async () => (await journal.entries("CONTAINER_NAME=web")).length > before.length + 5,
  );
  await host.ok("exec", "web", "touch", "/end");
  await host.ok("wait", "web");
  const { stdout, stderr } = await host.skiff(["logs", "web"]);
  const lines = stdout.trim().split("\n");
  assertEquals([lines[0], lines.at(-1)], ["1", "end"]);
  // each line is there, or counted
  const lost = Number(/^Warning: (\d+) lines/.exec(stderr)?.[1] ?? 0);
  assertEquals(Number(lines.at(-2)) + 1 - lines.length, lost);
});
