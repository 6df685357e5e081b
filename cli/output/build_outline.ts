/** `build --call targets` and `--call outline`, in BuildKit's words. */

import { type BuildOutline, type BuildTarget, describeBuild } from "../../runtime/engine/build_outline.ts";
import type { BuildOptions } from "../../runtime/engine/build_options.ts";
import type { Engine } from "../../runtime/engine/engine.ts";
import { escapeControl, jsonText } from "./escape.ts";
import { print } from "./print.ts";
import { renderTable } from "./table.ts";

export async function printOutline(
  engine: Engine,
  options: BuildOptions,
  method: "targets" | "outline",
  isJson: boolean,
): Promise<void> {
  const { targets, outline } = await describeBuild(engine, options, method);
  if (isJson) {
    return print(jsonText(targets === undefined ? outlineJson(outline!) : targetsJson(targets), 2) + "\n");
  }
  print(
    targets === undefined ? outlineText(outline!) : table(["TARGET", "DESCRIPTION"], targets.map(targetLine)),
  );
}

function targetLine({ name, isDefault, description }: BuildTarget): string[] {
  const shown = name === "" && isDefault ? "(default)" : isDefault ? `${name} (default)` : name;
  return [shown, description];
}

function outlineText({ name, description, args, secrets, ssh, cache }: BuildOutline): string {
  const head = [...name ? [["TARGET:", name]] : [], ...description ? [["DESCRIPTION:", description]] : []];
  const required = (one: { name: string; required: boolean }) => [one.name, one.required ? "true" : ""];
  return [
    head.length === 0 ? "" : table(undefined, head),
    args.length === 0 ? "" : table(
      ["BUILD ARG", "VALUE", "DESCRIPTION"],
      args.map((arg) => [arg.name, arg.value, arg.description]),
    ),
    secrets.length === 0 ? "" : table(["SECRET", "REQUIRED"], secrets.map(required)),
    ssh.length === 0 ? "" : table(["SSH", "REQUIRED"], ssh.map(required)),
    cache.length === 0 ? "" : table(["CACHE MOUNT"], cache.map(({ id }) => [id])),
  ].filter((part) => part !== "").join("\n");
}

function table(heading: string[] | undefined, rows: string[][]): string {
  const safe = rows.map((row) => row.map(escapeControl));
  return renderTable(heading === undefined ? safe : [heading, ...safe]);
}

const place = (line: number) => ({ ranges: [{ start: { line }, end: { line } }] });

function targetsJson(targets: readonly BuildTarget[]) {
  return {
    targets: targets.map(({ name, isDefault, description, base, platform, line }) => ({
      ...(name === "" ? {} : { name }),
      ...(isDefault ? { default: true } : {}),
      ...(description === "" ? {} : { description }),
      base,
      ...(platform === undefined ? {} : { platform }),
      location: place(line),
    })),
  };
}

function outlineJson({ name, description, args, secrets, ssh, cache }: BuildOutline) {
  const located = <T extends { line: number }>({ line, ...rest }: T) => ({ ...rest, location: place(line) });
  return {
    ...(name === "" ? {} : { name }),
    ...(description === "" ? {} : { description }),
    args: args.map(located),
    secrets: secrets.map(located),
    ssh: ssh.map(located),
    cache: cache.map(located),
  };
}
