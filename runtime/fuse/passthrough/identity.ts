/**
 * Whose the entries are that the server makes.
 *
 * They belong to the asker from the beginning: given to him afterwards by name, another file of the folder could be
 * moved in its place meanwhile, and be given to whoever moved it there.
 *
 * @see setfsuid(2), capabilities(7): SECBIT_NO_SETUID_FIXUP
 */

import { EOVERFLOW, errno } from "../../../ffi/errno.ts";
import { libc } from "../../../ffi/libc.ts";
import { SYSCALL } from "../../../ffi/arch.ts";
import { prctl } from "../../../ffi/process.ts";
import { PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP } from "../../../ffi/constants/prctl.ts";

/** No id: changes nothing, and tells who it is. */
const ASK = 0xffffffff;

function setUser(uid: number): number {
  return libc("credentials").setfsuid(SYSCALL.setfsuid, uid) >>> 0;
}

function setGroup(gid: number): number {
  return libc("credentials").setfsgid(SYSCALL.setfsgid, gid) >>> 0;
}

export class Identity {
  readonly #uid = setUser(ASK);
  readonly #gid = setGroup(ASK);
  readonly #onChanged: () => void;
  #keepsCapabilities = false;

  /** `onChanged` is called after the process was somebody else, by which it has lost PR_SET_PDEATHSIG. */
  constructor(onChanged: () => void) {
    this.#onChanged = onChanged;
  }

  /** What `make` gives, as that user and that group; -errno where it gives -1, or where there are no such ids here. */
  as({ uid, gid }: { uid: number; gid: number }, make: () => number): number {
    if (uid === this.#uid && gid === this.#gid) return orErrno(make());
    if (!this.#keepsCapabilities) {
      // the kernel has allowed it by the owners that are shown: what is on disk is no hindrance then
      prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP);
      this.#keepsCapabilities = true;
    }
    try {
      setGroup(gid);
      setUser(uid);
      // an id that the user has no number for
      if (setGroup(ASK) !== gid || setUser(ASK) !== uid) return -EOVERFLOW;
      return orErrno(make());
    } finally {
      setUser(this.#uid);
      setGroup(this.#gid);
      this.#onChanged();
    }
  }
}

function orErrno(result: number): number {
  return result === -1 ? -errno() : result;
}
