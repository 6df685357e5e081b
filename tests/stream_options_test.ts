/** What `run`, `create` and `logs` show of a container's streams, and what is left when it ends. */

import { assertEquals, assertIncludes, assertMatch, hostTest, type Need } from "./harness.ts";
import { busyboxImage } from "./images.ts";

const NEEDS = { needs: ["registry", "busybox"] as Need[] };

hostTest(
  "--attach shows the streams that it names, and the id where it names none of the output",
  NEEDS,
  async (host) => {
    const image = await host.image();
    const run = async (words: string[], stdin?: string) => {
      const script = `${stdin === undefined ? "" : "cat; "}echo out; echo err >&2`;
      const open = stdin === undefined ? [] : ["-i"];
      const options = [
        "run",
        "-q",
        ...open,
        "--rm",
        "--network",
        "none",
        ...words,
        image,
        "sh",
        "-c",
        script,
      ];
      const { code, stdout, stderr } = await host.skiff(options, { stdin });
      assertEquals(code, 0, stderr);
      return [stdout, stderr];
    };
    assertEquals(await run([], "in\n"), ["in\nout\n", "err\n"]);
    assertEquals(await run(["-a", "stdout"]), ["out\n", ""]);
    assertEquals(await run(["-a", "STDERR"]), ["", "err\n"]);
    assertEquals(await run(["-a", "stdin,stdout"], "in\n"), ["in\nout\n", ""]);
    const [stdout, stderr] = await run(["-a", "stdin"], "in\n");
    assertMatch(stdout!, /^[0-9a-f]{64}\n$/);
    assertEquals(stderr, "");
    assertMatch(await host.ok("create", "-q", "-a", "stdout", "--network", "none", image), /^[0-9a-f]{64}$/);
    const refused = await host.run("-a", "foo", image, "true");
    assertEquals([refused.code, refused.stderr], [
      125,
      'Error: invalid stream "foo" for --attach - must be one of stdin, stdout, or stderr: invalid argument\n',
    ]);
  },
);

hostTest("--rmi takes the image along, but not another container's", NEEDS, async (host) => {
  const image = await host.makeImage(await busyboxImage());
  assertEquals((await host.run("-q", "--rmi", image, "true")).code, 0);
  assertEquals([await host.ok("images", "-q"), await host.ok("ps", "-aq")], ["", ""]);
  await host.ok("create", "-q", "--network", "none", image);
  const { code, stdout, stderr } = await host.run("-q", "--rmi", image, "sh", "-c", "echo out; exit 3");
  assertEquals([code, stdout], [3, "out\n"]);
  assertIncludes(stderr, "image is in use by a container");
  assertEquals((await host.run("-d", "--rmi", image)).code, 125);
});

hostTest("a json-file log has attributes, and logs shows them and colours", NEEDS, async (host) => {
  const image = await host.image();
  const log = [
    "--log-driver",
    "json-file",
    "--log-opt",
    "tag={{.Name}}",
    "--log-opt",
    "labels=app",
    "--log-opt",
    "path=own.log",
  ];
  const script = "echo one; printf two";
  assertEquals(
    (await host.run("-q", "--name", "json", "--label", "app=a b", ...log, image, "sh", "-c", script)).code,
    0,
  );
  const line = JSON.parse((await Deno.readTextFile(`${host.home}/own.log`)).split("\n")[0]!);
  assertEquals([line.log, line.attrs], ["one\n", { tag: "json", app: "a b" }]);
  assertEquals(await host.ok("logs", "--details", "json"), "app=a+b,tag=json one\napp=a+b,tag=json two");
  assertEquals((await host.run("-q", "--name", "k8s", image, "echo", "three")).code, 0);
  assertEquals(await host.ok("logs", "--details", "k8s"), "three");
  assertEquals(
    await host.ok("logs", "--color", "-n", "json", "k8s"),
    "\x1b[37mjson one\x1b[0m\n\x1b[37mjson two\x1b[0m\x1b[31mk8s three\x1b[0m",
  );
  const refused = await host.run("--log-opt", "tag=x", image, "true");
  assertEquals(refused.code, 125);
  assertIncludes(refused.stderr, "only the log drivers journald and json-file have a place for it");
});

hostTest(
  "passthrough gives no container the caller's terminal, unless it is asked to",
  NEEDS,
  async (host) => {
    const image = await host.image();
    await host.ok("pull", "-q", image);
    const words = ["--network", "none", "--name", "web", image, "sh", "-c", "test -t 1 && echo terminal"];
    const refused = host.pty(["run", "--log-driver", "passthrough", ...words]);
    assertEquals(await refused.wait(), 125);
    assertIncludes(refused.text, "the '--log-driver passthrough' option cannot be used on a TTY");
    assertEquals(await host.ok("ps", "-aq"), "");
    const allowed = host.pty(["run", "--log-driver", "passthrough-tty", ...words]);
    assertEquals(await allowed.wait(), 0);
    assertIncludes(allowed.text, "terminal");
    assertEquals(
      await host.ok("inspect", "--format", "{{.HostConfig.LogConfig.Type}}", "web"),
      "passthrough-tty",
    );
    // a pipe is no terminal
    await host.ok("rm", "web");
    assertEquals((await host.skiff(["run", "--log-driver", "passthrough", ...words])).code, 1);
  },
);
