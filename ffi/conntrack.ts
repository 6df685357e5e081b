/**
 * Flows that the kernel remembers with the addresses that it has given them: those of datagrams go on to where the first
 * one went, whatever the rules say meanwhile.
 *
 * @see conntrack(8); linux/netfilter/nfnetlink_conntrack.h
 */

import {
  CTA_ID,
  CTA_IP_V4_SRC,
  CTA_IP_V6_SRC,
  CTA_PROTO_NUM,
  CTA_PROTO_SRC_PORT,
  CTA_TUPLE_IP,
  CTA_TUPLE_ORIG,
  CTA_TUPLE_PROTO,
  CTA_TUPLE_REPLY,
  IPCTNL_MSG_CT_DELETE,
  IPCTNL_MSG_CT_GET,
  NFNL_SUBSYS_CTNETLINK,
} from "./constants/nf_tables.ts";
import { NLA_F_NESTED } from "./constants/netlink.ts";
import { AF_INET, AF_INET6 } from "./constants/socket.ts";
import { ENOENT, isErrno } from "./errno.ts";
import { be16, type NetlinkMessage, type NetlinkSocket, parseAttributes, request } from "./netlink.ts";

/** Who answers in a flow. */
export interface Answerer {
  address: Uint8Array;
  /** IPPROTO_*. */
  protocol: number;
  port: number;
}

const HEADER_BYTES = 4;

/** Makes the kernel forget the flows that this one answers. @param socket of NETLINK_NETFILTER */
export function forgetFlows(socket: NetlinkSocket, answerer: Answerer): void {
  const header = Uint8Array.of(answerer.address.length === 4 ? AF_INET : AF_INET6, 0, 0, 0);
  const type = (message: number) => NFNL_SUBSYS_CTNETLINK << 8 | message;
  for (const flow of socket.dump(request("list flows", type(IPCTNL_MSG_CT_GET), header))) {
    if (!isAnsweredBy(flow, answerer)) continue;
    const attributes = parseAttributes(flow.body, HEADER_BYTES);
    try {
      socket.perform([request("forget flow", type(IPCTNL_MSG_CT_DELETE), header, [
        [CTA_TUPLE_ORIG | NLA_F_NESTED, attributes.get(CTA_TUPLE_ORIG)],
        [CTA_ID, attributes.get(CTA_ID)],
      ])]);
    } catch (error) {
      // its time was over
      if (!isErrno(error, ENOENT)) throw error;
    }
  }
}

function isAnsweredBy({ body }: NetlinkMessage, { address, protocol, port }: Answerer): boolean {
  const reply = parseAttributes(body, HEADER_BYTES).get(CTA_TUPLE_REPLY);
  const parts = reply && parseAttributes(reply);
  const [ip, transport] = [parts?.get(CTA_TUPLE_IP), parts?.get(CTA_TUPLE_PROTO)];
  if (!ip || !transport) return false;
  const source = parseAttributes(ip).get(address.length === 4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC);
  const found = parseAttributes(transport);
  return source?.toHex() === address.toHex() && found.get(CTA_PROTO_NUM)?.[0] === protocol &&
    found.get(CTA_PROTO_SRC_PORT)?.toHex() === be16(port).toHex();
}
