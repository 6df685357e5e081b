/**
 * For tests: tables of nf_tables in the network namespace that this runs in.
 *
 *     nftables_probe.ts make NAME     a table with a chain and a rule, as somebody else's
 *     nftables_probe.ts delete NAME
 *     nftables_probe.ts list          JSON: names of all tables, and the rules of both IP versions by table
 */

import { NETLINK_NETFILTER } from "../ffi/constants/netlink.ts";
import {
  NFNL_SUBSYS_NFTABLES,
  NFPROTO_INET,
  NFT_MSG_GETRULE,
  NFT_MSG_GETTABLE,
  NFTA_RULE_TABLE,
  NFTA_TABLE_NAME,
} from "../ffi/constants/nf_tables.ts";
import { NetlinkSocket, openNetlink, parseAttributes, request, textOf } from "../ffi/netlink.ts";
import { accept, addChain, addRule, addTable, batch, deleteTable, interfaceIs } from "../ffi/nftables.ts";

export interface Ruleset {
  tables: string[];
  /** Hexadecimal, with the kernel's handles: what was made anew is another. */
  rules: Record<string, string[]>;
}

/** Struct nfgenmsg and its attributes. */
const HEADER_BYTES = 4;

function list(filter: NetlinkSocket): Ruleset {
  const ask = (message: number, family: number) =>
    filter.dump(request("list", NFNL_SUBSYS_NFTABLES << 8 | message, Uint8Array.of(family, 0, 0, 0)))
      .map(({ body }) => ({ body, attributes: parseAttributes(body, HEADER_BYTES) }));
  const tables = ask(NFT_MSG_GETTABLE, 0).map(({ attributes }) => textOf(attributes.get(NFTA_TABLE_NAME)!));
  const rules: Record<string, string[]> = {};
  for (const { body, attributes } of ask(NFT_MSG_GETRULE, NFPROTO_INET)) {
    // the header tells the generation, which every change of anybody's raises
    (rules[textOf(attributes.get(NFTA_RULE_TABLE)!)] ??= []).push(body.subarray(HEADER_BYTES).toHex());
  }
  return { tables: tables.sort(), rules };
}

if (import.meta.main) {
  using filter = new NetlinkSocket(openNetlink(NETLINK_NETFILTER));
  const [verb, name = ""] = Deno.args;
  if (verb === "list") console.log(JSON.stringify(list(filter)));
  else if (verb === "delete") filter.perform(batch([deleteTable(name)]));
  else {
    filter.perform(batch([
      addTable(name),
      addChain(name, "forward", { type: "filter", hook: "forward", priority: 10 }),
      addRule(name, "forward", interfaceIs("in", "nobody"), accept),
    ]));
  }
}
