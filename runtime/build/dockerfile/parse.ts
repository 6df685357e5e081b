/**
 * A Dockerfile, as BuildKit's frontend `docker/dockerfile:1` reads it.
 *
 * @see Dockerfile reference; BuildKit frontend/dockerfile/parser and instructions
 */

import { BuildError } from "../../errors.ts";
import type { ArgInstruction, Directives, Dockerfile, Instruction, Location, Stage } from "./ast.ts";
import { findDirective, parseCheckOptions } from "./directives.ts";
import { buildInstruction, buildStage, knownKeyword } from "./instructions.ts";
import { decode, type Lines, readNodes } from "./lines.ts";

/** An instruction that is none, or lacks what it needs. */
export class InstructionError extends BuildError {
  override name = "InstructionError";
  /** What stands above it. */
  readonly before: Dockerfile;

  constructor(message: string, before: Dockerfile, options: ConstructorParameters<typeof BuildError>[1]) {
    super(message, options);
    this.before = before;
  }
}

/** @throws {BuildError} and nothing else, with the place in the file */
export function parseDockerfile(source: Uint8Array | string, fileName: string): Dockerfile {
  const text = decode(source);
  const lines = readNodes(text, fileName);
  const globalArgs: ArgInstruction[] = [];
  const stages: Stage[] = [];
  const file: Dockerfile = {
    fileName,
    lines: lines.lines,
    directives: readDirectives(lines, fileName),
    globalArgs,
    stages,
    emptyContinuations: lines.emptyContinuations,
  };
  const at = (location: Location) => ({ fileName, lines: lines.lines, location });
  for (const node of lines.nodes) {
    let built: Instruction | undefined;
    try {
      if (knownKeyword(node) === "FROM") stages.push(buildStage(node));
      else built = buildInstruction(node);
    } catch (error) {
      if (!(error instanceof BuildError)) throw error;
      const message = `dockerfile parse error on line ${node.location.startLine}: ${error.message}`;
      throw new InstructionError(message, file, { cause: error, source: at(node.location) });
    }
    if (!built) continue;
    const stage = stages.at(-1);
    if (stage) stage.instructions.push(built);
    else if (built.keyword === "ARG") globalArgs.push(built);
    else throw new BuildError("no build stage in current context", { source: at(node.location) });
  }
  if (stages.length === 0) {
    const location = lines.nodes.at(-1)!.location;
    throw new BuildError("dockerfile contains no stages to build", { source: at(location) });
  }
  return file;
}

/**
 * An ONBUILD of the image that a stage begins with.
 *
 * @param place what messages name it by
 */
export function parseTrigger(expression: string, place = "ONBUILD"): Instruction {
  const { nodes } = readNodes(expression, place);
  if (nodes.length !== 1) throw new BuildError("onbuild trigger should be a single expression");
  return buildInstruction(nodes[0]!);
}

function readDirectives({ lines, escape }: Lines, fileName: string): Directives {
  const check = findDirective(lines, "check");
  const syntax = findDirective(lines, "syntax")?.value;
  try {
    return { syntax, escape, check: parseCheckOptions(check?.value ?? "") };
  } catch (error) {
    if (!(error instanceof BuildError) || !check) throw error;
    const location = { startLine: check.line, endLine: check.line };
    throw new BuildError(error.message, { cause: error, source: { fileName, lines, location } });
  }
}
