/**
 * Makes `dist/skiff`: bundles `cli/main.ts` into chunks, and packs them with the Deno runtime into one file,
 * by `deno compile` where its runtime is at hand, else self-extracting (see packed_header.sh, ffi/launch_program.ts).
 *
 *     scripts/build [--dev] [--form auto|packed|compiled] [--out dist/skiff] [--entry cli/main.ts] [--runtime DENO]
 *
 * `--runtime` packs that Deno, of another kind of machine for instance, in the place of the one that builds.
 * Two builds of the same source give the same bytes.
 */
import * as esbuild from "esbuild";
import { type Variant, writeClassicScripts } from "./classic_scripts.ts";
import { type Group, mergeChunks } from "./merge_chunks.ts";
import { prelink } from "./prelink.ts";
import { STARTING_VERBS } from "../cli/starting_verbs.ts";
import { emitLaunchProgram } from "../ffi/launch_program.ts";

interface Options {
  dev: boolean;
  form: "auto" | "packed" | "compiled";
  out: string;
  entry: string;
  runtime?: string;
}

const root = new URL("..", import.meta.url).pathname;

/**
 * How the runtime is started. `--single-threaded` is what makes fork possible (see ffi/fork.ts); with
 * `--expose-gc` a monitor gives memory back that it inherited; by `--no-lazy` everything is compiled at the first
 * start and comes from Deno's code cache from then on, in forked children as well; a young generation of 2 MB
 * spares a collection before the fork, and one that does not grow, to 16 MB twice, keeps a monitor's garbage small.
 * Marking step by step would never end in a monitor, which runs no tasks of V8's, and makes what it writes dearer
 * meanwhile: some 7 % of the time of a network's stack.
 */
const V8_FLAGS = "--single-threaded,--expose-gc,--no-lazy,--min-semi-space-size=2,--max-semi-space-size=2," +
  "--no-incremental-marking," +
  // A thousand connections that were open for a while have V8 put parts of all later ones among the old at once, where
  // they keep the rest of each from being collected.
  "--no-allocation-site-pretenuring," +
  // The heap of a kept process is pages of a file, of which a collection of the old makes copies, some 10 MB in a monitor:
  // not before that is worth it. Without this V8 expects it the sooner the more often the young are collected.
  "--initial-old-space-size=64," +
  // A start calls few functions often: code that is compiled for it after 30 calls, on this one thread, never pays.
  // What carries packets and output is called thousands of times a second, and is to be compiled within the first. What
  // a process rehearses before it is kept (cli/rehearse.ts) counts as well.
  // The second compiler's code calls the C library some ten times as fast as the first's: soon, too, which no command
  // but builds and pulls ever reaches.
  "--no-sparkplug,--invocation-count-for-early-optimization=400,--invocation-count-for-maglev=400," +
  "--invocation-count-for-maglev-osr=400,--invocation-count-for-turbofan=800";
// Without -q a start that takes long draws Deno's progress bar over the caller's line on a terminal.
const RUN_FLAGS = `-A -q --no-config --no-lock --no-remote --no-npm --cached-only --v8-flags=${V8_FLAGS}`;

/** What the runtime would obey: the header puts it aside, for it belongs to the caller's containers. */
const CALLERS_VARIABLES = [
  "DENO_DIR DENO_NO_UPDATE_CHECK DENO_TLS_CA_STORE DENO_V8_FLAGS DENO_CERT DENO_COVERAGE_DIR",
  "DENO_AUDIT_PERMISSIONS DENO_TRACE_PERMISSIONS DENO_LOG DENO_INTERNAL_CHILD_ENTRYPOINT DENO_NO_PROMPT",
  "DENO_CONDITIONS NODE_OPTIONS NODE_CHANNEL_FD NODE_V8_COVERAGE NODE_EXTRA_CA_CERTS NODE_TLS_REJECT_UNAUTHORIZED",
  "OTEL_DENO MALLOC_ARENA_MAX MALLOC_TOP_PAD_",
].flatMap((line) => line.split(" "));
/** What the dynamic linker is asked is done at the runtime's own start alone. */
const COLD_VARIABLES = ["SKIFF_COLD_START", "LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH", "GLIBC_TUNABLES"];
/** What it is to obey. Of the last two: a monitor, which inherits the heap, is 0.3 MB smaller. */
const RUNTIME_VARIABLES = {
  DENO_NO_UPDATE_CHECK: "1",
  DENO_NO_PROMPT: "1",
  DENO_TLS_CA_STORE: "system,mozilla",
  MALLOC_ARENA_MAX: "1",
  MALLOC_TOP_PAD_: "0",
};

