/** ATTACKS 29 (the monitor's socket) and 35 (stalled readers), each beside a control that shows it is live. */

import { AF_UNIX, SOCK_CLOEXEC, SOCK_STREAM } from "../ffi/constants/socket.ts";
import { close, read } from "../ffi/file.ts";
import { forkChild } from "../ffi/fork.ts";
import { libc, openFamilies } from "../ffi/libc.ts";
import { setresgid, setresuid, waitpidAsync } from "../ffi/process.ts";
import { connectUnix, send, socket } from "../ffi/socket.ts";
import { Attachment } from "../runtime/monitor/attachment.ts";
import { requestMonitor } from "../runtime/monitor/client.ts";
import { encodeFrame, encodeJsonFrame, FRAME, FrameDecoder } from "../runtime/monitor/protocol.ts";
import { readExit } from "../runtime/monitor/records.ts";
import { assert, assertEquals, type Host, hostTest, waitFor } from "./harness.ts";
import { Collected, MonitorFixture, Typed } from "./monitor_fixture.ts";

const NOBODY = 65534;
const ATTACH = { version: 1, op: "attach", stdin: false, stdout: true, stderr: true };

/** What a monitor answers to raw bytes, until it closes. */
async function answerTo(socketPath: string, bytes: Uint8Array): Promise<string> {
  using conn = await Deno.connect({ transport: "unix", path: socketPath });
  await conn.write(bytes);
  let text = "";
  const buffer = new Uint8Array(65536);
  for (let count = await conn.read(buffer); count !== null; count = await conn.read(buffer)) {
    text += new TextDecoder().decode(buffer.subarray(5, count));
  }
  return text;
}

function residentKilobytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))![1]);
}

/** A child of another user says HELLO: 1 when it is answered, 0 when the connection just ends. */
async function helloAs(uid: number, socketPath: string): Promise<number> {
  openFamilies("socket", "file", "credentials", "process");
  const pid = forkChild(() => {
    setresgid(uid);
    setresuid(uid);
    const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC);
    try {
      connectUnix(fd, socketPath);
    } catch {
      return 2;
    }
    try {
      send(fd, encodeJsonFrame(FRAME.HELLO, { version: 1, op: "status" }));
      return read(fd, new Uint8Array(64)) > 0 ? 1 : 0;
    } catch {
      return 0;
    }
  });
  return (await waitpidAsync(pid)).status;
}

Deno.test({
  name: "another user's process gets no answer, even where someone loosened the socket's modes",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    await using monitor = MonitorFixture.start({ script: "sleep 600" });
    await monitor.ready;
    const { socketPath } = monitor.plan;
    assertEquals(Deno.statSync(socketPath).mode! & 0o777, 0o600);
    assertEquals(await helloAs(NOBODY, socketPath), 2, "the mode must keep it out");
    Deno.chmodSync(monitor.root, 0o755);
    Deno.chmodSync(socketPath, 0o666);
    assertEquals(await helloAs(0, socketPath), 1, "the control must be answered");
    assertEquals(await helloAs(NOBODY, socketPath), 0);
  },
});

Deno.test("a hostile client is answered in one sentence, and the program goes on", async () => {
  await using monitor = MonitorFixture.start({ script: "sleep 600" });
  await monitor.ready;
  const { socketPath } = monitor.plan;
  const huge = new Uint8Array([FRAME.HELLO, 0xff, 0xff, 0xff, 0xff]);
  const cases: [Uint8Array, string][] = [
    [huge, '{"message":"read frame: 4294967295 bytes are more than 65536"}'],
    [new Uint8Array(1000).fill(0x99), '{"message":"read frame: unknown type 153"}'],
    [encodeFrame(FRAME.STDIN, new Uint8Array(10)), '{"message":"read frame: out of order"}'],
    [encodeJsonFrame(FRAME.RESIZE, {}), '{"message":"read frame: HELLO comes first"}'],
    [
      encodeJsonFrame(FRAME.HELLO, { version: 1, op: "../../x" }),
      '{"message":"read hello: unknown operation \\"../../x\\""}',
    ],
    [
      encodeJsonFrame(FRAME.HELLO, { version: 1, op: "signal", signal: 1e9 }),
      '{"message":"read frame: a signal is a number from 1 to 64"}',
    ],
  ];
  for (const [bytes, answer] of cases) assertEquals(await answerTo(socketPath, bytes), answer);
  const status = await requestMonitor(socketPath, { op: "status" });
  assertEquals((status.state as { status: string }).status, "running");
});

