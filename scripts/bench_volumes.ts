/**
 * Measures how fast a container reads and writes what is mounted into it, each kind of mount beside a plain bind of the
 * same folder: rootless, interleaved, medians. Prints a table with the ratios of speed; a missed target is marked and
 * makes the exit code 1.
 *
 *     scripts/bench volumes [--runs 5] [--megabytes 512] [--only read,status,…,clone]
 *
 * The named volume holds the same files by hard links. As root, where an xfs can be mounted, `clone` is the time of
 * `volume clone` of 1 GB beyond that of a command that only looks the volume up.
 *
 * The programs (dd, git, find) are this machine's own, in a container of the image `host`.
 */
import { Host } from "../tests/harness.ts";
import { whatIsMissing } from "../tests/needs.ts";
import { mountXfs } from "../tests/xfs.ts";
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
  /** Not timed, inside; `$H` is the host's path for `onHost`. */
  before?: string;
  /** Not timed, on the host: what makes the next sample a first one. */
  onHost?: string;
  /** Timed, inside. */
  sample: string;
  /** The least ratio to the plain bind, by mount. */
  atLeast: Record<string, number>;
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
  { name: "read", title: "read again", before: READ, sample: READ, atLeast: { idmap: 0.5, volume: 0.98 } },
  {
    name: "write",
    title: "write",
    before: "rm -f $D/written",
    sample: "dd if=/dev/zero of=$D/written bs=1M count=128 2>/dev/null",
    atLeast: { volume: 0.98 },
  },
  {
    name: "first-status",
    title: "git status of 10,000 files, after a pause",
    before: "sleep 1.1",
    sample: STATUS,
    atLeast: {},
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

/** Runs the figure's script inside, once; gives the time of its sample in ms. */
async function measure(host: Host, figure: Figure, tree: string, mount: string): Promise<number> {
  if (figure.onHost) {
    const { code, stderr } = await host.sh(`H=${tree}; ${figure.onHost}`);
    if (code !== 0) throw new Error(`${figure.name}: ${stderr}`);
  }
  const script = `D=/${mount}; { ${figure.before ?? ":"}; } > /dev/null
s=$(date +%s%N); { ${figure.sample}; } > /dev/null; c=$?; e=$(date +%s%N); echo $((e - s)); exit $c`;
  const { code, stdout, stderr } = await host.skiff(["exec", "bench", "sh", "-c", script]);
  if (code !== 0) throw new Error(`${figure.name} on ${mount}: ${stderr}`);
  return Number(stdout) / 1e6;
}

/** What a clone of 1 GB may take where blocks are shared. */
const CLONE_LIMIT_MS = 20;

/** undefined where no xfs can be mounted. */
async function measureClone(runs: number): Promise<Row | undefined> {
  if (Deno.uid() !== 0 || whatIsMissing(["mkfs.xfs"]) !== null) return undefined;
  const host = await Host.make({ asRoot: true });
  const mounted = await mountXfs(host, "3G");
  try {
    await host.ok("volume", "create", "big");
    const fill =
      "dd if=/dev/zero of=/var/lib/skiff/volumes/big/_data/file bs=1M count=1024 2>/dev/null && sync";
    if ((await host.sh(fill)).code !== 0) throw new Error("the volume cannot be filled");
    const timed = async (...args: string[]) => {
      const begin = performance.now();
      await host.ok("volume", ...args);
      return performance.now() - begin;
    };
    const whole: number[] = [], looks: number[] = [];
    for (let run = 0; run <= runs; run++) {
      const [look, clone] = [await timed("exists", "big"), await timed("clone", "big", `copy${run}`)];
      // the first fills caches
      if (run > 0) looks.push(look), whole.push(clone);
    }
    const beyond = median(whole) - median(looks);
    return {
      title: `clone a volume of 1 GB on xfs (the command: ${median(whole).toFixed(1)} ms)`,
      values: ["", `${beyond.toFixed(1)} ms`],
      verdict: `volume ≤ ${CLONE_LIMIT_MS} ms${beyond > CLONE_LIMIT_MS ? " MISS" : ""}`,
    };
  } finally {
    await mounted[Symbol.asyncDispose]();
    await host.close();
  }
}

async function main(options: Options): Promise<number> {
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
    const linked = await host.sh(`cp -al ${tree}/. ${host.data}/volumes/bench/_data/`);
    if (linked.code !== 0) throw new Error(linked.stderr);
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
    await host.ok("exec", "bench", "git", "-C", "/bind/repo", "status");
    const rows: Row[] = [];
    let misses = 0;
    for (const figure of FIGURES) {
      if (options.only && !options.only.includes(figure.name)) continue;
      const samples = new Map(MOUNTS.map(({ name }) => [name, [] as number[]]));
      for (let run = 0; run < options.runs; run++) {
        for (const { name } of MOUNTS) samples.get(name)!.push(await measure(host, figure, tree, name));
      }
      const [plain, ...others] = MOUNTS.map(({ name }) => ({ name, ms: median(samples.get(name)!) }));
      const verdicts = others.flatMap(({ name, ms }) => {
        const least = figure.atLeast[name];
        if (least === undefined) return [];
        const isMissed = plain!.ms / ms < least;
        if (isMissed) misses++;
        return [`${name} ≥ ${least}${isMissed ? " MISS" : ""}`];
      });
      const shown = others.map(({ ms }) => `${ms.toFixed(1)} ms (${(plain!.ms / ms).toFixed(2)}×)`);
      rows.push({
        title: figure.title,
        values: [`${plain!.ms.toFixed(1)} ms`, ...shown],
        verdict: verdicts.join(", "),
      });
    }
    await host.ok("rm", "-f", "-t", "0", "bench");
    if (!options.only || options.only.includes("clone")) {
      const row = await measureClone(options.runs);
      if (row?.verdict.includes("MISS")) misses++;
      if (row) rows.push(row);
    }
    printTable(rows, MOUNTS.map(({ name }) => name));
    return misses === 0 ? 0 : 1;
  } finally {
    await host.close();
  }
}

if (import.meta.main) Deno.exit(await main(parseOptions(Deno.args)));
