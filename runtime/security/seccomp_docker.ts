/**
 * Profiles in Docker's JSON format (`--security-opt seccomp=FILE`), with podman's `errno` names.
 *
 * @see docker docs, seccomp security profiles; moby/profiles seccomp/seccomp.go; containers/common pkg/seccomp
 */

import { constants } from "node:os";
import * as v from "valibot";
import { InvalidArgumentError, UnsupportedError } from "../errors.ts";
import type { ConditionalProfile, ConditionalRule, RuleCondition } from "./seccomp_profile.ts";

/** Docker's own profile has 18 KB. */
const LIMIT_BYTES = 1024 * 1024;

/** Go writes an absent list as null. */
const list = <T extends v.GenericSchema>(item: T) => v.nullish(v.array(item));

const ConditionSchema = v.object({
  caps: list(v.string()),
  arches: list(v.string()),
  minKernel: v.nullish(v.string()),
});

const RuleSchema = v.object({
  name: v.nullish(v.string()),
  names: list(v.string()),
  action: v.string(),
  errnoRet: v.nullish(v.number()),
  errno: v.nullish(v.string()),
  args: list(v.object({
    index: v.number(),
    value: v.union([v.number(), v.bigint()]),
    valueTwo: v.nullish(v.union([v.number(), v.bigint()])),
    op: v.string(),
  })),
  includes: v.nullish(ConditionSchema),
  excludes: v.nullish(ConditionSchema),
});

const ProfileSchema = v.object({
  defaultAction: v.string(),
  defaultErrnoRet: v.nullish(v.number()),
  defaultErrno: v.nullish(v.string()),
  architectures: list(v.string()),
  archMap: list(v.object({ architecture: v.string(), subArchitectures: list(v.string()) })),
  flags: list(v.string()),
  listenerPath: v.nullish(v.string()),
  syscalls: list(RuleSchema),
});

/** Reads the text of a profile. What its names and numbers mean is checked when it is compiled. */
export function parseDockerSeccomp(text: string): ConditionalProfile {
  if (text.length > LIMIT_BYTES) throw profileError(`larger than ${LIMIT_BYTES} bytes`);
  let json: unknown;
  try {
    json = JSON.parse(text, exactNumbers);
  } catch (error) {
    throw profileError((error as Error).message, error);
  }
  const parsed = v.safeParse(ProfileSchema, json);
  if (!parsed.success) {
    const [issue] = parsed.issues;
    throw profileError(`${v.getDotPath(issue) ?? "document"}: ${issue.message}`);
  }

  const profile = parsed.output;
  if (profile.listenerPath) {
    throw new UnsupportedError("read seccomp profile: listenerPath is not supported");
  }
  if (profile.architectures?.length && profile.archMap?.length) {
    throw profileError(
      "both 'architectures' and 'archMap' are specified in the seccomp profile, " +
        "use either 'architectures' or 'archMap'",
    );
  }
  return {
    defaultAction: profile.defaultAction,
    defaultErrnoRet: errnoOf(profile.defaultErrnoRet, profile.defaultErrno),
    architectures: profile.architectures ?? undefined,
    archMap: profile.archMap?.map((entry) => ({ ...entry, subArchitectures: entry.subArchitectures ?? [] })),
    flags: profile.flags ?? undefined,
    syscalls: (profile.syscalls ?? []).map(readRule),
  };
}

function readRule(rule: v.InferOutput<typeof RuleSchema>): ConditionalRule {
  if (rule.name && rule.names?.length) {
    throw profileError(
      "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'",
    );
  }
  return {
    names: rule.name ? [rule.name] : rule.names ?? [],
    action: rule.action,
    errnoRet: errnoOf(rule.errnoRet, rule.errno),
    args: rule.args?.map((arg) => ({ ...arg, valueTwo: arg.valueTwo ?? 0 })),
    includes: readCondition(rule.includes),
    excludes: readCondition(rule.excludes),
  };
}

function readCondition(
  condition: v.InferOutput<typeof ConditionSchema> | null | undefined,
): RuleCondition | undefined {
  return condition
    ? {
      caps: condition.caps ?? [],
      arches: condition.arches ?? [],
      minKernel: condition.minKernel || undefined,
    }
    : undefined;
}

/** The number wins; podman's profiles carry the name beside it, or alone. */
function errnoOf(number: number | null | undefined, name: string | null | undefined): number | undefined {
  if (number !== null && number !== undefined) return number;
  if (!name) return undefined;
  const errno: Record<string, number> = constants.errno;
  if (!Object.hasOwn(errno, name)) throw profileError(`unknown errno "${name}"`);
  return errno[name];
}

/** 2^64 - 1 is an ordinary argument value, but no exact JavaScript number: such become bigint. */
function exactNumbers(key: string, value: unknown, context?: { source?: string }): unknown {
  const isArgument = (key === "value" || key === "valueTwo") && typeof value === "number";
  if (!isArgument || Number.isSafeInteger(value) || !context?.source) return value;
  return /^\d+$/.test(context.source) ? BigInt(context.source) : value;
}

function profileError(message: string, cause?: unknown): InvalidArgumentError {
  return new InvalidArgumentError(`read seccomp profile: ${message}`, { cause });
}
