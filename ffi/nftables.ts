/**
 * Tables, chains and rules of nf_tables as netlink requests, and the batch that makes all of them or none. A rule is a
 * list of expressions that load something into a register, compare it, and decide.
 *
 * @see nft(8), libnftnl; linux/netfilter/nf_tables.h, linux/netfilter/nfnetlink.h
 */

import {
  IPS_DST_NAT,
  NF_ACCEPT,
  NF_INET_FORWARD,
  NF_INET_LOCAL_IN,
  NF_INET_LOCAL_OUT,
  NF_INET_POST_ROUTING,
  NF_INET_PRE_ROUTING,
  NFNL_MSG_BATCH_BEGIN,
  NFNL_MSG_BATCH_END,
  NFNL_SUBSYS_NFTABLES,
  NFPROTO_INET,
  NFPROTO_IPV4,
  NFPROTO_IPV6,
  NFT_CMP_EQ,
  NFT_CMP_NEQ,
  NFT_CT_STATE,
  NFT_CT_STATUS,
  NFT_FIB_RESULT_ADDRTYPE,
  NFT_GOTO,
  NFT_JUMP,
  NFT_META_IIFNAME,
  NFT_META_L4PROTO,
  NFT_META_NFPROTO,
  NFT_META_OIFNAME,
  NFT_MSG_DELTABLE,
  NFT_MSG_NEWCHAIN,
  NFT_MSG_NEWRULE,
  NFT_MSG_NEWTABLE,
  NFT_NAT_DNAT,
  NFT_PAYLOAD_NETWORK_HEADER,
  NFT_PAYLOAD_TRANSPORT_HEADER,
  NFT_REG_1,
  NFT_REG_2,
  NFT_REG_VERDICT,
  NFT_REJECT_ICMPX_ADMIN_PROHIBITED,
  NFT_REJECT_ICMPX_UNREACH,
  NFT_RETURN,
  NFTA_BITWISE_DREG,
  NFTA_BITWISE_LEN,
  NFTA_BITWISE_MASK,
  NFTA_BITWISE_SREG,
  NFTA_BITWISE_XOR,
  NFTA_CHAIN_HOOK,
  NFTA_CHAIN_NAME,
  NFTA_CHAIN_TABLE,
  NFTA_CHAIN_TYPE,
  NFTA_CMP_DATA,
  NFTA_CMP_OP,
  NFTA_CMP_SREG,
  NFTA_CT_DREG,
  NFTA_CT_KEY,
  NFTA_DATA_VALUE,
  NFTA_DATA_VERDICT,
  NFTA_EXPR_DATA,
  NFTA_EXPR_NAME,
  NFTA_FIB_DREG,
  NFTA_FIB_F_DADDR,
  NFTA_FIB_FLAGS,
  NFTA_FIB_RESULT,
  NFTA_HOOK_HOOKNUM,
  NFTA_HOOK_PRIORITY,
  NFTA_IMMEDIATE_DATA,
  NFTA_IMMEDIATE_DREG,
  NFTA_LIST_ELEM,
  NFTA_META_DREG,
  NFTA_META_KEY,
  NFTA_NAT_FAMILY,
  NFTA_NAT_REG_ADDR_MIN,
  NFTA_NAT_REG_PROTO_MIN,
  NFTA_NAT_TYPE,
  NFTA_PAYLOAD_BASE,
  NFTA_PAYLOAD_DREG,
  NFTA_PAYLOAD_LEN,
  NFTA_PAYLOAD_OFFSET,
  NFTA_REDIR_REG_PROTO_MIN,
  NFTA_REJECT_ICMP_CODE,
  NFTA_REJECT_TYPE,
  NFTA_RULE_CHAIN,
  NFTA_RULE_EXPRESSIONS,
  NFTA_RULE_TABLE,
  NFTA_TABLE_NAME,
  NFTA_VERDICT_CHAIN,
  NFTA_VERDICT_CODE,
} from "./constants/nf_tables.ts";
import { RTN_LOCAL } from "./constants/rtnetlink.ts";
import { NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE } from "./constants/netlink.ts";
import { IFNAMSIZ } from "./constants/if_tun.ts";
import { type Attribute, be16, be32, type NetlinkRequest, request } from "./netlink.ts";

/** One step of a rule. */
export type Expression = [name: string, attributes: Attribute[]];

/** Where packets pass a chain. @see nft(8), chains */
export interface ChainHook {
  type: "filter" | "nat";
  hook: keyof typeof HOOKS;
  /** Smaller ones come first: -100 is dstnat, 0 filter, 100 srcnat. */
  priority: number;
}

const HOOKS = {
  prerouting: NF_INET_PRE_ROUTING,
  input: NF_INET_LOCAL_IN,
  forward: NF_INET_FORWARD,
  output: NF_INET_LOCAL_OUT,
  postrouting: NF_INET_POST_ROUTING,
};

/**
 * All of them, or none: the kernel takes what stands between begin and end at once. Only the last answers, and those
 * that are refused: a thousand answers are more than the socket holds.
 */
