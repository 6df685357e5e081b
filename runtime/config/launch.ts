/**
 * How this process was started: packed (the self-extracting file), compiled (`deno compile`) or from source.
 * The packed form's header tells it by variables, which no container may see: they are taken out at once.
 * @see scripts/packed_header.sh
 */

export interface Launch {
  form: "packed" | "compiled" | "source";
  /** The words that start skiff again; its arguments follow them. */
  command: string[];
  /** It goes on from a process that is kept in a file. @see runtime/frozen/freeze.ts */
  isThawed?: boolean;
  /** The caller's soft RLIMIT_NOFILE, which Deno raises at its start; undefined where nobody told. */
  nofileSoft?: bigint;
}

/** The header moves what the runtime would obey out of its way, `DENO_DIR` to `SKIFF_CALLER_DENO_DIR`. */
const PUT_ASIDE = "SKIFF_CALLER_";
const SET_BY_HEADER = [
  "DENO_DIR",
  "DENO_NO_UPDATE_CHECK",
  "DENO_NO_PROMPT",
  "DENO_TLS_CA_STORE",
  "MALLOC_ARENA_MAX",
  "MALLOC_TOP_PAD_",
];

let known: Launch | undefined;

/** The first call gives the environment back to the caller's variables; main.ts makes it before anything else. */
export function takeLaunch(): Launch {
  known ??= readLaunch();
  return known;
}

/** What a rehearsal was started by is not what a command is. @see cli/rehearse.ts */
export function forgetLaunch(): void {
  known = undefined;
}

function readLaunch(): Launch {
  const form = take("SKIFF_FORM");
  const file = take("SKIFF_FILE");
  const nofile = take("SKIFF_NOFILE");
  if (form !== "packed" || file === undefined) return sourceOrCompiled();
  SET_BY_HEADER.forEach((name) => Deno.env.delete(name));
  for (const [name, value] of Object.entries(Deno.env.toObject())) {
    if (!name.startsWith(PUT_ASIDE)) continue;
    Deno.env.delete(name);
    Deno.env.set(name.slice(PUT_ASIDE.length), value);
  }
  return { form, command: [file], isThawed: isOfBoot(Deno.execPath()), nofileSoft: parseLimit(nofile) };
}

/** Whether `text` is an identity of the kernel's boot, of whichever. @see random(4), boot_id */
export function isBootId(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
}

/** Such a file lies in a folder that has its name from the boot. */
function isOfBoot(program: string): boolean {
  const [folder, name] = program.split("/").slice(-2);
  return name === "skiff" && isBootId(folder!);
}

function take(name: string): string | undefined {
  const value = Deno.env.get(name);
  if (value !== undefined) Deno.env.delete(name);
  return value;
}

/** `ulimit -Sn` prints a number or `unlimited`. */
function parseLimit(text: string | undefined): bigint | undefined {
  if (text === "unlimited") return 0xffff_ffff_ffff_ffffn;
  return text && Number.isInteger(Number(text)) ? BigInt(text) : undefined;
}

function sourceOrCompiled(): Launch {
  if (Deno.build.standalone) return { form: "compiled", command: [Deno.execPath()] };
  const main = new URL("../../cli/main.ts", import.meta.url).pathname;
  return {
    form: "source",
    command: [
      Deno.execPath(),
      "run",
      "-A",
      "--quiet",
      "--no-code-cache",
      "--v8-flags=--single-threaded,--expose-gc",
      main,
    ],
  };
}
