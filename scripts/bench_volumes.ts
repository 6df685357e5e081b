/**
 * Measures how fast a container reads and writes what is mounted into it, each kind of mount beside a plain bind of the
 * same folder: rootless, interleaved, medians. Prints a table with the ratios of speed; a missed target is marked and
 * makes the exit code 1.
 *
 *     scripts/bench volumes [--runs 5] [--megabytes 512] [--only read,status,…,clone]
 *
 * The named volume holds a copy of the repository, and the large file by another name: the same pages in memory. A mount
 * that must be as fast as the bind is measured in pairs with it by one process, which reads or writes by way of the one
 * and of the other in turns, each first in every second pair: the median of the ratios of processor time. What a start
 * costs, where memory lies and what else runs on the machine is then the same for both.
 *
 * As root, where an xfs can be mounted, `clone` is the time of `volume clone` of 1 GB beyond that of a command that
 * only looks the volume up; here, too, it is the least processor time that must keep to the limit.
 *
 * The programs (dd, git, find, python3) are this machine's own, in a container of the image `host`.
 */
import { Host } from "../tests/harness.ts";
import { whatIsMissing } from "../tests/needs.ts";
import { mountLoop } from "../tests/loop_filesystem.ts";
import { median, printTable, type Row } from "./bench_table.ts";

interface Options {
  runs: number;
  megabytes: number;
  only: string[] | null;
}

/** `$D` is the folder inside the container. */
interface Figure {
  name: string;
  title: string;
  /** Each sample is the first thing that a new container does. */
  isFirst?: boolean;
  /** Not timed, inside; `$H` is the host's path for `onHost`. */
  before?: string;
  /** Not timed, on the host: what makes the next sample a first one. */
  onHost?: string;
  /** Timed, inside. */
  sample: string;
  /** The least ratio to the plain bind, by mount. */
  atLeast: Record<string, number>;
  /** What one process does in turns where a mount must be as fast as the bind: `read` or `write` of `PAIRS`. */
  pairs?: { kind: "read" | "write"; atLeast: Record<string, number> };
}

/** Where the same folder is mounted, and how. */
const MOUNTS = [
  { name: "bind", options: "" },
  { name: "volume", options: "" },
  { name: "idmap", options: ":idmap" },
];

const READ = "dd if=$D/big of=/dev/null bs=1M 2>/dev/null";
const STATUS = "git -C $D/repo status --porcelain";

const FIGURES: Figure[] = [
  {
    name: "first-read",
    title: "read, the first time (cached by the host alone)",
    // a change of the file ends what was kept of it, once a second has passed
    onHost: "cat $H/big > /dev/null; touch $H/big",
    before: "sleep 1.1; stat $D/big > /dev/null",
    sample: READ,
    atLeast: { idmap: 0.5 },
  },
  {
    name: "read",
    title: "read again",
    before: READ,
    sample: READ,
    atLeast: { idmap: 0.5 },
    pairs: { kind: "read", atLeast: { volume: 0.98 } },
  },
  {
    name: "kept-read",
    title: "read again, after a pause",
    before: `${READ}; ${READ}; sleep 1.1`,
    sample: READ,
    atLeast: { idmap: 0.5 },
  },
  {
    name: "write",
    title: "write",
    before: "rm -f $D/written",
    sample: "dd if=/dev/zero of=$D/written bs=1M count=128 2>/dev/null",
    atLeast: {},
    pairs: { kind: "write", atLeast: { volume: 0.98 } },
  },
  {
    name: "new-status",
    title: "git status of 10,000 files, in a new container",
    isFirst: true,
    sample: STATUS,
    atLeast: { idmap: 0.3 },
  },
  {
    name: "first-status",
    title: "git status of 10,000 files, after a pause",
    before: "sleep 1.1",
    sample: STATUS,
    atLeast: { idmap: 0.3 },
  },
  {
    name: "status",
    title: "git status of 10,000 files, again",
    before: STATUS,
    sample: STATUS,
    atLeast: { idmap: 0.3 },
  },
  {
    name: "find",
    title: "find by size in 10,000 files, after a pause",
    before: "sleep 1.1",
    sample: "find $D/repo -type f -size +1M",
    atLeast: {},
  },
  {
    name: "small",
    title: "make and remove 1,000 small files",
    sample:
      "mkdir $D/small && i=0 && while [ $i -lt 1000 ]; do echo x > $D/small/$i; i=$((i+1)); done && rm -r $D/small",
    atLeast: {},
  },
];

const REPOSITORY =
  `mkdir repo && cd repo && git init -q && git config gc.auto 0 && for d in $(seq 100); do mkdir d$d; for f in $(seq 100); do echo $d $f > d$d/f$f
done; done; git add . && git -c user.name=bench -c user.email=bench@localhost commit -q -m files`;

