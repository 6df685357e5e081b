/**
 * A Dockerfile as parsed: words are as written (variables and quotes still in them), for the plan expands them with
 * what the stage knows by then.
 *
 * @see Dockerfile reference, docs.docker.com/reference/dockerfile; BuildKit frontend/dockerfile/instructions
 */

/** Lines of the file, counted from 1, both inclusive. */
export interface Location {
  startLine: number;
  endLine: number;
}

/** `<<EOF`, `<<-EOF` (tabs at the beginning of lines go), `<<"EOF"` (nothing is expanded). */
export interface Heredoc {
  /** The delimiter, unquoted. */
  name: string;
  /** Its lines, the last newline included, tabs already removed where asked. */
  content: string;
  expand: boolean;
  location: Location;
}

/** `["a", "b"]` is run as it is, anything else by the stage's shell. */
export type CommandLine =
  | { form: "exec"; argv: string[] }
  | { form: "shell"; text: string };

/** What all instructions have. */
export interface InstructionBase {
  /** The instruction in one line as BuildKit shows it: `RUN apt-get update &&     apt-get install …`. */
  original: string;
  location: Location;
  /** The comment lines directly above it, without their `#`. */
  comments?: string[];
}

/** `KEY=value` pairs in their order; both still raw. */
export interface KeyValue {
  key: string;
  value: string;
}

export interface ArgInstruction extends InstructionBase {
  keyword: "ARG";
  args: { name: string; value?: string }[];
}

export interface EnvInstruction extends InstructionBase {
  keyword: "ENV";
  pairs: KeyValue[];
  /** `ENV KEY the whole rest`. */
  isLegacy: boolean;
}

export interface LabelInstruction extends InstructionBase {
  keyword: "LABEL";
  pairs: KeyValue[];
  isLegacy: boolean;
}

export interface MaintainerInstruction extends InstructionBase {
  keyword: "MAINTAINER";
  author: string;
}

/** A source or destination given by heredoc stands in `sources` as the file it makes. */
export type CopySource =
  | { kind: "path"; path: string }
  | { kind: "heredoc"; heredoc: Heredoc };

export interface CopyFlags {
  from?: string;
  chown?: string;
  chmod?: string;
  link?: boolean;
  parents?: boolean;
  exclude: string[];
  /** ADD only. */
  checksum?: string;
  keepGitDir?: boolean;
  unpack?: boolean;
}

export interface CopyInstruction extends InstructionBase {
  keyword: "COPY" | "ADD";
  sources: CopySource[];
  destination: string;
  flags: CopyFlags;
}

/** `--mount=type=…`, its fields still raw; defaults and checks are the plan's. `ro` alone has the value `true`. */
export interface MountFlag {
  /** As written after `--mount=`, for messages. */
  text: string;
  fields: KeyValue[];
}

export interface RunInstruction extends InstructionBase {
  keyword: "RUN";
  command: CommandLine;
  /** Of the shell form. `RUN <<EOF` alone is a script: `command.text` is then exactly the redirection. */
  heredocs: Heredoc[];
  mounts: MountFlag[];
  network?: string;
  security?: string;
  device: string[];
}

export interface CmdInstruction extends InstructionBase {
  keyword: "CMD" | "ENTRYPOINT";
  command: CommandLine;
}

export interface ShellInstruction extends InstructionBase {
  keyword: "SHELL";
  argv: string[];
}

/** EXPOSE and VOLUME: words; WORKDIR, USER and STOPSIGNAL: one. */
export interface WordsInstruction extends InstructionBase {
  keyword: "EXPOSE" | "VOLUME" | "WORKDIR" | "USER" | "STOPSIGNAL";
  words: string[];
}

export interface HealthcheckInstruction extends InstructionBase {
  keyword: "HEALTHCHECK";
  /** `NONE`; or CMD with its options, durations in nanoseconds. */
  check:
    | { kind: "none" }
    | {
      kind: "command";
      command: CommandLine;
      interval?: number;
      timeout?: number;
      startPeriod?: number;
      startInterval?: number;
      retries?: number;
    };
}

export interface OnbuildInstruction extends InstructionBase {
  keyword: "ONBUILD";
  /** What follows it, as written; it is parsed where an image is built on this one. */
  expression: string;
  /** The same, parsed: checked where it stands. */
  instruction: Instruction;
}

export type Instruction =
  | ArgInstruction
  | EnvInstruction
  | LabelInstruction
  | MaintainerInstruction
  | CopyInstruction
  | RunInstruction
  | CmdInstruction
  | ShellInstruction
  | WordsInstruction
  | HealthcheckInstruction
  | OnbuildInstruction;

/** FROM and what follows it. */
export interface Stage extends InstructionBase {
  /** Raw: an image, `scratch`, an earlier stage or a named context, perhaps with variables. */
  base: string;
  /** Raw, of `--platform`. */
  platform?: string;
  /** Lower case. */
  name?: string;
  instructions: Instruction[];
}

/** What `--check` reports and a build warns of. */
export interface CheckFinding {
  /** `StageNameCasing` … */
  rule: string;
  description: string;
  url: string;
  detail: string;
  location: Location;
}

export interface Directives {
  syntax?: string;
  /** `\` or a backtick. */
  escape: string;
  /** `# check=skip=A,B;error=true` */
  check: { skip: string[]; skipAll: boolean; error: boolean; experimental: string[] };
}

export interface Dockerfile {
  /** As the messages name it. */
  fileName: string;
  /** Its lines, for excerpts; the last is empty where the file ends with a newline. */
  lines: string[];
  directives: Directives;
  /** ARG before the first FROM. */
  globalArgs: ArgInstruction[];
  stages: Stage[];
  /** Lines at which an instruction ends that had empty ones among its continuations. */
  emptyContinuations: number[];
}
