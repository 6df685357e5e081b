/** What a list says of one of its images: `manifest add` and `manifest annotate`. */

import { InvalidArgumentError } from "../../runtime/errors.ts";
import type { EntryDetails } from "../../runtime/engine/manifest_add.ts";
import type { Flags, Values } from "../command.ts";

export const ENTRY_FLAGS = {
  annotation: { kind: "array", value: "KEY=VALUE", help: "Set an annotation of the image's entry" },
  arch: { kind: "string", value: "ARCH", help: "Say that the image is for this architecture" },
  features: { kind: "list", value: "FEATURE", help: "Say which features of the processor the image needs" },
  os: { kind: "string", value: "OS", help: "Say that the image is for this operating system" },
  "os-version": { kind: "string", value: "VERSION", help: "Say which version of it" },
  variant: { kind: "string", value: "VARIANT", help: "Say which variant of the architecture" },
} as const satisfies Flags;

export function detailsFrom(options: Values<typeof ENTRY_FLAGS>): EntryDetails {
  const { arch, os, "os-version": osVersion, variant, features, annotation } = options;
  return {
    arch,
    os,
    osVersion,
    variant,
    features: features.length === 0 ? undefined : features,
    annotations: annotation.length === 0 ? undefined : annotationsFrom(annotation),
  };
}

/** @throws {InvalidArgumentError} for one without a value */
export function annotationsFrom(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(words.map((word) => {
    const at = word.indexOf("=");
    if (at < 1) throw new InvalidArgumentError(`no value given for annotation ${JSON.stringify(word)}`);
    return [word.slice(0, at), word.slice(at + 1)];
  }));
}
