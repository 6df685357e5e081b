/**
 * Shows a folder (or a file) of the host with other owners, request by request.
 *
 * It has no more rights than the process that serves it, which a user starts: the kernel checks the modes with the
 * owners that are shown, then each call is made with the user's own rights on disk.
 */

import { close } from "../../../ffi/file.ts";
import { Notices } from "../notices.ts";
import { serveBlocking, Session } from "../session.ts";
import {
  FUSE_ASYNC_DIO,
  FUSE_ASYNC_READ,
  FUSE_ATOMIC_O_TRUNC,
  FUSE_AUTO_INVAL_DATA,
  FUSE_BIG_WRITES,
  FUSE_DIRECT_IO_ALLOW_MMAP,
  FUSE_DO_READDIRPLUS,
  FUSE_FLOCK_LOCKS,
  FUSE_HANDLE_KILLPRIV_V2,
  FUSE_MAX_PAGES,
  FUSE_PARALLEL_DIROPS,
  FUSE_POSIX_LOCKS,
  FUSE_READDIRPLUS_AUTO,
} from "../constants.ts";
import { Arrivals } from "./arrivals.ts";
import { entryOperations } from "./entries.ts";
import { fileOperations } from "./files.ts";
import { folderOperations } from "./folders.ts";
import { KeptFiles } from "./kept_files.ts";
import { Listers } from "./listers.ts";
import { Listings } from "./listings.ts";
import { lockOperations } from "./locks.ts";
import { lookUp, metadataOperations } from "./metadata.ts";
import { nameOf } from "./names.ts";
import type { FileNode } from "./nodes.ts";
import { SplicedReads } from "./spliced_read.ts";
import { Tree, type TreeOptions } from "./tree.ts";
import { xattrOperations } from "./xattrs.ts";

/** Not FUSE_WRITEBACK_CACHE: others change the files as well, and the kernel would not look. */
const WANTED = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES | FUSE_AUTO_INVAL_DATA |
  FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES |
  FUSE_HANDLE_KILLPRIV_V2 | FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS;
/** Bits from 32 on are no numbers to `|`. */
const WANTED_MORE = FUSE_DIRECT_IO_ALLOW_MMAP;

export interface PassthroughMount {
  /** The open /dev/fuse. */
  fuse: number;
  /** For notices (`openFuseTwin`). It is closed here. */
  twin: number;
  /** The mount itself, which only another process than this may use. */
  root: number;
}

/** Serves until the mount is gone. For forked children. */
export function servePassthroughBlocking(
  { fuse: fuseFd, twin, root }: PassthroughMount,
  options: TreeOptions,
): void {
  const tree: Tree = new Tree(options, {
    attributesChanged: (nodeid) => {
      // whoever was told of the node just now would believe what he was told
      if (!session.invalidateNode(nodeid, -1)) notices?.tellLater(session.nodeNotice(nodeid, -1));
    },
    nameChanged: (folder, name) => notices?.tell(session.entryNotice(folder, name)),
  });
  const { watches } = tree;
  const notices = watches.fd === undefined ? undefined : new Notices(twin, () => watches.stop());
  close(twin);
  const listers = new Listers(root);
  const listings = new Listings({
    ask: (path) => listers.ask(path),
    sizeOf: (fd) => tree.facts.ofDescriptor(fd) ? tree.facts.attributes.size : Infinity,
    answer: (parent, text, unique) => answerLookup(session, tree, { parent, text, unique }),
  });
  const locks = lockOperations(tree, (unique, code) => session.answer(unique, code));
  const handler = {
    ...metadataOperations(tree, listings),
    ...entryOperations(tree),
    ...fileOperations(
      tree,
      new SplicedReads(fuseFd),
      () => session.flags,
      (fh, node) => {
        locks.released(fh);
        kept.released(node);
      },
    ),
    ...folderOperations(tree, listings, listers.pids),
    ...xattrOperations(tree),
    ...locks.operations,
  };
  const session: Session = new Session(fuseFd, handler, { wanted: WANTED + WANTED_MORE });
  const kept: KeptFiles = new KeptFiles(tree, (...piece) => session.storeContent(...piece));
  const arrivals = new Arrivals(fuseFd);
  const changes = { fd: watches.fd, isWanted: true };
  const room = { fd: notices?.fd, isWanted: false };
  serveBlocking(session, fuseFd, () => {
    // a request comes, or the turn of who waits for a lock, which those who never pause do not put off
    for (;;) {
      if (locks.waitMs === 0) locks.retry();
      notices?.send();
      changes.isWanted = notices?.isFull === false;
      room.isWanted = notices?.isWaiting === true;
      const waitMs = [locks.waitMs, notices?.waitMs ?? -1, kept.waitMs, listings.waitMs].reduce(earlier);
      arrivals.waitBlocking(waitMs, changes, room);
      if (arrivals.hasChanges) watches.take();
      listings.expire(arrivals.hasRequest);
      if (arrivals.hasRequest) return kept.disturb();
      kept.work();
    }
  });
}

/** A LOOKUP that was put off. */
function answerLookup(
  session: Session,
  tree: Tree,
  { parent, text, unique }: { parent: FileNode; text: string; unique: bigint },
): void {
  session.answerBy(unique, (reply) => {
    const folder = tree.watchedFolder(parent.id);
    return folder < 0
      ? -folder
      : Math.max(0, lookUp(tree, { parent, folder, name: nameOf(text), text }, reply));
  });
}

/** -1 is never. */
function earlier(oneMs: number, otherMs: number): number {
  if (oneMs === -1 || otherMs === -1) return Math.max(oneMs, otherMs);
  return Math.min(oneMs, otherMs);
}
