/** `--device PATH[:TARGET][:rwm]`. @see podman-run(1), --device */

import { hostReason, InvalidArgumentError, UnsupportedError } from "../errors.ts";
import type { ConfigExtras } from "./extras.ts";
import { listDevices } from "./host_facts.ts";
import { cleanPath } from "./mount_options.ts";

type Device = NonNullable<ConfigExtras["devices"]>[number];

/** Parses one; the device must be there. A link is followed, as podman does. */
export function parseDevice(text: string): Device {
  const parts = text.split(":");
  const [path = ""] = parts;
  const isMode = (word: string) => /^[rwm]{1,3}$/.test(word);
  let [, target, permissions = "rwm"] = parts;
  if (parts.length === 2 && !target!.startsWith("/")) [target, permissions] = [undefined, target!];
  if (parts.length > 3 || path === "") {
    throw new InvalidArgumentError(`invalid device specification: ${text}`);
  }
  if (!isMode(permissions)) throw new InvalidArgumentError(`invalid device mode: ${permissions}`);
  if (target !== undefined && !target.startsWith("/")) {
    throw new InvalidArgumentError(`invalid device specification: ${text}`);
  }
  const info = stat(path);
  if (!info.isDirectory && !info.isCharDevice && !info.isBlockDevice) {
    throw new InvalidArgumentError(`${path} is not a valid device: not a device node`);
  }
  const destination = cleanPath(target ?? path);
  if (destination === "/" || destination === "/dev" || /^\/(proc|sys)(\/|$)/.test(destination)) {
    throw new InvalidArgumentError(`place device "${text}": nothing can be put at ${destination}`);
  }
  return { source: Deno.realPathSync(path), destination, permissions };
}

/** As root: a device is bound as it is, and its own mode decides, so that half would be more than was asked. */
export function refuseHalfAccess(source: string, permissions: string): void {
  if (permissions.includes("r") && permissions.includes("w")) return;
  throw new UnsupportedError(
    `pass device "${source}" with "${permissions}": reading and writing are not told apart without a device cgroup`,
  );
}

/** Each device, those of a folder one by one. */
export function expandDevices(devices: readonly Device[]): { source: string; destination: string }[] {
  return devices.flatMap(({ source, destination }) => {
    if (!stat(source).isDirectory) return [{ source, destination }];
    return listDevices(source).map((path) => ({
      source: path,
      destination: `${destination}${path.slice(source.length)}`,
    }));
  });
}

function stat(path: string): Deno.FileInfo {
  try {
    return Deno.statSync(path);
  } catch (cause) {
    throw new InvalidArgumentError(`stat ${path}: ${hostReason(cause)}`, { cause });
  }
}
