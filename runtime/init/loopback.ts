/** A new network namespace has its loopback interface down. @see netdevice(7) */

import { Fd, ioctl } from "../../ffi/file.ts";
import { socket } from "../../ffi/socket.ts";
import { IFF_RUNNING, IFF_UP, SIOCSIFFLAGS } from "../../ffi/constants/ioctl.ts";
import { AF_INET, SOCK_CLOEXEC, SOCK_DGRAM } from "../../ffi/constants/socket.ts";

/**
 * As podman has it: root of the container may open ping sockets, so that ping(8) needs no capability. What is below
 * /proc/sys/net belongs to the network namespace of who opens it. Where it may not be written, pings need CAP_NET_RAW.
 *
 * @see icmp(7), ping_group_range
 */
export function allowPing(): void {
  try {
    Deno.writeTextFileSync("/proc/sys/net/ipv4/ping_group_range", "0 0", { create: false });
  } catch {
    // /proc/sys is read-only here, or there is no IPv4
  }
}

/** Brings `lo` up, which also gives it 127.0.0.1 and ::1. */
export function bringLoopbackUp(): void {
  using control = new Fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC));
  // struct ifreq { char ifr_name[16]; short ifr_flags; … } of 40 bytes
  const request = new Uint8Array(40);
  request.set(new TextEncoder().encode("lo"));
  new DataView(request.buffer).setInt16(16, IFF_UP | IFF_RUNNING, true);
  ioctl(control.number, SIOCSIFFLAGS, request);
}
