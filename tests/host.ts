/** One test's place on the machine: a home, an environment and the executable, as the unprivileged test user. */
import { BASE, type ImageName, makeBase, sharedImage, sharedRegistry } from "./fixtures.ts";
import { type BuiltImage, type ImageSpec, makeImage, pushImage } from "./images.ts";
import { killLeft, type LeftProcess, MARK, mountsOf, type Owner, processesOf } from "./leaks.ts";
import type { LocalRegistry } from "./local_registry.ts";
import { type TestIds, testIds } from "./needs.ts";
import { PtySession } from "./pty.ts";

const root = new URL("..", import.meta.url).pathname;

export interface HostOptions {
  /** Run everything as root, with a /var/lib/skiff of its own. */
  asRoot?: boolean;
  /** Every skiff command is told to use it. */
  driver?: "overlay" | "fuse-overlayfs" | "vfs";
  env?: Record<string, string>;
}

export interface RunOptions {
  stdin?: string | Uint8Array;
  env?: Record<string, string>;
  cwd?: string;
  /** Default 180 s; then the program is killed and the call fails. */
  timeoutMs?: number;
}

export interface Result {
  code: number;
  signal: Deno.Signal | null;
  stdout: string;
  stderr: string;
}

/** A program that still runs. */
export interface Running {
  child: Deno.ChildProcess;
  pid: number;
  stdin: WritableStreamDefaultWriter<Uint8Array>;
  /** What it wrote so far. */
  output: { stdout: string; stderr: string };
  result: Promise<Result>;
}

export class Host {
  readonly folder: string;
  readonly home: string;
  readonly env: Record<string, string>;
  readonly ids: TestIds;
  readonly binary: string;
  /** What stands before all else of each command: another namespace of mounts. */
  readonly enter: string[] = [];
  readonly #options: HostOptions;

  private constructor(folder: string, binary: string, options: HostOptions) {
    this.folder = folder;
    this.home = `${folder}/home`;
    this.binary = binary;
    this.#options = options;
    this.ids = options.asRoot ? { uid: 0, gid: 0, subuid: 0, subuidCount: 0 } : testIds()!;
    this.env = {
      HOME: this.home,
      USER: options.asRoot ? "root" : "skiff-test",
      PATH: "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
      TERM: "xterm",
      LANG: "C.UTF-8",
      XDG_CACHE_HOME: `${BASE}/cache`,
      // by it the leak check knows what this test started
      [MARK]: folder,
      ...options.env,
    };
  }

  static async make(options: HostOptions = {}): Promise<Host> {
    await makeBase();
    const folder = await Deno.makeTempDir({ dir: BASE, prefix: "t-" });
    await Deno.chmod(folder, 0o755);
    const binary = await usableBinary();
    const host = new Host(folder, binary, options);
    await Deno.mkdir(`${host.home}/.config/containers`, { recursive: true });
    await Deno.chmod(host.home, 0o700);
    await host.own(host.home, `${host.home}/.config`, `${host.home}/.config/containers`);
    if (options.asRoot) await Deno.mkdir(`${folder}/var-lib-skiff`, { mode: 0o700 });
    return host;
  }

  get driver(): HostOptions["driver"] {
    return this.#options.driver;
  }

  /** The folder with skiff.db, blobs, layers, containers. */
  get data(): string {
    return this.#options.asRoot ? `${this.folder}/var-lib-skiff` : `${this.home}/.local/share/skiff`;
  }

  /** Gives files to the user that the test runs as. */
  async own(...paths: string[]): Promise<void> {
    if (Deno.uid() !== 0) return;
    for (const path of paths) await Deno.chown(path, this.ids.uid, this.ids.gid);
  }

  /** What stands before a command so that the test user runs it, with a user's usual limit of descriptors. */
  get prefix(): string[] {
    const limit = ["/usr/bin/prlimit", "--nofile=1024:", "--"];
    if (this.#options.asRoot) {
      const script = '/bin/mkdir -p /var/lib/skiff && /bin/mount --bind "$0" /var/lib/skiff && exec "$@"';
      return [
        ..."/usr/bin/unshare -m --propagation slave /bin/sh -c".split(" "),
        script,
        this.data,
        ...limit,
      ];
    }
    if (Deno.uid() !== 0) return limit;
    const { uid, gid } = this.ids;
    return [
      "/usr/bin/setpriv",
      `--reuid=${uid}`,
      `--regid=${gid}`,
      "--init-groups",
      "--inh-caps=-all",
      ...limit,
    ];
  }

