/**
 * From cut lines to instructions: what each demands of its flags and arguments.
 *
 * @see BuildKit frontend/dockerfile/instructions/parse.go, whose messages these are
 */

import { BuildError } from "../../errors.ts";
import { splitFields } from "../../spec/csv.ts";
import { parseGoDuration } from "../../spec/duration.ts";
import { goQuote } from "../../spec/go_quote.ts";
import type {
  CommandLine,
  CopyInstruction,
  CopySource,
  HealthcheckInstruction,
  Instruction,
  InstructionBase,
  KeyValue,
  MountFlag,
  OnbuildInstruction,
  RunInstruction,
  Stage,
} from "./ast.ts";
import { trim } from "./characters.ts";
import { type Flags, parseFlags } from "./flags.ts";
import { asHeredocWord } from "./heredoc.ts";
import type { Node } from "./node.ts";
import { didYouMean } from "./suggest.ts";
import { instructionNamed, INSTRUCTIONS, type Keyword } from "./table.ts";

/** An instruction within a stage. @throws {BuildError} */
export function buildInstruction(node: Node): Instruction {
  const keyword = knownKeyword(node);
  if (keyword === "FROM") throw new BuildError("FROM cannot stand within a stage");
  return BUILDERS[keyword](node, keyword);
}

/** @throws {BuildError} `unknown instruction: FOO (did you mean …?)` */
export function knownKeyword(node: Node): Keyword {
  const keyword = instructionNamed(node.keyword);
  if (keyword) return keyword;
  const hint = didYouMean(node.keyword, Object.keys(INSTRUCTIONS), false);
  throw new BuildError(`unknown instruction: ${node.keyword}${hint}`);
}

const STAGE_NAME = /^[a-z][a-z0-9-_.]*$/;

export function buildStage(node: Node): Stage {
  const { words } = node.args;
  let name: string | undefined;
  if (words.length === 3 && words[1]!.toLowerCase() === "as") {
    name = words[2]!.toLowerCase();
    if (!STAGE_NAME.test(name)) {
      throw new BuildError(
        `invalid name for build stage: ${
          goQuote(words[2]!)
        }, name can't start with a number or contain symbols`,
      );
    }
  } else if (words.length !== 1) throw new BuildError("FROM requires either one or three arguments");
  const platform = flagsOf(node, "FROM").string("platform") || undefined;
  return { ...baseOf(node), base: words[0]!, platform, name, instructions: [] };
}

type Builder = (node: Node, keyword: Keyword) => Instruction;

const BUILDERS: Record<Exclude<Keyword, "FROM">, Builder> = {
  ADD: buildCopy,
  COPY: buildCopy,
  RUN: buildRun,
  ONBUILD: buildOnbuild,
  HEALTHCHECK: buildHealthcheck,
  ENV: (node) => ({ ...baseOf(node), keyword: "ENV", ...pairsOf(node, "ENV") }),
  LABEL: (node) => ({ ...baseOf(node), keyword: "LABEL", ...pairsOf(node, "LABEL") }),
  ARG: (node) => {
    demandSome(node, "ARG");
    return { ...baseOf(node), keyword: "ARG", args: node.args.words.map(argOf) };
  },
  MAINTAINER: (node) => {
    const author = onlyWord(node, "MAINTAINER");
    flagsOf(node, "MAINTAINER");
    return { ...baseOf(node), keyword: "MAINTAINER", author };
  },
  CMD: (node) => {
    flagsOf(node, "CMD");
    return { ...baseOf(node), keyword: "CMD", command: commandOf(node, node.args.words) };
  },
  ENTRYPOINT: (node) => {
    flagsOf(node, "ENTRYPOINT");
    return { ...baseOf(node), keyword: "ENTRYPOINT", command: commandOf(node, node.args.words) };
  },
  SHELL: (node) => {
    flagsOf(node, "SHELL");
    demandSome(node, "SHELL");
    if (!node.args.isJson) throw new BuildError("SHELL requires the arguments to be in JSON form");
    return { ...baseOf(node), keyword: "SHELL", argv: node.args.words };
  },
  EXPOSE: (node) => {
    demandSome(node, "EXPOSE");
    flagsOf(node, "EXPOSE");
    return { ...baseOf(node), keyword: "EXPOSE", words: [...node.args.words].sort() };
  },
  VOLUME: (node) => {
    demandSome(node, "VOLUME");
    flagsOf(node, "VOLUME");
    const words = node.args.words.map(trim);
    if (words.includes("")) throw new BuildError("VOLUME specified can not be an empty string");
    return { ...baseOf(node), keyword: "VOLUME", words };
  },
  WORKDIR: (node) => {
    const word = onlyWord(node, "WORKDIR");
    flagsOf(node, "WORKDIR");
    return { ...baseOf(node), keyword: "WORKDIR", words: [word] };
  },
  USER: (node) => {
    const word = onlyWord(node, "USER");
    flagsOf(node, "USER");
    return { ...baseOf(node), keyword: "USER", words: [word] };
  },
  STOPSIGNAL: (node) => ({
    ...baseOf(node),
    keyword: "STOPSIGNAL",
    words: [onlyWord(node, "STOPSIGNAL")],
  }),
};

