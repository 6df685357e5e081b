/**
 * The network namespace that holds a user's bridges. A short child makes it and sends back what reaches into it: a
 * socket stays in the namespace it was made in, so that whoever has these stays outside, where the world is.
 */

import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_SEQPACKET,
  SOCK_STREAM,
} from "../../../ffi/constants/socket.ts";
import { IP_PKTINFO, IPV6_RECVPKTINFO } from "../../../ffi/constants/datagram.ts";
import { AT_FDCWD, F_OK, O_CLOEXEC, O_RDONLY } from "../../../ffi/constants/fcntl.ts";
import { IPPROTO_IP, IPPROTO_IPV6, IPV6_V6ONLY } from "../../../ffi/constants/inet.ts";
import { CLONE_NEWNET } from "../../../ffi/constants/sched.ts";
import { EAFNOSUPPORT } from "../../../ffi/errno.ts";
import { close, closeAllExcept, faccessat, open } from "../../../ffi/file.ts";
import { forkChild } from "../../../ffi/fork.ts";
import { bindTo, must, openSocket, setOption, SocketAddress } from "../../../ffi/inet.ts";
import { unshare } from "../../../ffi/namespaces.ts";
import { NetlinkSocket, openNetlink } from "../../../ffi/netlink.ts";
import { setLink } from "../../../ffi/rtnetlink.ts";
import { listen, receiveWithFds, sendWithFds, socketpair } from "../../../ffi/socket.ts";
import { waitpidBlocking } from "../../../ffi/process.ts";
import { SkiffError } from "../../errors.ts";
import { mustParse } from "../stack/addresses.ts";
import { findTunObstacle } from "../tun_device.ts";
import { openTun } from "../tun.ts";
import { namespaceRules, UPLINK, UPLINK_MTU } from "./links.ts";

/** Descriptors of the namespace, each kept by every monitor of a container on a bridge as well. */
export interface BridgeNamespace {
  netns: number;
  /** The TUN interface by which it reaches the world. */
  uplink: number;
  netlink: number;
  /** Port 53 of all its addresses: UDP and TCP of IPv4, and of IPv6 where the kernel has that. */
  nameservers: { udp: number; tcp: number }[];
}

const DNS_PORT = 53;
const BACKLOG = 64;
const QUEUE_LENGTH = 10_000;
/** namespace, uplink, netlink and two nameservers. */
const MAX_DESCRIPTORS = 7;

/** Their order in a message. */
export function descriptorsOf({ netns, uplink, netlink, nameservers }: BridgeNamespace): number[] {
  return [netns, uplink, netlink, ...nameservers.flatMap(({ udp, tcp }) => [udp, tcp])];
}

/** Undefined where these cannot be the descriptors of a namespace. */
export function fromDescriptors(fds: readonly number[]): BridgeNamespace | undefined {
  const [netns, uplink, netlink, ...dns] = fds;
  if (netlink === undefined || dns.length < 2 || dns.length % 2 === 1) return undefined;
  const nameservers = [];
  for (let at = 0; at < dns.length; at += 2) nameservers.push({ udp: dns[at]!, tcp: dns[at + 1]! });
  return { netns: netns!, uplink: uplink!, netlink, nameservers };
}

/** Makes it. Throws SkiffError with what the child says. */
export function openNamespaceBlocking(): BridgeNamespace {
  const [ours, its] = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC);
  const say = (text: string, fds: readonly number[]) => sendWithFds(its, new TextEncoder().encode(text), fds);
  const child = forkChild(() => {
    closeAllExcept([its]);
    say("ok", descriptorsOf(makeNamespace()));
    return 0;
  }, (error) => say((error as Error).message.slice(0, 4000), []));
  close(its);
  const buffer = new Uint8Array(4096);
  const { length, fds } = receiveWithFds(ours, buffer, MAX_DESCRIPTORS);
  close(ours);
  waitpidBlocking(child);
  const namespace = fromDescriptors(fds);
  if (namespace) return namespace;
  const reason = new TextDecoder().decode(buffer.subarray(0, length)) || "the process ended early";
  const obstacle = findTunObstacle();
  // a message, without a hint, is what the command gets of it
  const cause = obstacle === undefined ? reason : `${obstacle.reason} (${obstacle.remedy})`;
  throw new SkiffError(`make the networks' namespace: ${cause}`);
}

