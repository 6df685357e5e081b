/** The monitor's loop with real children: output, log, clients, signals, end. */

import { SIGCONT, SIGSTOP } from "../ffi/constants/signal.ts";
import { kill } from "../ffi/process.ts";
import { Attachment } from "../runtime/monitor/attachment.ts";
import {
  MonitorConnection,
  requestMonitor,
  sendSignal,
  stopAndWait,
  waitForExit,
} from "../runtime/monitor/client.ts";
import { parseDetachKeys } from "../runtime/monitor/detach_keys.ts";
import { readLog } from "../runtime/monitor/log_reader.ts";
import { loadSupervision } from "../runtime/monitor/monitor.ts";
import { encodeJsonFrame, FRAME } from "../runtime/monitor/protocol.ts";
import { readExit, readState } from "../runtime/monitor/records.ts";
import { inspectLock } from "../runtime/state/locks.ts";
import { assert, assertEquals, waitFor } from "./harness.ts";
import { Collected, MonitorFixture, Typed } from "./monitor_fixture.ts";

async function logged(monitor: MonitorFixture): Promise<{ stdout: string; stderr: string }> {
  const text = { stdout: "", stderr: "" };
  const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
  for await (const records of readLog(monitor.plan.log)) {
    for (const { stream, bytes } of records) text[stream] += decoders[stream].decode(bytes, { stream: true });
  }
  return text;
}

Deno.test("output, log and exit record of a detached run", async () => {
  await using monitor = MonitorFixture.start({ script: "echo out; echo err >&2; printf part; exit 7" });
  assertEquals((await monitor.ready).ok, true);
  assertEquals(await monitor.ended(), 0);
  assertEquals(await logged(monitor), { stdout: "out\npart", stderr: "err\n" });
  const exit = readExit(monitor.plan.containerDir)!;
  assertEquals([exit.exitCode, exit.error, exit.oomKilled], [7, "", false]);
  assert(exit.startedAt < exit.finishedAt, `${exit.startedAt} !< ${exit.finishedAt}`);
});

Deno.test("a foreground run loses no byte to its first client, and is told the exit code", async () => {
  await using monitor = MonitorFixture.start({
    script: "echo first; echo oops >&2; exit 3",
    startOnAttach: true,
  });
  const [out, err] = [new Collected(), new Collected()];
  const attachment = await Attachment.open(monitor.plan.socketPath, { stdout: out.sink, stderr: err.sink });
  const outcome = await attachment.outcome;
  assertEquals([out.text, err.text], ["first\n", "oops\n"]);
  assertEquals(outcome.kind === "exited" && outcome.record.exitCode, 3);
  assertEquals(inspectLock(monitor.lockPath).state, "free");
});

Deno.test("who has died before he is told that he is attached was not there: the next client is the first", async () => {
  await using monitor = MonitorFixture.start({ script: "echo first", startOnAttach: true });
  // so that the monitor finds the question of somebody who is gone
  kill(monitor.pid, SIGSTOP);
  const dead = await Deno.connect({ transport: "unix", path: monitor.plan.socketPath });
  await dead.write(encodeJsonFrame(FRAME.HELLO, { version: 1, op: "attach" }));
  dead.close();
  kill(monitor.pid, SIGCONT);
  const out = new Collected();
  const attachment = await Attachment.open(monitor.plan.socketPath, { stdout: out.sink });
  const outcome = await attachment.outcome;
  assertEquals([outcome.kind, out.text], ["exited", "first\n"]);
});

Deno.test("a signal's death is 128 and its number", async () => {
  await using monitor = MonitorFixture.start({ script: "kill -9 $$" });
  await monitor.ended();
  assertEquals(readExit(monitor.plan.containerDir)?.exitCode, 137);
});

for (const dies of ["ready", "told to go"] as const) {
  Deno.test(`an init that is killed when it is ${dies} is told as that`, async () => {
    await using monitor = MonitorFixture.start({ script: "", dies });
    const message = await monitor.ready;
    const told = "the container was killed by signal 9 before its program ran";
    assertEquals(message.ok || message.failure.message, told);
    assertEquals(await monitor.ended(), 0);
    const { exitCode, error, startedAt } = readExit(monitor.plan.containerDir)!;
    assertEquals({ exitCode, error, startedAt }, { exitCode: 137, error: told, startedAt: "" });
  });
}