function parseOptions(args: string[]): Options {
  const options: Options = { dev: false, form: "auto", out: "dist/skiff", entry: `${root}cli/main.ts` };
  for (let i = 0; i < args.length; i++) {
    const value = () => args[++i] ?? fail(`${args[i - 1]} needs a value`);
    if (args[i] === "--dev") options.dev = true;
    else if (args[i] === "--form") options.form = value() as Options["form"];
    else if (args[i] === "--out") options.out = value();
    else if (args[i] === "--entry") options.entry = value();
    else if (args[i] === "--runtime") options.runtime = value();
    else fail(`unknown option ${args[i]}`);
  }
  if (!["auto", "packed", "compiled"].includes(options.form)) fail(`unknown form ${options.form}`);
  if (options.runtime !== undefined) {
    if (options.form === "compiled") fail("--runtime is for the packed form");
    options.form = "packed";
  }
  if (!options.out.startsWith("/")) options.out = root + options.out;
  return options;
}

function fail(message: string): never {
  console.error(`Error: build: ${message}`);
  Deno.exit(1);
}

async function output(command: string, args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args, stderr: "piped" }).output();
  if (!success) fail(`${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
  return new TextDecoder().decode(stdout);
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return digest.toHex();
}

/**
 * A `node_modules` made of links into Deno's cache, by which esbuild finds what deno.lock pins. Its place is
 * always the same below the checkout: chunks are named by a hash that paths go into.
 */
async function linkPackages(): Promise<string> {
  const lock = await Deno.readFile(`${root}deno.lock`);
  const packages = `${root}.deno/packages-${(await sha256(lock)).slice(0, 16)}`;
  const isReachable = (path: string) => Deno.stat(path).then(() => true, () => false);
  if (await isReachable(`${packages}/node_modules/valibot/package.json`)) return packages;
  await Deno.remove(packages, { recursive: true }).catch(() => {}); // links into a cache that is gone
  const { npmCache } = JSON.parse(await output(Deno.execPath(), ["info", "--json"]));
  const { npm } = JSON.parse(new TextDecoder().decode(lock));
  const fresh = `${packages}.${Deno.pid}`;
  for (const key of Object.keys(npm)) {
    const [, name, version] = key.match(/^(@?[^@]+)@([^_]+)/) ?? fail(`deno.lock: cannot read ${key}`);
    await Deno.mkdir(`${fresh}/node_modules/${name}`.replace(/\/[^/]+$/, ""), { recursive: true });
    await Deno.symlink(`${npmCache}/registry.npmjs.org/${name}/${version}`, `${fresh}/node_modules/${name}`);
  }
  // another build may have been faster
  await Deno.rename(fresh, packages).catch(() => Deno.remove(fresh, { recursive: true }));
  return packages;
}

/**
 * Deno reads and parses at its start whatever a literal `import("./x.js")` names anywhere in the graph, though
 * nobody imports it yet: 7–10 ms of every command. A specifier that is computed is only read when it is needed.
 */
function hideDynamicImports(path: string): void {
  const source = Deno.readTextFileSync(path);
  Deno.writeTextFileSync(path, source.replace(/\bimport\(("\.\/[^"]+")\)/g, 'import([$1].join(""))'));
}

/**
 * What is loaded at every start of a command, by command: each kind has a bundle of its own, in which no more is cut
 * apart than it must be. `seed` is what `run` needs before it forks its monitor.
 */
const VARIANTS: { name: string; verbs: string[]; groups: Group[] }[] = [
  {
    name: "list",
    verbs: [],
    groups: [
      { name: "core.js", sources: ["cli/main.ts", "runtime/state/db.ts"] },
      { name: "list.js", sources: ["cli/commands/ps.ts"] },
    ],
  },
  {
    name: "run",
    verbs: STARTING_VERBS,
    groups: [
      {
        name: "seed.js",
        sources: ["cli/main.ts", "runtime/engine/prepare_start.ts"],
        before: [
          "runtime/network/stack/stack.ts",
          "runtime/network/stack/datagrams.ts",
          "runtime/network/program_network.ts",
        ],
      },
      {
        name: "run.js",
        sources: [
          "cli/commands/run.ts",
          "runtime/container/start.ts",
          "runtime/state/db.ts",
          "runtime/security/precompiled/x86_64_default.ts",
        ],
      },
    ],
  },
  {
    name: "exec",
    verbs: ["exec"],
    groups: [{ name: "seed.js", sources: ["cli/main.ts", "runtime/engine/prepare_exec.ts"] }, {
      name: "exec.js",
      sources: [
        "cli/commands/exec.ts",
        "runtime/container/start_exec.ts",
        "runtime/state/db.ts",
        "runtime/security/precompiled/x86_64_default.ts",
      ],
    }],
  },
];

/** Bundles the program into `folder` and returns its file names, sorted. */
async function bundle(folder: string, options: Options, groups: readonly Group[]): Promise<string[]> {
  const packages = await linkPackages();
  const result = await esbuild.build({
    // these two are loaded by main.js of the packed form (see classic_scripts.ts)
    entryPoints: {
      main: options.entry,
      ...(isSkiff(options)
        ? { freeze: `${root}runtime/frozen/freeze.ts`, rehearse: `${root}cli/rehearse.ts` }
        : {}),
    },
    outdir: folder,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "neutral",
    target: "esnext",
    conditions: ["deno", "import", "default"],
    mainFields: ["module", "main"],
    external: ["node:*"],
    nodePaths: [`${packages}/node_modules`],
    preserveSymlinks: true,
    minify: !options.dev,
    keepNames: false,
    chunkNames: "[name]-[hash]",
    // Only the program that runs from its sources asks where it lies, and a classic script cannot.
    define: { "import.meta.url": '"file:///"' },
    // One character beyond Latin-1 would make V8 keep the whole chunk with two bytes a character.
    charset: "ascii",
    legalComments: "none",
    logLevel: "warning",
    metafile: true,
    absWorkingDir: root,
  });
  return await mergeChunks(folder, result.metafile, groups);
}

const isSkiff = (options: Options) => options.entry.endsWith("/cli/main.ts");

/** For `deno compile`, and for whatever else than skiff is built: modules. */
async function bundleModules(folder: string, options: Options): Promise<string[]> {
  const names = await bundle(folder, options, isSkiff(options) ? VARIANTS[0]!.groups : []);
  for (const name of names) hideDynamicImports(`${folder}/${name}`);
  return names;
}

async function bundleScripts(folder: string, options: Options): Promise<string[]> {
  const variants: Variant[] = [];
  for (const { name, verbs, groups } of VARIANTS) {
    const own = `${folder}.${name}`;
    const names = await bundle(own, options, groups);
    variants.push({ name, verbs, folder: own, names, hot: ["main.js", ...groups.map(({ name }) => name)] });
  }
  return (await writeClassicScripts(folder, variants)).sort();
}

/** One member of a ustar archive; only what two builds have in common goes into its header. */
function tarMember(name: string, mode: number, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const member = new Uint8Array(512 + Math.ceil(bytes.length / 512) * 512);
  const put = (offset: number, text: string) => member.set(new TextEncoder().encode(text), offset);
  put(0, name);
  put(100, `${mode.toString(8).padStart(7, "0")}\0${"0".repeat(7)}\0${"0".repeat(7)}\0`);
  put(124, `${bytes.length.toString(8).padStart(11, "0")}\0${"0".repeat(11)}\0`);
  put(148, "        0");
  put(257, "ustar\x0000");
  const sum = member.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
  member.set(bytes, 512);
  return member;
}

/** gzip(1), for its level 9 finds more than zlib's; -n leaves name and time out. */
async function gzip(bytes: Uint8Array, level: number): Promise<Uint8Array<ArrayBuffer>> {
  const child = new Deno.Command("gzip", { args: [`-${level}nc`], stdin: "piped", stdout: "piped" }).spawn();
  const writer = child.stdin.getWriter();
  const [{ success, stdout }] = await Promise.all([
    child.output(),
    writer.write(bytes).then(() => writer.close()),
  ]);
  if (!success) fail("gzip failed");
  return stdout;
}

/** Compressing the runtime takes 12 s, so the result is kept below .deno/. */
async function compressedRuntime(runtime: Uint8Array<ArrayBuffer>, hash: string, level: number) {
  const kept = `${root}.deno/runtime-${hash.slice(0, 16)}-${level}.gz`;
  try {
    return await Deno.readFile(kept);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const compressed = await gzip(tarMember("skiff", 0o500, runtime), level);
  await Deno.mkdir(`${root}.deno`, { recursive: true });
  await Deno.writeFile(`${kept}.${Deno.pid}`, compressed);
  await Deno.rename(`${kept}.${Deno.pid}`, kept);
  return compressed;
}

/** Whose processes can be kept in a file (runtime/frozen/freeze.ts), by e_machine of elf(5). */
const isX86 = (elf: Uint8Array) => elf[18] === 62;

async function pack(folder: string, names: string[], options: Options): Promise<void> {
  const level = options.dev ? 1 : 9;
  const runtime = prelink(await Deno.readFile(options.runtime ?? Deno.execPath()));
  const runtimeHash = await sha256(runtime);
  const files = await Promise.all(names.map(async (name) => ({
    name,
    bytes: await Deno.readFile(`${folder}/bundle/${name}`),
  })));
  const sums = [`${runtimeHash}  skiff\n`];
  for (const { name, bytes } of files) sums.push(`${await sha256(bytes)}  ${name}\n`);
  const sumsBytes = new TextEncoder().encode(sums.join(""));
  const sumsHash = await sha256(sumsBytes);
  files.push({ name: "SHA256SUMS", bytes: sumsBytes });

  const rest = [...files.map(({ name, bytes }) => tarMember(name, 0o400, bytes)), new Uint8Array(1024)];
  const payload = new Uint8Array(
    await new Blob([
      await compressedRuntime(runtime, runtimeHash, level),
      await gzip(new Uint8Array(await new Blob(rest).arrayBuffer()), level),
    ]).arrayBuffer(),
  );
  const total = files.reduce((sum, { bytes }) => sum + bytes.length, runtime.length);
  const { version } = JSON.parse(await Deno.readTextFile(`${root}deno.json`));
  const values: Record<string, string> = {
    VERSION: version,
    // the flags, too: V8 compiles by them, and what it compiled is kept below this name
    ID: (await sha256(new TextEncoder().encode(sumsHash + RUN_FLAGS))).slice(0, 16),
    FILES: ["skiff", ...files.map(({ name }) => name)].join(" "),
    // user, mode in hexadecimal, size, as `stat -c %u:%f:%s` prints them
    FACTS: [
      `$skiff_uid:8140:${runtime.length}`,
      ...files.map(({ bytes }) => `$skiff_uid:8100:${bytes.length}`),
    ].join(
      " ",
    ),
    SUMS: sumsHash,
    PAYLOAD: await sha256(payload),
    NEED: String(Math.ceil(total / 1e6)),
    FLAGS: RUN_FLAGS,
    FREEZES: isSkiff(options) && isX86(runtime) ? "yes" : "",
    ASIDE: CALLERS_VARIABLES.join(" "),
    COLD: COLD_VARIABLES.map((name) => `\${${name}-}`).join(""),
    VARIABLES: Object.entries(RUNTIME_VARIABLES).map((entry) => entry.join("=")).join(" "),
  };
  const template = (await Deno.readTextFile(`${root}scripts/packed_header.sh`))
    .replace(/@([A-Z]+)@/g, (whole, name) => values[name] ?? whole);
  if (/[^\0-\x7f]/.test(template)) fail("packed_header.sh must be ASCII");
  const front = (offset: string) => {
    const header = template.replaceAll("@OFFSET@", offset);
    // Of other machines nobody has made one: there each start is the header's.
    if (!isX86(runtime)) return new TextEncoder().encode(header);
    return emitLaunchProgram({
      id: values.ID!,
      files: [{ name: "skiff", permissions: 0o500, size: runtime.length }].concat(
        files.map(({ name, bytes }) => ({ name, permissions: 0o400, size: bytes.length })),
      ),
      words: ["run", ...RUN_FLAGS.split(" ")],
      variables: { SKIFF_FORM: "packed", ...RUNTIME_VARIABLES },
      asideVariables: CALLERS_VARIABLES,
      headerVariables: [...COLD_VARIABLES, "_SKIFF_UNSHARED"],
      header,
    });
  };
  const { length } = front("000000");
  const frontBytes = front(String(length + 1).padStart(6, "0"));
  await replaceFile(options.out, [frontBytes, payload]);
  console.log(
    `${options.out}: packed, ${((length + payload.length) / 1e6).toFixed(1)} MB, ${names.length} files`,
  );
}

/** Written beside and renamed, so that who runs the old file keeps it. */
async function replaceFile(path: string, parts: Uint8Array<ArrayBuffer>[]): Promise<void> {
  await Deno.mkdir(path.replace(/\/[^/]+$/, ""), { recursive: true });
  const fresh = `${path}.${Deno.pid}`;
  await Deno.writeFile(fresh, new Blob(parts).stream(), { mode: 0o755 });
  await Deno.chmod(fresh, 0o755);
  await Deno.rename(fresh, path);
}

/** Whether `deno compile` will find its runtime: told by DENORT_BIN, in Deno's cache, or by its download site. */
async function hasCompileRuntime(): Promise<boolean> {
  if (Deno.env.get("DENORT_BIN")) return true;
  const { denoDir } = JSON.parse(await output(Deno.execPath(), ["info", "--json"]));
  const file = `release/v${Deno.version.deno}/denort-${Deno.build.target}.zip`;
  try {
    await Deno.stat(`${denoDir}/dl/${file}`);
    return true;
  } catch { /* then by network */ }
  try {
    const answer = await fetch(`https://dl.deno.land/${file}`, {
      method: "HEAD",
      signal: AbortSignal.timeout(5000),
    });
    return answer.ok;
  } catch {
    return false;
  }
}