function makeNamespace(): BridgeNamespace {
  unshare(CLONE_NEWNET);
  const hasIpv6 = faccessat(AT_FDCWD, "/proc/sys/net/ipv6/conf/all/forwarding", F_OK);
  for (const [name, value] of SYSCTLS) {
    if (hasIpv6 || !name.startsWith("ipv6/")) Deno.writeTextFileSync(`/proc/sys/net/${name}`, value);
  }
  leavePacketFilter();
  const uplink = openTun({
    name: UPLINK,
    mtu: UPLINK_MTU,
    queueLength: QUEUE_LENGTH,
    addresses: [],
    gateways: [],
  });
  const netlink = openNetlink();
  const links = new NetlinkSocket(netlink);
  const index = links.indexOf(UPLINK)!;
  links.perform([
    setLink(links.indexOf("lo")!, { up: true }),
    ...namespaceRules("ipv4", index),
    ...(hasIpv6 ? namespaceRules("ipv6", index) : []),
  ]);
  return {
    netns: open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC),
    uplink,
    netlink,
    nameservers: [openNameserver(AF_INET), openNameserver(AF_INET6)].filter((one) => one !== undefined),
  };
}

/** A new namespace has what the host had when it booted. What comes in by the uplink has any source. */
const SYSCTLS: [name: string, value: string][] = [
  ["ipv4/ip_forward", "1"],
  // of both IP versions: a packet on its way through is dropped where it looks like one for a socket here, which is what
  // is left for a minute of a connection that was handed over
  ["ipv4/ip_early_demux", "0"],
  ["ipv4/conf/all/rp_filter", "0"],
  ["ipv4/conf/default/rp_filter", "0"],
  ["ipv4/conf/all/send_redirects", "0"],
  ["ipv4/conf/default/send_redirects", "0"],
  ["ipv6/conf/all/forwarding", "1"],
  ["ipv6/conf/default/forwarding", "1"],
  ["ipv6/conf/all/disable_ipv6", "0"],
  ["ipv6/conf/default/disable_ipv6", "0"],
];

/**
 * Where br_netfilter is loaded, what passes a bridge would be routed once more for the packet filter's sake, though this
 * namespace has no rules: 3 % of a round trip between two containers.
 */
function leavePacketFilter(): void {
  for (const tables of ["iptables", "ip6tables", "arptables"]) {
    try {
      Deno.writeTextFileSync(`/proc/sys/net/bridge/bridge-nf-call-${tables}`, "0", { create: false });
    } catch (error) {
      // before Linux 5.3 the machine has one setting for all
      if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied)) {
        throw error;
      }
    }
  }
}

function openNameserver(family: number): { udp: number; tcp: number } | undefined {
  const any = mustParse(family === AF_INET ? "0.0.0.0" : "::");
  const bound = (type: number) => {
    const fd = openSocket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd === -EAFNOSUPPORT) return undefined;
    must("socket", fd);
    if (family === AF_INET6) must("setsockopt", setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1));
    must("bind", bindTo(fd, new SocketAddress().set(any, DNS_PORT)), "port 53");
    return fd;
  };
  const udp = bound(SOCK_DGRAM);
  const tcp = bound(SOCK_STREAM);
  if (udp === undefined || tcp === undefined) return undefined;
  // which address it was asked at is the one that has to answer
  if (family === AF_INET) setOption(udp, IPPROTO_IP, IP_PKTINFO, 1);
  else setOption(udp, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  listen(tcp, BACKLOG);
  return { udp, tcp };
}
