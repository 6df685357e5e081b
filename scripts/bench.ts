/**
 * Measures `dist/skiff` beside podman: rootless, interleaved (one sample of each in turn, for a machine's speed
 * drifts), medians. Prints a table with the ratios; a missed target is marked and makes the exit code 1.
 *
 *     scripts/bench [--runs 20] [--only run,exec,…] [--stopped 1000] [--images 200] [--as root]
 *     scripts/bench build [--runs 20]    the figures of builds alone
 *     scripts/bench push [--runs 20]     those of push, of `images` with 500 images, of `run --lazy`
 *
 * SKIFF_BENCH_PEER is a command prefix that runs its last argument as a shell script in another system with
 * another podman and an image `bb` (a busybox), for example `peer-chroot.sh run`.
 */
import { Host } from "../tests/harness.ts";
import { sharedImage } from "../tests/fixtures.ts";
import { LocalRegistry } from "../tests/local_registry.ts";
import { readableSources } from "../tests/sources.ts";
import { ARCHIVE_FIGURES } from "./bench_archives.ts";
import { BUILD_FIGURES } from "./bench_build.ts";
import { addLazyImage, FORGET_LAZY, LAZY_TITLE, lazyBesidePull } from "./bench_lazy.ts";
import { type Options, parseOptions } from "./bench_options.ts";
import { PUSH_FIGURES } from "./bench_push.ts";
import { EMPTY_STORE, fillStore, STORE_FIGURES } from "./bench_store.ts";
import { median, printTable, type Row } from "./bench_table.ts";

/** One engine under measurement. */
interface Engine {
  name: string;
  /** How a script is started so that it runs as the user, in the engine's system. */
  prefix: string[];
  env: Record<string, string>;
  command: string;
  busybox: string;
}

/** What one sample of a figure does; `$E` is the engine's command and `$I` the busybox image. */
interface Figure {
  name: string;
  title: string;
  /** Runs once per engine before the samples, and after them. */
  setUp?: (options: Options) => string;
  tearDown?: string;
  /** Timed. */
  sample: string;
  /** Not timed: fails if the sample did not do what it should. */
  verify?: string;
  /** Not timed, after each sample. */
  after?: string;
  /** Highest ratio to Debian's podman, and to the peer's. */
  limit: number;
  peerLimit?: number;
}

const GIGABYTE = 1_000_000_000;
const LINE = "0123456789".repeat(9) + "abcdefghi";

const REMOVE_ALL = 'ids=$($E ps -aq); [ -z "$ids" ] || $E rm -f -t 0 $ids >/dev/null 2>&1';

/** 500 MB in 40 large files and 5,000 small ones, made once for all engines. */
const TREE = `[ -d $HOME/tree ] || { mkdir -p $HOME/tree/small; cd $HOME/tree
  head -c 400M /dev/urandom | split -b 10M - large-; head -c 100M /dev/urandom | split -b 20k -a 4 - small/; }`;
const EMPTY_BOX = "$E create --name bench --network none $I true";
const FULL_BOX = `${TREE}; ${EMPTY_BOX}; $E cp $HOME/tree bench:/tree`;

