/** The name of a monitor's socket, removed at most once and only while it is this monitor's. */

export class SocketFile {
  readonly #inode: number | null;
  #isRemoved = false;

  /** `path` was bound by the parent. */
  constructor(readonly path: string) {
    this.#inode = inodeOf(path);
  }

  /** A new start may have bound the same path since the container ended: that one stays. */
  remove(): void {
    if (this.#isRemoved) return;
    this.#isRemoved = true;
    if (this.#inode === null || inodeOf(this.path) !== this.#inode) return;
    try {
      Deno.removeSync(this.path);
    } catch {
      // Gone already, which is what was wanted.
    }
  }
}

function inodeOf(path: string): number | null {
  try {
    return Deno.lstatSync(path).ino;
  } catch {
    return null;
  }
}
