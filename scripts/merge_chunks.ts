/**
 * Puts what is always loaded together into one file.
 *
 * esbuild cuts a chunk for every set of entry points that share code, so that `skiff run` would read seventy
 * files, at 0.3 ms each. A group is named by the sources that lead to it; a chunk belongs to the first group
 * that needs it statically. Other files' imports of merged chunks are pointed to the group's file.
 */
import * as esbuild from "esbuild";

/** A file to be, and the sources (as in the metafile) whose static imports it takes in. */
export interface Group {
  name: string;
  sources: string[];
  /**
   * Sources that a process loads which has loaded this file and none of the following ones: what they share with those is
   * taken in here.
   */
  before?: string[];
}

/** An output of esbuild by its file name: `chunk-ABC.js`. */
interface Chunk {
  name: string;
  imports: string[];
  exports: string[];
  entry: string | undefined;
}

/** Merges in place and gives the file names that are left, sorted. */
export async function mergeChunks(
  folder: string,
  metafile: esbuild.Metafile,
  groups: readonly Group[],
): Promise<string[]> {
  const chunks = readChunks(metafile);
  const groupOf = assignGroups(chunks, groups);
  const sources = new Map<string, string>();
  for (const name of chunks.keys()) sources.set(name, await Deno.readTextFile(`${folder}/${name}`));
  for (const { name } of groups) {
    const members = [...chunks.values()].filter((chunk) => groupOf.get(chunk.name) === name);
    const others = [...sources].filter(([chunk]) => groupOf.get(chunk) !== name).map(([, source]) => source);
    sources.set(name, await mergeGroup(folder, members, others.join("\n")));
  }
  for (const name of groupOf.keys()) {
    sources.delete(name);
    await Deno.remove(`${folder}/${name}`);
  }
  for (const [name, source] of sources) sources.set(name, pointToGroups(source, groupOf));
  for (const [name, source] of sources) await Deno.writeTextFile(`${folder}/${name}`, source);
  return [...sources.keys()].sort();
}

function readChunks(metafile: esbuild.Metafile): Map<string, Chunk> {
  const chunks = new Map<string, Chunk>();
  for (const [path, output] of Object.entries(metafile.outputs)) {
    const name = fileName(path);
    const imports = output.imports.filter((one) => one.kind === "import-statement" && !one.external);
    chunks.set(name, {
      name,
      imports: imports.map((one) => fileName(one.path)),
      exports: output.exports,
      entry: output.entryPoint,
    });
  }
  return chunks;
}

/** main.js itself stays a file of its own: a group that waited for it would wait for the whole program. */
function assignGroups(chunks: Map<string, Chunk>, groups: readonly Group[]): Map<string, string> {
  const groupOf = new Map<string, string>();
  for (const [index, { name, sources, before = [] }] of groups.entries()) {
    const later = closure(chunks, groups.slice(index + 1).flatMap((group) => group.sources));
    const shared = [...closure(chunks, before)].filter((chunk) => later.has(chunk));
    for (const chunk of [...closure(chunks, sources), ...shared]) {
      if (chunk === "main.js" || groupOf.has(chunk)) continue;
      groupOf.set(chunk, name);
    }
  }
  return groupOf;
}

/** The chunks of these sources and all that they import statically. */
function closure(chunks: Map<string, Chunk>, sources: readonly string[]): Set<string> {
  const waiting = sources.map((source) => {
    const chunk = [...chunks.values()].find(({ entry }) => entry === source);
    if (!chunk) throw new Error(`no chunk of its own for ${source}`);
    return chunk.name;
  });
  const found = new Set<string>();
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    if (found.has(at)) continue;
    found.add(at);
    waiting.push(...chunks.get(at)!.imports);
  }
  return found;
}

/** Bundles the members once more; what `others` import of them is exported under a name that tells its chunk. */
async function mergeGroup(folder: string, members: readonly Chunk[], others: string): Promise<string> {
  const lines = members.flatMap((chunk) => {
    const quoted = chunk.name.replace(/[.$]/g, "\\$&");
    const imports = [
      ...others.matchAll(new RegExp(`import\\s*\\{([^}]*)\\}\\s*from\\s*"\\./${quoted}"`, "g")),
    ];
    const used = new Set(imports.flatMap((match) => importedNames(match[1]!).map(([from]) => from)));
    const names = [...used].map((one) => `${one} as ${exportName(chunk.name, one)}`);
    const whole = chunk.entry === undefined
      ? []
      : [`export * as ${exportName(chunk.name, "all")} from "./${chunk.name}";`];
    return [`export { ${names.join(", ")} } from "./${chunk.name}";`, ...whole];
  });
  const own = new Set(members.map((chunk) => `./${chunk.name}`));
  const { outputFiles } = await esbuild.build({
    stdin: { contents: lines.join("\n"), resolveDir: folder, sourcefile: "group" },
    write: false,
    bundle: true,
    format: "esm",
    platform: "neutral",
    target: "esnext",
    charset: "ascii",
    minify: true,
    logLevel: "warning",
    plugins: [{
      name: "own-chunks-only",
      setup(build) {
        build.onResolve({ filter: /./ }, ({ path, kind }) => {
          if (kind === "import-statement" && own.has(path)) return null;
          return { path, external: true };
        });
      },
    }],
  });
  return outputFiles[0]!.text;
}

/** `a as b,c` as pairs of the name in the other file and the name here. */
function importedNames(list: string): [from: string, to: string][] {
  return list.split(",").filter((one) => one.trim() !== "").map((one) => {
    const [from, to] = one.trim().split(/\s+as\s+/);
    return [from!, to ?? from!];
  });
}

/** Rewrites imports of merged chunks, static and dynamic. */
function pointToGroups(source: string, groupOf: Map<string, string>): string {
  const moved = source
    .replace(/\bimport\s*\{([^}]*)\}\s*from\s*"\.\/([^"]+)"/g, (whole, names: string, chunk: string) => {
      const group = groupOf.get(chunk);
      if (!group) return whole;
      const renamed = importedNames(names).map(([from, to]) => `${exportName(chunk, from)} as ${to}`);
      return `import{${renamed.join(",")}}from"./${group}"`;
    })
    .replace(/\bimport\s*"\.\/([^"]+)"/g, (whole, chunk: string) => {
      const group = groupOf.get(chunk);
      return group ? `import"./${group}"` : whole;
    })
    .replace(/\bimport\("\.\/([^"]+)"\)/g, (whole, chunk: string) => {
      const group = groupOf.get(chunk);
      return group ? `import("./${group}").then(m=>m.${exportName(chunk, "all")})` : whole;
    });
  for (const chunk of groupOf.keys()) {
    if (moved.includes(`"./${chunk}"`)) {
      throw new Error(`an import of ${chunk} has a form that is not known here`);
    }
  }
  return moved;
}

/** A name of its own for the export `name` of a chunk: short, since thousands of them are loaded at each start. */
function exportName(chunk: string, name: string): string {
  const key = `${chunk}/${name}`;
  const known = exportNames.get(key);
  if (known !== undefined) return known;
  const short = `$${exportNames.size.toString(36)}`;
  exportNames.set(key, short);
  return short;
}

const exportNames = new Map<string, string>();

function fileName(path: string): string {
  return path.replace(/^.*\//, "");
}
