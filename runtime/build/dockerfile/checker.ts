/** Collects what the checks of a Dockerfile find, as its `# check=` directive wants it. */

import { BuildError } from "../../errors.ts";
import type { CheckFinding, Dockerfile, Location } from "./ast.ts";
import { CHECK_RULES, type CheckRule, type RuleName, ruleUrl } from "./check_rules.ts";
import { parseCheckOptions } from "./directives.ts";

/** The build argument that stands for the directive. */
export const CHECK_ARGUMENT = "BUILDKIT_DOCKERFILE_CHECK";

export class Checker {
  readonly #options: Dockerfile["directives"]["check"];
  readonly #findings = new Map<string, CheckFinding>();

  /**
   * @param override the value of `BUILDKIT_DOCKERFILE_CHECK`
   * @throws {BuildError} where that is malformed
   */
  constructor(readonly file: Dockerfile, override?: string) {
    this.#options = override === undefined ? file.directives.check : parseCheckOptions(override);
  }

  /** Notes a finding, unless its rule is skipped. What several platforms or stages find alike counts once. */
  report(rule: RuleName, location: Location, ...words: string[]): void {
    if (!this.isAsked(rule)) return;
    const { description, detail }: CheckRule = CHECK_RULES[rule];
    const finding = { rule, description, url: ruleUrl(rule), detail: detail(...words), location };
    this.#findings.set(`${rule} ${location.startLine} ${finding.detail}`, finding);
  }

  isAsked(rule: RuleName): boolean {
    const { skip, skipAll, experimental } = this.#options;
    if (!("isExperimental" in CHECK_RULES[rule])) return !skipAll && !skip.includes(rule);
    return experimental.includes("all") || experimental.includes(rule);
  }

  /** In the order of the file. */
  get findings(): CheckFinding[] {
    return [...this.#findings.values()].sort((a, b) => a.location.startLine - b.location.startLine);
  }

  /** What a build fails with that says `error=true` and has findings. */
  get error(): BuildError | undefined {
    if (!this.#options.error || this.#findings.size === 0) return undefined;
    const { findings, file: { fileName, lines } } = this;
    const rules = new Set(findings.map(({ rule }) => rule));
    const message = `lint violation found for rules: ${[...rules].sort().join(", ")}`;
    return new BuildError(message, { source: { fileName, lines, location: findings[0]!.location } });
  }
}
