/** A real systemd-journald of its own for one test, in a mount namespace that the test's commands are run in. Needs root. */

import type { Host } from "./host.ts";

const PLACE = `set -e
mount -t tmpfs -o mode=755 tmpfs /run/systemd
mkdir -p /run/systemd/journal /run/systemd/journald.conf.d
printf '[Journal]\\nStorage=persistent\\nRateLimitBurst=0\\nReadKMsg=no\\nAudit=no\\nForwardToSyslog=no\\nForwardToWall=no\\n' \\
  >/run/systemd/journald.conf.d/test.conf
: >/run/systemd/journal/flushed
mkdir -p /run/log /var/log/journal
mount -t tmpfs -o mode=755 tmpfs /run/log
mount -t tmpfs tmpfs /var/log/journal
chgrp "$1" /var/log/journal
chmod 2755 /var/log/journal
: >/run/systemd/ready
exec sleep infinity`;
const SOCKET = "/run/systemd/journal/socket";

export type JournalEntry = Record<string, string | undefined>;

export class Journal implements AsyncDisposable {
  readonly #host: Host;
  /** Keeps the mount namespace. */
  readonly #holder: Deno.ChildProcess;
  #daemon: Deno.ChildProcess | undefined;

  private constructor(host: Host, holder: Deno.ChildProcess) {
    this.#host = host;
    this.#holder = holder;
  }

  /** From here on the host's commands have a journal; with `none` they have the place of one, and nobody there. */
  static async start(host: Host, kind: "journald" | "none" = "journald"): Promise<Journal> {
    const words = ["-m", "--propagation", "private", "/bin/sh", "-c", PLACE, "journal"];
    const holder = new Deno.Command("/usr/bin/unshare", {
      // the user may read what is his: he is not in the group of the machine's journal
      args: [...words, `${host.ids.gid}`],
      stdin: "null",
      stdout: "null",
    }).spawn();
    const journal = new Journal(host, holder);
    await journal.#until("test", "-e", "/run/systemd/ready");
    if (kind === "journald") await journal.begin();
    const place = [`--mount=/proc/${holder.pid}/ns/mnt`, `--wdns=${host.home}`];
    host.enter.push("/usr/bin/nsenter", ...place, "--");
    return journal;
  }

  /** Starts journald, which makes its socket anew. */
  async begin(): Promise<void> {
    await this.#inside("rm", "-f", SOCKET);
    this.#daemon = new Deno.Command("/usr/bin/nsenter", {
      args: [`--mount=/proc/${this.#holder.pid}/ns/mnt`, "--", "/lib/systemd/systemd-journald"],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    await this.#until("test", "-S", SOCKET);
  }

  /** Kills it; its socket stays, and nobody is there. */
  async end(): Promise<void> {
    this.#daemon?.kill("SIGKILL");
    await this.#daemon?.status;
    this.#daemon = undefined;
  }

  /** It takes nothing more, and is there. */
  stop(): void {
    this.#daemon!.kill("SIGSTOP");
  }

  goOn(): void {
    this.#daemon!.kill("SIGCONT");
  }

  /** As root, those that journald has by now. */
  async entries(...matches: string[]): Promise<JournalEntry[]> {
    const { stdout } = await this.#inside("journalctl", "-q", "-o", "json", "--all", ...matches);
    const lines = new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "");
    return lines.map((line) => JSON.parse(line));
  }

  /** Writes an entry as root, with whatever fields. */
  async forge(fields: Record<string, string>): Promise<void> {
    const text = Object.entries(fields).map(([name, value]) => `${name}=${value}\n`).join("");
    const { success } = await this.#inside("/bin/sh", "-c", 'printf %s "$1" | logger --journald', "sh", text);
    if (!success) throw new Error("logger --journald failed");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#host.enter.length = 0;
    await this.end();
    this.#holder.kill("SIGKILL");
    await this.#holder.status;
  }

  async #inside(...words: string[]): Promise<Deno.CommandOutput> {
    const args = [`--mount=/proc/${this.#holder.pid}/ns/mnt`, "--", ...words];
    return await new Deno.Command("/usr/bin/nsenter", { args, stdin: "null" }).output();
  }

  async #until(...words: string[]): Promise<void> {
    for (const end = Date.now() + 20_000; !(await this.#inside(...words)).success;) {
      if (Date.now() > end) throw new Error(`waited in vain for ${words.join(" ")}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
