/** `build --check`: what the checks have found, with the lines of the Dockerfile. @see docs.docker.com/build/checks */

import type { BuildOptions } from "../../runtime/engine/build_options.ts";
import { build, type BuildEvent } from "../../runtime/engine/build.ts";
import type { Engine } from "../../runtime/engine/engine.ts";
import { BuildError } from "../../runtime/errors.ts";
import { sourceExcerpt } from "./build_error.ts";
import { escapeControl, escapeLines, jsonText } from "./escape.ts";
import { print, printError } from "./print.ts";

type Found = Extract<BuildEvent, { kind: "finding" }>;

/** Prints the findings; the exit code is 1 where there is one. */
export async function checkBuild(engine: Engine, options: BuildOptions, isJson: boolean): Promise<number> {
  const found: Found[] = [];
  try {
    await build(engine, options, { emit: (event) => void (event.kind === "finding" && found.push(event)) });
  } catch (error) {
    if (error instanceof BuildError && error.source !== undefined) {
      print(isJson ? findingsJson(found, error) : found.map(findingText).join(""));
      printError(sourceExcerpt(error.source));
    }
    throw error;
  }
  print(isJson ? findingsJson(found) : found.map(findingText).join("") + summary(found.length));
  return found.length === 0 ? 0 : 1;
}

/**
 * ```
 * WARNING: StageNameCasing - https://docs.docker.com/go/dockerfile/rule/stage-name-casing/
 * Stage name 'Base' should be lowercase
 * Dockerfile:1
 * --------------------
 *    1 | >>> FROM debian AS Base
 * --------------------
 * ```
 */
export function findingText({ finding, fileName, lines }: Found): string {
  const { rule, url, detail, location } = finding;
  const head = `WARNING: ${escapeControl(rule)}${url === "" ? "" : ` - ${escapeControl(url)}`}`;
  return `${head}\n${escapeLines(detail)}\n${sourceExcerpt({ fileName, lines, location })}\n`;
}

function summary(count: number): string {
  if (count === 0) return "Check complete, no warnings found.\n";
  return `Check complete, ${count === 1 ? "1 warning has" : `${count} warnings have`} been found!\n`;
}

/** As BuildKit's lint subrequest answers. */
function findingsJson(found: readonly Found[], error?: BuildError): string {
  const first = found[0] ?? error?.source;
  const placed = ({ startLine, endLine }: Found["finding"]["location"]) => ({
    ranges: [{ start: { line: startLine }, end: { line: endLine } }],
  });
  return jsonText({
    warnings: found.map(({ finding }) => ({
      ruleName: finding.rule,
      description: finding.description,
      url: finding.url,
      detail: finding.detail,
      location: placed(finding.location),
    })),
    sources: first === undefined
      ? []
      : [{ filename: first.fileName, data: new TextEncoder().encode(first.lines.join("\n")).toBase64() }],
    ...(error?.source && {
      buildError: { message: error.message, location: placed(error.source.location) },
    }),
  }, 2) + "\n";
}