const FIGURES: Figure[] = [
  {
    name: "run",
    title: "run --rm --network none … true",
    sample: "$E run --rm --network none $I true",
    limit: 0.30,
    peerLimit: 0.36,
  },
  {
    name: "run-default",
    title: "run --rm … true, default network",
    sample: "$E run --rm $I true",
    limit: 0.45,
  },
  {
    name: "exec",
    title: "exec … true",
    setUp: () => "$E run -d --name bench --network none $I sleep 100000",
    sample: "$E exec bench true",
    tearDown: REMOVE_ALL,
    limit: 0.4,
  },
  {
    name: "ps3",
    title: "ps -a, 3 stopped containers",
    setUp: () => "for i in 1 2 3; do $E create --network none $I true; done",
    sample: "$E ps -a",
    tearDown: REMOVE_ALL,
    limit: 0.8,
  },
  {
    name: "burst",
    title: "20 × run -d at once",
    sample: "for i in $(seq 20); do $E run -d --network none $I sleep 100000 & done; wait",
    verify: '[ "$($E ps -q | wc -l)" = 20 ]',
    after: REMOVE_ALL,
    limit: 0.35,
  },
  {
    name: "pull",
    title: "pull of a Debian, 143 MB (376 unpacked)",
    setUp: () => "true",
    sample: "$E pull -q --tls-verify=false $DEBIAN",
    after: "$E rmi -f $DEBIAN",
    limit: 0.6,
  },
  {
    name: "cp-in",
    title: "cp of a 500 MB tree into a container",
    setUp: () => `${TREE}; ${EMPTY_BOX}`,
    sample: "$E cp $HOME/tree bench:/tree",
    after: `$E rm -f bench; ${EMPTY_BOX}`,
    limit: 0.7,
  },
  {
    name: "cp-out",
    title: "cp of a 500 MB tree out of a container",
    setUp: () => FULL_BOX,
    sample: "$E cp bench:/tree $HOME/out",
    after: "rm -rf $HOME/out",
    limit: 0.7,
  },
  {
    name: "diff",
    title: "diff of a container with 5,042 new files",
    setUp: () => FULL_BOX,
    sample: "$E diff bench",
    tearDown: `${REMOVE_ALL}; rm -rf $HOME/tree`,
    limit: 0.7,
  },
  {
    name: "output",
    title: "1 GB to stdout, logged",
    sample: `$E run -d --name out --log-driver k8s-file --network none $I \
sh -c 'busybox yes ${LINE} | busybox head -c ${GIGABYTE}' && $E wait out`,
    after: "$E rm -f -t 0 out",
    limit: 1.0,
  },
  ...ARCHIVE_FIGURES,
  ...BUILD_FIGURES,
  ...PUSH_FIGURES,
];