function parseOptions(args: string[]): Options {
  const options: Options = { runs: 5, megabytes: 512, only: null };
  for (let at = 0; at < args.length; at += 2) {
    const value = args[at + 1] ?? "";
    if (args[at] === "--runs") options.runs = Number(value);
    else if (args[at] === "--megabytes") options.megabytes = Number(value);
    else if (args[at] === "--only") options.only = value.split(",");
    else throw new Error(`unknown option ${args[at]}`);
  }
  return options;
}

/** What a sample took, in ms. */
interface Cost {
  elapsed: number;
  /** Of the program inside. */
  processor: number;
}

/** The folder, and the options that mount it in each way. */
interface Mounted {
  tree: string;
  volumes: string[];
}

/** Runs the figure's script inside, once. */
async function measure(host: Host, figure: Figure, { tree, volumes }: Mounted, mount: string): Promise<Cost> {
  if (figure.onHost) {
    const { code, stderr } = await host.sh(`H=${tree}; ${figure.onHost}`);
    if (code !== 0) throw new Error(`${figure.name}: ${stderr}`);
  }
  const script = `D=/${mount}; { ${figure.before ?? ":"}; } > /dev/null
TIMEFORMAT='%R %U %S'; time { ${figure.sample}; } > /dev/null`;
  const inside = figure.isFirst
    ? ["run", "--rm", "--network", "none", ...volumes, "host"]
    : ["exec", "bench"];
  return costOf(await host.skiff([...inside, "bash", "-c", script]), `${figure.name} on ${mount}`);
}

/** What bash's `time` told last, with the format `%R %U %S`. */
function costOf({ code, stderr }: { code: number; stderr: string }, title: string): Cost {
  const [elapsed, user, system] = stderr.trim().split("\n").at(-1)!.split(" ").map((s) => Number(s) * 1000);
  if (code !== 0 || !(system! >= 0)) throw new Error(`${title}: ${stderr}`);
  return { elapsed: elapsed!, processor: user! + system! };
}

/** The median ratio of the bind's processor time to the other folder's. */
const PAIRS = `import mmap, os, statistics, sys, time
kind, other, pairs = sys.argv[1], sys.argv[2], int(sys.argv[3])
SIZE, STEP = 64 << 20, 1 << 20
buffer = mmap.mmap(-1, STEP)
def read(folder):
    fd = os.open(folder + '/big', os.O_RDONLY)
    begin = time.process_time()
    for offset in range(0, SIZE, STEP): os.preadv(fd, [buffer], offset)
    took = time.process_time() - begin
    os.close(fd)
    return took
def write(folder):
    path = folder + '/paired'
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    begin = time.process_time()
    for offset in range(0, SIZE, STEP): os.pwritev(fd, [buffer], offset)
    took = time.process_time() - begin
    os.close(fd)
    os.unlink(path)
    return took
act = {'read': read, 'write': write}[kind]
ratios = []
for pair in range(-4, pairs):
    took = {folder: act(folder) for folder in (['/bind', other] if pair % 2 else [other, '/bind'])}
    # the first fill caches
    if pair >= 0: ratios.append(took['/bind'] / took[other])
print(statistics.median(ratios))`;

/** How fast a mount is beside the bind. */
async function comparePairs(
  host: Host,
  kind: string,
  mount: string,
  pairs: number,
): Promise<number> {
  return Number(
    await host.ok("exec", "bench", "python3", "-c", PAIRS, kind, `/${mount}`, String(pairs)),
  );
}

/** Of 64 MB each. */
const PAIRS_A_RUN = 20;

/** What a clone of 1 GB may take where blocks are shared. */
const CLONE_LIMIT_MS = 20;

