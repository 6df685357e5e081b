/**
 * Shows a folder (or a file) of the host with other owners, request by request.
 *
 * It has no more rights than the process that serves it, which a user starts: the kernel checks the modes with the
 * owners that are shown, then each call is made with the user's own rights on disk.
 */

import { pollBlocking } from "../../../ffi/poll.ts";
import { POLLIN } from "../../../ffi/constants/poll.ts";
import { serveBlocking, Session } from "../session.ts";
import {
  FUSE_ASYNC_DIO,
  FUSE_ASYNC_READ,
  FUSE_ATOMIC_O_TRUNC,
  FUSE_AUTO_INVAL_DATA,
  FUSE_BIG_WRITES,
  FUSE_DO_READDIRPLUS,
  FUSE_FLOCK_LOCKS,
  FUSE_HANDLE_KILLPRIV_V2,
  FUSE_MAX_PAGES,
  FUSE_PARALLEL_DIROPS,
  FUSE_POSIX_LOCKS,
  FUSE_READDIRPLUS_AUTO,
} from "../constants.ts";
import { entryOperations } from "./entries.ts";
import { fileOperations } from "./files.ts";
import { folderOperations } from "./folders.ts";
import { lockOperations } from "./locks.ts";
import { metadataOperations } from "./metadata.ts";
import { SplicedReads } from "./spliced_read.ts";
import { Tree, type TreeOptions } from "./tree.ts";
import { xattrOperations } from "./xattrs.ts";

/** Not FUSE_WRITEBACK_CACHE: others change the files as well, and the kernel would not look. */
const WANTED = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES | FUSE_AUTO_INVAL_DATA |
  FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES |
  FUSE_HANDLE_KILLPRIV_V2 | FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS;

/** Serves until the mount is gone. For forked children. */
export function servePassthroughBlocking(fuseFd: number, options: TreeOptions): void {
  const tree = new Tree(options);
  const locks = lockOperations(tree, (unique, code) => session.answer(unique, code));
  const handler = {
    ...metadataOperations(tree),
    ...entryOperations(tree),
    ...fileOperations(tree, new SplicedReads(fuseFd), (fh) => locks.released(fh)),
    ...folderOperations(tree),
    ...xattrOperations(tree),
    ...locks.operations,
  };
  const session = new Session(fuseFd, handler, { wanted: WANTED });
  serveBlocking(session, fuseFd, () => {
    // a request comes, or the turn of who waits for a lock, which those who never pause do not put off
    for (let waitMs = locks.waitMs; waitMs !== -1; waitMs = locks.waitMs) {
      if (waitMs > 0 && pollBlocking(fuseFd, POLLIN, waitMs) !== 0) return;
      locks.retry();
    }
  });
}