/** Runs a bash script for an engine; gives its stdout. A failure is an error. */
async function script(engine: Engine, text: string): Promise<string> {
  const [SOURCE, TARGET] = registries as [string?, string?];
  const variables = { E: engine.command, I: engine.busybox, DEBIAN: debian, LAZY: lazy, SOURCE, TARGET };
  const assignments = Object.entries(variables).map(([name, value = ""]) => `${name}=${quote(value)}`).join(
    " ",
  );
  const words = [...engine.prefix, `export ${assignments}; exec bash -c ${quote(text)}`];
  const { success, stdout, stderr } = await new Deno.Command("/usr/bin/timeout", {
    args: ["1200", ...words],
    clearEnv: true,
    env: engine.env,
    cwd: "/",
    stdin: "null",
  }).output();
  const output = new TextDecoder().decode(stdout);
  if (!success) {
    const reason = new TextDecoder().decode(stderr).trim().split("\n").at(-1) || text.slice(0, 100);
    throw new Error(`${engine.name}: ${reason}`);
  }
  return output;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Milliseconds, taken inside the engine's system, so that getting there does not count. */
async function sample(engine: Engine, figure: Figure): Promise<number> {
  const output = await script(
    engine,
    `errors=$(mktemp); exec 3>&1; start=$EPOCHREALTIME; { ${figure.sample}; } >/dev/null 2>$errors ||
    { cat $errors >&2; rm $errors; exit 1; }; end=$EPOCHREALTIME; rm $errors
    echo "$(( \${end/[.,]/} - \${start/[.,]/} ))" >&3`,
  );
  if (figure.verify) await script(engine, figure.verify);
  if (figure.after) await script(engine, `{ ${figure.after}; } >/dev/null 2>&1 || true`);
  return Number(output) / 1000;
}

async function measure(figure: Figure, engines: Engine[], options: Options): Promise<Row> {
  const times = engines.map((): number[] => []);
  const hasPeer = engines.length > 2;
  try {
    for (const engine of engines) {
      if (figure.setUp) await script(engine, `{ ${figure.setUp(options)}; } >/dev/null`);
      await sample(engine, figure);
    }
    for (let run = 0; run < options.runs; run++) {
      for (const [index, engine] of engines.entries()) times[index]!.push(await sample(engine, figure));
    }
  } finally {
    for (const engine of engines) {
      await script(engine, `{ ${figure.tearDown ?? REMOVE_ALL}; } >/dev/null 2>&1 || true`);
    }
  }
  const medians = times.map(median);
  const ratios = medians.slice(1).map((other) => medians[0]! / other);
  const misses = [
    ...(ratios[0]! > figure.limit ? [`MISS (limit ${figure.limit})`] : []),
    ...(hasPeer && figure.peerLimit && ratios[1]! > figure.peerLimit
      ? [`MISS (peer limit ${figure.peerLimit})`]
      : []),
  ];
  return {
    title: figure.title,
    values: [
      `${medians[0]!.toFixed(1)} ms`,
      ...ratios.map((ratio, index) => `${medians[index + 1]!.toFixed(1)} ms, ${ratio.toFixed(2)} ×`),
    ],
    verdict: misses.length === 0 ? `≤ ${figure.limit}` : misses.join(" "),
  };
}

/** The start of skiff beside the start of the runtime alone, which takes 12 ms where the help may take 25. */
async function helpBesideRuntime([skiff]: Engine[], options: Options): Promise<Row> {
  const { deno } = await readableSources();
  const help: Figure = { name: "help", title: "", sample: "$E --help", limit: 25 / 12 };
  const runtime = { ...skiff!, name: "deno", command: deno };
  const times: [number[], number[]] = [[], []];
  await sample(skiff!, help);
  for (let run = 0; run < options.runs; run++) {
    times[0].push(await sample(skiff!, help));
    times[1].push(await sample(runtime, { ...help, sample: "$E eval 0" }));
  }
  const [ours, deno0] = times.map(median) as [number, number];
  const ratio = ours / deno0;
  return {
    title: "--help",
    values: [`${ours.toFixed(1)} ms`, `deno eval 0: ${deno0.toFixed(1)} ms, ${ratio.toFixed(2)} ×`],
    verdict: ratio <= help.limit ? "≤ 2.08" : "MISS (limit 2.08)",
  };
}

/** All figures that want the same large store, which is made once. */
async function measureInLargeStore(engines: Engine[], options: Options): Promise<Row[]> {
  const { only, stopped, images } = options;
  const figures = STORE_FIGURES.filter(({ name }) => only === null || only.includes(name));
  if (figures.length === 0) return [];
  console.error(`${stopped} containers and ${images} images are made`);
  const rows: Row[] = [];
  try {
    await Promise.all(
      engines.map((engine) => script(engine, `{ ${fillStore(stopped, images)}; } >/dev/null`)),
    );
    for (const figure of figures) {
      console.error(figure.title);
      const title = `${figure.title} (${stopped} containers, ${images} images)`;
      rows.push(await measure({ ...figure, title, tearDown: "true" }, engines, options).catch(missed(title)));
    }
  } finally {
    for (const engine of engines) await script(engine, `{ ${EMPTY_STORE}; } >/dev/null 2>&1 || true`);
  }
  return rows;
}

/** Private_Dirty of the process that stands above the container's first process. */
async function idleMonitor(engines: Engine[]): Promise<Row> {
  const values: number[] = [];
  for (const engine of engines) {
    const text = `$E run -d --name idle --network none $I sleep 100000 >/dev/null
      pid=$($E inspect --format '{{.State.Pid}}' idle); sed -n 's/^PPid:\\t//p' /proc/$pid/status`;
    const monitor = (await script(engine, text)).trim();
    // a monitor gives memory back two seconds after the start
    await new Promise((resolve) => setTimeout(resolve, 4000));
    // read here, as root: the process is not the user's to look into
    const rollup = await Deno.readTextFile(`/proc/${monitor}/smaps_rollup`).catch(() => "");
    values.push(Number(rollup.match(/^Private_Dirty:\s+(\d+) kB/m)?.[1] ?? NaN) * 1024 / 1e6);
    await script(engine, `{ ${REMOVE_ALL}; } >/dev/null`);
  }
  return {
    title: "idle monitor, Private_Dirty",
    values: values.map((value) => `${value.toFixed(1)} MB`),
    verdict: values[0]! <= 10 ? "≤ 10 MB" : "MISS (limit 10 MB)",
  };
}

/** Every byte of the gigabyte must be in the log. */
async function loggedBytes(skiff: Engine): Promise<Row> {
  const figure = FIGURES.find(({ name }) => name === "output")!;
  const count = await script(
    skiff,
    `{ ${figure.sample}; } >/dev/null; $E logs out | wc -c; $E rm -f out >/dev/null`,
  );
  return {
    title: "bytes of 1 GB found in the log",
    values: [count.trim()],
    verdict: Number(count) === GIGABYTE ? "all" : "MISS (bytes are lost)",
  };
}

let debian = "";
let lazy = "";
/** The one that images are pulled from, and another. */
let registries: string[] = [];

async function main(options: Options): Promise<number> {
  const host = await Host.make({ asRoot: options.asRoot });
  const busybox = await host.image("busybox");
  const wants = (name: string) => options.only === null || options.only.includes(name);
  const wantsAny = (figures: { name: string }[]) => figures.some(({ name }) => wants(name));
  if (wants("pull") || wantsAny(BUILD_FIGURES)) debian = await sharedImage("tools");
  await using target = wantsAny(PUSH_FIGURES) || wants("lazy")
    ? await LocalRegistry.start({ storage: await Deno.makeTempDir({ dir: host.folder }) })
    : undefined;
  if (target !== undefined) {
    await host.declareInsecure(target.address);
    registries = [busybox.slice(0, busybox.indexOf("/")), target.address];
  }
  const asUser = { prefix: [...host.prefix, "/bin/sh", "-c"], env: host.env };
  // left alone it takes vfs, the slowest of its drivers
  const storage = `${host.home}/.config/containers/storage.conf`;
  // podman's commit fails where these two are left to their defaults
  const places =
    `runroot = "${host.home}/.podman"\ngraphroot = "${host.home}/.local/share/containers/storage"\n`;
  await Deno.writeTextFile(storage, `[storage]\ndriver = "overlay"\n${places}`);
  const configuration = `${host.home}/.config/containers/containers.conf`;
  // root's podman would ask a systemd that may not be there
  const manager = options.asRoot ? 'cgroup_manager = "cgroupfs"\n' : "";
  await Deno.writeTextFile(configuration, `[engine]\nevents_logger = "file"\n${manager}`);
  await host.own(storage, configuration);
  // root's is not looked for below HOME
  const named = { CONTAINERS_STORAGE_CONF: storage, CONTAINERS_CONF: configuration };
  if (options.asRoot) Object.assign(asUser, { env: { ...host.env, ...named } });
  const engines: Engine[] = [
    { name: "skiff", ...asUser, command: host.binary, busybox },
    { name: await podmanName([...asUser.prefix, "podman --version"]), ...asUser, command: "podman", busybox },
  ];
  const peer = Deno.env.get("SKIFF_BENCH_PEER")?.split(" ");
  if (peer) {
    const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };
    engines.push({
      name: await podmanName([...peer, "podman --version"]),
      prefix: peer,
      env,
      command: "podman",
      busybox: "bb",
    });
  }
  const rows: Row[] = [];
  try {
    for (const engine of engines.slice(0, 2)) {
      await script(engine, "$E pull -q --tls-verify=false $I >/dev/null");
    }
    for (const figure of FIGURES.filter(({ name }) => wants(name))) {
      console.error(figure.title);
      try {
        rows.push(await measure(figure, engines, options));
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        rows.push({ title: figure.title, values: [], verdict: `MISS (failed: ${reason.slice(0, 200)})` });
      }
    }
    rows.push(...await measureInLargeStore(engines, options));
    if (wants("lazy")) {
      lazy = await addLazyImage(target!);
      const one = (text: string) =>
        sample(engines[0]!, { name: "", title: "", sample: text, after: FORGET_LAZY, limit: 1 });
      rows.push(await lazyBesidePull(one, options.runs).catch(missed(LAZY_TITLE)));
    }
    if (wants("help")) rows.push(await helpBesideRuntime(engines, options).catch(missed("--help")));
    if (wants("output")) {
      rows.push(await loggedBytes(engines[0]!).catch(missed("bytes of 1 GB found in the log")));
    }
    if (wants("monitor")) rows.push(await idleMonitor(engines).catch(missed("idle monitor, Private_Dirty")));
    const size = (await Deno.stat(host.binary)).size / 1e6;
    rows.push({
      title: "size of dist/skiff",
      values: [`${size.toFixed(1)} MB`],
      verdict: size <= 50 ? "≤ 50 MB" : "MISS (limit 50 MB)",
    });
  } finally {
    // podman leaves a pause process and a store of foreign ids
    await script(
      engines[1]!,
      "podman system reset -f >/dev/null 2>&1; podman system migrate >/dev/null 2>&1 || true",
    );
    await host.close();
  }
  printTable(rows, engines.map(({ name }) => name));
  return rows.some(({ verdict }) => verdict.startsWith("MISS")) ? 1 : 0;
}

function missed(title: string): (error: Error) => Row {
  return (error) => ({ title, values: [], verdict: `MISS (failed: ${error.message.slice(0, 200)})` });
}

async function podmanName(command: string[]): Promise<string> {
  const { stdout } = await new Deno.Command(command[0]!, { args: command.slice(1), cwd: "/" }).output();
  return new TextDecoder().decode(stdout).trim().replace(" version", "");
}

if (import.meta.main) Deno.exit(await main(parseOptions(Deno.args)));
