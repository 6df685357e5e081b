/**
 * Who answers the requests of a FUSE mount.
 *
 * A method gets the request and the empty answer, appends its result to that (`reply.entry(…)`, `reply.length = n` after
 * reading into `reply.data`) and gives 0; or an errno; or DEFERRED, and answers later by `Session.answer` with the
 * `request.unique` it has kept. A method that is not there is answered with ENOSYS, which the kernel remembers for
 * most operations. Fields are read as `request.u64(IN.read.offset)`, names as `request.name(IN.mkdir.end)`.
 *
 * A SyscallError that is thrown is answered with its errno.
 */

import type { OPCODES } from "./constants.ts";
import type { Reply } from "./reply.ts";
import type { Request } from "./request.ts";

/** Given instead of an errno: the answer comes later, through `Session.answer`. */
export const DEFERRED = -1;

export type Operation = (request: Request, reply: Reply) => number;

/** The operations that a session answers itself, or that have no answer. */
type OwnOperations = "INIT" | "DESTROY" | "FORGET" | "BATCH_FORGET" | "INTERRUPT";

export type Handler =
  & {
    [name in Lowercase<Exclude<keyof typeof OPCODES, OwnOperations>>]?: Operation;
  }
  & {
    /** The kernel has forgotten `count` of the lookups of a node. */
    forget?(nodeid: number, count: number): void;
    /** Who waits for a deferred request was interrupted: it may be answered now, with EINTR. */
    interrupt?(unique: bigint): void;
  };
