/** @see podman-top(1), docker-top(1) */

import type { Engine } from "../../runtime/engine/engine.ts";
import { areDescriptors, hostPids, top, TOP_DEFAULTS } from "../../runtime/engine/top.ts";
import { CommandNotFoundError, HostError, InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { LATEST } from "../flags/selection.ts";
import { escapeControl } from "../output/escape.ts";
import { print, printError } from "../output/print.ts";
import { renderTable } from "../output/table.ts";
import { selectContainers } from "../selection.ts";

export const command = defineCommand({
  usage: "[options] CONTAINER [DESCRIPTOR...|PS-OPTIONS]",
  description:
    "Lists the processes of a container. Descriptors: args, capamb, capbnd, capeff, capinh, capprm, comm,\n" +
    "etime, group, groups, hgroup, hgroups, hpid, huser, label, nice, pcpu, pgid, pid, ppid, rgroup, rss, ruser,\n" +
    "seccomp, state, stime, time, tty, user, vsz, and ps(1)'s %C and the like. Anything else goes to ps(1) in the\n" +
    "container, or where it has none to that of this machine.",
  examples: ["skiff top web", "skiff top web pid seccomp capeff args", "skiff top web -o pid,ppid,cmd"],
  flags: { ...LATEST },
  optionsFirst: true,
  async run({ options, args, global }) {
    const [name, ...words] = options.latest ? ["", ...args] : args;
    if (name === undefined) {
      throw new InvalidArgumentError("you must provide the name or id of a running container");
    }
    const engine = engineFor(global);
    const [target = ""] = options.latest
      ? await selectContainers(engine, { args: [], latest: true })
      : [name];
    if (!areDescriptors(words)) return await runPs(engine, target, words);
    const { titles, processes } = await top(engine, target, words.length > 0 ? words : TOP_DEFAULTS);
    print(renderTable([titles, ...processes.map((texts) => texts.map(escapeControl))]));
  },
});

/** ps(1) of the container shows what it sees; where it has none, this machine's shows the same processes. */
async function runPs(engine: Engine, name: string, words: string[]): Promise<number> {
  const pids = await hostPids(engine, name);
  const [{ exec }, { attachTo }] = await Promise.all([
    import("../../runtime/engine/exec.ts"),
    import("../../runtime/engine/attach.ts"),
  ]);
  try {
    const { socketPath } = await exec(engine, name, { command: ["ps", ...words] });
    const { outcome } = await attachTo(socketPath, { stdout: print, stderr: printError });
    const ended = await outcome;
    return ended.kind === "exited" ? ended.record.exitCode : 0;
  } catch (error) {
    if (!(error instanceof CommandNotFoundError)) throw error;
  }
  print(await hostPs(words, new Set(pids)));
  return 0;
}

/** As docker does: all of ps's lines, of which those of the container stay. */
async function hostPs(words: string[], pids: ReadonlySet<number>): Promise<string> {
  let output: Deno.CommandOutput;
  try {
    output = await new Deno.Command("/usr/bin/ps", { args: words, env: { PATH: "/usr/bin:/bin" } }).output();
  } catch (cause) {
    throw new HostError("run ps: neither the container nor this machine has it", { cause });
  }
  const [heading = "", ...lines] = new TextDecoder().decode(output.stdout).split("\n");
  const column = heading.trim().split(/\s+/).indexOf("PID");
  if (!output.success || column < 0) {
    const said = new TextDecoder().decode(output.stderr).trim().split("\n")[0];
    throw new InvalidArgumentError(
      output.success ? "run ps: the output has no column PID" : `run ps ${words.join(" ")}: ${said}`,
    );
  }
  const own = lines.filter((line) => pids.has(Number(line.trim().split(/\s+/)[column])));
  return [heading, ...own.map(escapeControl)].join("\n") + "\n";
}
