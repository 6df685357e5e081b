import { assert, assertEquals, assertIncludes } from "../tests/assertions.ts";
import { assemble, lines, SYSCALL_INSTRUCTION } from "./assembler.ts";
import { emitElf } from "./exec_stub.ts";
import { emitLaunchProgram } from "./launch_program.ts";
import { add, load, load8, mov, sub, when } from "./x86_instructions.ts";

const ID = "0123456789abcdef";
const FROZEN_CODE = 7, HEADER_CODE = 8;
const HEADER = `printf '%s\\0' header "$0" "$@"; exit ${HEADER_CODE}\n`;
/** As root the tests start the program as somebody else: root's cache is the machine's. */
const USER = Deno.uid() === 0 ? { uid: 54321, gid: 54321 } : { uid: Deno.uid()!, gid: Deno.gid()! };

/** In the place of the process that is kept: writes its words and variables as they came, each with its zero. */
const FROZEN = emitElf(
  "x86_64",
  assemble(lines(
    load("rsi", "rsp", 8), // argv[0]: all that argv and envp point to lies one after the other
    load("rcx", "rsp"),
    mov("rax", "rsp"),
    "word",
    add("rax", 8),
    sub("rcx", 1),
    when("rcx", "!=", 0, "word"),
    add("rax", 16),
    "variable",
    mov("rdx", "rcx"),
    load("rcx", "rax"),
    add("rax", 8),
    when("rcx", "!=", 0, "variable"),
    "end", // of the last one
    load8("rcx", "rdx"),
    add("rdx", 1),
    when("rcx", "!=", 0, "end"),
    sub("rdx", "rsi"),
    mov("rdi", 1),
    mov("rax", 1), // write
    SYSCALL_INSTRUCTION,
    mov("rdi", FROZEN_CODE),
    mov("rax", 231), // exit_group
    SYSCALL_INSTRUCTION,
  )),
);

/** What `emitLaunchProgram` is told, with files that are there. */
const FILES = [{ name: "skiff", permissions: 0o500, size: 10 }, {
  name: "main.js",
  permissions: 0o400,
  size: 0,
}];
const LAUNCH = {
  id: ID,
  files: FILES,
  words: ["run", "-A", "--flag"],
  variables: { SKIFF_FORM: "packed", DENO_NO_PROMPT: "1" },
  asideVariables: ["DENO_DIR", "DENO_NO_PROMPT", "NODE_OPTIONS"],
  headerVariables: ["LD_PRELOAD", "SKIFF_COLD_START"],
  header: HEADER,
};

/** A home with an unpacked folder and a process that is kept in it; all of it the user's. */
class Rig implements Disposable {
  readonly folder = Deno.makeTempDirSync({ prefix: "launch-" });
  readonly home = `${this.folder}/home`;
  readonly program = `${this.folder}/launch`;
  readonly boot = Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim();

  constructor() {
    Deno.chmodSync(this.folder, 0o755);
    Deno.mkdirSync(this.home);
    Deno.chownSync(this.home, USER.uid, USER.gid);
    this.write(this.program, emitLaunchProgram(LAUNCH), 0o755);
    this.unpack();
  }

  /** Where the file is unpacked to. */
  get unpacked(): string {
    return `${this.home}/.cache/skiff/${ID}`;
  }

  /** What is kept for this boot. */
  get kept(): string {
    return `${this.unpacked}/${this.boot}`;
  }

  get frozen(): string {
    return `${this.kept}/skiff`;
  }

  unpack(base = `${this.home}/.cache`): void {
    const unpacked = `${base}/skiff/${ID}`;
    for (const path of [base, `${base}/skiff`, unpacked, `${unpacked}/${this.boot}`]) {
      try {
        Deno.mkdirSync(path, { mode: 0o700 });
      } catch (error) {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      }
      Deno.chownSync(path, USER.uid, USER.gid);
    }
    for (const { name, permissions, size } of FILES) {
      this.write(`${unpacked}/${name}`, new Uint8Array(size), permissions);
    }
    this.write(`${unpacked}/${this.boot}/skiff`, FROZEN, 0o500);
    this.write(`${unpacked}/${this.boot}/size`, new TextEncoder().encode(`${FROZEN.length}\n`), 0o600);
  }