export function batch(requests: readonly NetlinkRequest[]): NetlinkRequest[] {
  // struct nfgenmsg: its resource is the subsystem
  const header = Uint8Array.of(0, 0, ...be16(NFNL_SUBSYS_NFTABLES));
  const last = requests.length - 1;
  return [
    request("change nf_tables", NFNL_MSG_BATCH_BEGIN, header, [], 0),
    ...requests.map((one, index) => index === last ? { ...one, flags: one.flags | NLM_F_ACK } : one),
    request("change nf_tables", NFNL_MSG_BATCH_END, header, [], 0),
  ];
}

/** Of both IP versions (`inet`). That it is there already is no fault. */
export function addTable(table: string): NetlinkRequest {
  return change(`add table ${table}`, NFT_MSG_NEWTABLE, NLM_F_CREATE, [[NFTA_TABLE_NAME, table]]);
}

/** With all that is in it. */
export function deleteTable(table: string): NetlinkRequest {
  return change(`delete table ${table}`, NFT_MSG_DELTABLE, 0, [[NFTA_TABLE_NAME, table]]);
}

/** Without a hook it is one that rules of others jump to. */
export function addChain(table: string, name: string, hook?: ChainHook): NetlinkRequest {
  return change(`add chain ${name}`, NFT_MSG_NEWCHAIN, NLM_F_CREATE, [
    [NFTA_CHAIN_TABLE, table],
    [NFTA_CHAIN_NAME, name],
    [NFTA_CHAIN_TYPE, hook?.type],
    [
      NFTA_CHAIN_HOOK,
      hook &&
      [[NFTA_HOOK_HOOKNUM, be32(HOOKS[hook.hook])], [NFTA_HOOK_PRIORITY, be32(hook.priority)]],
    ],
  ]);
}

/** Behind those that the chain has. */
export function addRule(table: string, chain: string, ...parts: Expression[][]): NetlinkRequest {
  return change(`add rule to ${chain}`, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, [
    [NFTA_RULE_TABLE, table],
    [NFTA_RULE_CHAIN, chain],
    [
      NFTA_RULE_EXPRESSIONS,
      parts.flat().map(([name, data]): Attribute => [
        NFTA_LIST_ELEM,
        [[NFTA_EXPR_NAME, name], [NFTA_EXPR_DATA, data]],
      ]),
    ],
  ]);
}

function change(what: string, message: number, flags: number, attributes: Attribute[]): NetlinkRequest {
  const header = Uint8Array.of(NFPROTO_INET, 0, 0, 0);
  return request(what, NFNL_SUBSYS_NFTABLES << 8 | message, header, attributes, flags);
}

/** `iifname`, `oifname`. */
export function interfaceIs(way: "in" | "out", name: string, isNot = false): Expression[] {
  const bytes = new Uint8Array(IFNAMSIZ);
  bytes.set(new TextEncoder().encode(name).subarray(0, IFNAMSIZ - 1));
  return [...meta(way === "in" ? NFT_META_IIFNAME : NFT_META_OIFNAME), compare(bytes, isNot)];
}

/** `meta l4proto`: IPPROTO_*. */
export function protocolIs(protocol: number): Expression[] {
  return [...meta(NFT_META_L4PROTO), compare(Uint8Array.of(protocol))];
}

/** `th dport`: TCP, UDP and SCTP have it at the same place. */
export function portIs(port: number): Expression[] {
  return [...payload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2), compare(be16(port))];
}

/** `ip saddr`, `ip6 daddr` and their like: the address, or a network's first `prefix` bits. */
export function addressIn(
  end: "source" | "destination",
  { address, prefix }: { address: Uint8Array; prefix: number },
): Expression[] {
  const isIpv4 = address.length === 4;
  const offset = isIpv4 ? 12 : 8;
  const version = [...meta(NFT_META_NFPROTO), compare(Uint8Array.of(isIpv4 ? NFPROTO_IPV4 : NFPROTO_IPV6))];
  if (prefix === 0) return version;
  return [
    ...version,
    ...payload(
      NFT_PAYLOAD_NETWORK_HEADER,
      end === "source" ? offset : offset + address.length,
      address.length,
    ),
    ...masked(address, prefix),
  ];
}

function masked(address: Uint8Array, prefix: number): Expression[] {
  if (prefix >= 8 * address.length) return [compare(address)];
  const mask = address.map((_, index) => 0xff00 >> Math.min(8, Math.max(0, prefix - 8 * index)) & 0xff);
  return [bitwise(mask), compare(address.map((byte, index) => byte & mask[index]!))];
}

/** `fib daddr type local`: it is addressed to this machine. */
export function isToThisMachine(): Expression[] {
  const fib: Expression = ["fib", [
    [NFTA_FIB_DREG, be32(NFT_REG_1)],
    [NFTA_FIB_RESULT, be32(NFT_FIB_RESULT_ADDRTYPE)],
    [NFTA_FIB_FLAGS, be32(NFTA_FIB_F_DADDR)],
  ]];
  return [fib, compare(hostOrder(RTN_LOCAL))];
}