Deno.test("stdin reaches the program, and its end after the only client's", async () => {
  await using monitor = MonitorFixture.start({
    script: "cat; echo end",
    startOnAttach: true,
    openStdin: true,
    stdinOnce: true,
  });
  const [out, stdin] = [new Collected(), new Typed()];
  const attachment = await Attachment.open(monitor.plan.socketPath, { stdin, stdout: out.sink });
  stdin.type("hello\n");
  await out.until(/hello\n/);
  stdin.end();
  await attachment.outcome;
  assertEquals(out.text, "hello\nend\n");
});

Deno.test("a megabyte of input comes back whole", async () => {
  await using monitor = MonitorFixture.start({
    script: "cat",
    startOnAttach: true,
    openStdin: true,
    stdinOnce: true,
    log: "none",
  });
  const line = "0123456789abcdef".repeat(63) + "\n";
  let left = 1024;
  const stdin = {
    read(buffer: Uint8Array): Promise<number | null> {
      if (left-- === 0) return Promise.resolve(null);
      return Promise.resolve(new TextEncoder().encodeInto(line, buffer).written);
    },
  };
  const out = new Collected();
  await (await Attachment.open(monitor.plan.socketPath, { stdin, stdout: out.sink })).outcome;
  assertEquals(out.text === line.repeat(1024), true);
});

Deno.test("several clients get the same output; one detaches by keys and the program goes on", async () => {
  await using monitor = MonitorFixture.start({
    script: "read a; echo got $a; read b; echo got $b",
    openStdin: true,
    startOnAttach: true,
  });
  const [one, two] = [new Collected(), new Collected()];
  const [firstKeys, secondKeys] = [new Typed(), new Typed()];
  const detachKeys = parseDetachKeys("ctrl-p,ctrl-q");
  const { socketPath } = monitor.plan;
  const first = await Attachment.open(socketPath, { stdin: firstKeys, stdout: one.sink, detachKeys });
  const second = await Attachment.open(socketPath, { stdin: secondKeys, stdout: two.sink, detachKeys });
  firstKeys.type("a\n");
  await Promise.all([one.until(/got a\n/), two.until(/got a\n/)]);
  firstKeys.type("\x10\x11");
  assertEquals(await first.outcome, { kind: "detached" });
  secondKeys.type("b\n");
  assertEquals((await second.outcome).kind, "exited");
  assertEquals([one.text, two.text], ["got a\n", "got a\ngot b\n"]);
});

Deno.test("a terminal echoes, has the client's size, and follows a new one", async () => {
  await using monitor = MonitorFixture.start({
    script: "stty size; trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.01; done",
    tty: true,
    openStdin: true,
    startOnAttach: true,
  });
  const out = new Collected();
  const attachment = await Attachment.open(monitor.plan.socketPath, {
    stdin: new Typed(),
    stdout: out.sink,
    size: { rows: 33, cols: 101 },
  });
  await out.until(/ready/);
  await attachment.resize({ rows: 20, cols: 70 });
  await attachment.outcome;
  assertEquals(out.text, "33 101\r\nready\r\n20 70\r\n");
});

Deno.test("stop kills what ignores its signal after the timeout", async () => {
  await using monitor = MonitorFixture.start({
    script: "trap '' TERM; echo up; while :; do sleep 0.05; done",
  });
  await monitor.ready;
  await waitForLog(monitor, "up\n");
  const began = performance.now();
  const record = await stopAndWait(monitor.plan.socketPath, { timeoutSeconds: 0.2 });
  assertEquals(record.exitCode, 137);
  assert(performance.now() - began > 190, "it was killed too early");
});

Deno.test("stop by the program's own leave; state says stopping meanwhile", async () => {
  await using monitor = MonitorFixture.start({
    script: "trap 'echo bye; exit 4' TERM; echo up; while :; do sleep 0.05; done",
  });
  assertEquals((await monitor.ready).ok, true);
  assertEquals(readState(monitor.plan.containerDir)?.status, "running");
  await waitForLog(monitor, "up\n");
  const record = await stopAndWait(monitor.plan.socketPath, {});
  assertEquals([record.exitCode, (await logged(monitor)).stdout], [4, "up\nbye\n"]);
  assertEquals(readState(monitor.plan.containerDir)?.status, "stopping");
});