/** undefined where no xfs can be mounted. */
async function measureClone(runs: number): Promise<Row | undefined> {
  if (Deno.uid() !== 0 || whatIsMissing(["mkfs.xfs"]) !== null) return undefined;
  const host = await Host.make({ asRoot: true });
  const mounted = await mountLoop(host, "xfs", { size: "3G" });
  try {
    await host.ok("volume", "create", "big");
    const fill =
      "dd if=/dev/zero of=/var/lib/skiff/volumes/big/_data/file bs=1M count=1024 2>/dev/null && sync";
    if ((await host.sh(fill)).code !== 0) throw new Error("the volume cannot be filled");
    const timed = async (...words: string[]): Promise<Cost> => {
      const script = `TIMEFORMAT='%R %U %S'; time "$SKIFF" volume ${words.join(" ")} > /dev/null`;
      return costOf(await host.program(["bash", "-c", script], { env: { SKIFF: host.binary } }), words[0]!);
    };
    const clones: Cost[] = [], looks: Cost[] = [];
    for (let run = 0; run <= runs; run++) {
      const [look, clone] = [await timed("exists", "big"), await timed("clone", "big", `copy${run}`)];
      // the first fills caches
      if (run > 0) looks.push(look), clones.push(clone);
    }
    const beyond = (cost: (costs: Cost[]) => number) => cost(clones) - cost(looks);
    const elapsed = beyond((costs) => median(costs.map(({ elapsed }) => elapsed)));
    const processor = beyond((costs) => Math.min(...costs.map(({ processor }) => processor)));
    return {
      title: "clone a volume of 1 GB on xfs, beyond a look at it",
      values: ["", `${elapsed.toFixed(1)} ms`],
      verdict: `volume ≤ ${CLONE_LIMIT_MS} ms (processor ${processor.toFixed(1)} ms)${
        processor > CLONE_LIMIT_MS ? " MISS" : ""
      }`,
    };
  } finally {
    await mounted[Symbol.asyncDispose]();
    await host.close();
  }
}

async function main(options: Options): Promise<number> {
  const isWanted = ({ name }: { name: string }) => !options.only || options.only.includes(name);
  const rows: Row[] = [];
  const figures = FIGURES.filter(isWanted);
  if (figures.length > 0) rows.push(...await measureMounts(figures, options));
  if (isWanted({ name: "clone" })) {
    const row = await measureClone(options.runs);
    if (row) rows.push(row);
  }
  printTable(rows, MOUNTS.map(({ name }) => name));
  return rows.some(({ verdict }) => verdict.includes("MISS")) ? 1 : 0;
}

async function measureMounts(figures: readonly Figure[], options: Options): Promise<Row[]> {
  const host = await Host.make();
  try {
    const tree = `${host.home}/tree`;
    await Deno.mkdir(tree);
    await host.own(tree);
    const made = await host.sh(
      `cd ${tree} && head -c ${options.megabytes}M /dev/urandom > big && ${REPOSITORY}`,
    );
    if (made.code !== 0) throw new Error(made.stderr);
    await host.ok("volume", "create", "bench");
    const content = `${host.data}/volumes/bench/_data`;
    const copied = await host.sh(`cd ${tree} && cp -a repo ${content} && ln big ${content}`);
    if (copied.code !== 0) throw new Error(copied.stderr);
    const volumes = MOUNTS.flatMap(({ name, options }) => [
      "-v",
      `${name === "volume" ? "bench" : tree}:/${name}${options}`,
    ]);
    await host.ok(
      "run",
      "-d",
      "--name",
      "bench",
      "--network",
      "none",
      ...volumes,
      "host",
      "sleep",
      "9999",
    );
    // the index holds the owners that the host saw; without this every file would be read each time
    for (const name of ["bind", "volume"]) {
      await host.ok("exec", "bench", "git", "-C", `/${name}/repo`, "status");
    }
    const mounted = { tree, volumes };
    const rows: Row[] = [];
    for (const figure of figures) {
      const samples = new Map(MOUNTS.map(({ name }) => [name, [] as number[]]));
      for (let run = 0; run < options.runs; run++) {
        for (const { name } of MOUNTS) {
          samples.get(name)!.push((await measure(host, figure, mounted, name)).elapsed);
        }
      }
      const [plain, ...others] = MOUNTS.map(({ name }) => ({ name, ms: median(samples.get(name)!) }));
      const verdicts: string[] = [];
      for (const { name, ms } of others) {
        const least = figure.atLeast[name];
        if (least !== undefined) verdicts.push(`${name} ≥ ${least}${plain!.ms / ms < least ? " MISS" : ""}`);
        const equal = figure.pairs?.atLeast[name];
        if (equal === undefined) continue;
        const ratio = await comparePairs(host, figure.pairs!.kind, name, options.runs * PAIRS_A_RUN);
        verdicts.push(`${name} ≥ ${equal} (in pairs ${ratio.toFixed(3)}×)${ratio < equal ? " MISS" : ""}`);
      }
      const shown = others.map(({ ms }) => `${ms.toFixed(1)} ms (${(plain!.ms / ms).toFixed(2)}×)`);
      rows.push({
        title: figure.title,
        values: [`${plain!.ms.toFixed(1)} ms`, ...shown],
        verdict: verdicts.join(", "),
      });
    }
    await host.ok("rm", "-f", "-t", "0", "bench");
    return rows;
  } finally {
    await host.close();
  }
}

if (import.meta.main) Deno.exit(await main(parseOptions(Deno.args)));