Deno.test("two hundred silent connections keep nobody out for longer than they last, nor do they cost memory", async () => {
  await using monitor = MonitorFixture.start({ script: "sleep 600" });
  await monitor.ready;
  const { socketPath } = monitor.plan;
  const before = residentKilobytes(monitor.pid);
  const silent: Deno.Conn[] = [];
  const connectSilently = async (count: number) => {
    for (let index = 0; index < count; index++) {
      // a full backlog refuses for a moment
      const connect = () => Deno.connect({ transport: "unix", path: socketPath }).catch(() => null);
      const conn = await waitFor("a connection", connect);
      await conn.write(new Uint8Array([FRAME.HELLO, 0, 0, 0xff])).catch(() => {});
      silent.push(conn);
    }
  };
  await connectSilently(200);
  assert(residentKilobytes(monitor.pid) - before < 8 * 1024, "memory grew");
  // The control is live; where the machine was so slow that they were sent away meanwhile, others come.
  await waitFor("somebody is kept out", async () => {
    const refused = await requestMonitor(socketPath, { op: "status" }).catch((error) => error.message);
    if (typeof refused !== "string") return await connectSilently(64), false;
    assertEquals(refused, "ask the monitor: it ended without an answer");
    return true;
  });
  for (const conn of silent) conn.close();
  const status = await waitFor(
    "an answer",
    () => requestMonitor(socketPath, { op: "status" }).catch(() => null),
  );
  assertEquals(status.version, 1);
});

Deno.test("a client that never reads stops neither the program nor the others, and takes bounded memory", async () => {
  const bytes = 120_000_000;
  // Either half fits what is kept for a client, so that one which the machine makes slow is not left behind.
  const half = `read go; yes 0123456789012345678901234567890123456789 | head -c ${bytes / 2}`;
  const script = `${half}; ${half}; exit 9`;
  await using monitor = MonitorFixture.start({ script, startOnAttach: true, openStdin: true, log: "none" });
  const { socketPath, containerDir } = monitor.plan;
  using stalled = await Deno.connect({ transport: "unix", path: socketPath });
  await stalled.write(encodeJsonFrame(FRAME.HELLO, ATTACH));
  const keys = new Typed();
  const good = { bytes: 0 };
  const before = residentKilobytes(monitor.pid);
  let peak = 0;
  const attachment = await Attachment.open(socketPath, {
    stdin: keys,
    stdout: (piece) => {
      const next = good.bytes + piece.length;
      if (good.bytes >> 20 !== next >> 20) peak = Math.max(peak, residentKilobytes(monitor.pid));
      good.bytes = next;
      if (good.bytes === bytes / 2) keys.type("go\n");
    },
  });
  keys.type("go\n");
  const outcome = await attachment.outcome;
  assertEquals(outcome.kind === "exited" && outcome.record.exitCode, 9);
  assertEquals(good.bytes, bytes, "the other client gets all");
  assertEquals(
    readExit(containerDir)?.exitCode,
    9,
    "the end is recorded while the stalled client still hangs",
  );
  assert(peak > 0 && peak - before < 64 * 1024, `${peak - before} kB more`);

  // The control: it did stall, was left behind at the limit, and is told so when it reads at last.
  const decoder = new FrameDecoder();
  let [got, last] = [0, ""];
  const buffer = new Uint8Array(1 << 20);
  for (let count = await stalled.read(buffer); count !== null; count = await stalled.read(buffer)) {
    decoder.feed(buffer.subarray(0, count), {
      stream: (_, piece) => void (got += piece.length),
      control: (type, payload) => last = `${type} ${new TextDecoder().decode(payload)}`,
    });
  }
  assert(got > 60_000_000 && got < 72_000_000, `the stalled client got ${got}`);
  assertEquals(last, `${FRAME.ERROR} {"message":"attach: the client does not read; see the log"}`);
  assertEquals(await monitor.ended(), 0);
});

Deno.test("a client that pauses and goes on gets every byte", async () => {
  const lines = 1_000_000;
  await using monitor = MonitorFixture.start({ script: `seq 1 ${lines}`, startOnAttach: true, log: "none" });
  const out = new Collected();
  let isFirst = true;
  const attachment = await Attachment.open(monitor.plan.socketPath, {
    stdout: async (piece) => {
      out.sink(piece);
      if (!isFirst) return;
      isFirst = false;
      // Long enough to fall behind into the file.
      await new Promise((resolve) => setTimeout(resolve, 1500));
    },
  });
  await attachment.outcome;
  assertEquals(out.text === Array.from({ length: lines }, (_, index) => `${index + 1}\n`).join(""), true);
});

Deno.test("a flood of output fills no disk where the log has a limit", async () => {
  const size = async (maxSize: number) => {
    await using monitor = MonitorFixture.start({ script: "seq 1 500000", maxSize });
    await monitor.ended();
    return [...Deno.readDirSync(monitor.root)].filter((entry) => entry.name.startsWith("log"))
      .reduce((sum, entry) => sum + Deno.statSync(`${monitor.root}/${entry.name}`).size, 0);
  };
  const limit = 1_000_000;
  assert(await size(0) > 10 * limit, "the control must be a flood");
  assert(await size(limit) <= 2 * limit);
});