function buildCopy(node: Node, name: Keyword): CopyInstruction {
  const keyword = name === "ADD" ? "ADD" : "COPY";
  const { words } = node.args;
  if (words.length < 2) {
    throw new BuildError(
      `${keyword} requires at least two arguments, but only one was provided. Destination could not be determined`,
    );
  }
  const flags = flagsOf(node, keyword);
  const destination = words.at(-1)!;
  if (asHeredocWord(destination)) {
    throw new BuildError(`${keyword} cannot accept a heredoc as a destination`);
  }
  const sources = words.slice(0, -1).map((word): CopySource => {
    const heredoc = asHeredocWord(word);
    if (!heredoc) return { kind: "path", path: word };
    const { name, expand } = heredoc;
    // The last of that name; in a JSON array there is none, and the file is empty.
    const given = node.heredocs.findLast((each) => each.name === name);
    const empty = { name, content: "", expand, location: node.location };
    return { kind: "heredoc", heredoc: given ?? empty };
  });
  return {
    ...baseOf(node),
    keyword,
    sources,
    destination,
    flags: {
      from: flags.string("from") || undefined,
      chown: flags.string("chown") || undefined,
      chmod: flags.string("chmod") || undefined,
      link: flags.bool("link"),
      parents: flags.bool("parents"),
      exclude: flags.strings("exclude"),
      checksum: flags.string("checksum") || undefined,
      keepGitDir: flags.bool("keep-git-dir"),
      unpack: flags.bool("unpack"),
    },
  };
}

function buildRun(node: Node): RunInstruction {
  const flags = flagsOf(node, "RUN");
  const network = flags.string("network");
  if (network !== undefined && !["default", "none", "host"].includes(network)) {
    throw new BuildError(`invalid network mode ${goQuote(network)}`);
  }
  const security = flags.string("security");
  if (security !== undefined && !["sandbox", "insecure"].includes(security)) {
    throw new BuildError(`security ${goQuote(security)} is not valid`);
  }
  return {
    ...baseOf(node),
    keyword: "RUN",
    command: commandOf(node, node.args.words),
    heredocs: node.heredocs,
    mounts: flags.strings("mount").map(parseMount),
    network,
    security,
    device: flags.strings("device"),
  };
}

/** Fields that need no value. */
const SWITCHES = new Set(["readonly", "ro", "readwrite", "rw", "required"]);

function parseMount(text: string): MountFlag {
  const fields = splitFields(text).map((field): KeyValue => {
    const at = field.indexOf("=");
    const key = (at < 0 ? field : field.slice(0, at)).toLowerCase();
    if (at < 0 && !SWITCHES.has(key)) {
      throw new BuildError(`invalid field '${field}' must be a key=value pair`);
    }
    const value = at < 0 ? "true" : field.slice(at + 1);
    if (key === "from" && /\$./.test(value)) {
      throw new BuildError(`'${key}' doesn't support variable expansion, define alias stage instead`);
    }
    return { key, value };
  });
  return { text, fields };
}

