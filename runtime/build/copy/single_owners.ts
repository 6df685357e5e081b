/**
 * Owners where only one id is mapped: every file is root's, and whose it should be is written down beside the layer.
 * Synchronous, for forked children.
 */

import type { Owner } from "../../rootfs/in_root.ts";
import { OwnerRecorder } from "../../storage/owners.ts";
import { open } from "../../../ffi/file.ts";
import { O_CLOEXEC, O_CREAT, O_EXCL, O_WRONLY } from "../../../ffi/constants/fcntl.ts";

/** Gives files the owners that they can have, and writes down the others. */
export class Owners implements Disposable {
  readonly #recorder: OwnerRecorder | undefined;

  /** Without a file every owner can be given. */
  constructor(path: string | undefined) {
    if (path === undefined) return;
    this.#recorder = new OwnerRecorder(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600));
  }

  /** The owner that the file at `path` below the root (a byte string) gets. */
  of(path: string, owner: Owner): Owner {
    if (this.#recorder === undefined) return { uid: owner.uid, gid: owner.gid };
    // it may take the place of what belonged to somebody else
    this.#recorder.add(path, owner.uid, owner.gid, true);
    return { uid: 0, gid: 0 };
  }

  [Symbol.dispose](): void {
    this.#recorder?.flush();
  }
}
