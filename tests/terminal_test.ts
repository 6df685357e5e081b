/** Terminals: run -it, attach, exec -it, window sizes, detach keys, signals, and the caller's terminal afterwards. */

import { assertEquals, assertIncludes, assertMatch, hostTest, waitFor } from "./harness.ts";

const NONE = ["--network", "none", "-q"];

hostTest(
  "run -it gives the program a terminal of the caller's size",
  { needs: ["registry"] },
  async (host) => {
    const image = await host.image();
    const pty = host.pty(["run", "--rm", "-it", ...NONE, image, "sh"], { rows: 33, cols: 101 });
    await pty.expect("# ");
    await pty.write("stty size; test -t 0 && test -t 1 && echo is-a-terminal; echo TERM=$TERM\n");
    await pty.expect("33 101");
    await pty.expect(/\nis-a-terminal/);
    await pty.expect("TERM=xterm");
    await pty.resize(40, 120);
    await pty.write("while [ \"$(stty size)\" != '40 120' ]; do :; done; echo has-grown\n");
    await pty.expect(/\nhas-grown/);
    await pty.write("exit 6\n");
    assertEquals(await pty.wait(), 6);
  },
);

hostTest("Ctrl-C reaches the program, not skiff", { needs: ["registry"] }, async (host) => {
  const image = await host.image();
  const script = "trap 'echo got-int; exit 5' INT; echo ready; while :; do sleep 0.1; done";
  const pty = host.pty(["run", "--rm", "-it", ...NONE, image, "sh", "-c", script]);
  await pty.expect("ready");
  await pty.write("\x03");
  await pty.expect("got-int");
  assertEquals(await pty.wait(), 5);
});

hostTest(
  "detach keys leave the program running, and attach comes back to it",
  { needs: ["registry"] },
  async (host) => {
    const image = await host.image();
    const first = host.pty(["run", "-it", "--name", "s", ...NONE, image, "sh"]);
    await first.expect("# ");
    await first.write("WORD=kept\n\x10\x11");
    assertEquals(await first.wait(), 0);
    assertEquals(await host.ok("ps", "--format", "{{.State}}"), "running");
    const second = host.pty(["attach", "--detach-keys", "ctrl-a,x", "s"]);
    await second.write("echo $WORD-on\n");
    await second.expect("kept-on");
    await second.write("\x01x");
    assertEquals(await second.wait(), 0);
    const third = host.pty(["attach", "s"]);
    await third.write("exit 3\n");
    assertEquals(await third.wait(), 3);
  },
);

hostTest("exec -it runs beside the program", { needs: ["registry"] }, async (host) => {
  const image = await host.image();
  await host.run("-d", "-q", "--name", "s", image, "sleep", "1000");
  const pty = host.pty(["exec", "-it", "s", "sh"], { rows: 20, cols: 70 });
  await pty.expect("# ");
  await pty.write("stty size\n");
  await pty.expect("20 70");
  await pty.write("exit 8\n");
  assertEquals(await pty.wait(), 8);
  assertEquals(await host.ok("ps", "--format", "{{.State}}"), "running");
});

hostTest(
  "the caller's terminal is as before, whatever ends the command",
  { needs: ["registry"] },
  async (host) => {
    const image = await host.image();
    await host.ok("pull", "-q", image);
    const script = `before=$(stty -g)
    ${host.binary} run --rm -it ${NONE.join(" ")} ${image} sh -c 'stty -g; exit 2'; echo "code $?"
    test "$before" = "$(stty -g)" && echo same-1
    ${host.binary} run --rm -it ${NONE.join(" ")} ${image} nosuch; echo "code $?"
    test "$before" = "$(stty -g)" && echo same-2`;
    const pty = host.ptyProgram(["/bin/sh", "-c", script]);
    await pty.expect("code 2");
    await pty.expect("same-1");
    await pty.expect("code 127");
    await pty.expect("same-2");
    assertEquals(await pty.wait(), 0);
  },
);

hostTest(
  "without a terminal, signals are passed on to the program",
  { needs: ["registry"] },
  async (host) => {
    const image = await host.image();
    const script =
      "trap 'echo got-usr1' USR1; trap 'echo got-term; exit 9' TERM; echo ready; while :; do sleep 0.1; done";
    const running = host.spawn(["run", "--rm", ...NONE, image, "sh", "-c", script]);
    await waitFor("the program is ready", () => running.output.stdout.includes("ready"));
    running.child.kill("SIGUSR1");
    await waitFor("the first signal", () => running.output.stdout.includes("got-usr1"));
    running.child.kill("SIGTERM");
    const { code, stdout } = await running.result;
    assertEquals(code, 9);
    assertIncludes(stdout, "got-term");
  },
);

hostTest(
  "--sig-proxy=false leaves signals to skiff, and the container alive",
  { needs: ["registry"] },
  async (host) => {
    const image = await host.image();
    const running = host.spawn([
      "run",
      "--name",
      "s",
      "--sig-proxy=false",
      ...NONE,
      image,
      "sh",
      "-c",
      "echo up; sleep 1000",
    ]);
    await waitFor("the program is up", () => running.output.stdout.includes("up"));
    running.child.kill("SIGTERM");
    await running.result;
    assertEquals(await host.ok("ps", "--format", "{{.Names}}"), "s");
  },
);

hostTest("logs -f follows until the end", { needs: ["registry"] }, async (host) => {
  const image = await host.image();
  await host.run(
    "-d",
    "-q",
    "--name",
    "s",
    image,
    "sh",
    "-c",
    "echo one; until test -e /go; do sleep 0.05; done; echo two; exit 1",
  );
  const following = host.spawn(["logs", "-f", "s"]);
  await waitFor("the first line", () => following.output.stdout === "one\n");
  await host.ok("exec", "s", "touch", "/go");
  const { code, stdout } = await following.result;
  assertEquals([code, stdout], [0, "one\ntwo\n"]);
  assertMatch(await host.ok("logs", "--tail", "1", "s"), /^two$/);
});

hostTest("a pull shows a bar for each layer on a terminal", { needs: ["registry"] }, async (host) => {
  const image = await host.image();
  const pty = host.pty(["pull", image]);
  await pty.expect(/Copying blob [0-9a-f]{12} done/);
  await pty.expect(/\[J[0-9a-f]{64}\r\n/);
  assertEquals(await pty.wait(), 0);
  assertIncludes(pty.text, "\x1b[1A\rCopying blob ");
});

hostTest(
  "a pull that is interrupted says so, and the next one works",
  { needs: ["registry"] },
  async (host) => {
    const image = await host.image();
    // A registry that answers and then says nothing more.
    const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const accepted = silent.accept();
    await host.declareInsecure(`127.0.0.1:${silent.addr.port}`);
    const running = host.spawn(["pull", `127.0.0.1:${silent.addr.port}/x`]);
    using _connection = await accepted;
    running.child.kill("SIGINT");
    const { code, signal } = await running.result;
    assertEquals(signal === "SIGINT" || code === 130, true, `${code} ${signal}`);
    silent.close();
    assertEquals((await host.skiff(["pull", "-q", image])).code, 0);
  },
);
