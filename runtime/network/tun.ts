/** The interface of a user-mode network: a TUN device in the container's own network namespace. @see linux/if_tun.h */

import { close, ioctl, open } from "../../ffi/file.ts";
import { NetlinkSocket } from "../../ffi/netlink.ts";
import { addAddress, addRoute, setLink } from "../../ffi/rtnetlink.ts";
import { O_CLOEXEC, O_NONBLOCK, O_RDWR } from "../../ffi/constants/fcntl.ts";
import {
  IFF_NO_PI,
  IFF_TUN,
  IFF_VNET_HDR,
  TUN_F_CSUM,
  TUN_F_TSO4,
  TUN_F_TSO6,
  TUN_F_TSO_ECN,
  TUNSETIFF,
  TUNSETOFFLOAD,
} from "../../ffi/constants/if_tun.ts";
import { mustParse } from "./stack/addresses.ts";
import { TUN_DEVICE } from "./tun_device.ts";
import type { TunPlan } from "./plan.ts";

/**
 * Makes it, with its addresses and routes, and gives its descriptor, whose packets bear a virtio_net_hdr. It is gone when
 * that is closed.
 */
export function openTun(plan: TunPlan): number {
  const tun = open(TUN_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  try {
    attach(tun, plan.name);
    using netlink = new NetlinkSocket();
    configure(netlink, plan);
    return tun;
  } catch (error) {
    close(tun);
    throw error;
  }
}

function attach(tun: number, name: string): void {
  // struct ifreq { char ifr_name[16]; short ifr_flags; … } of 40 bytes
  const request = new Uint8Array(40);
  request.set(new TextEncoder().encode(name));
  new DataView(request.buffer).setUint16(16, IFF_TUN | IFF_NO_PI | IFF_VNET_HDR, true);
  ioctl(tun, TUNSETIFF, request);
  ioctl(tun, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN);
}

function configure(netlink: NetlinkSocket, plan: TunPlan): void {
  const link = netlink.indexOf(plan.name)!;
  netlink.perform([
    // SIOCSIFTXQLEN is refused in a user namespace
    setLink(link, { up: true, mtu: plan.mtu, txQueueLength: plan.queueLength }),
    ...plan.addresses.map(({ address, prefix }) => addAddress({ link, address: mustParse(address), prefix })),
    ...plan.gateways.map((text) => {
      const gateway = mustParse(text);
      return addRoute({ family: gateway.length === 4 ? "ipv4" : "ipv6", gateway, link });
    }),
  ]);
}