Deno.test("a time limit that comes while a client still reads what the program wrote changes nothing", async () => {
  await loadSupervision();
  // on a machine so slow that the limit comes before the program's end nothing is shown: once more
  for (let seconds = 3;; seconds *= 4) {
    const [last, exit] = await endLeftUnread(seconds);
    if (exit?.exitCode === 137 && seconds < 100) continue;
    assertEquals([last, exit?.exitCode, exit?.error], [FRAME.EXIT, 0, ""]);
    break;
  }
});

/** The last frame of a client that reads when the time limit is over, and the exit record. */
async function endLeftUnread(timeoutSeconds: number) {
  await using monitor = MonitorFixture.start({ script: "seq 1 50000", startOnAttach: true, timeoutSeconds });
  const { socketPath, containerDir } = monitor.plan;
  using slow = await MonitorConnection.open(socketPath, {
    op: "attach",
    stdin: false,
    stdout: true,
    stderr: true,
  });
  await waitFor("the program's end", () => readExit(containerDir) !== undefined);
  await new Promise((resolve) => setTimeout(resolve, timeoutSeconds * 1000 + 200));
  let last: number | undefined;
  for (let frames = await slow.receive(); frames !== undefined; frames = await slow.receive()) {
    last = frames.at(-1)?.type;
  }
  return [last, readExit(containerDir)] as const;
}

Deno.test("SIGTERM to the monitor stops its container", async () => {
  await using monitor = MonitorFixture.start({ script: "trap 'exit 5' TERM; while :; do sleep 0.05; done" });
  await monitor.ready;
  Deno.kill(monitor.pid, "SIGTERM");
  await monitor.ended();
  const exitCode = readExit(monitor.plan.containerDir)?.exitCode;
  assertEquals(exitCode === 5 || exitCode === 143, true);
});

Deno.test("signal, status and wait are answered, and refused after the end", async () => {
  await using monitor = MonitorFixture.start({
    script: "trap 'exit 6' USR1; echo up; while :; do sleep 0.05; done",
  });
  const { socketPath } = monitor.plan;
  await monitor.ready;
  await waitForLog(monitor, "up\n");
  const status = await requestMonitor(socketPath, { op: "status" });
  assertEquals([status.version, status.name, (status.state as { status: string }).status], [
    1,
    "fixture",
    "running",
  ]);
  const exit = waitForExit(socketPath);
  await requestMonitor(socketPath, { op: "status" });
  await sendSignal(socketPath, 10);
  assertEquals((await exit).exitCode, 6);
  await monitor.ended();
  const error = await requestMonitor(socketPath, { op: "status" }).catch((error) => error);
  assertEquals([error.name, error.message], [
    "ConflictError",
    "connect to the monitor: the container is not running",
  ]);
});

Deno.test("a failed set-up is told to the parent and to the client, and recorded", async () => {
  await using monitor = MonitorFixture.start({ script: "", failSetup: true, startOnAttach: true });
  const attachment = await Attachment.open(monitor.plan.socketPath, { stdout: () => {} });
  const error = await attachment.outcome.catch((error) => error);
  assertEquals([error.name, error.message], ["StartError", "the fixture was told to fail"]);
  const ready = await monitor.ready;
  assertEquals(!ready.ok && ready.failure.stage, "start the monitor");
  await monitor.ended();
  const exit = readExit(monitor.plan.containerDir)!;
  assertEquals([exit.exitCode, exit.error], [125, "the fixture was told to fail"]);
});

Deno.test("--rm leaves no folder and no socket when the client is told, and no trash when it ends", async () => {
  await using monitor = MonitorFixture.start({ script: "echo gone", startOnAttach: true, autoRemove: true });
  Deno.mkdirSync(`${monitor.plan.containerDir}/deep/er`, { recursive: true });
  const attachment = await Attachment.open(monitor.plan.socketPath, { stdout: () => {} });
  await attachment.outcome;
  const left = () => [...Deno.readDirSync(monitor.root)].map((entry) => entry.name).sort();
  assertEquals(left().filter((name) => name !== "trash-0"), ["events", "log"]);
  await monitor.ended();
  assertEquals(left(), ["events", "log"]);
});

