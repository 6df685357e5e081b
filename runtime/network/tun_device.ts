/** The device of the kernel that a user-mode network stands on. @see Documentation/networking/tuntap.rst */

export const TUN_DEVICE = "/dev/net/tun";
/** Character device 10, 200. @see Documentation/admin-guide/devices.txt */
const TUN_NUMBER = 10 << 8 | 200;

/** Why it cannot be used, and what an administrator does about it; undefined where it can. */
export function findTunObstacle(): { reason: string; remedy: string } | undefined {
  try {
    using device = Deno.openSync(TUN_DEVICE, { read: true, write: true });
    const { isCharDevice, rdev } = device.statSync();
    if (isCharDevice && rdev === TUN_NUMBER) return undefined;
    // as where /dev/null masks it
    return {
      reason: `${TUN_DEVICE} is another device`,
      remedy: `umount ${TUN_DEVICE}, or mknod -m 666 ${TUN_DEVICE} c 10 200`,
    };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      return {
        reason: `${TUN_DEVICE} does not exist`,
        remedy: `modprobe tun; in a container: --device ${TUN_DEVICE}`,
      };
    }
    if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) {
      return { reason: `${TUN_DEVICE} may not be opened`, remedy: `chmod 666 ${TUN_DEVICE}` };
    }
    return { reason: `${TUN_DEVICE} cannot be opened`, remedy: "modprobe tun" };
  }
}