/** NF_CT_STATE_BIT of IP_CT_ESTABLISHED and IP_CT_RELATED. @see linux/netfilter/nf_conntrack_common.h */
const ESTABLISHED_OR_RELATED = 1 << 1 | 1 << 2;

/** `ct state established,related`. */
export function isOfKnownConnection(): Expression[] {
  return conntrackHas(NFT_CT_STATE, ESTABLISHED_OR_RELATED);
}

/** `ct status dnat`: its destination was another. */
export function isToPublishedPort(): Expression[] {
  return conntrackHas(NFT_CT_STATUS, IPS_DST_NAT);
}

function conntrackHas(key: number, bits: number): Expression[] {
  const load: Expression = ["ct", [[NFTA_CT_DREG, be32(NFT_REG_1)], [NFTA_CT_KEY, be32(key)]]];
  return [load, bitwise(hostOrder(bits)), compare(hostOrder(0), true)];
}

export const accept = verdict(NF_ACCEPT);
export const goBack = verdict(NFT_RETURN);
/** ICMP and ICMPv6 administratively prohibited. */
export const reject: Expression[] = [["reject", [
  [NFTA_REJECT_TYPE, be32(NFT_REJECT_ICMPX_UNREACH)],
  [NFTA_REJECT_ICMP_CODE, Uint8Array.of(NFT_REJECT_ICMPX_ADMIN_PROHIBITED)],
]]];
/** The source becomes the address of the interface that it leaves by. */
export const masquerade: Expression[] = [["masq", []]];

export function jumpTo(chain: string): Expression[] {
  return verdict(NFT_JUMP, chain);
}

/** What comes behind this rule is not looked at any more. */
export function goTo(chain: string): Expression[] {
  return verdict(NFT_GOTO, chain);
}

/** `dnat to`. */
export function destinationBecomes(address: Uint8Array, port: number): Expression[] {
  return [
    immediate(NFT_REG_1, address),
    immediate(NFT_REG_2, be16(port)),
    ["nat", [
      [NFTA_NAT_TYPE, be32(NFT_NAT_DNAT)],
      [NFTA_NAT_FAMILY, be32(address.length === 4 ? NFPROTO_IPV4 : NFPROTO_IPV6)],
      [NFTA_NAT_REG_ADDR_MIN, be32(NFT_REG_1)],
      [NFTA_NAT_REG_PROTO_MIN, be32(NFT_REG_2)],
    ]],
  ];
}

/** `redirect to`: another port of this machine. */
export function portBecomes(port: number): Expression[] {
  return [immediate(NFT_REG_1, be16(port)), ["redir", [[NFTA_REDIR_REG_PROTO_MIN, be32(NFT_REG_1)]]]];
}

function verdict(code: number, chain?: string): Expression[] {
  return [["immediate", [
    [NFTA_IMMEDIATE_DREG, be32(NFT_REG_VERDICT)],
    [NFTA_IMMEDIATE_DATA, [[NFTA_DATA_VERDICT, [
      [NFTA_VERDICT_CODE, be32(code)],
      [NFTA_VERDICT_CHAIN, chain],
    ]]]],
  ]]];
}

function immediate(register: number, value: Uint8Array): Expression {
  return ["immediate", [
    [NFTA_IMMEDIATE_DREG, be32(register)],
    [NFTA_IMMEDIATE_DATA, [[NFTA_DATA_VALUE, value]]],
  ]];
}

function meta(key: number): Expression[] {
  return [["meta", [[NFTA_META_KEY, be32(key)], [NFTA_META_DREG, be32(NFT_REG_1)]]]];
}

function payload(base: number, offset: number, length: number): Expression[] {
  return [["payload", [
    [NFTA_PAYLOAD_DREG, be32(NFT_REG_1)],
    [NFTA_PAYLOAD_BASE, be32(base)],
    [NFTA_PAYLOAD_OFFSET, be32(offset)],
    [NFTA_PAYLOAD_LEN, be32(length)],
  ]]];
}

function bitwise(mask: Uint8Array): Expression {
  return ["bitwise", [
    [NFTA_BITWISE_SREG, be32(NFT_REG_1)],
    [NFTA_BITWISE_DREG, be32(NFT_REG_1)],
    [NFTA_BITWISE_LEN, be32(mask.length)],
    [NFTA_BITWISE_MASK, [[NFTA_DATA_VALUE, mask]]],
    [NFTA_BITWISE_XOR, [[NFTA_DATA_VALUE, new Uint8Array(mask.length)]]],
  ]];
}

function compare(value: Uint8Array, isNot = false): Expression {
  return ["cmp", [
    [NFTA_CMP_SREG, be32(NFT_REG_1)],
    [NFTA_CMP_OP, be32(isNot ? NFT_CMP_NEQ : NFT_CMP_EQ)],
    [NFTA_CMP_DATA, [[NFTA_DATA_VALUE, value]]],
  ]];
}

/** What the kernel has in a register as a number of its own. */
function hostOrder(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}
