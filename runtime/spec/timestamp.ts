import { now } from "../../ffi/clock.ts";

/** Now, ISO 8601 in UTC with nine digits of a second, as podman writes it. */
export function timestamp(): string {
  const { seconds, nanoseconds } = now();
  const whole = new Date(seconds * 1000).toISOString();
  return `${whole.slice(0, 19)}.${String(nanoseconds).padStart(9, "0")}Z`;
}