  write(path: string, bytes: Uint8Array, mode: number): void {
    Deno.writeFileSync(path, bytes);
    Deno.chmodSync(path, mode);
    Deno.chownSync(path, USER.uid, USER.gid);
  }

  /** Runs a command, or the program with `a` as its word. */
  start(
    env: Record<string, string> = {},
    command: string[] = [this.program, "a"],
    cwd = this.home,
  ): { code: number; words: string[]; stderr: string } {
    const { code, stdout, stderr } = new Deno.Command(command[0]!, {
      args: command.slice(1),
      clearEnv: true,
      env: { HOME: this.home, PATH: "/usr/bin:/bin", PWD: cwd, ...env },
      cwd,
      ...(Deno.uid() === 0 ? USER : {}),
    }).outputSync();
    const words = new TextDecoder("latin1").decode(stdout).split("\0").slice(0, -1);
    return { code, words, stderr: new TextDecoder().decode(stderr) };
  }

  /** The same with a line for sh(1), in which "$0" is the program. */
  shell(line: string, env: Record<string, string> = {}, cwd = this.home) {
    return this.start(env, ["/bin/sh", "-c", line, this.program], cwd);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}

const test = (name: string, fn: (rig: Rig) => void) =>
  Deno.test({
    name,
    ignore: Deno.build.arch !== "x86_64",
    fn: () => {
      using rig = new Rig();
      assertEquals(rig.start().code, FROZEN_CODE, "the control must be the process that is kept");
      fn(rig);
    },
  });

/** The variables of a process that is kept, sorted. */
const variables = (words: string[]) => words.filter((word) => /^[A-Z_a-z]\w*=/.test(word)).sort();

test("the process that is kept gets the words and variables that it needs, and the caller's", (rig) => {
  const { words } = rig.shell(
    `ulimit -Sn 321; exec "$0" 'a b' '' "$(printf '\\377')" --`,
    { ODD: "=\u00fc\n", SKIFF_FORM: "no", SKIFF_FILE: "no", SKIFF_NOFILE: "no" },
  );
  const { unpacked } = rig;
  assertEquals(words.slice(0, 10), [
    ...[rig.frozen, `${unpacked}/skiff`, "run", "-A", "--flag", `${unpacked}/main.js`],
    ...["a b", "", "\xff", "--"],
  ]);
  assertEquals(
    words.slice(10).sort(),
    [
      `DENO_DIR=${unpacked}/cache`,
      "DENO_NO_PROMPT=1",
      `HOME=${rig.home}`,
      "ODD==\xc3\xbc\n",
      "PATH=/usr/bin:/bin",
      `PWD=${rig.home}`,
      `SKIFF_FILE=${rig.program}`,
      "SKIFF_FORM=packed",
      "SKIFF_NOFILE=321",
    ],
  );
});

test("variables of names that no shell knows are dropped, as shells drop them", (rig) => {
  const odd = { "a.b": "1", "BASH_FUNC_x%%": "() { :; }", "1st": "1", "_": "kept", "a1_Z": "kept", "ä": "1" };
  const { words } = rig.start(odd);
  const names = words.slice(7).map((word) => word.slice(0, word.indexOf("="))).sort();
  const kept = ["DENO_DIR", "DENO_NO_PROMPT", "HOME", "PATH", "PWD"];
  assertEquals(names, [...kept, "SKIFF_FILE", "SKIFF_FORM", "SKIFF_NOFILE", "_", "a1_Z"].sort());
});

test("it knows its own path by whatever name it is executed", (rig) => {
  Deno.symlinkSync(rig.program, `${rig.home}/link`);
  Deno.mkdirSync(`${rig.home}/sub`);
  Deno.chownSync(`${rig.home}/sub`, USER.uid, USER.gid);
  const NAMES: [line: string, file: string][] = [
    ['exec "$0"', rig.program],
    ["exec ./link", `${rig.home}/link`],
    ["exec .//link", `${rig.home}//link`],
    ["cd sub; exec ../link", `${rig.home}/sub/../link`],
    ["cd sub; PATH=..:$PATH; exec link", `${rig.home}/sub/../link`],
    ["PATH=$PWD:$PATH exec link", `${rig.home}/link`],
    ['exec 3<"$0"; exec /dev/fd/3', rig.program],
    // removed since: there is no better name
    ['cp "$0" gone; exec 3<gone; rm gone; exec /dev/fd/3', "/dev/fd/3"],
    ["exec env PWD=. ./link", `${rig.home}/link`],
    ["exec env -C sub ../link", `${rig.home}/sub/../link`], // PWD is another folder's
    ["PWD=nonsense; exec ./link", `${rig.home}/link`],
    ["exec env PWD=/nowhere ./link", `${rig.home}/link`],
    ["exec env -u PWD ./link", `${rig.home}/link`],
    ["ln -s . here; exec env PWD=$PWD/here ./link", `${rig.home}/here/link`],
  ];
  for (const [line, file] of NAMES) {
    const { words, code } = rig.shell(line);
    assertEquals(code, FROZEN_CODE, line);
    assert(variables(words).includes(`SKIFF_FILE=${file}`), `${line}: ${variables(words)}`);
  }
  const relative = rig.shell("cd sub; exec env -u PATH ../link b");
  assertEquals(relative.words, ["header", "../link", "b"]);
});

test("what the runtime would obey is put aside", (rig) => {
  const control = rig.start().words.length;
  const { words } = rig.start({
    DENO_DIR: "/caller's",
    NODE_OPTIONS: "",
    DENO_NO_PROMPT: "x".repeat(100_000),
    DENO: "1",
  });
  assertEquals(words.length, control + 4);
  const told = words.filter((word) => /DENO|NODE/.test(word)).map((word) => word.slice(0, 60)).sort();
  assertEquals(told, [
    "DENO=1",
    `DENO_DIR=${rig.unpacked}/cache`.slice(0, 60),
    "DENO_NO_PROMPT=1",
    "SKIFF_CALLER_DENO_DIR=/caller's",
    `SKIFF_CALLER_DENO_NO_PROMPT=`.padEnd(60, "x"),
    "SKIFF_CALLER_NODE_OPTIONS=",
  ]);
});

test("what it is told by a variable, and where there is no PATH, is for the header", (rig) => {
  for (const name of LAUNCH.headerVariables) {
    for (const value of ["", "1"]) {
      // the dynamic linker of sh would look for a file
      if (name.startsWith("LD_") && value !== "") continue;
      assertEquals(rig.start({ [name]: value }).words, ["header", rig.program, "a"], name);
    }
    assertEquals(rig.start({ [`${name}X`]: "", [name.slice(0, -1)]: "" }).code, FROZEN_CODE, name);
  }
  assertEquals(rig.shell('exec env -u PATH "$0"').words, ["header", rig.program]);
});

test("less than it needs of the machine is for the header", (rig) => {
  for (const limits of ["-n 99", "-Sv 59999999", "-Sd 699999", "-Ss 511"]) {
    assertEquals(rig.shell(`ulimit ${limits}; exec "$0"`).code, HEADER_CODE, limits);
  }
  assertEquals(
    rig.shell('ulimit -n 100; ulimit -Sv 60000000; ulimit -Sd 700000; ulimit -Ss 512; exec "$0"').code,
    FROZEN_CODE,
  );
  assertEquals(rig.shell('mkdir gone; cd gone; rmdir ../gone; exec "$0"').code, HEADER_CODE);
});

/** What others, or an accident, may do to what is kept. */
const CHANGES: Record<string, (rig: Rig) => void> = {
  "no process is kept": ({ kept }) => Deno.removeSync(kept, { recursive: true }),
  "it was cut off": ({ frozen }) =>
    withMode(frozen, 0o500, () => Deno.truncateSync(frozen, FROZEN.length - 1)),
  "it is longer": ({ frozen }) => withMode(frozen, 0o500, () => lengthen(frozen)),
  "it is writable": ({ frozen }) => Deno.chmodSync(frozen, 0o700),
  "others may read it": ({ frozen }) => Deno.chmodSync(frozen, 0o504),
  "it is setuid": ({ frozen }) => Deno.chmodSync(frozen, 0o4500),
  "it is a link": ({ frozen }) => moveBehindLink(frozen),
  "it is a folder": ({ frozen }) => {
    Deno.removeSync(frozen);
    Deno.mkdirSync(frozen, { mode: 0o500 });
    Deno.chownSync(frozen, USER.uid, USER.gid);
  },
  "its folder is a link": ({ kept }) => moveBehindLink(kept),
  "its folder is open": ({ kept }) => Deno.chmodSync(kept, 0o755),
  "its folder is sticky": ({ kept }) => Deno.chmodSync(kept, 0o1700),
  "there is no size": ({ kept }) => Deno.removeSync(`${kept}/size`),
  "the size is empty": (rig) => writeSize(rig, ""),
  "the size is a line without a number": (rig) => writeSize(rig, "\n"),
  "the size has no line's end": (rig) => writeSize(rig, LENGTH),
  "the size has two lines": (rig) => writeSize(rig, `${LENGTH}\n${LENGTH}\n`),
  "the size has a sign": (rig) => writeSize(rig, `+${LENGTH}\n`),
  "the size is another": (rig) => writeSize(rig, `${FROZEN.length + 1}\n`),
  "the size is of another base": (rig) => writeSize(rig, `0x${FROZEN.length.toString(16)}\n`),
  "the size is far too long": (rig) => writeSize(rig, `${LENGTH.padStart(1000, "0")}\n`),
  "the size is a link": ({ kept }) => moveBehindLink(`${kept}/size`),
  "the size is a pipe": ({ kept }) => {
    Deno.removeSync(`${kept}/size`);
    assert(new Deno.Command("mkfifo", { args: ["-m", "644", `${kept}/size`] }).outputSync().success);
  },
  "the runtime is longer": ({ unpacked }) =>
    withMode(`${unpacked}/skiff`, 0o500, () => lengthen(`${unpacked}/skiff`)),
  "the runtime is writable": ({ unpacked }) => Deno.chmodSync(`${unpacked}/skiff`, 0o700),
  "the program is writable for others": ({ unpacked }) => Deno.chmodSync(`${unpacked}/main.js`, 0o402),
  "the program is a link": ({ unpacked }) => moveBehindLink(`${unpacked}/main.js`),
  "the program is gone": ({ unpacked }) => Deno.removeSync(`${unpacked}/main.js`),
  "the folder is a link": ({ unpacked }) => moveBehindLink(unpacked),
  "the folder is open": ({ unpacked }) => Deno.chmodSync(unpacked, 0o755),
  "the folder is writable for others": ({ unpacked }) => Deno.chmodSync(unpacked, 0o702),
  "the folder above is writable for a group": ({ home }) => Deno.chmodSync(`${home}/.cache/skiff`, 0o720),
  "the home is writable for others": ({ home }) => Deno.chmodSync(home, 0o757),
  "the home's folder is writable for a group": ({ folder }) => Deno.chmodSync(folder, 0o775),
};
const CHANGES_BY_ROOT: typeof CHANGES = {
  "it is another's": ({ frozen }) => Deno.chownSync(frozen, 1, 1),
  "it is root's": ({ frozen }) => Deno.chownSync(frozen, 0, 0),
  "its folder is another's": ({ kept }) => Deno.chownSync(kept, 1, 1),
  "the program is another's": ({ unpacked }) => Deno.chownSync(`${unpacked}/main.js`, 1, 1),
  "the folder is root's": ({ unpacked }) => Deno.chownSync(unpacked, 0, 0),
  "the home is another's": ({ home }) => Deno.chownSync(home, 1, 1),
  "the home is another's, and sticky": ({ home }) => {
    Deno.chownSync(home, 1, 1);
    Deno.chmodSync(home, 0o1777);
  },
};
const LENGTH = String(FROZEN.length);

function withMode(path: string, mode: number, change: () => void): void {
  Deno.chmodSync(path, 0o700);
  change();
  Deno.chmodSync(path, mode);
}

const lengthen = (path: string) => Deno.writeFileSync(path, new Uint8Array(1), { append: true });

/** The link is as good as what it leads to, but it is a link. */
function moveBehindLink(path: string): void {
  Deno.renameSync(path, `${path}-moved`);
  Deno.symlinkSync(`${path}-moved`, path);
}

const writeSize = ({ kept }: Rig, text: string) => Deno.writeTextFileSync(`${kept}/size`, text);

Deno.test({
  name: "what is not as it was made is not executed",
  ignore: Deno.build.arch !== "x86_64",
  fn: () => {
    for (
      const [change, inflict] of Object.entries({ ...CHANGES, ...(Deno.uid() === 0 ? CHANGES_BY_ROOT : {}) })
    ) {
      using rig = new Rig();
      assertEquals(rig.start().code, FROZEN_CODE, `before ${change}`);
      inflict(rig);
      const { code, words, stderr } = rig.start();
      assertEquals([code, words, stderr], [HEADER_CODE, ["header", rig.program, "a"], ""], change);
    }
  },
});

Deno.test({
  name: "a boot that has no proper name, or none at all, is for the header",
  ignore: Deno.build.arch !== "x86_64" || Deno.uid() !== 0, // the file of another boot is mounted
  fn: () => {
    using rig = new Rig();
    const other = "fedcba98-0123-4567-89ab-cdef01234567";
    let kept = rig.kept;
    const start = (boot: string, folder: string) => {
      Deno.renameSync(kept, `${rig.unpacked}/${folder}`);
      kept = `${rig.unpacked}/${folder}`;
      Deno.writeTextFileSync(`${rig.folder}/boot`, boot);
      return new Deno.Command("unshare", {
        args: [
          ...["-m", "--propagation", "private", "sh", "-c"],
          `mount --bind "$1/boot" /proc/sys/kernel/random/boot_id && HOME=$1/home \
            exec setpriv --reuid=${USER.uid} --regid=${USER.gid} --clear-groups "$0"`,
          ...[rig.program, rig.folder],
        ],
        stdout: "null",
      }).outputSync().code;
    };
    assertEquals(start(`${other}\n`, other), FROZEN_CODE);
    const elsewhere = `${`../${ID}`.padEnd(32, "/")}kept`;
    const NAMES: [boot: string, folder: string][] = [
      ["", other],
      [other, other],
      [`${other}\n\n`, other],
      [`${other} \n`, `${other} `],
      [`${other.slice(1)}\n`, other.slice(1)],
      [`${other.slice(1)}g\n`, `${other.slice(1)}g`],
      [`${other.toUpperCase()}\n`, other.toUpperCase()],
      [`${elsewhere}\n`, "kept"],
    ];
    for (const [boot, folder] of NAMES) {
      assertEquals(start(boot, folder), HEADER_CODE, JSON.stringify(boot));
      assert(Deno.statSync(`${rig.unpacked}/${boot.replace(/\n+$/, "") || other}/size`).isFile);
    }
  },
});

test("what does no harm is no reason for the header", (rig) => {
  const { home, unpacked, kept } = rig;
  Deno.chmodSync(home, 0o1777); // as /tmp, and the user's
  Deno.chmodSync(unpacked, 0o2700); // in a folder whose group is passed on
  Deno.chmodSync(kept, 0o2700);
  Deno.writeTextFileSync(`${unpacked}/more`, "");
  assertEquals(rig.start().code, FROZEN_CODE);
  assertEquals(rig.start({ HOME: `${home}/../home/.` }).code, FROZEN_CODE);
  assertEquals(rig.start({ HOME: `//${home}//` }).code, FROZEN_CODE);
});

test("a cache behind links is where they lead to, and that is judged", (rig) => {
  const { home, folder } = rig;
  const start = (env = {}) => rig.start(env).words[0]!.replace(/\/skiff\/[0-9a-f]{16}\/.*/, "");
  moveBehindLink(home);
  assertEquals(start(), `${home}-moved/.cache`);
  moveBehindLink(`${home}-moved/.cache`);
  assertEquals(start(), `${home}-moved/.cache-moved`);
  assertEquals(start({ HOME: "", XDG_RUNTIME_DIR: `${home}/./.cache` }), `${home}-moved/.cache-moved`);
  Deno.symlinkSync("nowhere", `${folder}/dangling`);
  Deno.symlinkSync("circle", `${folder}/circle`);
  for (const link of ["dangling", "circle", "launch"]) {
    assertEquals(start({ HOME: "", XDG_CACHE_HOME: `${folder}/${link}` }), "header");
    assertEquals(start({ XDG_CACHE_HOME: `${folder}/${link}` }), "header");
  }
  assertEquals(start({ XDG_CACHE_HOME: "not/absolute" }), `${home}-moved/.cache-moved`);
  // below what is followed there may be no more of them
  moveBehindLink(`${home}/.cache/skiff`);
  assertEquals(start(), "header");
  Deno.removeSync(`${home}/.cache/skiff`);
  Deno.renameSync(`${home}/.cache/skiff-moved`, `${home}/.cache/skiff`);
  assertEquals(start(), `${home}-moved/.cache-moved`);
  Deno.chmodSync(`${home}-moved`, 0o777);
  assertEquals(start(), "header");
});

test("the first base that is whole is taken, in the header's order", (rig) => {
  const base = (name: string) => `${rig.home}/${name}`;
  const start = (env: Record<string, string>) =>
    rig.start(env).words[0]!.replace(/\/skiff\/[0-9a-f]{16}\/.*/, "");
  const env = { XDG_CACHE_HOME: base("xdg"), XDG_RUNTIME_DIR: base("runtime") };
  assertEquals(start(env), base(".cache"));
  rig.unpack(base("runtime"));
  assertEquals(start(env), base(".cache"));
  assertEquals(start({ ...env, HOME: "/nowhere" }), base("runtime"));
  assertEquals(start({ ...env, HOME: "" }), base("runtime"));
  rig.unpack(base("xdg"));
  assertEquals(start(env), base("xdg"));
  assertEquals(start({ ...env, XDG_CACHE_HOME: "xdg" }), base(".cache"));
  assertEquals(start({ ...env, XDG_CACHE_HOME: "" }), base(".cache"));
  // whole, but without a process: it is the one, and the header makes the process
  Deno.removeSync(`${base("xdg")}/skiff/${ID}/${rig.boot}`, { recursive: true });
  assertEquals(start(env), "header");

  const shared = `/tmp/skiff-${USER.uid}-cache`;
  try {
    Deno.lstatSync(shared);
  } catch {
    try {
      rig.unpack(shared);
      assertEquals(start({ HOME: "/nowhere" }), shared);
    } finally {
      Deno.removeSync(shared, { recursive: true });
    }
  }
});

test("texts of any length lead to the process or to the header, and to no others' memory", (rig) => {
  const LENGTHS = [
    200,
    255,
    256,
    4000,
    4094,
    4095,
    4096,
    8190,
    8192,
    16_384,
    32_700,
    32_768,
    36_864,
    40_960,
    120_000,
  ];
  for (const length of LENGTHS) {
    const long = "/".padEnd(length, "x"), slashes = "/".repeat(length);
    for (const name of ["HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"]) {
      const { code, stderr } = rig.start({ HOME: "", [name]: long });
      assertEquals([code, stderr], [HEADER_CODE, ""], `${name} of ${length}`);
      const through = rig.start({
        HOME: "",
        [name]: `${slashes}${rig.home}${name === "HOME" ? "" : "/.cache"}`,
      });
      assert([FROZEN_CODE, HEADER_CODE].includes(through.code), `${name} of ${length} /: ${through.code}`);
      if (length < 3000) assertEquals(through.code, FROZEN_CODE);
    }
    const variables = [["PWD", long], ["PWD", `${slashes}${rig.home}`], ["MINE", long], [long.slice(1), ""]];
    for (const [name, value] of variables as [string, string][]) {
      assertEquals(rig.start({ [name]: value }).code, FROZEN_CODE, `a variable of ${length}`);
    }
    assertEquals(rig.start({}, [rig.program, long]).words[6], long);
    if (length > 3800) continue;
    const path = `${"./".repeat(length / 2)}launch`;
    const { words } = rig.shell(`exec ${path}`, {}, rig.folder);
    assert(words.includes(`SKIFF_FILE=${rig.folder}/${path.slice(2)}`), `a path of ${length}`);
  }
});

test("words and variables in any number are passed on, and too many are told", (rig) => {
  const many = rig.shell('exec "$0" $(seq 20000)');
  assertEquals([many.code, many.words[6], many.words[20_005]], [FROZEN_CODE, "1", "20000"]);
  const variablesToo = rig.shell('exec env $(seq -f "V%.0f=x" 20000) "$0" $(seq 5000)');
  assertEquals([variablesToo.code, variables(variablesToo.words).length], [FROZEN_CODE, 20_008]);
  // With such a stack 128 KiB in all are allowed: there are words with which the program starts, and a shell does not.
  const header = `${HEADER}${"# more of it\n".repeat(1000)}`;
  rig.write(`${rig.home}/long`, emitLaunchProgram({ ...LAUNCH, header }), 0o755);
  const told = new Set<string>();
  for (let size = 110_000; size < 130_000; size += 1000) {
    const { code, stderr } = rig.shell(
      `ulimit -s 512; exec ./long "$(printf '%0${size}d' 0)"`,
      { SKIFF_COLD_START: "" },
    );
    assert([HEADER_CODE, 126].includes(code), `${size}: ${code}`);
    told.add(stderr);
  }
  assert(told.has("Error: start skiff: the arguments and variables are too long\n"), [...told].join());
});

test("what it is given open, and not, is what the process has", (rig) => {
  const line = 'exec "$0" 3</dev/null';
  for (const closed of ["<&-", "<&- >&2", "2>&-", "<&- 2>&-"]) {
    const { code } = rig.shell(`${line} ${closed}`);
    assertEquals(code, FROZEN_CODE, closed);
  }
  const list = "ls /proc/self/fd";
  rig.write(`${rig.home}/header`, emitLaunchProgram({ ...LAUNCH, header: list }), 0o755);
  Deno.removeSync(`${rig.kept}/size`); // the last that is looked at
  const listed = (command: string) => rig.shell(`${command} 7</dev/null | tr '\\n' '\\0'`).words;
  assert(listed("./header").includes("7"));
  assertEquals(listed("./header"), listed(list));
});

test("a file that was cut off runs no part of its header", (rig) => {
  const whole = emitLaunchProgram({
    ...LAUNCH,
    header: `touch canary; exit ${HEADER_CODE}\n${": no more than a comment\n".repeat(1000)}`,
  });
  const textAt = new TextDecoder("latin1").decode(whole).indexOf("touch canary");
  const cut = `${rig.home}/cut`;
  rig.write(cut, whole, 0o755);
  assertEquals(rig.start({ SKIFF_COLD_START: "" }, [cut]).code, HEADER_CODE);
  Deno.removeSync(`${rig.home}/canary`);
  for (let length = whole.length - 2; length > 64; length -= length > textAt ? 997 : 331) {
    rig.write(cut, whole.subarray(0, length), 0o755);
    const { code, stderr } = rig.start({ SKIFF_COLD_START: "" }, ["/bin/sh", "-c", 'exec "$0"', cut]);
    if (length > textAt) {
      assertEquals([code, stderr], [125, `Error: start skiff: ${cut} is damaged\nhint: download it again\n`]);
    }
    assert(code !== 0 && code !== HEADER_CODE && code !== FROZEN_CODE, `${length} bytes: ${code}`);
    assert(!Deno.readDirSync(rig.home).some(({ name }) => name === "canary"), `${length} bytes`);
  }
});

Deno.test("a header that cannot be a word is an error", () => {
  let message = "";
  try {
    emitLaunchProgram({ ...LAUNCH, header: "a\0b" });
  } catch (error) {
    message = String(error);
  }
  assertIncludes(message, "holds a zero");
});
