/**
 * The rules that a Dockerfile is checked by.
 *
 * @see docs.docker.com/reference/build-checks; BuildKit frontend/dockerfile/linter/ruleset.go
 */

import { goQuote } from "../../spec/go_quote.ts";

export interface CheckRule {
  description: string;
  /** What is said of a finding, given the words at fault. */
  detail: (...words: string[]) => string;
  /** Only where `check=experimental=` asks for it. */
  isExperimental?: true;
}

export const CHECK_RULES = {
  StageNameCasing: {
    description: "Stage names should be lowercase",
    detail: (name) => `Stage name '${name}' should be lowercase`,
  },
  FromAsCasing: {
    description: "The 'as' keyword should match the case of the 'from' keyword",
    detail: (from, as) => `'${as}' and '${from}' keywords' casing do not match`,
  },
  NoEmptyContinuation: {
    description: "Empty continuation lines will become errors in a future release",
    detail: () => "Empty continuation line",
  },
  ConsistentInstructionCasing: {
    description: "All commands within the Dockerfile should use the same casing (either upper or lower)",
    detail: (keyword, casing) =>
      `Command '${keyword}' should match the case of the command majority (${casing})`,
  },
  DuplicateStageName: {
    description: "Stage names should be unique",
    detail: (name) => `Duplicate stage name ${goQuote(name!)}, stage names should be unique`,
  },
  ReservedStageName: {
    description: "Reserved words should not be used as stage names",
    detail: (name) => `Stage name should not use the same name as reserved stage ${goQuote(name!)}`,
  },
  JSONArgsRecommended: {
    description:
      "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
    detail: (keyword) =>
      `JSON arguments recommended for ${keyword} to prevent unintended behavior related to OS signals`,
  },
  MaintainerDeprecated: {
    description: "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
    detail: () => "Maintainer instruction is deprecated in favor of using label",
  },
  UndefinedArgInFrom: {
    description: "FROM command must use declared ARGs",
    detail: (name, near) =>
      `FROM argument '${name}' is not declared${near ? ` (did you mean ${near}?)` : ""}`,
  },
  WorkdirRelativePath: {
    description:
      "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes",
    detail: (path) =>
      `Relative workdir ${goQuote(path!)} can have unexpected results if the base image changes`,
  },
  UndefinedVar: {
    description: "Variables should be defined before their use",
    detail: (name, near) =>
      `Usage of undefined variable '$${name}'${near ? ` (did you mean $${near}?)` : ""}`,
  },
  MultipleInstructionsDisallowed: {
    description: "Multiple instructions of the same type should not be used in the same stage",
    detail: (keyword) =>
      `Multiple ${keyword} instructions should not be used in the same stage because only the last one will be used`,
  },
  LegacyKeyValueFormat: {
    description: "Legacy key/value format with whitespace separator should not be used",
    detail: (keyword) =>
      `"${keyword} key=value" should be used instead of legacy "${keyword} key value" format`,
  },
  InvalidBaseImagePlatform: {
    description: "Base image platform does not match expected target platform",
    detail: (image, expected, actual) =>
      `Base image ${image} was pulled with platform ${goQuote(actual!)}, expected ${goQuote(expected!)} ` +
      "for current build",
  },
  RedundantTargetPlatform: {
    description:
      "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
    detail: (text) =>
      `Setting platform to predefined ${text} in FROM is redundant as this is the default behavior`,
  },
  SecretsUsedInArgOrEnv: {
    description: "Sensitive data should not be used in the ARG or ENV commands",
    detail: (keyword, name) =>
      `Do not use ARG or ENV instructions for sensitive data (${keyword} ${goQuote(name!)})`,
  },
  InvalidDefaultArgInFrom: {
    description: "Default value for global ARG results in an empty or invalid base image name",
    detail: (base) => `Default value for ARG ${base} results in empty or invalid base image name`,
  },
  FromPlatformFlagConstDisallowed: {
    description: "FROM --platform flag should not use a constant value",
    detail: (platform) => `FROM --platform flag should not use constant value ${goQuote(platform!)}`,
  },
  CopyIgnoredFile: {
    description: "Attempting to Copy file that is excluded by .dockerignore",
    detail: (command, path) =>
      `Attempting to ${command} file ${goQuote(path!)} that is excluded by .dockerignore`,
    isExperimental: true,
  },
  InvalidDefinitionDescription: {
    description:
      "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment.",
    detail: (keyword, name) => `Comment for ${keyword} should follow the format: \`# ${name} <description>\``,
    isExperimental: true,
  },
  ExposeProtoCasing: {
    description: "Protocol in EXPOSE instruction should be lowercase",
    detail: (port) => `Defined protocol '${port}' in EXPOSE instruction should be lowercase`,
  },
  ExposeInvalidFormat: {
    description:
      "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release",
    detail: (port) =>
      `EXPOSE instruction should not define an IP address or host-port mapping, found '${port}'`,
  },
} as const satisfies Record<string, CheckRule>;

export type RuleName = keyof typeof CHECK_RULES;

/** `https://docs.docker.com/go/dockerfile/rule/json-args-recommended/` */
export function ruleUrl(rule: RuleName): string {
  const words = rule.replace(/([a-z])([A-Z])/g, "$1-$2").replace(/([A-Z])([A-Z][a-z])/g, "$1-$2");
  return `https://docs.docker.com/go/dockerfile/rule/${words.toLowerCase()}/`;
}
