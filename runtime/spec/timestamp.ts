/** Now, ISO 8601 in UTC with nine digits of a second, as podman writes it. */
export function timestamp(): string {
  const ms = performance.timeOrigin + performance.now();
  const whole = new Date(Math.floor(ms)).toISOString();
  const fraction = String(Math.floor((ms % 1) * 1e6)).padStart(6, "0");
  return `${whole.slice(0, -1)}${fraction}Z`;
}