function buildOnbuild(node: Node): OnbuildInstruction {
  const { trigger } = node.args;
  if (!trigger) throw new BuildError("ONBUILD requires at least one argument");
  flagsOf(node, "ONBUILD");
  const inner = trigger.keyword.toUpperCase();
  if (inner === "ONBUILD") throw new BuildError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  if (inner === "MAINTAINER" || inner === "FROM") {
    throw new BuildError(`${inner} isn't allowed as an ONBUILD trigger`);
  }
  const line = node.original.replace(/^\s*ONBUILD\s*/i, "");
  const documents = node.heredocs.map((heredoc) => `\n${heredoc.content}${heredoc.name}`);
  return {
    ...baseOf(node),
    keyword: "ONBUILD",
    expression: line + documents.join(""),
    instruction: buildInstruction({ ...node, ...trigger, original: line, comments: [] }),
  };
}

function buildHealthcheck(node: Node): HealthcheckInstruction {
  demandSome(node, "HEALTHCHECK");
  const [word, ...rest] = node.args.words;
  const kind = word!.toUpperCase();
  if (kind === "NONE") {
    if (rest.length > 0) throw new BuildError("HEALTHCHECK NONE takes no arguments");
    return { ...baseOf(node), keyword: "HEALTHCHECK", check: { kind: "none" } };
  }
  const flags = flagsOf(node, "HEALTHCHECK");
  if (kind !== "CMD") throw new BuildError(`Unknown type ${goQuote(kind)} in HEALTHCHECK (try CMD)`);
  if (rest.length === 0) throw new BuildError("Missing command after HEALTHCHECK CMD");
  return {
    ...baseOf(node),
    keyword: "HEALTHCHECK",
    check: {
      kind: "command",
      command: commandOf(node, rest),
      interval: parseInterval(flags, "interval"),
      timeout: parseInterval(flags, "timeout"),
      startPeriod: parseInterval(flags, "start-period"),
      startInterval: parseInterval(flags, "start-interval"),
      retries: parseRetries(flags.string("retries")),
    },
  };
}

/** Nanoseconds; 0 and nothing leave it to the engine. */
function parseInterval(flags: Flags, name: string): number | undefined {
  const text = flags.string(name);
  if (!text) return undefined;
  const ms = parseGoDuration(text);
  if (ms === undefined) throw new BuildError(`time: invalid duration ${goQuote(text)}`);
  if (ms !== 0 && ms < 1) throw new BuildError(`Interval ${goQuote(name)} cannot be less than 1ms`);
  return Math.round(ms * 1e6);
}

function parseRetries(text: string | undefined): number | undefined {
  if (!text) return undefined;
  const number = Number(text);
  if (!/^[-+]?\d+$/.test(text)) {
    throw new BuildError(`strconv.ParseInt: parsing ${goQuote(text)}: invalid syntax`);
  }
  if (Math.abs(number) > 2 ** 31 - 1) {
    throw new BuildError(`strconv.ParseInt: parsing ${goQuote(text)}: value out of range`);
  }
  if (number < 0) throw new BuildError(`--retries cannot be negative (${number})`);
  return number;
}

function baseOf(node: Node): InstructionBase {
  const { original, location, comments } = node;
  return { original, location, comments };
}

function flagsOf(node: Node, keyword: Keyword): Flags {
  return parseFlags(node.flags, INSTRUCTIONS[keyword].flags);
}

function commandOf(node: Node, words: string[]): CommandLine {
  return node.args.isJson ? { form: "exec", argv: words } : { form: "shell", text: words.join(" ") };
}

function pairsOf(node: Node, keyword: "ENV" | "LABEL"): { pairs: KeyValue[]; isLegacy: boolean } {
  flagsOf(node, keyword);
  const { pairs = [], isLegacy = false } = node.args;
  if (pairs.length === 0) throw new BuildError(`${keyword} requires at least one argument`);
  if (pairs.some(({ key }) => key === "")) throw new BuildError(`${keyword} names can not be blank`);
  return { pairs, isLegacy };
}

function argOf(word: string): { name: string; value?: string } {
  const at = word.indexOf("=");
  if (at === 0) throw new BuildError("ARG names can not be blank");
  return at < 0 ? { name: word } : { name: word.slice(0, at), value: word.slice(at + 1) };
}

function demandSome(node: Node, keyword: Keyword): void {
  if (node.args.words.length === 0) throw new BuildError(`${keyword} requires at least one argument`);
}

function onlyWord(node: Node, keyword: Keyword): string {
  const [word, ...others] = node.args.words;
  if (word === undefined || others.length > 0) {
    throw new BuildError(`${keyword} requires exactly one argument`);
  }
  return word;
}
