import { deepStrictEqual as equal } from "node:assert/strict";
import { IpPacket, Networks, sum, toBytes, toWords, VNET_BYTES, writeHeaders } from "./packet.ts";
import { mustParse } from "./addresses.ts";
import { Slot } from "./slots.ts";
import { Segment } from "./tcp_segment.ts";
import { ConnectionTable, ports, type TableEntry } from "./tcp_table.ts";

const FRAME = VNET_BYTES + 20 + 20;

/** A slot with a SYN from 10.0.2.100 to 10.0.2.2, without data. */
function synFrame(): Slot {
  const slot = new Slot();
  const route = {
    version: 4,
    protocol: 6,
    source: words("10.0.2.100"),
    destination: words("10.0.2.2"),
  } as const;
  const at = writeHeaders(slot, route, 20);
  slot.view.setUint16(at + 12, 5 << 12 | 2);
  slot.view.setUint8(0, 1);
  return slot;
}

function words(address: string) {
  return toWords(mustParse(address));
}

function parses(slot: Slot, length = FRAME): boolean {
  return new IpPacket().parse(slot, length);
}

/** Writes the header's checksum anew, so that only what a test changed is wrong. */
function seal({ bytes, view }: Slot): void {
  view.setUint16(VNET_BYTES + 10, 0);
  const headerBytes = (bytes[VNET_BYTES]! & 15) * 4;
  view.setUint16(VNET_BYTES + 10, ~sum(bytes, VNET_BYTES, VNET_BYTES + headerBytes, 0) & 0xffff);
}

Deno.test("a packet is what its own length says, and never more than was read", () => {
  const slot = synFrame();
  equal(parses(slot), true);
  for (const length of [0, 9, 10, 29, FRAME - 1]) equal(parses(slot, length), false, `${length} bytes`);
  equal(parses(slot, FRAME + 100), true, "padding");
  equal(parses(slot, slot.bytes.length + 1), false, "more than the slot");
});

Deno.test("lengths that lie are no packet", () => {
  for (const total of [0, 19, 41, 65_535]) {
    const slot = synFrame();
    slot.view.setUint16(VNET_BYTES + 2, total);
    seal(slot);
    equal(parses(slot), false, `total length ${total}`);
  }
  for (const words of [0, 4, 15]) {
    const slot = synFrame();
    slot.view.setUint8(VNET_BYTES, 0x40 | words);
    if (words > 4) seal(slot);
    equal(parses(slot), false, `header of ${words} words`);
  }
  const slot = synFrame();
  slot.view.setUint8(VNET_BYTES + 8, 1);
  equal(parses(slot), false, "checksum");
});

Deno.test("IPv6 extension headers are walked within the packet, a few of them", () => {
  const chain = (count: number, lengthByte: number) => {
    const slot = new Slot();
    const length = count * 8 + 20;
    const route = {
      version: 6,
      protocol: 60,
      source: words("fd00::100"),
      destination: words("fd00::2"),
    } as const;
    const at = writeHeaders(slot, route, length);
    for (let index = 0; index < count; index++) {
      slot.view.setUint8(at + index * 8, index === count - 1 ? 6 : 60);
      slot.view.setUint8(at + index * 8 + 1, lengthByte);
    }
    const packet = new IpPacket();
    return packet.parse(slot, at + length) ? [packet.protocol, packet.transport - VNET_BYTES] : false;
  };
  equal(chain(2, 0), [6, 56]);
  equal(chain(9, 0), false);
  equal(chain(1, 255), false);
});

Deno.test("a TCP header and its options end where the packet does", () => {
  const packet = new IpPacket();
  const segment = new Segment();
  const slot = synFrame();
  equal(packet.parse(slot, FRAME) && segment.parse(packet), true);
  equal([segment.length, segment.span, segment.mss, segment.windowScale], [0, 1, 0, -1]);
  slot.view.setUint16(VNET_BYTES + 20 + 12, 6 << 12 | 2);
  equal(packet.parse(slot, FRAME) && segment.parse(packet), false, "options beyond the end");
  slot.view.setUint16(VNET_BYTES + 20 + 12, 4 << 12 | 2);
  equal(packet.parse(slot, FRAME) && segment.parse(packet), false, "a header shorter than one");
  for (const options of [[2, 8, 5, 180], [2, 0, 5, 180], [3, 1, 9, 9], [5, 200, 0, 0], [1, 1, 1, 2]]) {
    const long = synFrame();
    long.view.setUint16(VNET_BYTES + 2, 44);
    long.view.setUint16(VNET_BYTES + 20 + 12, 6 << 12 | 2);
    long.bytes.set(options, FRAME);
    seal(long);
    equal(packet.parse(long, FRAME + 4) && segment.parse(packet), true);
    equal([segment.mss, segment.windowScale, segment.sackCount], [0, -1, 0], String(options));
  }
});

Deno.test("addresses become words and bytes again, and prefixes match them", () => {
  for (const text of ["10.0.2.100", "255.255.255.255", "fd00::100", "::1"]) {
    equal(toBytes(...words(text)), mustParse(text));
  }
  const networks = new Networks([{ address: "10.0.2.0", prefix: 24 }, { address: "fd00::", prefix: 64 }]);
  equal(["10.0.2.255", "10.0.3.0", "fd00::1:2", "fd00:0:0:1::"].map((text) => networks.has(...words(text))), [
    ...[true, false, true, false],
  ]);
});

Deno.test("connections are found by both ends, and no more when they are deleted", () => {
  const table = new ConnectionTable<TableEntry>();
  const entries = Array.from({ length: 5000 }, (_, port) => ({
    ...{ g0: 0, g1: 0, g2: 0xffff, g3: 7, p0: 0, p1: 0, p2: 0xffff, p3: port >> 8 },
    ports: ports(port, 80),
    chain: undefined,
    place: undefined,
  }));
  for (const entry of entries) table.add(entry);
  equal(entries.every((entry) => table.find({ ...entry }) === entry), true);
  for (const entry of entries.slice(0, 2500)) table.delete(entry);
  equal(entries.map((entry) => table.find(entry) === entry).lastIndexOf(false), 2499);
  equal([table.size, table.list().length], [2500, 2500]);
});