Deno.test("--rm removes a folder at once that cannot be moved out of sight", async () => {
  await using monitor = MonitorFixture.start({ script: "exit 0", startOnAttach: true, autoRemove: true });
  Deno.mkdirSync(`${monitor.root}/trash-0/taken`, { recursive: true });
  const attachment = await Attachment.open(monitor.plan.socketPath, { stdout: () => {} });
  await attachment.outcome;
  const left = [...Deno.readDirSync(monitor.root)].map((entry) => entry.name).sort();
  assertEquals(left, ["events", "log", "trash-0"]);
});

Deno.test("a grandchild that keeps the pipes open delays nothing", async () => {
  await using monitor = MonitorFixture.start({ script: "sleep 600 & echo $!; exit 0" });
  await monitor.ended();
  const { stdout } = await logged(monitor);
  const left = Number(stdout);
  // its shell does not wait for it to become the sleep
  await waitFor("the grandchild", () => Deno.readTextFileSync(`/proc/${left}/comm`) === "sleep\n");
  Deno.kill(left, "SIGKILL");
});

for (const driver of ["k8s-file", "json-file"] as const) {
  Deno.test(`every byte of a flood of lines is in the log: ${driver}`, async () => {
    await using monitor = MonitorFixture.start({ script: "seq 1 200000; seq 1 1000 >&2", log: driver });
    await monitor.ended();
    const { stdout, stderr } = await logged(monitor);
    const seq = (count: number) => Array.from({ length: count }, (_, index) => `${index + 1}\n`).join("");
    assertEquals([stdout === seq(200000), stderr === seq(1000)], [true, true]);
  });
}

Deno.test("logs follow what is written until the end", async () => {
  await using monitor = MonitorFixture.start({
    script: "read go; for i in 1 2 3; do echo $i; sleep 0.05; done",
    openStdin: true,
  });
  await monitor.ready;
  const { socketPath } = monitor.plan;
  const ended = waitForExit(socketPath);
  const keys = new Typed();
  await Attachment.open(socketPath, { stdin: keys });
  keys.type("go\n");
  let text = "";
  for await (const records of readLog(monitor.plan.log, { follow: true, ended })) {
    for (const { bytes } of records) text += new TextDecoder().decode(bytes);
  }
  assertEquals(text, "1\n2\n3\n");
});

async function waitForLog(monitor: MonitorFixture, text: string): Promise<void> {
  const seen = new AbortController();
  let found = "";
  const ended = new Promise((resolve) => seen.signal.addEventListener("abort", resolve));
  for await (const records of readLog(monitor.plan.log, { follow: true, ended })) {
    for (const { bytes } of records) found += new TextDecoder().decode(bytes);
    if (found.includes(text)) return;
  }
}

for (const [when, saysLate] of [["at once", false], ["a moment later", true]] as const) {
  Deno.test(`who connects just before the end, and says ${when} what he wants, is told how it ended`, async () => {
    const flag = await Deno.makeTempFile();
    await using fixture = MonitorFixture.start({
      script: `while [ -e ${flag} ]; do sleep 0.02; done; exit 7`,
    });
    const ready = await fixture.ready;
    assert(ready.ok);
    // the program ends and the client comes while the monitor looks at neither
    kill(fixture.pid, SIGSTOP);
    await Deno.remove(flag);
    await waitFor(
      "the program has ended",
      () => / Z /.test(Deno.readTextFileSync(`/proc/${ready.initPid}/stat`)),
    );
    using conn = await Deno.connect({ transport: "unix", path: fixture.plan.socketPath });
    const hello = encodeJsonFrame(FRAME.HELLO, { version: 1, op: "attach" });
    if (!saysLate) await conn.write(hello);
    kill(fixture.pid, SIGCONT);
    if (saysLate) {
      await waitFor("the end is recorded", () => readExit(fixture.plan.containerDir) !== undefined);
      await conn.write(hello);
    }
    const buffer = new Uint8Array(4096);
    const count = await conn.read(buffer) ?? 0;
    assertEquals([buffer[0], JSON.parse(new TextDecoder().decode(buffer.subarray(5, count))).exitCode], [
      FRAME.EXIT,
      7,
    ]);
    assertEquals(await fixture.ended(), 0);
  });
}
