/**
 * Measures the default network beside slirp4netns (at its largest MTU), pasta, and the bare loopback: rootless,
 * interleaved, medians. Prints a table with the ratios; a missed target is marked and makes the exit code 1.
 *
 *     scripts/bench network [--runs 5] [--seconds 2] [--only stream,cpu,…] [--as root]
 *
 * With `--as root` the same programs and the same stack are run by root, in a network namespace that scripts/bench makes.
 *
 * Every path leads from a network namespace to a server on this machine's loopback and, by a published port, back in.
 * The programs at both ends are the same for all: iperf3, and bench_network_probe.py.
 */
import { Host } from "../tests/harness.ts";
import { bridgeBesideVeth } from "./bench_network_bridge.ts";
import { median, printTable, type Row } from "./bench_table.ts";

interface Options {
  runs: number;
  seconds: number;
  only: string[] | null;
  asRoot: boolean;
}

/** A network namespace and what leads out of it. */
interface Path {
  name: string;
  /** A process in the namespace; 0 is the machine's own. */
  pid: number;
  /** The processes that carry the traffic. */
  carriers: number[];
  /** How the machine's loopback is called inside. */
  gateway: string;
  /** The port of the machine that leads to INSIDE_PORT. */
  published: number;
  close(): Promise<void>;
}

const SERVER_PORT = 25201;
const INSIDE_PORT = 25202;
/** The first of many: each sample of connects has its own, as a closed connection keeps its pair of ports for a minute. */
const ECHO_PORT = 25203;
const ECHO_PORTS = 90;
let echoPort = 0;
const PROBE = new URL("bench_network_probe.py", import.meta.url).pathname;
const HERTZ = 100;

/** A figure of one path at one time; larger is better unless a limit says otherwise. */
interface Figure {
  name: string;
  title: string;
  unit: string;
  sample(path: Path, options: Options): Promise<number>;
  /** How skiff's may relate to another path's. */
  targets: { path: string; atLeast?: number; atMost?: number }[];
}

const FIGURES: Figure[] = [
  {
    name: "out",
    title: "one stream out",
    unit: "Gbit/s",
    sample: async (path, { seconds }) => (await stream(path, seconds, false)).gigabits,
    targets: [{ path: "slirp4netns", atLeast: 3 }, { path: "pasta", atLeast: 1.3 }],
  },
  {
    name: "in",
    title: "one stream in",
    unit: "Gbit/s",
    sample: async (path, { seconds }) => (await stream(path, seconds, true)).gigabits,
    targets: [{ path: "slirp4netns", atLeast: 1.5 }, { path: "pasta", atLeast: 1.2 }],
  },
  {
    name: "published",
    title: "published port, one stream in",
    unit: "Gbit/s",
    sample: async (path, { seconds }) => (await publishedStream(path, seconds)).gigabits,
    targets: [{ path: "slirp4netns", atLeast: 1.5 }],
  },
  {
    name: "cpu-out",
    title: "processor time per GB out",
    unit: "s",
    sample: async (path, { seconds }) => (await stream(path, seconds, false)).secondsPerGigabyte,
    targets: [{ path: "slirp4netns", atMost: 0.4 }],
  },
  {
    name: "cpu-in",
    title: "processor time per GB in",
    unit: "s",
    sample: async (path, { seconds }) => (await stream(path, seconds, true)).secondsPerGigabyte,
    targets: [{ path: "slirp4netns", atMost: 0.4 }],
  },
  {
    name: "rtt",
    title: "round trip of one byte",
    unit: "µs",
    sample: (path) => probe(path, "rtt", path.gateway, String(ECHO_PORT), "3000"),
    targets: [{ path: "slirp4netns", atMost: 1.1 }],
  },
  {
    name: "connects",
    title: "sequential connects, idle",
    unit: "/s",
    sample: (path, { seconds }) => connects(path, seconds),
    targets: [{ path: "slirp4netns", atLeast: 1 }],
  },
  {
    name: "connects-loaded",
    title: "sequential connects, beside a stream out",
    unit: "/s",
    sample: async (path, { seconds }) => {
      const [rate] = await Promise.all([
        connects(path, seconds),
        stream(path, seconds + 1, false),
      ]);
      return rate;
    },
    targets: [{ path: "slirp4netns", atLeast: 1 }],
  },
  {
    name: "echoes",
    title: "1,000 connections at once, echoes of 64 bytes",
    unit: "/s",
    sample: (path, { seconds }) =>
      probe(path, "echoes", path.gateway, String(ECHO_PORT), "1000", String(seconds)),
    targets: [{ path: "slirp4netns", atLeast: 5 }],
  },
];

