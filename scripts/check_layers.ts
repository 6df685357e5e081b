/**
 * Checks that imports go in the directions the architecture draws. `deno task ok` and the tests run it.
 *
 * cli, mod.ts, runtime/api → engine → build → registry → image → storage → namespaces;
 * engine, build → container → image, storage, monitor; engine, build → files → init, rootfs, storage, namespaces;
 * monitor → init, namespaces, rootfs, cgroups, security, network.
 */

/** Where an area may import from, beside itself. `leaves` and `ffi` are open to all of the engine. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  ffi: [],
  leaves: [],
  plan: [],
  // what keeps a booted process as a file: the packed program's main.js loads it
  frozen: [],
  namespaces: ["plan"],
  security: ["plan"],
  cgroups: ["plan"],
  network: ["plan", "namespaces"],
  // a file system that a process of ours serves
  fuse: [],
  rootfs: ["plan", "security", "fuse"],
  init: ["plan", "namespaces", "rootfs", "cgroups", "security", "network"],
  monitor: ["plan", "init", "namespaces", "rootfs", "cgroups", "security", "network", "fuse"],
  storage: ["plan", "namespaces", "fuse"],
  // children that work on a container's files: they see it as init does, and run nothing of it
  files: ["plan", "namespaces", "rootfs", "init", "storage"],
  image: ["storage", "namespaces"],
  signature: ["image"],
  // of layers; private keys of gpg's are used as those that sign
  encryption: ["signature"],
  registry: ["signature", "encryption", "image", "storage", "namespaces"],
  container: ["plan", "image", "storage", "monitor", "namespaces", "security", "network", "cgroups"],
  // the children of COPY and ADD resolve paths and users in a root as init does
  build: [
    ..."plan registry image storage files container monitor namespaces rootfs init".split(" "),
  ],
  engine: [
    ..."plan build registry signature encryption image storage files container monitor namespaces security network cgroups fuse"
      .split(
        " ",
      ),
  ],
  api: ["engine"],
  cli: ["engine"],
  mod: ["engine"],
};

/** What a program already in its monitor must never load, not even through another module (a monitor outlives upgrades). */
const FORBIDDEN_IN_MONITOR = ["state", "container", "image", "storage", "registry", "engine", "cli"];

/** Commands whose start-up is measured: what they load before they need it, they pay for. */
const HOT_COMMANDS = "run exec ps start stop logs inspect".split(" ");

/** What a hot module may name that is not a file of ours. */
const HOT_PACKAGES: Record<string, RegExp> = {
  "node:sqlite": /^runtime\/state\//,
  "fast-string-width": /^cli\//,
};

/** Words that may stand in certain files only. */
const RESERVED: readonly { word: RegExp; where: RegExp; only: RegExp; rule: string }[] = [
  {
    word: /\bDeno\.dlopen\b/,
    where: /./,
    only: /^ffi\/libc\.ts$/,
    rule: "only ffi/libc.ts calls Deno.dlopen",
  },
  {
    word: /\bconsole\.\w/,
    where: /^(runtime|ffi|mod)/,
    only: /^$/,
    rule: "the engine prints nothing (console)",
  },
  {
    word: /\bDeno\.args\b/,
    where: /^(runtime|ffi|mod)/,
    only: /^$/,
    rule: "the engine reads no arguments (Deno.args)",
  },
  {
    word: /\bDeno\.exit\b/,
    where: /./,
    only: /^cli\/main\.ts$/,
    rule: "cli/main.ts is the only exit (Deno.exit)",
  },
];

export interface Import {
  /** As written. */
  specifier: string;
  /** The file it names, or null for a package. */
  target: string | null;
  kind: "static" | "dynamic" | "type";
}

/** Path from the repository's root → source text. Tests are not in it. */
export type Sources = Map<string, string>;

