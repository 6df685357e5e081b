/**
 * What a layer member's name means: an entry, a whiteout, an opaque mark, or nothing at all.
 *
 * @see OCI image-spec layer.md, "Representing Changes" and "Whiteouts"
 */

import { displayName } from "../archive/byte_string.ts";
import { VerificationError } from "../errors.ts";

/** `parent` is clean and relative (`""` is the root), `base` one component. Byte strings. */
export interface LayerName {
  kind: "root" | "entry" | "whiteout" | "opaque" | "ignored";
  parent: string;
  base: string;
  /** `parent` and `base` together. */
  path: string;
}

const WHITEOUT = ".wh.";
/** Reserved by aufs: `.wh..wh.plnk`, `.wh..wh.aufs` and `.wh..wh.orph` are its own bookkeeping. */
const META = ".wh..wh.";
const OPAQUE = ".wh..wh..opq";
/** PATH_MAX without its NUL: nothing in a container could open more. */
const MAX_PATH = 4095;
/** NAME_MAX. */
const MAX_COMPONENT = 255;

/**
 * Checks and classifies names in the order of the archive.
 *
 * A name with `..` is refused. Absolute names are taken as below the root where the archive has only such
 * (Nix, ko and buildpacks write them); an archive that mixes both kinds is crafted, and refused.
 */
export class LayerNames {
  #absolute: boolean | undefined;

  /** @throws {VerificationError} */
  classify(name: string, isDirectory: boolean): LayerName {
    const path = this.#clean(name);
    if (path === "") return { kind: "root", parent: "", base: "", path };
    const slash = path.lastIndexOf("/");
    const parent = slash === -1 ? "" : path.slice(0, slash);
    const base = path.slice(slash + 1);
    if (path.indexOf(WHITEOUT) === -1) return { kind: "entry", parent, base, path };
    const parents = parent.split("/");
    if (parents.some((part) => part.startsWith(META))) return { kind: "ignored", parent, base, path };
    if (parents.some((part) => part.startsWith(WHITEOUT))) {
      refuse(name, "its name lies below a whiteout");
    }
    if (base === OPAQUE) return { kind: "opaque", parent, base: "", path: parent };
    if (base.startsWith(META)) return { kind: "ignored", parent, base, path };
    if (!base.startsWith(WHITEOUT)) return { kind: "entry", parent, base, path };
    const hidden = base.slice(WHITEOUT.length);
    if (hidden === "" || hidden === "." || hidden === "..") refuse(name, "a whiteout of no file");
    if (isDirectory) refuse(name, "a whiteout that is a folder");
    return { kind: "whiteout", parent, base: hidden, path: parent === "" ? hidden : `${parent}/${hidden}` };
  }

  #clean(name: string): string {
    if (name === "") refuse(name, "it has no name");
    const isAbsolute = name.charCodeAt(0) === 47;
    const path = cleanPath(name);
    if (path !== "") {
      this.#absolute ??= isAbsolute;
      if (isAbsolute && !this.#absolute) refuse(name, "an absolute name among relative ones");
      // Once relative names were seen no absolute one is taken; the other way round is as suspicious.
      if (!isAbsolute && this.#absolute) refuse(name, "a relative name among absolute ones");
    }
    return path;
  }
}

/**
 * The name without `.`, doubled and trailing slashes, relative to the root.
 *
 * @throws {VerificationError} on `..` and on what no file system can hold
 */
export function cleanPath(name: string): string {
  const parts = name.split("/");
  let clean = "";
  for (const part of parts) {
    if (part === "" || part === ".") continue;
    if (part === "..") refuse(name, "its name contains ..");
    if (part.length > MAX_COMPONENT) refuse(name, `a part of its name is longer than ${MAX_COMPONENT} bytes`);
    clean = clean === "" ? part : `${clean}/${part}`;
  }
  if (clean.length > MAX_PATH) refuse(name, `its name is longer than ${MAX_PATH} bytes`);
  return clean;
}

/** Whether a relative link target climbs above the root, counted in words, as docker and podman count. */
export function climbsOut(parent: string, target: string): boolean {
  if (target.startsWith("/")) return false;
  let depth = parent === "" ? 0 : parent.split("/").length;
  for (const part of target.split("/")) {
    if (part === "" || part === ".") continue;
    depth += part === ".." ? -1 : 1;
    if (depth < 0) return true;
  }
  return false;
}

/** Throws for a member that must not be unpacked. */
export function refuse(name: string, why: string): never {
  const shown = displayName(name.length > 200 ? `${name.slice(0, 200)}...` : name);
  throw new VerificationError(`unpack layer entry "${shown}": ${why}`);
}
