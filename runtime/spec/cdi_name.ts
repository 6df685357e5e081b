/** `VENDOR/CLASS=NAME`, what a device is called by the Container Device Interface. @see CDI SPEC.md, kind */

export interface QualifiedName {
  vendor: string;
  class: string;
  name: string;
}

const PARTS = {
  kind: /^[A-Za-z]([A-Za-z0-9_.-]*[A-Za-z0-9])?$/,
  device: /^[A-Za-z0-9]([A-Za-z0-9_.:-]*[A-Za-z0-9])?$/,
};

/** undefined where it is none, as a path is not. */
export function splitQualifiedName(text: string): QualifiedName | undefined {
  const [, vendor = "", kind = "", name = ""] = /^([^/=]+)\/([^=]+)=(.+)$/.exec(text) ?? [];
  const isOne = isPartOfQualifiedName("kind", vendor) && isPartOfQualifiedName("kind", kind) &&
    isPartOfQualifiedName("device", name);
  return isOne ? { vendor, class: kind, name } : undefined;
}

/** `kind`: of a vendor or a class. */
export function isPartOfQualifiedName(part: keyof typeof PARTS, text: string): boolean {
  return PARTS[part].test(text);
}

/**
 * `--gpus`: what there is of NVIDIA's. As podman: a word each is the name of a device (`all`, an index or a UUID); and
 * docker's `"device=0,1"`.
 *
 * @see podman-run(1), --gpus; docker run, --gpus
 */
export function gpuDevices(words: readonly string[]): string[] {
  return words.flatMap((word) => word.replace(/^device=/, "").split(","))
    .map((name) => `nvidia.com/gpu=${name.replace(/^count=(?=all$)/, "")}`);
}
