/** Times as documents have them. */

/** Now, ISO 8601 in UTC with nine digits of a second, as podman writes it. */
export function timestamp(): string {
  const ms = performance.timeOrigin + performance.now();
  const whole = new Date(Math.floor(ms)).toISOString();
  const fraction = String(Math.floor((ms % 1) * 1e6)).padStart(6, "0");
  return `${whole.slice(0, -1)}${fraction}Z`;
}

/** What Go prints for a time that is not set; docker and podman show it as it is. */
export const ZERO_TIME = "0001-01-01T00:00:00Z";

/** Seconds since 1970, with Go's zero time where there is none. */
export function unixSeconds(time: string): number {
  return time ? Math.floor(Date.parse(time) / 1000) : -62135596800;
}