  /** Starts any program as the test user. */
  spawnProgram(command: string[], options: RunOptions = {}): Running {
    const words = [...this.enter, ...this.prefix, ...command];
    const child = new Deno.Command(words[0]!, {
      args: words.slice(1),
      clearEnv: true,
      env: { ...this.env, ...options.env },
      cwd: options.cwd ?? this.home,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const output = { stdout: "", stderr: "" };
    const collect = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>, name: "stdout" | "stderr") => {
      for await (const text of stream.pipeThrough(new TextDecoderStream())) output[name] += text;
    };
    const result = (async () => {
      const [status] = await Promise.all([
        child.status,
        collect(child.stdout, "stdout"),
        collect(child.stderr, "stderr"),
      ]);
      return { code: status.code, signal: status.signal, ...output };
    })();
    return { child, pid: child.pid, stdin: child.stdin.getWriter(), output, result };
  }

  /** Runs any program as the test user to its end. */
  async program(command: string[], options: RunOptions = {}): Promise<Result> {
    const running = this.spawnProgram(command, options);
    const timeoutMs = options.timeoutMs ?? 180_000;
    let timer: ReturnType<typeof setTimeout> | undefined;
    // rejects even while something else still holds the program's output open
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        try {
          running.child.kill("SIGKILL");
        } catch { /* it has ended, but its output is held open */ }
        const { stdout, stderr } = running.output;
        reject(new Error(`${command.join(" ")} took longer than ${timeoutMs} ms: ${stdout}${stderr}`));
      }, timeoutMs);
    });
    const input = typeof options.stdin === "string" ? new TextEncoder().encode(options.stdin) : options.stdin;
    // a program that ends without reading breaks the pipe: its affair
    const feed = (async () => {
      if (input?.length) await running.stdin.write(input);
      await running.stdin.close();
    })().catch(() => {});
    try {
      const [result] = await Promise.race([Promise.all([running.result, feed]), late]);
      return result;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Runs a shell script as the test user; `$SKIFF` is the executable. */
  sh(script: string, options: RunOptions = {}): Promise<Result> {
    return this.program(["/bin/sh", "-c", script], {
      ...options,
      env: { SKIFF: this.binary, ...options.env },
    });
  }

  skiff(args: string[], options: RunOptions = {}): Promise<Result> {
    return this.program([this.binary, ...this.driverArgs, ...args], options);
  }

  spawn(args: string[], options: RunOptions = {}): Running {
    return this.spawnProgram([this.binary, ...this.driverArgs, ...args], options);
  }

  /** The command must succeed; gives its stdout without the final newline. */
  async ok(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.skiff(args);
    if (code !== 0) throw new Error(`skiff ${args.join(" ")} exited with ${code}: ${stderr}${stdout}`);
    return stdout.replace(/\n$/, "");
  }

  /** `--storage-driver …` where the test asked for one; a script of `sh` has to write it itself. */
  get driverArgs(): string[] {
    return this.#options.driver ? ["--storage-driver", this.#options.driver] : [];
  }

  /** Waits until a container's programs have written that: `run -d` comes back when they have only begun. */
  async untilLogged(name: string, text = "up"): Promise<void> {
    const end = Date.now() + 60_000;
    while (!(await this.skiff(["logs", name]).then(({ stdout, stderr }) => stdout + stderr)).includes(text)) {
      if (Date.now() > end) throw new Error(`container ${name} never wrote ${JSON.stringify(text)}`);
    }
  }

  /** `skiff run`, without network unless the words name one. */
  run(...words: string[]): Promise<Result> {
    const isNamed = words.some((word) => /^--net(work)?(=|$)/.test(word));
    return this.skiff(["run", ...isNamed ? [] : ["--network", "none"], ...words]);
  }

  pty(
    args: string[],
    options: { rows?: number; cols?: number; env?: Record<string, string> } = {},
  ): PtySession {
    return this.ptyProgram([this.binary, ...this.driverArgs, ...args], options);
  }

  /** Any program on a terminal. */
  ptyProgram(
    command: string[],
    options: { rows?: number; cols?: number; env?: Record<string, string> } = {},
  ): PtySession {
    return new PtySession(command, {
      ...options,
      prefix: this.prefix,
      env: { ...this.env, ...options.env },
      cwd: this.home,
      folder: this.folder,
    });
  }

  /** The shared registry, declared as plain http in this home's registries.conf. */
  async registry(): Promise<LocalRegistry> {
    const registry = await sharedRegistry();
    await this.declareInsecure(registry.address);
    return registry;
  }

  async declareInsecure(address: string): Promise<void> {
    const folder = this.#options.asRoot
      ? `${this.home}/.config/containers`
      : `${this.home}/.config/containers`;
    const file = `${folder}/registries.conf`;
    const known = await Deno.readTextFile(file).catch(() => "");
    if (known.includes(`"${address}"`)) return;
    await Deno.writeTextFile(file, `${known}[[registry]]\nlocation = "${address}"\ninsecure = true\n`);
    await this.own(file);
  }

  /** The reference of a shared image (not pulled yet). */
  async image(name: ImageName = "busybox"): Promise<string> {
    await this.registry();
    return await sharedImage(name);
  }

  /** Makes an image, uploads it under a name that no other test uses, and gives its reference. */
  async makeImage(spec: ImageSpec | BuiltImage): Promise<string> {
    const image = "blobs" in spec ? spec : await makeImage(spec);
    return await pushImage(await this.registry(), `made/${crypto.randomUUID()}`, "latest", image);
  }

  /** Ids of the containers whose folders exist. */
  containers(): string[] {
    try {
      return [...Deno.readDirSync(`${this.data}/containers`)].map(({ name }) => name)
        .filter((name) => /^[0-9a-f]{64}$/.test(name));
    } catch {
      return [];
    }
  }

  /** Living processes of this test. */
  processes(): LeftProcess[] {
    return processesOf({ folder: this.folder, ids: this.ids, containers: this.containers() });
  }

  /** Kills a process of this test that skiff named, and nothing else: a wrong number must not hit others. */
  kill9(pid: number): void {
    const process = this.processes().find((one) => one.pid === pid);
    if (process === undefined) throw new Error(`${pid} is no process of this test`);
    killLeft(process);
  }

  /** Removes the containers and the files; fails if a process or a mount of this test is left. */
  async close(patienceMs = 30_000): Promise<void> {
    const complaints: string[] = [];
    const left = this.containers();
    if (left.length > 0) {
      const removed = await this.skiff(["rm", "--force", "--depend", ...left]);
      if (removed.code !== 0) {
        complaints.push(`skiff rm --force exited with ${removed.code}: ${removed.stderr}`);
      }
    }
    // a loaded machine takes its time to end what was killed
    const end = Date.now() + patienceMs;
    const owner: Owner = { folder: this.folder, ids: this.ids, containers: left };
    let processes = processesOf(owner);
    while (processes.length > 0 && Date.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      processes = processesOf(owner);
    }
    for (const process of processes) {
      complaints.push(`process ${process.pid} is left: ${process.command}`);
      killLeft(process);
    }
    for (const point of mountsOf(this.folder)) {
      complaints.push(`mount is left: ${point}`);
      new Deno.Command("umount", { args: ["-l", point] }).outputSync();
    }
    if (Deno.env.get("SKIFF_TEST_KEEP") === "1") console.error(`kept: ${this.folder}`);
    else await this.#removeFiles();
    if (complaints.length > 0) throw new Error(`the test left something behind:\n${complaints.join("\n")}`);
  }

  async #removeFiles(): Promise<void> {
    if (Deno.uid() === 0) return await removeTree(this.folder);
    // files of subordinate ids can only be removed from inside a user namespace that maps them
    await new Deno.Command("unshare", { args: ["--map-root-user", "--map-auto", "rm", "-rf", this.folder] })
      .output();
  }
}

