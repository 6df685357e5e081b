import { deepStrictEqual as equal } from "node:assert/strict";
import { mustParse } from "./addresses.ts";
import { toWords } from "./packet.ts";
import { guestOf, Shares } from "./shares.ts";

const guest = (text: string) => guestOf(...toWords(mustParse(text)));

Deno.test("who has most makes room, the oldest first, but not for itself nor for its like", () => {
  const shares = new Shares<string>();
  const [greedy, other, third] = ["10.0.0.2", "10.0.0.3", "10.0.0.4"].map(guest) as [number, number, number];
  equal([...shares.most(), shares.roomFor(other)], [undefined]);
  const places = ["a", "b", "c", "d"].map((item) => shares.add(greedy, item));
  equal([...shares.most()], ["a", "b", "c", "d"]);
  equal([shares.roomFor(greedy), shares.roomFor(other)], [undefined, "a"]);
  shares.delete(places[0]!);
  shares.delete(places[0]!);
  for (const item of ["x", "y"]) shares.add(other, item);
  equal([shares.roomFor(other), shares.roomFor(third)], [undefined, "b"]);
  shares.delete(places[2]!);
  equal([...shares.most()], ["b", "d"]);
  for (const place of places) shares.delete(place);
  equal([[...shares.most()], shares.count(greedy), shares.roomFor(greedy)], [["x", "y"], 0, "x"]);
});

Deno.test("what is over leads to no other, or one that has grown old would keep all later ones from being collected", () => {
  const shares = new Shares<string>();
  const places = ["a", "b", "c"].map((item) => shares.add(1, item));
  for (const place of [places[1]!, places[0]!, places[2]!]) shares.delete(place);
  equal(places.map(({ before, after }) => [before, after]), places.map(() => [undefined, undefined]));
});

Deno.test("an IPv6 guest's addresses are one guest's, as it may have any of its network", () => {
  equal(guest("fd00:1::2") === guest("fd00:1::ffff:0:3"), true);
  const different = ["fd00:1::2", "fd00:1:0:1::2", "fd00:2::2", "10.0.0.2", "10.0.0.3"].map(guest);
  equal(new Set(different).size, different.length);
});
