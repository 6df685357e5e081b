/**
 * The server of an NFS volume. The kernel looks up no names, which mount.nfs(8) does for mount(8).
 *
 * @see nfs(5), addr
 */

import type { VolumeFilesystem } from "../container/mount_options.ts";
import { HostError, InvalidArgumentError } from "../errors.ts";

const ADDRESS = "addr=";

export function isNfs(type: string): boolean {
  return type === "nfs" || type === "nfs4";
}

/** The host of `addr=`, or else that of the device. */
export function serverOf({ type, device, options }: VolumeFilesystem): string {
  const split = /^(?:\[([^\]]+)\]|([^:[\]]*)):\//.exec(device);
  if (split === null) {
    throw new InvalidArgumentError(
      `create volume of type "${type}": device "${device}" must be SERVER:/path, or :/path beside o=addr=SERVER`,
    );
  }
  const named = options.find((word) => word.startsWith(ADDRESS))?.slice(ADDRESS.length);
  const host = named || split[1] || split[2];
  if (host) return host;
  throw new InvalidArgumentError(
    `create volume of type "${type}": neither the device nor o=addr= names a server`,
  );
}

/** With `addr=` and the address that the server has at this moment; other types as they are. */
export async function withServerAddress(filesystem: VolumeFilesystem): Promise<VolumeFilesystem> {
  const { type, options } = filesystem;
  if (!isNfs(type)) return filesystem;
  const address = await addressOf(serverOf(filesystem));
  return {
    ...filesystem,
    options: [...options.filter((word) => !word.startsWith(ADDRESS)), ADDRESS + address],
  };
}

async function addressOf(host: string): Promise<string> {
  if (/^[\d.]+$|:/.test(host)) return host;
  const { lookup } = await import("node:dns/promises");
  try {
    return (await lookup(host)).address;
  } catch (cause) {
    throw new HostError(`find the NFS server "${host}": its name is not known`, { cause });
  }
}
