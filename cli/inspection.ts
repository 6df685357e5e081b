/** What the three inspect commands print: a JSON list, or a template for each document. */

import { NotFoundError } from "../runtime/errors.ts";
import { jsonText } from "./output/escape.ts";
import { print, printError } from "./output/print.ts";
import { renderError } from "./render_error.ts";
import type { Flags } from "./command.ts";

export const INSPECT_FLAGS = {
  format: { kind: "string", short: "f", value: "FORMAT", help: "json, or a Go template for each document" },
} as const satisfies Flags;

export const SIZE = {
  size: { kind: "bool", short: "s", help: "Of a container also what it has written, and with its image" },
} as const satisfies Flags;

export type Found =
  | { type: "container"; document: object }
  | { type: "image"; document: { Config: object } }
  /** `fields` are what a template sees. */
  | { type: "volume" | "network" | "pod"; document: object; fields: Record<string, unknown> };

const ROW_TYPES = {
  volume: "*entities.VolumeInspectReport",
  network: "types.Network",
  pod: "*entities.PodInspectReport",
};

/** Prints what was found and tells of what was not; gives the exit code. */
export async function printInspection(
  targets: readonly string[],
  find: (target: string) => Promise<Found>,
  format: string | undefined,
): Promise<number> {
  const found: Found[] = [];
  let code = 0;
  for (const target of targets) {
    try {
      found.push(await find(target));
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
      const rendered = renderError(
        new NotFoundError(error.kind, target, { message: `inspecting object: ${error.message}` }),
        false,
      );
      printError(rendered.text);
      code = rendered.exitCode;
    }
  }
  if (format === undefined || format === "json") {
    print(jsonText(found.map(({ document }) => document), 4) + "\n");
  } else if (found.length > 0) await printTemplate(found, format);
  return code;
}

async function printTemplate(found: Found[], format: string): Promise<void> {
  const [{ compileFormat, row }, { containerView, imageView }] = await Promise.all([
    import("./output/format.ts"),
    import("./output/document.ts"),
  ]);
  const template = compileFormat("inspect", format);
  for (const one of found) {
    const data = one.type === "container"
      ? containerView(one.document)
      : one.type === "image"
      ? imageView(one.document)
      : row(ROW_TYPES[one.type], one.fields);
    print(template.execute(data));
  }
}
