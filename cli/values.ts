/** From what the parser read to what a command is called with: defaults, and the number of arguments. */

import { InvalidArgumentError } from "../runtime/errors.ts";
import type { Command, Flags, Values } from "./command.ts";
import type { ParsedLine } from "./parser.ts";

/** Fills in what was not given: a bool's default, empty lists. */
export function fillDefaults<F extends Flags>(flags: F, parsed: ParsedLine): Values<F> {
  const values: Record<string, unknown> = {};
  for (const name in flags) {
    const { kind, default: standard } = flags[name]!;
    const empty = kind === "bool" ? standard === true : kind === "list" || kind === "array" ? [] : undefined;
    values[name] = parsed.values.get(name) ?? empty;
  }
  return values as Values<F>;
}

/** @throws {InvalidArgumentError} where there are too few or too many arguments, as podman says it */
export function checkArity(command: Command, args: string[], path: string): void {
  const { min = 0, max = Infinity, message } = command.arity ?? {};
  if (args.length >= min && args.length <= max) return;
  throw new InvalidArgumentError(message ?? arityMessage(min, max, args.length, path));
}

function arityMessage(min: number, max: number, count: number, path: string): string {
  if (max === 0) return `\`${path}\` takes no arguments`;
  if (min === max) return `accepts ${min} arg(s), received ${count}`;
  if (min > 0 && max < Infinity) return `accepts between ${min} and ${max} arg(s), received ${count}`;
  if (count < min) return `requires at least ${min} arg(s), only received ${count}`;
  return `accepts at most ${max} arg(s), received ${count}`;
}
