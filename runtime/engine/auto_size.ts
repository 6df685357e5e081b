/** How many ids an automatic user namespace has where nobody says it: as many as the image and its user need. */

import { bytesOf } from "../archive/byte_string.ts";
import type { RootSource } from "../container/config.ts";
import { ACCOUNT_FILE_LIMIT_BYTES } from "../spec/passwd.ts";
import type { Digest } from "../spec/digest.ts";
import { layerForm, layerPath } from "../storage/layers.ts";
import { SyscallError } from "../../ffi/errno.ts";
import { Fd, fstat, open, openat2, readAll } from "../../ffi/file.ts";
import {
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
} from "../../ffi/constants/fcntl.ts";
import { S_IFMT, S_IFREG } from "../../ffi/constants/stat.ts";
import type { Engine } from "./engine.ts";

/** As podman's storage: what it gives at least, at most, and who is not counted. */
const MIN_IDS = 1024, MAX_IDS = 65536, NOBODY = 65534;

/** `user` is `--user` or the image's, of which numbers count. */
export function autoSize(engine: Engine, root: RootSource, user = ""): number {
  const asked = user.split(":").filter((word) => /^\d{1,10}$/.test(word)).map(Number);
  const known = root.kind === "image" || root.kind === "layers" ? idsOfImage(engine, root.diffIds) : [];
  // not as arguments: an image may have more accounts than a call takes
  const highest = [...asked, ...known.filter((id) => id !== NOBODY)].reduce((a, b) => Math.max(a, b), 0);
  return Math.min(MAX_IDS, Math.max(MIN_IDS, highest + 1));
}

/** Of /etc/passwd and /etc/group, each in the topmost layer that has it. */
function idsOfImage(engine: Engine, diffIds: readonly string[]): number[] {
  const form = layerForm(engine.namespaces);
  const layers = diffIds.toReversed().map((id) => layerPath(engine.folders, id as Digest, form));
  const textOf = (name: string) => {
    for (const layer of layers) {
      const text = readInLayer(layer, name);
      if (text !== undefined) return text;
    }
    return "";
  };
  const accounts = textOf("etc/passwd").matchAll(/^[^:\n]+:[^:\n]*:(\d{1,10}):(\d{1,10})(?=:|$)/gm);
  const groups = textOf("etc/group").matchAll(/^[^:\n]+:[^:\n]*:(\d{1,10})(?=:|$)/gm);
  return [...accounts, ...groups].flatMap(([, ...ids]) => ids.map(Number));
}

/**
 * Undefined where the layer has no such file, or none that can be read: a link leads to who knows what. As root a layer
 * has devices, which nothing but the look at what it is may open.
 */
function readInLayer(layer: string, name: string): string | undefined {
  try {
    using folder = new Fd(open(layer, O_PATH | O_DIRECTORY | O_CLOEXEC));
    const resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    using found = new Fd(openat2(folder.number, bytesOf(name), O_PATH | O_CLOEXEC, resolve));
    const { mode, size } = fstat(found.number);
    if ((mode & S_IFMT) !== S_IFREG || size > ACCOUNT_FILE_LIMIT_BYTES) return undefined;
    using file = new Fd(open(`/proc/self/fd/${found.number}`, O_RDONLY | O_CLOEXEC));
    return new TextDecoder().decode(readAll(file.number, ACCOUNT_FILE_LIMIT_BYTES));
  } catch (error) {
    if (error instanceof SyscallError) return undefined;
    throw error;
  }
}
