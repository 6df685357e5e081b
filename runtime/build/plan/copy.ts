/**
 * COPY and ADD: what kind of source each word is, and the step they make.
 *
 * @see BuildKit frontend/dockerfile/dockerfile2llb/convert_copy.go
 */

import { InvalidArgumentError } from "../../errors.ts";
import { isGitAddress } from "../context/git_address.ts";
import { parseDigest } from "../../spec/digest.ts";
import type { CopyInstruction } from "../dockerfile/ast.ts";
import type { CopySourceItem, CopyStep, FileSource } from "../step.ts";
import {
  addStep,
  type Dispatch,
  expand,
  expandDocument,
  filesOf,
  originOf,
  shownAs,
} from "./dispatch_state.ts";
import { resolvePath } from "./paths.ts";
import type { PlannedStage } from "./stages.ts";

export function planCopy(
  dispatch: Dispatch,
  instruction: CopyInstruction,
  source: PlannedStage | undefined,
  isTrigger: boolean,
): void {
  const { keyword, flags } = instruction;
  if (source !== undefined && !source.isDispatched) {
    throw new InvalidArgumentError(
      `cannot copy from stage "${flags.from}", it needs to be defined before current stage "${dispatch.stage.name}"`,
    );
  }
  const chown = flags.chown === undefined ? undefined : expand(dispatch, flags.chown) || undefined;
  const chmod = flags.chmod === undefined ? undefined : expand(dispatch, flags.chmod) || undefined;
  if (chmod !== undefined) checkMode(chmod);
  const checksum = flags.checksum === undefined ? undefined : expand(dispatch, flags.checksum) || undefined;
  const destination = expand(dispatch, instruction.destination);
  const from: FileSource = source === undefined ? { kind: "context" } : filesOf(source);
  const shown: string[] = [];
  const items = instruction.sources.map((item): CopySourceItem => {
    if (item.kind === "heredoc") {
      const { heredoc } = item;
      shown.push(`<<${heredoc.name}`);
      const content = heredoc.expand ? expandDocument(dispatch, heredoc.content) : heredoc.content;
      return { from: { kind: "heredoc", heredoc, content }, pattern: "/" };
    }
    const path = expand(dispatch, item.path);
    shown.push(path);
    return sourceItem(instruction, path, from, checksum);
  });
  if (checksum !== undefined) checkChecksum(keyword, items);
  const step: CopyStep = {
    kind: "copy",
    base: dispatch.stage.files,
    add: keyword === "ADD",
    sources: items,
    destination: resolvePath(dispatch.run.WorkingDir ?? "/", destination, { keepSlash: true }),
    ...(chown !== undefined && { chown }),
    ...(chmod !== undefined && { chmod }),
    link: flags.link ?? false,
    parents: flags.parents ?? false,
    exclude: flags.exclude.map((pattern) => expand(dispatch, pattern)),
    ...(flags.unpack !== undefined && { unpack: flags.unpack }),
  };
  const words = [
    keyword,
    ...(flags.parents ? ["--parents"] : []),
    ...(chown === undefined ? [] : [`--chown=${chown}`]),
    ...(chmod === undefined ? [] : [`--chmod=${chmod}`]),
    ...shown,
    destination,
  ];
  const name = shownAs(dispatch, instruction.original);
  const origin = originOf(dispatch, name, instruction.location, isTrigger);
  addStep(dispatch, { ...step, origin }, `${words.join(" ")} # buildkit`);
}

function sourceItem(
  { keyword, flags }: CopyInstruction,
  path: string,
  from: FileSource,
  checksum: string | undefined,
): CopySourceItem {
  // a name such as `github.com/a/b` may be a folder of the context, so only what looks like nothing else is one
  if (isGitAddress(path)) {
    if (keyword === "COPY") throw new InvalidArgumentError("source can't be a git ref for COPY");
    const keepGitDir = flags.keepGitDir ?? false;
    return { from: { kind: "git", url: path, keepGitDir, ...(checksum && { checksum }) }, pattern: "/" };
  }
  if (/^https?:\/\//.test(path)) {
    if (keyword === "COPY") throw new InvalidArgumentError("source can't be a URL for COPY");
    const digest = checksum === undefined ? {} : { checksum: parseDigest(checksum) };
    return { from: { kind: "http", url: path, ...digest }, pattern: "/" };
  }
  return { from, pattern: path };
}

function checkChecksum(keyword: string, items: readonly CopySourceItem[]): void {
  if (keyword === "COPY") throw new InvalidArgumentError("checksum can't be specified for COPY");
  if (items.length !== 1) throw new InvalidArgumentError("checksum can't be specified for multiple sources");
  const { kind } = items[0]!.from;
  if (kind !== "http" && kind !== "git") {
    throw new InvalidArgumentError("checksum requires HTTP(S) or Git sources");
  }
}

/** @see chmod(1): octal, or `u+rwX,go=u` */
function checkMode(mode: string): void {
  if (/^[0-9]+$/.test(mode)) {
    if (/^[0-7]+$/.test(mode) && parseInt(mode, 8) <= 0o7777) return;
    throw new InvalidArgumentError(
      `invalid chmod parameter: '${mode}'. it should be octal string and between 0 and 07777`,
    );
  }
  if (/^[ugoa]*([-+=]([rwxXst]*|[ugo]))+(,[ugoa]*([-+=]([rwxXst]*|[ugo]))+)*$/.test(mode)) return;
  throw new InvalidArgumentError(`invalid chmod parameter: '${mode}'. it is neither octal nor symbolic`);
}
