/**
 * What a container's monitor (a member) and the holder of the bridges say to each other, over SOCK_SEQPACKET: a
 * message a packet, JSON, with descriptors.
 *
 * ```
 *  member                                                       holder
 *    keep     the bridges' namespace, where it has it ──────────▶ takes it, if it has none
 *    attach   the container's place in networks ────────────────▶ makes its interfaces
 *             its network namespace, a netlink socket of it
 *    publish  a port, its bound socket ─────────────────────────▶ serves it
 *    unpublish ─────────────────────────────────────────────────▶
 *    settle ────────────────────────────────────────────────────▶ all of that is done
 *    ◀───────────────────────────────────────────────────── settled, or what failed
 *    ◀──────────────────────────────────────────────────── keep   the bridges' namespace, for a later holder
 *    ◀──────────────────────────────────────────── attached, failed
 *    ◀──────────────────────────────────────────────────── plan   as it was changed: what to attach to a later one
 *    ◀─────────────────────────────────────────────────── fault   for the record
 *    end of the connection ─────────────────────────────────────▶ the container has ended
 * ```
 */

import { EAGAIN, ECONNRESET, EPIPE, isErrno } from "../../../ffi/errno.ts";
import { close } from "../../../ffi/file.ts";
import { receiveWithFds, sendWithFds } from "../../../ffi/socket.ts";
import { SkiffError } from "../../errors.ts";
import type { BridgePlan, PublishedPort } from "../plan.ts";

export type MemberMessage =
  | { op: "keep" }
  /** `ports`: how many follow, with which it is attached. */
  | { op: "attach"; plan: BridgePlan; ports?: number }
  | { op: "publish" | "unpublish"; port: PublishedPort }
  | { op: "settle" };

export type HolderMessage =
  | { op: "keep" | "attached" }
  | { op: "failed" | "fault"; message: string }
  /** `message`: of what was published or not any more since it was asked last, something failed. */
  | { op: "settled"; message?: string }
  | { op: "plan"; plan: BridgePlan };

/** A container on more networks than this takes is refused. */
const PACKET_BYTES = 128 * 1024;
const MAX_DESCRIPTORS = 8;

/** False where the other side has gone or does not read. @throws {SkiffError} where it is too long */
export function sendMessage(
  socket: number,
  message: MemberMessage | HolderMessage,
  fds: readonly number[] = [],
): boolean {
  if (socket === -1) return false;
  const bytes = new TextEncoder().encode(JSON.stringify(message));
  if (bytes.length > PACKET_BYTES) throw new SkiffError("join networks: there are too many");
  try {
    sendWithFds(socket, bytes, fds);
    return true;
  } catch (error) {
    if ([EPIPE, EAGAIN, ECONNRESET].some((code) => isErrno(error, code))) return false;
    throw error;
  }
}

/** What was received, with its descriptors, which are the caller's; "gone" when the other side is. */
export type Received<T> = { message: T; fds: number[] } | "nothing" | "gone";

let buffer: Uint8Array<ArrayBuffer> | undefined;

/** For a socket that does not block. What is no message counts as the other side's end. */
export function receiveMessage<T extends MemberMessage | HolderMessage>(socket: number): Received<T> {
  buffer ??= new Uint8Array(PACKET_BYTES);
  let received: { length: number; fds: number[] };
  try {
    received = receiveWithFds(socket, buffer, MAX_DESCRIPTORS);
  } catch (error) {
    return isErrno(error, EAGAIN) ? "nothing" : "gone";
  }
  const { length, fds } = received;
  try {
    if (length > 0) {
      const message = JSON.parse(new TextDecoder().decode(buffer.subarray(0, length)));
      if (typeof message?.op === "string") return { message, fds };
    }
  } catch {
    // it says nothing that is ours
  }
  fds.forEach(close);
  return "gone";
}
