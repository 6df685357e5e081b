/**
 * A command as data: its options, arguments and words. The parser, the help text and completion all read
 * the same table, and the types of the parsed values follow from it.
 */

/** `list` splits a value at commas (pflag's stringSlice), `array` takes it as it is; both may be repeated. */
export type FlagKind = "bool" | "string" | "list" | "array" | "int" | "uint";

export interface Flag {
  kind: FlagKind;
  /** One letter. */
  short?: string;
  /** What the help says. */
  help: string;
  /** What the help calls the value: `NAME`; by default the kind. */
  value?: string;
  /** For bool: true where the option is on unless switched off; otherwise only shown in the help. */
  default?: string | boolean;
  /**
   * Taken when the option stands without a value (pflag's NoOptDefVal). The next word is the value only if it
   * is one of `choices`.
   */
  bare?: string;
  /** Other spellings: `--net` for `--network`. */
  aliases?: readonly string[];
  /** Accepted, but not listed in the help. */
  hidden?: boolean;
  /** The only values that can be had so far; others are refused as not available yet. */
  only?: readonly string[];
  /** For int: words that stand for a number. */
  words?: Readonly<Record<string, number>>;
  /** The only values that exist. */
  choices?: readonly string[];
}

export type Flags = Readonly<Record<string, Flag>>;

type ValueOf<K extends FlagKind> = K extends "bool" ? boolean
  : K extends "list" | "array" ? string[]
  : K extends "int" | "uint" ? number | undefined
  : string | undefined;

/** What the options came to. A bool is its default, a list empty, all else undefined where not given. */
export type Values<F extends Flags> = { -readonly [Name in keyof F]: ValueOf<F[Name]["kind"]> };

export interface Call<F extends Flags = Flags> {
  options: Values<F>;
  /** Names of the options that were given. */
  given: ReadonlySet<keyof F & string>;
  args: string[];
  global: GlobalValues;
  /** `skiff container list`: for messages. */
  path: string;
}

export interface Arity {
  min?: number;
  max?: number;
  /** In place of the standard sentence. */
  message?: string;
}

export interface Command<F extends Flags = Flags> {
  /** What follows the name: `[options] IMAGE [COMMAND [ARG...]]`. */
  usage: string;
  /** One or two sentences; the summary where there is no more to say. */
  description?: string;
  examples: readonly string[];
  flags: F;
  /** Options end at the first argument: what follows belongs to the container. */
  optionsFirst?: boolean;
  arity?: Arity;
  /** Gives the exit code, 0 where nothing is returned. */
  run(call: Call<F>): Promise<number | void>;
}

/** Gives `command` its types. The result may sit in a table beside commands with other options. */
export function defineCommand<const F extends Flags>(command: Command<F>): Command {
  return command as unknown as Command;
}

/** Options that every command takes, before or after its name. */
export const GLOBAL_FLAGS = {
  "log-level": {
    kind: "string",
    value: "LEVEL",
    help: "Show more of what goes wrong: debug prints stack traces",
    default: "warn",
    choices: ["trace", "debug", "info", "warn", "warning", "error", "fatal", "panic"],
  },
  root: {
    kind: "string",
    value: "FOLDER",
    help: "Keep images, containers and volumes there, instead of in the user's data folder",
  },
  runroot: {
    kind: "string",
    value: "FOLDER",
    help: "Keep sockets and namespaces there, instead of in the user's runtime folder",
  },
  "storage-driver": {
    kind: "string",
    value: "DRIVER",
    help: "Storage driver: overlay, fuse-overlayfs or vfs; by default the first that works",
    choices: ["overlay", "fuse-overlayfs", "vfs"],
  },
} as const satisfies Flags;

export type GlobalValues = Values<typeof GLOBAL_FLAGS>;