/** Again where something was made in it meanwhile, as by a process that had just begun to keep a start for the next one. */
async function removeTree(folder: string, tries = 20): Promise<void> {
  try {
    await Deno.remove(folder, { recursive: true });
  } catch (error) {
    if (tries === 0 || (error as { code?: string }).code !== "ENOTEMPTY") throw error;
    await new Promise((resolve) => setTimeout(resolve, 100));
    await removeTree(folder, tries - 1);
  }
}

let usable: Promise<string> | undefined;

/** The executable under test, copied to where the test user can reach it if that is needed. */
function usableBinary(): Promise<string> {
  usable ??= (async () => {
    const wanted = await Deno.realPath(Deno.env.get("SKIFF_BINARY") ?? `${root}dist/skiff`);
    const ids = testIds()!;
    if (Deno.uid() !== 0) return wanted;
    const { success } = await new Deno.Command("/usr/bin/setpriv", {
      args: [`--reuid=${ids.uid}`, `--regid=${ids.gid}`, "--clear-groups", "/usr/bin/test", "-x", wanted],
    }).output();
    if (success) return wanted;
    const { size, mtime } = await Deno.stat(wanted);
    const copy = `${BASE}/skiff-${size}-${mtime?.getTime()}`;
    await Deno.copyFile(wanted, `${copy}.${Deno.pid}`);
    await Deno.chmod(`${copy}.${Deno.pid}`, 0o755);
    await Deno.rename(`${copy}.${Deno.pid}`, copy);
    return copy;
  })();
  return usable;
}
