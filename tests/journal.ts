/** A real systemd-journald of its own for one test, in a mount namespace that the test's commands are run in. Needs root. */

import type { Host } from "./host.ts";

const SCRIPT = `set -e
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
[ "$2" = none ] && exec sleep infinity
exec /lib/systemd/systemd-journald`;

export type JournalEntry = Record<string, string | undefined>;

export class Journal implements AsyncDisposable {
  readonly #host: Host;
  readonly #child: Deno.ChildProcess;

  private constructor(host: Host, child: Deno.ChildProcess) {
    this.#host = host;
    this.#child = child;
  }

  /** From here on the host's commands have a journal; with `none` they have the place of one, and nobody there. */
  static async start(host: Host, kind: "journald" | "none" = "journald"): Promise<Journal> {
    // the user may read what is his: he is not in the group of the machine's journal
    const words = [
      "-m",
      "--propagation",
      "private",
      "/bin/sh",
      "-c",
      SCRIPT,
      "journal",
      `${host.ids.gid}`,
      kind,
    ];
    const child = new Deno.Command("/usr/bin/unshare", { args: words, stdin: "null", stdout: "null" })
      .spawn();
    const journal = new Journal(host, child);
    const place = kind === "none" ? "/var/log/journal" : "/run/systemd/journal/socket";
    for (const end = Date.now() + 20_000;;) {
      if ((await journal.#inside("test", kind === "none" ? "-g" : "-S", place)).success) break;
      if (Date.now() > end) throw new Error("systemd-journald did not come up");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    host.enter.push("/usr/bin/nsenter", `--mount=/proc/${child.pid}/ns/mnt`, `--wdns=${host.home}`, "--");
    return journal;
  }

  /** As root, once they are there: journald takes its time. */
  async entries(...matches: string[]): Promise<JournalEntry[]> {
    const { stdout } = await this.#inside("journalctl", "-q", "-o", "json", "--all", ...matches);
    return new TextDecoder().decode(stdout).trim().split("\n").filter((line) => line !== "").map((line) =>
      JSON.parse(line)
    );
  }

  /** Writes an entry as root, with whatever fields. */
  async forge(fields: Record<string, string>): Promise<void> {
    const text = Object.entries(fields).map(([name, value]) => `${name}=${value}\n`).join("");
    const { success } = await this.#inside("/bin/sh", "-c", 'printf %s "$1" | logger --journald', "sh", text);
    if (!success) throw new Error("logger --journald failed");
  }

  /** It takes nothing more, and its socket stays. */
  stop(): void {
    Deno.kill(this.#child.pid, "SIGSTOP");
  }

  goOn(): void {
    Deno.kill(this.#child.pid, "SIGCONT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#host.enter.length = 0;
    this.#child.kill("SIGKILL");
    await this.#child.status;
  }

  async #inside(...words: string[]): Promise<Deno.CommandOutput> {
    const args = [`--mount=/proc/${this.#child.pid}/ns/mnt`, "--", ...words];
    return await new Deno.Command("/usr/bin/nsenter", { args, stdin: "null" }).output();
  }
}
