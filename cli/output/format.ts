/** `--format` templates as docker and podman take them, on top of Go's templates. Loaded only when one is given. */

import { SkiffError } from "../../runtime/errors.ts";
import { compileTemplate, type Template } from "./template/eval.ts";
import { goType } from "./template/fmt.ts";

/**
 * Compiles a `--format` value: `table ` is dropped, `\t`, `\n` and `\r` are characters, and in a table the
 * blanks between fields separate columns.
 *
 * @throws {SkiffError} worded as Go words it; so does the template's `execute`
 */
export function compileFormat(name: string, format: string): Template {
  let text = format.replace(/\\([tnr])/g, (_all, letter) => ESCAPES[letter]!);
  if (text.startsWith("table ")) {
    text = text.slice("table ".length).replace(
      /\{\{[\s\S]*?\}\}| +/g,
      (part) => part.startsWith("{{") ? part : "\t",
    );
  }
  if (!text.endsWith("\n")) text += "\n";
  const template = asSkiffError(() => compileTemplate(name, text));
  return { execute: (data) => asSkiffError(() => template.execute(data)) };
}

/** One document through one template: `inspect`, `info`, `version`. */
export function renderDocument(name: string, format: string, document: unknown): string {
  return compileFormat(name, format).execute(document);
}

/** Makes fields into what a template sees as a struct of type `type`. */
export function row(type: string, fields: Record<string, unknown>): Record<string, unknown> {
  return { [goType]: type, ...fields } as Record<string, unknown>;
}

const ESCAPES: Record<string, string> = { t: "\t", n: "\n", r: "\r" };

function asSkiffError<T>(action: () => T): T {
  try {
    return action();
  } catch (cause) {
    if (cause instanceof SkiffError) throw cause;
    throw new SkiffError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
