/** Times as documents have them. */

export { timestamp } from "../spec/timestamp.ts";

/** What Go prints for a time that is not set; docker and podman show it as it is. */
export const ZERO_TIME = "0001-01-01T00:00:00Z";

/** Seconds since 1970, with Go's zero time where there is none. */
export function unixSeconds(time: string): number {
  return time ? Math.floor(Date.parse(time) / 1000) : -62135596800;
}