function parseOptions(args: string[]): Options {
  const options: Options = { runs: 5, seconds: 2, only: null, asRoot: false };
  for (let i = 0; i < args.length; i += 2) {
    const value = args[i + 1] ?? "";
    if (args[i] === "--runs") options.runs = Number(value);
    else if (args[i] === "--seconds") options.seconds = Number(value);
    else if (args[i] === "--only") options.only = value.split(",");
    else if (args[i] === "--as" && value === "root") options.asRoot = true;
    else throw new Error(`unknown option ${args[i]}`);
  }
  return options;
}

/** Runs a program to its end; gives its stdout. */
export async function output(words: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("/usr/bin/timeout", {
    args: ["120", ...words],
    stdin: "null",
    cwd: "/",
  }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`${words.join(" ")}: ${decoder.decode(stderr)}${decoder.decode(stdout)}`);
  return decoder.decode(stdout);
}

/** Starts a program that serves; resolves when it has printed something. */
export async function serve(words: string[]): Promise<() => Promise<void>> {
  const child = new Deno.Command(words[0]!, {
    args: words.slice(1),
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
    cwd: "/",
  }).spawn();
  const reader = child.stdout.getReader();
  if ((await reader.read()).done) throw new Error(`${words.join(" ")}: ended at once`);
  // what it prints further must not fill the pipe
  (async () => {
    while (!(await reader.read()).done);
  })().catch(() => {});
  return async () => {
    await child.stdin.close().catch(() => {});
    try {
      child.kill("SIGKILL");
    } catch { /* it has ended */ }
    await child.status;
  };
}

/** The words before a program so that it runs in a process's network namespace; 0 is the machine's own. */
export function inside(pid: number): string[] {
  if (pid === 0) return [];
  const net = `--net=/proc/${pid}/ns/net`;
  // a user gets there by way of the user namespace, which is the user's own
  const own = ["--preserve-credentials", `--user=/proc/${pid}/ns/user`];
  return ["/usr/bin/nsenter", ...Deno.uid() === 0 ? [] : own, net, "--"];
}

async function probe(path: Path, ...words: string[]): Promise<number> {
  return Number(await output([...inside(path.pid), "/usr/bin/python3", PROBE, ...words]));
}

function connects(path: Path, seconds: number): Promise<number> {
  const port = ECHO_PORT + echoPort++ % ECHO_PORTS;
  return probe(path, "connects", path.gateway, String(port), String(seconds));
}

interface Stream {
  gigabits: number;
  secondsPerGigabyte: number;
}

async function stream(path: Path, seconds: number, isInbound: boolean): Promise<Stream> {
  const words = [
    "/usr/bin/iperf3",
    "-J",
    "-c",
    path.gateway,
    "-p",
    String(SERVER_PORT),
    "-t",
    String(seconds),
  ];
  return await measured(path, [...inside(path.pid), ...words, ...(isInbound ? ["-R"] : [])]);
}

async function publishedStream(path: Path, seconds: number): Promise<Stream> {
  const stop = await serve([
    ...inside(path.pid),
    "/usr/bin/iperf3",
    "-s",
    "--forceflush",
    "-p",
    String(INSIDE_PORT),
  ]);
  try {
    const words = ["-J", "-c", "127.0.0.1", "-p", String(path.published), "-t", String(seconds)];
    return await measured(path, ["/usr/bin/iperf3", ...words]);
  } finally {
    await stop();
  }
}

async function measured(path: Path, words: string[]): Promise<Stream> {
  const before = processorTicks(path);
  const { end } = JSON.parse(await output(words));
  const ticks = processorTicks(path) - before;
  const { bytes, bits_per_second } = end.sum_received;
  return { gigabits: bits_per_second / 1e9, secondsPerGigabyte: ticks / HERTZ / (bytes / 1e9) };
}

