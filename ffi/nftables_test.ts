import { assertEquals, assertMatch } from "../tests/assertions.ts";
import { CLONE_NEWNET, CLONE_NEWUSER } from "./constants/sched.ts";
import { NETLINK_NETFILTER } from "./constants/netlink.ts";
import { NFNL_SUBSYS_NFTABLES, NFPROTO_INET, NFT_MSG_GETRULE } from "./constants/nf_tables.ts";
import { O_CLOEXEC } from "./constants/fcntl.ts";
import { close, pipe2, readAll, writeAll } from "./file.ts";
import { forkChild, prepareFork } from "./fork.ts";
import { openFamilies } from "./libc.ts";
import { unshare } from "./namespaces.ts";
import { encodeRequests, NetlinkSocket, openNetlink, request } from "./netlink.ts";
import {
  accept,
  addChain,
  addressIn,
  addRule,
  addTable,
  batch,
  deleteTable,
  destinationBecomes,
  interfaceIs,
  isOfKnownConnection,
  isToPublishedPort,
  isToThisMachine,
  jumpTo,
  masquerade,
  portBecomes,
  portIs,
  protocolIs,
  reject,
} from "./nftables.ts";
import { waitpidBlocking } from "./process.ts";

const TABLE = "skiff-test";

Deno.test("a batch begins and ends with its subsystem, and its last message answers", () => {
  const bytes = encodeRequests(batch([addTable("t"), deleteTable("t")]), 1);
  assertEquals(
    bytes.toHex(),
    "14000000" + "1000" + "0100" + "01000000" + "00000000" + "0000000a" +
      "1c000000" + "000a" + "0104" + "02000000" + "00000000" + "01000000" + "06000100" + "74000000" +
      "1c000000" + "020a" + "0500" + "03000000" + "00000000" + "01000000" + "06000100" + "74000000" +
      "14000000" + "1100" + "0100" + "04000000" + "00000000" + "0000000a",
  );
});

Deno.test("a rule is a list of expressions", () => {
  const { body } = addRule("t", "c", protocolIs(6), portIs(0x5051), accept);
  assertEquals(
    body.toHex(),
    "01000000" + "0600010074000000" + "0600020063000000" + "e4000480" +
      // meta, cmp
      "24000180" + "09000100" + "6d657461" + "00000000" + "14000280" + "0800020000000010" +
      "0800010000000001" +
      "2c000180" + "08000100" + "636d7000" + "20000280" + "0800010000000001" + "0800020000000000" +
      "0c000380" + "0500010006000000" +
      // payload, cmp
      "34000180" + "0c000100" + "7061796c6f616400" + "24000280" + "0800010000000001" + "0800020000000002" +
      "0800030000000002" + "0800040000000002" +
      "2c000180" + "08000100" + "636d7000" + "20000280" + "0800010000000001" + "0800020000000000" +
      "0c000380" + "0600010050510000" +
      // immediate
      "30000180" + "0e000100" + "696d6d6564696174" + "65000000" + "1c000280" + "0800010000000000" +
      "10000280" + "0c000280" + "0800010000000001",
  );
});

/** In a forked child that is root of a namespace of its own. */
async function inOwnNetwork(action: (filter: NetlinkSocket) => string): Promise<string> {
  await prepareFork();
  openFamilies("socket", "file", "process", "namespaces", "inet");
  const [reader, writer] = pipe2(O_CLOEXEC);
  const say = (text: string) => writeAll(writer, new TextEncoder().encode(text));
  const child = forkChild(() => {
    unshare(CLONE_NEWUSER | CLONE_NEWNET);
    say(action(new NetlinkSocket(openNetlink(NETLINK_NETFILTER))));
    return 0;
  }, (error) => say(`failed: ${(error as Error).message}`));
  close(writer);
  const text = new TextDecoder().decode(readAll(reader, 65536));
  close(reader);
  waitpidBlocking(child);
  return text;
}

const LIST_RULES = request(
  "list rules",
  NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETRULE,
  Uint8Array.of(NFPROTO_INET, 0, 0, 0),
);
const NETWORK = { address: Uint8Array.of(10, 1, 2, 0), prefix: 23 };
const NETWORK6 = { address: new Uint8Array(16).fill(0xfd, 0, 1), prefix: 7 };

Deno.test("the kernel takes every kind of rule, and gives it back", async () => {
  const counts = await inOwnNetwork((filter) => {
    filter.perform(batch([
      addTable(TABLE),
      addChain(TABLE, "one"),
      addChain(TABLE, "nat", { type: "nat", hook: "prerouting", priority: -100 }),
      addChain(TABLE, "source", { type: "nat", hook: "postrouting", priority: 100 }),
      addChain(TABLE, "forward", { type: "filter", hook: "forward", priority: 0 }),
      addRule(
        TABLE,
        "one",
        addressIn("destination", NETWORK),
        destinationBecomes(Uint8Array.of(10, 0, 0, 1), 80),
      ),
      addRule(TABLE, "one", addressIn("source", NETWORK6), portBecomes(5353)),
      addRule(TABLE, "nat", isToThisMachine(), jumpTo("one")),
      addRule(TABLE, "source", interfaceIs("out", "lo", true), masquerade),
      addRule(TABLE, "forward", isOfKnownConnection(), isToPublishedPort(), accept),
      addRule(TABLE, "forward", interfaceIs("in", "lo"), reject),
    ]));
    const made = filter.dump(LIST_RULES).length;
    filter.perform(batch([addTable(TABLE), deleteTable(TABLE)]));
    return `${made} ${filter.dump(LIST_RULES).length}`;
  });
  assertEquals(counts, "6 0");
});

Deno.test("of a batch that holds one bad message nothing is made, and the message is named", async () => {
  const outcome = await inOwnNetwork((filter) => {
    try {
      filter.perform(batch([addTable(TABLE), addRule(TABLE, "nowhere", accept), addChain(TABLE, "late")]));
      return "made";
    } catch (error) {
      filter.perform(batch([addTable("other")]));
      try {
        filter.perform(batch([deleteTable(TABLE)]));
      } catch (gone) {
        return `${(error as Error).message}; ${(gone as Error).message}`;
      }
      return "half made";
    }
  });
  assertMatch(
    outcome,
    /^add rule to nowhere: No such file or directory.*; delete table skiff-test: No such file/,
  );
});

Deno.test("hundreds of rules go in one message", async () => {
  const rules = Array.from(
    { length: 300 },
    (_, port) => addRule(TABLE, "one", protocolIs(6), portIs(port), accept),
  );
  const count = await inOwnNetwork((filter) => {
    filter.perform(batch([addTable(TABLE), addChain(TABLE, "one"), ...rules]));
    return String(filter.dump(LIST_RULES).length);
  });
  assertEquals(count, "300");
});
