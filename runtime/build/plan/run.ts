/** RUN: its argument vector, its mounts, and what may be asked of the network and the sandbox. */

import { InvalidArgumentError } from "../../errors.ts";
import type { RunInstruction } from "../dockerfile/ast.ts";
import { cacheMountId, sandboxHostname } from "../builtin_args.ts";
import { asHeredocWord } from "../dockerfile/heredoc.ts";
import type { RunMount, RunStep } from "../step.ts";
import { withShell } from "./config_effects.ts";
import { addStep, type Dispatch, expand, filesOf, originOf, shownAs } from "./dispatch_state.ts";
import { parseDevice } from "./devices.ts";
import { completeMount, parseMountFields } from "./mount.ts";
import type { PlannedStage } from "./stages.ts";

/** Where a script that a heredoc holds is run from. */
const SCRIPT_FOLDER = "/dev/pipes";

/** What must be allowed by `--allow` for a value of --network or --security. */
const ENTITLEMENTS = { network: { host: "network.host" }, security: { insecure: "security.insecure" } };

export function planRun(
  dispatch: Dispatch,
  instruction: RunInstruction,
  sources: readonly (PlannedStage | undefined)[],
  isTrigger: boolean,
): void {
  const { context, stage, run } = dispatch;
  const { options } = context.input;
  const devices = instruction.device.map(parseDevice);
  const script = scriptOf(dispatch, instruction);
  const mounts = planMounts(dispatch, instruction, sources);
  const secrets = mounts.flatMap((mount) => (mount.type === "secret" && mount.env ? [mount.env] : []));
  const shown = shownAs(dispatch, instruction.original, secrets) + (script.summary && ` (${script.summary})`);
  // `--network=default` is what the build was given
  const network = instruction.network === "default" ? undefined : instruction.network;
  const step: RunStep = {
    kind: "run",
    base: stage.files,
    argv: script.argv,
    env: dispatch.env.toList(),
    proxyEnv: context.proxyEnv,
    workdir: run.WorkingDir ?? "/",
    user: run.User ?? "",
    mounts,
    network: entitled(dispatch, "network", network ?? options.network ?? "default", {
      isAsked: network !== undefined,
    }),
    security: entitled(dispatch, "security", instruction.security ?? "sandbox", { isAsked: true }) as
      | "sandbox"
      | "insecure",
    scripts: script.files,
    hostname: sandboxHostname(options),
    hosts: options.addHosts,
    platform: dispatch.platform,
    ...(devices.length > 0 && { devices }),
  };
  const origin = originOf(dispatch, shown, instruction.location, isTrigger);
  addStep(dispatch, { ...step, origin }, `RUN ${historyOf(dispatch, script.argv)} # buildkit`);
}

interface Script {
  argv: string[];
  files: RunStep["scripts"];
  /** The first line of a heredoc, for progress. */
  summary: string;
}

/** A heredoc alone is a script: a file where it begins with `#!`, else the shell's argument; others the shell reads. */
function scriptOf(dispatch: Dispatch, { command, heredocs }: RunInstruction): Script {
  if (heredocs.length === 0) return { argv: withShell(dispatch.run, command), files: [], summary: "" };
  if (command.form === "exec") {
    throw new InvalidArgumentError("parsing produced an invalid run command: an exec form has no heredocs");
  }
  const [first] = heredocs;
  if (asHeredocWord(command.text) !== undefined) {
    const { content, name } = first!;
    const summary = summarize(content);
    if (!content.startsWith("#!")) {
      return { argv: withShell(dispatch.run, { form: "shell", text: content }), files: [], summary };
    }
    const path = `${SCRIPT_FOLDER}/${name}`;
    // the path goes to the shell, as it does with BuildKit
    return {
      argv: withShell(dispatch.run, { form: "shell", text: path }),
      files: [{ path, content, mode: 0o755 }],
      summary,
    };
  }
  const documents = heredocs.map(({ content, name }) => `\n${content}${name}`);
  return {
    argv: withShell(dispatch.run, { form: "shell", text: command.text + documents.join("") }),
    files: [],
    summary: "",
  };
}

function summarize(content: string): string {
  const lines = content.trim().split(/\r?\n/);
  return lines[0]! + (lines.length > 1 ? "..." : "");
}

function planMounts(
  dispatch: Dispatch,
  { mounts }: RunInstruction,
  sources: readonly (PlannedStage | undefined)[],
): RunMount[] {
  let sshCount = 0;
  return mounts.map((flag, index) => {
    const fields = parseMountFields(flag.fields, (word) => expand(dispatch, word));
    const source = sources[index];
    if (source !== undefined && !source.isDispatched) {
      throw new InvalidArgumentError(
        `cannot mount from stage "${fields.from}" to "${fields.target ?? ""}", stage needs to be defined ` +
          "before current command",
      );
    }
    const from = source !== undefined
      ? filesOf(source)
      : fields.type === "bind"
      ? { kind: "context" as const }
      : { kind: "scratch" as const };
    const mount = completeMount(fields, from, dispatch.run.WorkingDir ?? "/", sshCount);
    if (mount.type === "ssh" && !fields.target) sshCount++;
    if (mount.type !== "cache") return mount;
    return { ...mount, id: cacheMountId(dispatch.context.input.options, mount.id) };
  });
}

/** The value, if it is one, and allowed where it asks for more than a sandbox has. */
function entitled(
  dispatch: Dispatch,
  what: keyof typeof ENTITLEMENTS,
  value: string,
  { isAsked }: { isAsked: boolean },
): string {
  const known = what === "network" ? ["none", "host"] : ["sandbox", "insecure"];
  if (isAsked && !known.includes(value)) {
    throw new InvalidArgumentError(
      what === "network" ? `unsupported network mode "${value}"` : `security "${value}" is not valid`,
    );
  }
  const needed = (ENTITLEMENTS[what] as Record<string, string>)[value];
  // the build's own --network=host is its permission as well
  const { allow, network } = dispatch.context.input.options;
  if (
    isAsked && needed !== undefined && !allow.includes(needed) && !(what === "network" && network === "host")
  ) {
    throw new InvalidArgumentError(`granting entitlement ${needed} is not allowed`, {
      hint: `allow it with --allow ${needed}`,
    });
  }
  return value;
}

/** `|2 A=1 B=2 /bin/sh -c …`: the arguments that were known, and the argument vector. */
function historyOf(dispatch: Dispatch, argv: readonly string[]): string {
  const known = new Map<string, string>();
  for (const { name, value } of dispatch.args) known.set(name, dispatch.env.get(name) ?? value ?? "");
  const args = Array.from(known, ([name, value]) => `${name}=${value}`);
  return [...args.length === 0 ? [] : [`|${args.length}`, ...args], ...argv].join(" ");
}