/** utime and stime of all that carries the path's traffic. @see proc_pid_stat(5) */
function processorTicks({ carriers }: Path): number {
  return carriers.reduce((sum, pid) => {
    const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).replace(/^.*\) /, "").split(" ");
    return sum + Number(fields[11]) + Number(fields[12]);
  }, 0);
}

function privateDirtyKilobytes(pid: number): number {
  const rollup = Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`);
  return Number(rollup.match(/^Private_Dirty:\s+(\d+) kB/m)![1]);
}

/** A network namespace of the user's own, with nothing in it. */
export async function bareNamespace(host: Host): Promise<{ pid: number; stop: () => Promise<void> }> {
  const running = host.spawnProgram([
    "/usr/bin/unshare",
    "-r",
    "-n",
    "/bin/sh",
    "-c",
    "echo $$; exec sleep 100000",
  ]);
  await until(() => running.output.stdout.includes("\n"));
  const stop = async () => {
    running.child.kill("SIGKILL");
    await running.result;
  };
  return { pid: running.pid, stop };
}

async function slirp4netns(host: Host): Promise<Path> {
  const namespace = await bareNamespace(host);
  const socket = `${host.home}/slirp.sock`;
  const program = host.spawnProgram([
    ...["/usr/bin/slirp4netns", "--configure", "--mtu=65520", `--api-socket=${socket}`],
    ...[String(namespace.pid), "tap0"],
  ]);
  await until(async () => (await interfaces(namespace.pid)).includes("tap0"));
  await until(() => Deno.stat(socket).then(() => true, () => false));
  const api = await Deno.connect({ transport: "unix", path: socket });
  const request = { proto: "tcp", host_addr: "127.0.0.1", host_port: 25301, guest_port: INSIDE_PORT };
  await api.write(new TextEncoder().encode(JSON.stringify({ execute: "add_hostfwd", arguments: request })));
  await api.closeWrite();
  const answer = new Uint8Array(4096);
  const length = await api.read(answer) ?? 0;
  const text = new TextDecoder().decode(answer.subarray(0, length));
  if (!text.includes('"return"')) throw new Error(`slirp4netns: ${text}`);
  api.close();
  return {
    name: "slirp4netns",
    pid: namespace.pid,
    carriers: [program.pid],
    gateway: "10.0.2.2",
    published: 25301,
    close: () => ended(program, namespace.stop),
  };
}

async function pasta(host: Host): Promise<Path> {
  const namespace = await bareNamespace(host);
  const program = host.spawnProgram([
    ...["/usr/bin/pasta", "-f", "--config-net", "-a", "10.0.2.100", "-n", "24", "-g", "10.0.2.2", "-4"],
    ...["-t", `25302:${INSIDE_PORT}`, "-u", "none", "-T", "none", "-U", "none"],
    // root's would become nobody, who may not enter root's namespaces
    ...host.ids.uid === 0 ? ["--runas", "0:0"] : [],
    String(namespace.pid),
  ]);
  await until(async () => (await routes(namespace.pid)).includes("10.0.2.2"));
  return {
    name: "pasta",
    pid: namespace.pid,
    carriers: [program.pid],
    gateway: "10.0.2.2",
    published: 25302,
    close: () => ended(program, namespace.stop),
  };
}

async function ended(
  program: { child: Deno.ChildProcess; result: Promise<unknown> },
  stop: () => Promise<void>,
): Promise<void> {
  try {
    program.child.kill("SIGTERM");
  } catch { /* it has ended */ }
  await stop();
  await program.result;
}

async function skiff(host: Host): Promise<Path> {
  const name = "bench";
  await host.ok(
    ...["run", "-d", "--name", name, "--network", "slirp:allow_host_loopback=true"],
    ...["-p", `127.0.0.1:25303:${INSIDE_PORT}`, "host", "sleep", "100000"],
  );
  const pid = Number(await host.ok("inspect", "--format", "{{.State.Pid}}", name));
  return {
    name: "skiff",
    pid,
    carriers: [parentOf(pid)],
    gateway: "10.0.2.2",
    published: 25303,
    close: async () => void await host.ok("rm", "-f", "-t", "0", name),
  };
}

function parentOf(pid: number): number {
  return Number(Deno.readTextFileSync(`/proc/${pid}/status`).match(/^PPid:\s+(\d+)/m)![1]);
}

const LOOPBACK: Path = {
  name: "loopback",
  pid: 0,
  carriers: [],
  gateway: "127.0.0.1",
  published: INSIDE_PORT,
  close: () => Promise.resolve(),
};

function interfaces(pid: number): Promise<string> {
  return Deno.readTextFile(`/proc/${pid}/net/dev`);
}

/** The gateways of the namespace's routes. */
async function routes(pid: number): Promise<string> {
  return await output([...inside(pid), "/usr/sbin/ip", "route"]);
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline;) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("a program did not get ready within 20 s");
}

async function measure(figure: Figure, paths: Path[], options: Options): Promise<Row> {
  const samples = paths.map((): number[] => []);
  const failures = new Map<string, string>();
  for (let run = 0; run < options.runs; run++) {
    for (const [index, path] of paths.entries()) {
      try {
        samples[index]!.push(await figure.sample(path, options));
      } catch (error) {
        failures.set(path.name, (error as Error).message.slice(0, 300));
      }
    }
  }
  for (const [path, reason] of failures) console.error(`${figure.title}, ${path}: ${reason}`);
  const medians = samples.map((values) => values.length === 0 ? NaN : median(values));
  const ours = medians[0]!;
  const misses = figure.targets.flatMap(({ path, atLeast, atMost }) => {
    const ratio = ours / medians[paths.findIndex(({ name }) => name === path)]!;
    const holds = atLeast === undefined ? ratio <= atMost! : ratio >= atLeast;
    return holds ? [] : [`MISS (${atLeast === undefined ? `≤ ${atMost}` : `≥ ${atLeast}`} × ${path})`];
  });
  const wanted = figure.targets.map(({ path, atLeast, atMost }) =>
    `${atLeast === undefined ? `≤ ${atMost}` : `≥ ${atLeast}`} × ${path}`
  );
  const digits = ours < 10 ? 2 : 1;
  return {
    title: `${figure.title}, ${figure.unit}`,
    values: medians.map((value, index) =>
      index === 0 ? value.toFixed(digits) : `${value.toFixed(digits)}, ${(ours / value).toFixed(2)} ×`
    ),
    verdict: (misses.length > 0 ? misses : wanted).join("; "),
  };
}

/**
 * Private_Dirty that the network adds to a monitor: idle, with 1,000 connections as the first that it does, and with them
 * in `used`, which has carried the traffic of all figures before.
 */
async function memory(host: Host, used: Path, { only }: Options): Promise<Row> {
  const network = ["--network", "slirp:allow_host_loopback=true"];
  const none = await monitorOf(host, "bare", ["--network", "none"]);
  const fresh = await monitorOf(host, "fresh", network);
  // a monitor gives memory back two seconds after the start
  await new Promise((resolve) => setTimeout(resolve, 4000));
  const adds = (monitor: number) => privateDirtyKilobytes(monitor) - privateDirtyKilobytes(none.monitor);
  const idle = adds(fresh.monitor);
  const held = await whileHolding(fresh.pid, used.gateway, () => adds(fresh.monitor));
  const heldLater = await whileHolding(used.pid, used.gateway, () => adds(used.carriers[0]!));
  await host.ok("rm", "-f", "-t", "0", "bare", "fresh");
  const before = only === null
    ? "all traffic"
    : only.filter((name) => name !== "memory").join(", ") || "nothing";
  const values = [idle, held, heldLater].map((kilobytes) => `${(kilobytes / 1024).toFixed(2)} MB`);
  const holds = idle <= 1024 && Math.max(held, heldLater) <= 10240;
  return {
    title: `private memory the network adds: idle; with 1,000 connections; with them after ${before}`,
    values: [values.join("; ")],
    verdict: holds ? "≤ 1 MB; ≤ 10 MB; ≤ 10 MB" : "MISS (limits 1 MB; 10 MB; 10 MB)",
  };
}

/** Starts a container that does nothing; gives its process and its monitor. */
async function monitorOf(
  host: Host,
  name: string,
  network: string[],
): Promise<{ pid: number; monitor: number }> {
  await host.ok("run", "-d", "--name", name, ...network, "host", "sleep", "100000");
  const pid = Number(await host.ok("inspect", "--format", "{{.State.Pid}}", name));
  return { pid, monitor: parentOf(pid) };
}

/** What `measure` finds while 1,000 connections are open, each of which has echoed a byte. */
async function whileHolding(pid: number, gateway: string, measure: () => number): Promise<number> {
  const words = ["hold", gateway, String(ECHO_PORT), "1000"];
  const stop = await serve([...inside(pid), "/usr/bin/python3", PROBE, ...words]);
  // a quarter of a second after it had much to do a network gives memory back
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const found = measure();
  await stop();
  return found;
}

/** How long after its start a program in a container has its first connection. */
async function firstConnection(host: Host, { runs }: Options): Promise<Row> {
  const script =
    `start=$EPOCHREALTIME; until { exec 3<>/dev/tcp/10.0.2.2/${ECHO_PORT}; } 2>/dev/null; do :; done
    end=$EPOCHREALTIME; echo $(( \${end/[.,]/} - \${start/[.,]/} ))`;
  const times: number[] = [];
  for (let run = 0; run < runs * 4; run++) {
    const network = ["--network", "slirp:allow_host_loopback=true"];
    times.push(Number(await host.ok("run", "--rm", ...network, "host", "bash", "-c", script)) / 1000);
  }
  const value = median(times);
  return {
    title: "first connection after exec",
    values: [`${value.toFixed(1)} ms`],
    verdict: value <= 10 ? "≤ 10 ms" : "MISS (limit 10 ms)",
  };
}

/** What the default network costs a container that does not use it. */
async function startBesideNone(host: Host, { runs }: Options): Promise<Row> {
  const times: [number[], number[]] = [[], []];
  for (let run = 0; run < runs * 4; run++) {
    for (const [index, network] of ["slirp", "none"].entries()) {
      const start = performance.now();
      await host.ok("run", "--rm", "--network", network, "host", "true");
      times[index]!.push(performance.now() - start);
    }
  }
  const [ours, none] = times.map(median) as [number, number];
  const ratio = ours / none;
  return {
    title: "run --rm host true, beside --network none",
    values: [`${ours.toFixed(1)} ms, ${ratio.toFixed(2)} ×`],
    verdict: ratio <= 1.3 ? "≤ 1.3 ×" : "MISS (≤ 1.3 ×)",
  };
}

async function main(options: Options): Promise<number> {
  const host = await Host.make({ asRoot: options.asRoot });
  const wants = (name: string) => options.only === null || options.only.includes(name);
  const closers: (() => Promise<void>)[] = [];
  const rows: Row[] = [];
  try {
    closers.push(
      await serve(["/usr/bin/iperf3", "-s", "--forceflush", "-B", "127.0.0.1", "-p", String(SERVER_PORT)]),
    );
    closers.push(await serve(["/usr/bin/python3", PROBE, "serve", String(ECHO_PORT), String(ECHO_PORTS)]));
    const paths: Path[] = [];
    for (const make of [skiff, slirp4netns, pasta]) {
      const path = await make(host);
      paths.push(path);
      closers.push(path.close);
    }
    paths.push(LOOPBACK);
    for (const figure of FIGURES.filter(({ name }) => wants(name))) {
      console.error(figure.title);
      rows.push(await measure(figure, paths, options));
    }
    if (wants("memory")) rows.push(await memory(host, paths[0]!, options));
    if (wants("bridge")) rows.push(await bridgeBesideVeth(host, options.runs, options.seconds));
    if (wants("start")) rows.push(await startBesideNone(host, options));
    if (wants("first")) rows.push(await firstConnection(host, options));
    printTable(rows, paths.map(({ name }) => name));
  } finally {
    for (const close of closers.reverse()) await close().catch((error) => console.error(error.message));
    await host.close();
  }
  return rows.some(({ verdict }) => verdict.includes("MISS")) ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main(parseOptions(Deno.args)));
