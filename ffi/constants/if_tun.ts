/** @see Documentation/networking/tuntap.rst; linux/if_tun.h, linux/if.h, linux/sockios.h */
export const TUNSETIFF = 0x400454ca;
export const TUNSETOFFLOAD = 0x400454d0;
export const IFF_TUN = 0x1;
export const IFF_NO_PI = 0x1000;
export const IFF_VNET_HDR = 0x4000;
export const TUN_F_CSUM = 0x1;
export const TUN_F_TSO4 = 0x2;
export const TUN_F_TSO6 = 0x4;
export const TUN_F_TSO_ECN = 0x8;
export const SIOCGIFNAME = 0x8910;
export const SIOCGIFINDEX = 0x8933;
export const IFNAMSIZ = 16;
/** Gives a descriptor of the network namespace that the interface is in. */
export const TUNGETDEVNETNS = 0x54e3;
