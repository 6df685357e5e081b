import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { allocateMap, parseAuto, parseKeepId } from "./id_map_options.ts";

const map = (...lines: [number, number, number][]) =>
  lines.map(([containerID, hostID, size]) => ({ containerID, hostID, size }));
const own = map([0, 999, 1], [1, 165536, 65536]);
const available = { uid: own, gid: own, isRootless: true };
const all = [{ start: 1, count: 65536 }];

Deno.test("keep-id keeps the caller's ids, or those that are named", () => {
  const caller = { uid: 999, gid: 995 };
  assertEquals(parseKeepId("keep-id", caller), caller);
  assertEquals(parseKeepId("keep-id:uid=1000", caller), { uid: 1000, gid: 995 });
  assertEquals(parseKeepId("keep-id:uid=1,gid=2", caller), { uid: 1, gid: 2 });
  throws(() => parseKeepId("keep-id:foo=1", caller), { message: 'unknown option specified: "foo"' });
  for (const id of ["x", "-1", "4294967295", ""]) throws(() => parseKeepId(`keep-id:uid=${id}`, caller));
});

Deno.test("an automatic map has as many ids as asked for, or as it takes", () => {
  assertEquals(parseAuto("auto", available), { uid: [], gid: [] });
  assertEquals(parseAuto("auto:size=100,uidmapping=0:5:10", available), {
    size: 100,
    uid: map([0, 5, 10]),
    gid: [],
  });
  throws(() => parseAuto("auto:foo", available), { message: 'invalid option specified: "foo"' });
  throws(() => parseAuto("auto:size=0", available));
});

Deno.test("an automatic map takes the first ids that no other has", () => {
  assertEquals(allocateMap(1000, [], [], all), map([0, 1, 1000]));
  assertEquals(allocateMap(1000, [], map([0, 1, 1024]), all), map([0, 1025, 1000]));
  assertEquals(allocateMap(30, map([0, 5, 10]), [], all), map([0, 5, 10], [10, 1, 4], [14, 15, 16]));
  assertEquals(allocateMap(10, [], map([0, 3, 2], [0, 7, 1]), all), map([0, 1, 2], [2, 5, 2], [4, 8, 6]));
  throws(() => allocateMap(10, [], map([0, 1, 95]), [{ start: 1, count: 99 }]), /not enough unused ids/);
  const ranges = [{ start: 100, count: 10 }, { start: 500, count: 20 }];
  assertEquals(allocateMap(15, [], [], ranges), map([0, 100, 10], [10, 500, 5]));
  assertEquals(allocateMap(9, [], map([0, 50, 55], [0, 300, 205]), ranges), map([0, 105, 5], [5, 505, 4]));
});
