/** A program on a terminal of its own, driven through pipes by a small Python program (Deno has no openpty). */

/** argv: rows cols sizefile program args…; a new size is written to sizefile and announced by SIGUSR1. */
const RELAY = `
import fcntl, os, pty, select, signal, struct, sys, termios
rows, cols, size_file, argv = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]
def set_size(fd, r, c):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", r, c, 0, 0))
pid, master = pty.fork()
if pid == 0:
    set_size(0, rows, cols) # by the child: the program must not look before it is there
    os.execv(argv[0], argv)
def resize(*_):
    set_size(master, *map(int, open(size_file).read().split()))
signal.signal(signal.SIGUSR1, resize)
inputs = [0, master]
while True:
    ready = select.select(inputs, [], [])[0]
    if 0 in ready:
        data = os.read(0, 65536)
        if data: os.write(master, data)
        else: inputs.remove(0)
    if master in ready:
        try: data = os.read(master, 65536)
        except OSError: break
        if not data: break
        os.write(1, data)
status = os.waitpid(pid, 0)[1]
sys.exit(os.waitstatus_to_exitcode(status) & 255)
`;

export interface PtyOptions {
  rows?: number;
  cols?: number;
  /** What stands before the relay: the change to the test user. */
  prefix: string[];
  env: Record<string, string>;
  cwd: string;
  /** Where the window size is handed over. */
  folder: string;
}

export class PtySession {
  /** All that the terminal has shown so far. */
  text = "";
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #sizeFile: string;
  readonly #done: Promise<void>;
  #arrived = Promise.withResolvers<void>();
  #ended = false;
  /** Where the next expect() begins to look. */
  #seen = 0;

  constructor(command: string[], options: PtyOptions) {
    this.#sizeFile = `${options.folder}/size-${crypto.randomUUID()}`;
    const size = [String(options.rows ?? 24), String(options.cols ?? 80)];
    const words = [...options.prefix, "/usr/bin/python3", "-c", RELAY, ...size, this.#sizeFile, ...command];
    this.#child = new Deno.Command(words[0]!, {
      args: words.slice(1),
      clearEnv: true,
      env: options.env,
      cwd: options.cwd,
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#done = this.#read();
  }

  async #read(): Promise<void> {
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      this.text += text;
      this.#arrived.resolve();
      this.#arrived = Promise.withResolvers();
    }
    this.#ended = true;
    this.#arrived.resolve();
  }

  async write(text: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(text));
  }

  /** Waits until the terminal shows `pattern` after what was expected before. */
  async expect(pattern: RegExp | string, timeoutMs = 60_000): Promise<string> {
    const late = AbortSignal.timeout(timeoutMs);
    while (true) {
      const rest = this.text.slice(this.#seen);
      const match = typeof pattern === "string" ? rest.indexOf(pattern) : rest.search(pattern);
      if (match >= 0) {
        const found = typeof pattern === "string" ? pattern : rest.match(pattern)![0];
        this.#seen += match + found.length;
        return found;
      }
      if (this.#ended || late.aborted) {
        throw new Error(`the terminal never showed ${pattern}; it showed ${JSON.stringify(rest)}`);
      }
      const lateness = Promise.withResolvers<void>();
      late.addEventListener("abort", () => lateness.resolve(), { once: true });
      await Promise.race([this.#arrived.promise, lateness.promise]);
    }
  }

  async resize(rows: number, cols: number): Promise<void> {
    await Deno.writeTextFile(this.#sizeFile, `${rows} ${cols}`);
    await Deno.chmod(this.#sizeFile, 0o644);
    this.#child.kill("SIGUSR1");
  }

  /** Waits for the program's end and gives its exit code. */
  async wait(): Promise<number> {
    const { code } = await this.#child.status;
    await this.#done;
    await this.#writer.close().catch(() => {});
    return code;
  }

  async kill(): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch { /* it has ended */ }
    await this.wait();
  }
}