/** Which of a process's sockets are abstract. @see proc_net(5), unix */
function abstractSockets(pid: number): string[] {
  const names = new Map<string, string>();
  for (const line of Deno.readTextFileSync("/proc/net/unix").split("\n")) {
    const match = / (\d+) (@\S*)$/.exec(line);
    if (match !== null) names.set(`socket:[${match[1]}]`, match[2]!);
  }
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].flatMap(({ name }) => {
    try {
      return names.get(Deno.readLinkSync(`/proc/${pid}/fd/${name}`)) ?? [];
    } catch {
      return [];
    }
  });
}

function bindAbstract(name: string): number {
  const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC);
  const address = new Uint8Array([1, 0, 0, ...new TextEncoder().encode(name)]);
  assertEquals(libc("socket").bind(fd, address, address.length), 0);
  return fd;
}

/** The sockets of the test user's monitors. */
function monitorSockets(host: Host): string[] {
  const { run } = JSON.parse(Deno.readTextFileSync(`${host.data}/runtime.json`));
  return [...Deno.readDirSync(`${run}/c`)].map((entry) => `${run}/c/${entry.name}`);
}

hostTest("a monitor's socket has a name in a folder of the user's, and no abstract one", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image();
  const name = `skiff-test-control-${Deno.pid}`;
  const control = bindAbstract(name);
  assertEquals(abstractSockets(Deno.pid), [`@${name}`], "the control must be seen");
  close(control);
  const id = await host.ok("run", "-d", "--network", "host", image, "sleep", "1000");
  const { monitorPid, initPid } = JSON.parse(
    Deno.readTextFileSync(`${host.data}/containers/${id}/state.json`),
  );
  assertEquals([abstractSockets(monitorPid), abstractSockets(initPid)], [[], []]);
  const path = monitorSockets(host).find((path) => path.includes(id.slice(0, 32)));
  assert(path !== undefined, "the monitor has a socket");
  assertEquals(Deno.statSync(path).mode! & 0o777, 0o600);
  assertEquals(Deno.statSync(path.slice(0, path.lastIndexOf("/"))).mode! & 0o777, 0o700);
});

hostTest("root of the host is not the user: the monitor gives it no answer", {
  needs: ["registry", "busybox", "root"],
}, async (host) => {
  const image = await host.image();
  const id = await host.ok("run", "-d", "--network", "none", image, "sleep", "1000");
  const path = monitorSockets(host).find((path) => path.includes(id.slice(0, 32)))!;
  assertEquals(await helloAs(host.ids.uid, path), 1, "the control must be answered");
  assertEquals(await helloAs(0, path), 0);
  assertEquals(await helloAs(NOBODY, path), 2);
});

hostTest("a name is never a path to another socket", { needs: ["registry", "busybox"] }, async (host) => {
  const image = await host.image();
  await host.ok("run", "-d", "--name", "good", "--network", "none", image, "sleep", "1000");
  for (const name of ["../good", "../../c/good", "/etc/passwd", "good/../good"]) {
    const { code, stderr } = await host.skiff(["kill", name]);
    assertEquals([code, stderr.includes("no such container")], [125, true], stderr);
  }
  assertEquals(await host.ok("ps", "--format", "{{.Names}}"), "good");
});

hostTest("an attach that is never read does not stop a container", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image();
  // all by one pipe: of two, the log would have the end where the monitor came to read it
  const flood = "yes 01234567890123456789 | head -c 50000000; echo finished; sleep 1000";
  await host.ok(
    "run",
    "-d",
    "--name",
    "flood",
    "--network",
    "none",
    "-i",
    image,
    "sh",
    "-c",
    `read go; ${flood}`,
  );
  // A pipe that nobody reads: the client holds both ends of its output itself.
  const stalled = host.spawnProgram([
    "/bin/sh",
    "-c",
    `mkfifo in out && exec 3<>in 4<>out && echo go >&3 && exec ${host.binary} attach flood <&3 >&4 2>&1`,
  ]);
  try {
    await waitFor("the flood's end", async () => {
      return (await host.ok("logs", "--tail", "1", "flood")).includes("finished");
    });
    assertEquals(await host.ok("inspect", "--format", "{{.State.Status}}", "flood"), "running");
    await host.ok("stop", "-t", "0", "flood");
    assertEquals(await host.ok("ps", "-q"), "");
  } finally {
    stalled.child.kill("SIGKILL");
    await stalled.result;
  }
});
