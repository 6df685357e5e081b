/** Packets to the guest that are larger than its MTU, in parts. @see RFC 791, 3.2; RFC 8200, 4.5 */

import type { Link } from "./link.ts";
import { type Route, sum, VNET_BYTES, writeHeaders } from "./packet.ts";
import type { Slot } from "./slots.ts";

/** A packet that is no larger than the link takes, or its fragments: the transport is in the `out` slot, from `at` on. */
export function writeWhole(link: Link, route: Route, at: number, end: number, mtu: number): boolean {
  return end - VNET_BYTES <= mtu ? link.write(link.out, end) : sendFragments(link, route, at, end, mtu);
}

/** Drawn at the first packet that is cut: the code may have been loaded for many processes. */
let lastId = -1;

/** Sends what is in the `out` slot from `at` to `end` in parts. */
function sendFragments(link: Link, route: Route, at: number, end: number, mtu: number): boolean {
  lastId = ((lastId < 0 ? Math.floor(Math.random() * 0x10000) : lastId) + 1) & 0xffff;
  const part = link.pool.take();
  try {
    const overhead = route.version === 4 ? 20 : 48;
    const step = (mtu - overhead) & ~7;
    if (step <= 0) return false;
    for (let from = at; from < end; from += step) {
      const length = Math.min(step, end - from);
      const isLast = from + length === end;
      const data = writeFragmentHeaders(part, route, length, from - at, isLast);
      part.bytes.set(link.out.bytes.subarray(from, from + length), data);
      if (!link.write(part, data + length)) return false;
    }
    return true;
  } finally {
    link.pool.give(part);
  }
}

const FRAGMENT_HEADER = 44;

function writeFragmentHeaders(
  slot: Slot,
  route: Route,
  length: number,
  offset: number,
  isLast: boolean,
): number {
  const { view } = slot;
  const start = VNET_BYTES;
  if (route.version === 4) {
    const data = writeHeaders(slot, route, length);
    view.setUint16(start + 4, lastId);
    view.setUint16(start + 6, (isLast ? 0 : 0x2000) | offset >> 3);
    view.setUint16(start + 10, 0);
    view.setUint16(start + 10, ~sum(slot.bytes, start, data, 0) & 0xffff);
    return data;
  }
  const data = writeHeaders(slot, { ...route, protocol: FRAGMENT_HEADER }, 8 + length);
  view.setUint16(data, route.protocol << 8);
  view.setUint16(data + 2, offset | (isLast ? 0 : 1));
  view.setUint32(data + 4, lastId);
  return data + 8;
}