export function areaOf(path: string): string | null {
  if (path === "mod.ts") return "mod";
  if (path.startsWith("cli/") || path.startsWith("ffi/")) return path.slice(0, 3);
  // pure data that engine, storage and monitor hand to each other
  if (path === "runtime/monitor/plan.ts" || path === "runtime/network/plan.ts") return "plan";
  if (path === "runtime/errors.ts") return "leaves";
  const area = path.match(/^runtime\/([^/]+)\//)?.[1];
  if (area === undefined) return null;
  return ["spec", "state", "config", "archive"].includes(area) ? "leaves" : area;
}

/** Comments go, so that an example in a docstring is no import; the text of strings stays. */
function withoutComments(source: string): string {
  return source.replace(/("(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`)|\/\*[^]*?\*\/|(^|\s)\/\/[^\n]*/g, "$1$2");
}

export function importsOf(path: string, source: string): Import[] {
  const text = withoutComments(source);
  const found: Import[] = [];
  const add = (specifier: string, kind: Import["kind"]) => {
    const target = specifier.startsWith(".") ? new URL(specifier, `file:///${path}`).pathname.slice(1) : null;
    found.push({ specifier, target, kind });
  };
  for (
    const [, type, specifier] of text.matchAll(/^(?:im|ex)port\s+(type\s+)?(?:[^"';]*?\sfrom\s+)?"([^"]+)"/gm)
  ) {
    add(specifier!, type ? "type" : "static");
  }
  for (const [, specifier] of text.matchAll(/\bimport\(\s*"([^"]+)"/g)) add(specifier!, "dynamic");
  return found;
}

/** Every broken rule, one line each. */
export function checkLayers(sources: Sources): string[] {
  const graph = new Map([...sources].map(([path, source]) => [path, importsOf(path, source)]));
  return [
    ...checkDirections(graph),
    ...checkMonitor(graph),
    ...checkHotPath(graph),
    ...checkWords(sources),
    ...checkCycles(graph),
  ];
}

type Graph = Map<string, Import[]>;

function checkDirections(graph: Graph): string[] {
  const broken: string[] = [];
  for (const [path, imports] of graph) {
    const area = areaOf(path);
    if (area === null || MAY_IMPORT[area] === undefined) {
      broken.push(`${path}: lies in no area of the architecture`);
      continue;
    }
    const open = area === "ffi" ? [] : area === "leaves" ? ["ffi"] : ["leaves", "ffi"];
    for (const { target } of imports) {
      if (target === null) continue;
      const other = areaOf(target);
      if (other === area || (other !== null && [...open, ...MAY_IMPORT[area]!].includes(other))) continue;
      broken.push(`${path}: ${area} may not import ${target}`);
    }
  }
  return broken;
}

/** The files that `from` loads, itself included, each with the file that imports it. */
function closure(graph: Graph, from: string, kinds: readonly Import["kind"][]): Map<string, string> {
  const reached = new Map([[from, from]]);
  for (const path of reached.keys()) {
    for (const { target, kind } of graph.get(path) ?? []) {
      if (target !== null && kinds.includes(kind) && !reached.has(target)) reached.set(target, path);
    }
  }
  return reached;
}

function checkMonitor(graph: Graph): string[] {
  const broken = new Set<string>();
  for (const path of graph.keys()) {
    if (!/^runtime\/(monitor|init)\//.test(path)) continue;
    for (const [reached, by] of closure(graph, path, ["static", "dynamic"])) {
      const area = reached.match(/^(?:runtime\/)?([^/]+)\//)?.[1];
      if (area && FORBIDDEN_IN_MONITOR.includes(area)) broken.add(`${by}: the monitor would load ${reached}`);
    }
  }
  return [...broken];
}

function checkHotPath(graph: Graph): string[] {
  const broken = new Set<string>();
  for (const start of ["cli/main.ts", ...HOT_COMMANDS.map((name) => `cli/commands/${name}.ts`)]) {
    for (const path of closure(graph, start, ["static"]).keys()) {
      for (const { specifier, target, kind } of graph.get(path) ?? []) {
        if (target !== null || kind !== "static" || HOT_PACKAGES[specifier]?.test(path)) continue;
        broken.add(`${path}: ${specifier} is imported on the hot path; import it lazily`);
      }
    }
  }
  return [...broken];
}

function checkWords(sources: Sources): string[] {
  const broken: string[] = [];
  for (const [path, source] of sources) {
    const text = withoutComments(source);
    for (const { word, where, only, rule } of RESERVED) {
      if (where.test(path) && !only.test(path) && word.test(text)) broken.push(`${path}: ${rule}`);
    }
  }
  return broken;
}

/** Static imports only: a type is gone at run time, and a lazy import may close a circle without harm. */
function checkCycles(graph: Graph): string[] {
  const broken: string[] = [];
  const state = new Map<string, "open" | "done">();
  const visit = (path: string, trail: string[]): void => {
    if (state.get(path) === "done") return;
    if (state.get(path) === "open") {
      broken.push(`import cycle: ${[...trail.slice(trail.indexOf(path)), path].join(" → ")}`);
      return;
    }
    state.set(path, "open");
    for (const { target, kind } of graph.get(path) ?? []) {
      if (target !== null && kind === "static") visit(target, [...trail, path]);
    }
    state.set(path, "done");
  };
  for (const path of graph.keys()) visit(path, []);
  return broken;
}

async function readSources(root: string): Promise<Sources> {
  const sources: Sources = new Map();
  const visit = async (folder: string): Promise<void> => {
    for await (const entry of Deno.readDir(root + folder)) {
      const path = `${folder}${entry.name}`;
      if (entry.isDirectory) await visit(`${path}/`);
      else if (path.endsWith(".ts") && !path.endsWith("_test.ts")) {
        sources.set(path, await Deno.readTextFile(root + path));
      }
    }
  };
  for (const folder of ["cli/", "runtime/", "ffi/"]) await visit(folder);
  const mod = await Deno.readTextFile(`${root}mod.ts`).catch(() => null);
  if (mod !== null) sources.set("mod.ts", mod);
  return sources;
}

if (import.meta.main) {
  const sources = await readSources(new URL("..", import.meta.url).pathname);
  const broken = checkLayers(sources);
  for (const line of broken) console.error(line);
  console.log(`${sources.size} files, ${broken.length} broken rules`);
  Deno.exit(broken.length === 0 ? 0 : 1);
}