/** True if the compiled program was made and runs. */
async function compile(folder: string, names: string[], options: Options): Promise<boolean> {
  const fresh = `${options.out}.${Deno.pid}`;
  await Deno.mkdir(options.out.replace(/\/[^/]+$/, ""), { recursive: true });
  const chunks = names.filter((name) => name !== "main.js").flatMap((
    name,
  ) => ["--include", `${folder}/bundle/${name}`]);
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ..."compile -A --no-config --no-lock --no-remote --no-npm --no-check --no-code-cache".split(" "),
      `--v8-flags=${V8_FLAGS}`,
      ...chunks,
      "--output",
      fresh,
      `${folder}/bundle/main.js`,
    ],
    stderr: "piped",
  }).output();
  const ran = success &&
    (await new Deno.Command(fresh, { args: ["version"], stdout: "null" }).output()).success;
  if (!ran) {
    console.error(`deno compile did not work: ${new TextDecoder().decode(stderr).trim()}`);
    await Deno.remove(fresh).catch(() => {});
    return false;
  }
  await Deno.rename(fresh, options.out);
  console.log(`${options.out}: compiled, ${((await Deno.stat(options.out)).size / 1e6).toFixed(1)} MB`);
  return true;
}

if (import.meta.main) {
  const options = parseOptions(Deno.args);
  const folder = await Deno.makeTempDir({ prefix: "skiff-build-" });
  const bundleFolder = `${folder}/bundle`;
  await Deno.mkdir(bundleFolder);
  try {
    const wantsCompiled = options.form === "compiled" ||
      (options.form === "auto" && await hasCompileRuntime());
    if (!wantsCompiled || !(await compile(folder, await bundleModules(bundleFolder, options), options))) {
      if (options.form === "compiled") fail("deno compile is not possible here");
      const names = await (isSkiff(options) ? bundleScripts : bundleModules)(bundleFolder, options);
      await pack(folder, names, options);
    }
  } finally {
    await esbuild.stop();
    await Deno.remove(folder, { recursive: true });
  }
}
