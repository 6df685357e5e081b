/**
 * What instructions do to an image's config alone, without a step: in a build, and as `--change` of `commit` and
 * `import`.
 *
 * @see BuildKit frontend/dockerfile/dockerfile2llb/convert.go, dispatch…
 */

import { InvalidArgumentError } from "../../errors.ts";
import type { ImageRunConfig } from "../../spec/image.ts";
import { parseSignal } from "../../spec/signal.ts";
import type { CommandLine, Instruction } from "../dockerfile/ast.ts";
import { parseExposed } from "./expose.ts";
import { goDuration, goList, goQuoteList } from "./go_text.ts";
import { setInList } from "./variables.ts";

/** What they are applied to. */
export interface ConfigTarget {
  readonly run: ImageRunConfig;
  /** A CMD of its own stands, whatever ENTRYPOINT comes. */
  isCmdSet: boolean;
  /** A word with its variables in it, without its quotes. */
  expand(word: string): string;
  /** The same, which may become several. */
  expandAll(word: string): string[];
  /** Is known to the words that follow. */
  setVariable(name: string, value: string): void;
}

/** The instruction whose keywords K is among. */
export type InstructionOf<K, I = Instruction> = I extends { keyword: infer Keywords }
  ? K extends Keywords ? I : never
  : never;

export const CONFIG_KEYWORDS = [
  ...["CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL"] as const,
  ...["ONBUILD", "SHELL", "STOPSIGNAL", "USER", "VOLUME"] as const,
];
export type ConfigKeyword = typeof CONFIG_KEYWORDS[number];
export type ConfigInstruction = Instruction & { keyword: ConfigKeyword };

type Effects = {
  [K in ConfigKeyword]: (target: ConfigTarget, instruction: InstructionOf<K>) => string | undefined;
};

const DEFAULT_SHELL = ["/bin/sh", "-c"];

const EFFECTS: Effects = {
  ENV(target, { pairs }) {
    const expanded = expandPairs(target, pairs);
    for (const [key, value] of expanded) {
      target.setVariable(key, value);
      target.run.Env = setInList(target.run.Env ?? [], key, value);
    }
    return `ENV ${expanded.map(([key, value]) => `${key}=${value}`).join(" ")}`;
  },
  LABEL(target, { pairs }) {
    const expanded = expandPairs(target, pairs);
    target.run.Labels = { ...target.run.Labels, ...Object.fromEntries(expanded) };
    return `LABEL ${expanded.map(([key, value]) => `${key}=${value}`).join(" ")}`;
  },
  CMD(target, { command }) {
    target.run.Cmd = withShell(target.run, command);
    target.isCmdSet = true;
    return `CMD ${goQuoteList(target.run.Cmd)}`;
  },
  ENTRYPOINT(target, { command }) {
    target.run.Entrypoint = withShell(target.run, command);
    // a base image's CMD is not for this program
    if (!target.isCmdSet) delete target.run.Cmd;
    return `ENTRYPOINT ${goQuoteList(target.run.Entrypoint)}`;
  },
  SHELL({ run }, { argv }) {
    run.Shell = argv;
    return `SHELL ${goList(argv)}`;
  },
  EXPOSE(target, { words }) {
    const ports = words.flatMap((word) => target.expandAll(word).flatMap(parseExposed));
    const exposed = { ...target.run.ExposedPorts };
    for (const port of ports) exposed[port] = {};
    target.run.ExposedPorts = exposed;
    return `EXPOSE ${goList(ports)}`;
  },
  VOLUME(target, { words }) {
    const paths = words.map((word) => target.expand(word));
    if (paths.includes("")) throw new InvalidArgumentError("VOLUME specified can not be an empty string");
    target.run.Volumes = { ...target.run.Volumes, ...Object.fromEntries(paths.map((path) => [path, {}])) };
    return `VOLUME ${goList(paths)}`;
  },
  USER(target, { words }) {
    target.run.User = target.expand(words[0] ?? "");
    return `USER ${target.run.User}`;
  },
  STOPSIGNAL(target, { words }) {
    const signal = target.expand(words[0] ?? "");
    parseSignal(signal);
    target.run.StopSignal = signal;
    return `STOPSIGNAL ${signal}`;
  },
  HEALTHCHECK: setHealthcheck,
  ONBUILD({ run }, { expression }) {
    run.OnBuild = [...run.OnBuild ?? [], expression];
    return undefined;
  },
};

/** Applies one, and gives its line of the history; undefined where it has none. */
export function applyToConfig(target: ConfigTarget, instruction: ConfigInstruction): string | undefined {
  const effect = EFFECTS[instruction.keyword] as (
    target: ConfigTarget,
    of: ConfigInstruction,
  ) => string | undefined;
  return effect(target, instruction);
}

/** An exec form as it is; a shell form behind the config's shell. */
export function withShell({ Shell }: ImageRunConfig, command: CommandLine): string[] {
  if (command.form === "exec") return command.argv;
  return [...Shell !== undefined && Shell.length > 0 ? Shell : DEFAULT_SHELL, command.text];
}

function expandPairs(target: ConfigTarget, pairs: InstructionOf<"ENV">["pairs"]): [string, string][] {
  return pairs.map(({ key, value }) => [target.expand(key), target.expand(value)]);
}

function setHealthcheck({ run }: ConfigTarget, { check }: InstructionOf<"HEALTHCHECK">): string {
  if (check.kind === "none") {
    run.Healthcheck = { Test: ["NONE"] };
  } else {
    const { command, interval, timeout, startPeriod, startInterval, retries } = check;
    const test = command.form === "exec" ? ["CMD", ...command.argv] : ["CMD-SHELL", command.text];
    run.Healthcheck = {
      Test: test,
      ...(interval && { Interval: interval }),
      ...(timeout && { Timeout: timeout }),
      ...(startPeriod && { StartPeriod: startPeriod }),
      ...(startInterval && { StartInterval: startInterval }),
      ...(retries && { Retries: retries }),
    };
  }
  const { Test, Interval, Timeout, StartPeriod, StartInterval, Retries } = run.Healthcheck;
  const durations = { Interval, Timeout, StartPeriod, StartInterval };
  const texts = Object.entries(durations).map(([key, value]) => `${key}:${goDuration(value ?? 0)}`);
  return `HEALTHCHECK {Test:${goList(Test!)} ${texts.join(" ")} Retries:${Retries ?? 0}}`;
}
