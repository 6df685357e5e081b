/** Sizes and times as docker and podman write them. @see https://pkg.go.dev/github.com/docker/go-units */

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];

/** `5.01MB`: decimal units and three significant digits, or as many as asked for. */
export function humanSize(bytes: number, digits = 3): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${Number(value.toPrecision(digits))}${UNITS[unit]}`;
}

/** `5.01 MB`, as `podman images` writes it. */
export function humanSizeSpaced(bytes: number): string {
  return humanSize(bytes).replace(/^([\d.e+-]+)/, "$1 ");
}

/** `About a minute`, `3 weeks`. */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.trunc(milliseconds / 1000);
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.trunc(milliseconds / 3_600_000 + 0.5);
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.trunc(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.trunc(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.trunc(hours / 24 / 30)} months`;
  return `${Math.trunc(milliseconds / 3_600_000 / 24 / 365)} years`;
}

/** `2 minutes ago`; `iso` is a time in ISO 8601. */
export function humanAge(iso: string, nowMs: number): string {
  return `${humanDuration(nowMs - Date.parse(iso))} ago`;
}

/** `2026-11-20 23:55:04.898798632 +0000 UTC`, as Go prints a time. */
export function goTime(iso: string): string {
  const parts = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d+)?(Z|[-+]\d\d:\d\d)$/.exec(iso);
  if (!parts) return iso;
  const [, date, time, fraction = "", zone] = parts;
  const digits = fraction.replace(/\.?0+$/, "");
  return `${date} ${time}${digits} ${zone === "Z" ? "+0000 UTC" : zone!.replace(":", "")}`;
}

/** `8bd99a384753`: what is shown of a 64-digit id or a digest. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, "").slice(0, 12);
}
