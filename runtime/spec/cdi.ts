/**
 * Specifications of the Container Device Interface: what a vendor says has to be changed of a container for a device of
 * its to work in it. Text becomes a document, or an error. Import it lazily: valibot is not for the start-up path.
 *
 * @see CDI SPEC.md 0.3.0 to 1.0.0
 */

import * as v from "valibot";
import { InvalidArgumentError } from "../errors.ts";
import { isPartOfQualifiedName, splitQualifiedName } from "./cdi_name.ts";

const VERSIONS = ["0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0"];

/** As the OCI runtime-spec calls them. */
export const HOOK_KINDS = [
  "prestart",
  "createRuntime",
  "createContainer",
  "startContainer",
  "poststart",
  "poststop",
] as const;

const Text = v.pipe(v.string(), v.nonEmpty("it is empty"));
const Id = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff_ffff));
const Variable = v.pipe(
  v.string(),
  v.check((word) => word.indexOf("=") > 0, (issue) => `invalid environment variable "${issue.input}"`),
);
const Annotations = v.optional(v.record(v.string(), v.string()));

const DeviceNode = v.strictObject({
  path: Text,
  hostPath: v.optional(v.string()),
  type: v.optional(v.picklist(["", "b", "c", "u", "p"])),
  major: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0))),
  minor: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0))),
  fileMode: v.optional(Id),
  permissions: v.optional(v.pipe(v.string(), v.regex(/^([rwm]*|none)$/, "invalid permissions"))),
  uid: v.optional(Id),
  gid: v.optional(Id),
});

const Mount = v.strictObject({
  hostPath: Text,
  containerPath: Text,
  options: v.optional(v.array(v.string())),
  type: v.optional(v.string()),
});

const Hook = v.strictObject({
  hookName: v.picklist(HOOK_KINDS, (issue) => `invalid hook name ${issue.received}`),
  path: Text,
  args: v.optional(v.array(v.string())),
  env: v.optional(v.array(Variable)),
  timeout: v.optional(v.pipe(v.number(), v.integer())),
});

const Edits = v.strictObject({
  env: v.optional(v.array(Variable)),
  deviceNodes: v.optional(v.array(DeviceNode)),
  mounts: v.optional(v.array(Mount)),
  hooks: v.optional(v.array(Hook)),
  additionalGids: v.optional(v.array(Id)),
  intelRdt: v.optional(v.record(v.string(), v.unknown())),
});

const Device = v.strictObject({
  name: v.pipe(v.string(), v.check((name) => isPartOfQualifiedName("device", name), "invalid device name")),
  annotations: Annotations,
  containerEdits: Edits,
});

const Document = v.strictObject({
  cdiVersion: v.picklist(VERSIONS, (issue) => `invalid version ${issue.received}`),
  kind: v.pipe(v.string(), v.check((kind) => splitQualifiedName(`${kind}=x`) !== undefined, "invalid kind")),
  annotations: Annotations,
  devices: v.pipe(v.array(Device), v.nonEmpty("invalid spec, no devices")),
  containerEdits: v.optional(Edits),
});

export type CdiEdits = v.InferOutput<typeof Edits>;
export type CdiDocument = v.InferOutput<typeof Document>;

/** @throws {InvalidArgumentError} */
export function checkCdiDocument(value: unknown): CdiDocument {
  const result = v.safeParse(Document, value, { abortEarly: true });
  if (!result.success) {
    const [issue] = result.issues;
    const place = v.getDotPath(issue);
    const isUnknown = issue.expected === "never";
    const cause = isUnknown ? "unknown field" : lowerFirst(issue.message);
    throw new InvalidArgumentError(`invalid CDI Spec: ${place === null ? "" : `${place}: `}${cause}`);
  }
  const names = result.output.devices.map(({ name }) => name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice === undefined) return result.output;
  throw new InvalidArgumentError(`invalid CDI Spec: invalid spec, multiple device "${twice}"`);
}

/** Of the specification as a whole come first, once, then those of each device. */
export function joinEdits(all: readonly CdiEdits[]): CdiEdits {
  const joined: CdiEdits = {};
  for (const { intelRdt, ...lists } of all) {
    for (const [key, list] of Object.entries(lists)) {
      const name = key as keyof typeof lists;
      joined[name] = [...joined[name] ?? [], ...list ?? []] as never;
    }
    if (intelRdt) joined.intelRdt = intelRdt;
  }
  return joined;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
