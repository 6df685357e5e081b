import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { allocateMap, parseAuto, parseIdMaps, parseKeepId } from "./id_map_options.ts";

const map = (...lines: [number, number, number][]) =>
  lines.map(([containerID, hostID, size]) => ({ containerID, hostID, size }));
const counts = { uid: 65537, gid: 65537 };

Deno.test("keep-id keeps the caller's ids, or those that are named", () => {
  const caller = { uid: 999, gid: 995 };
  assertEquals(parseKeepId("keep-id", caller), caller);
  assertEquals(parseKeepId("keep-id:uid=1000", caller), { uid: 1000, gid: 995 });
  assertEquals(parseKeepId("keep-id:uid=1,gid=2", caller), { uid: 1, gid: 2 });
  throws(() => parseKeepId("keep-id:foo=1", caller), { message: 'unknown option specified: "foo"' });
  for (const id of ["x", "-1", "4294967295", ""]) throws(() => parseKeepId(`keep-id:uid=${id}`, caller));
});

Deno.test("an automatic map has 1024 ids, or as many as asked for", () => {
  assertEquals(parseAuto("auto"), { size: 1024, uid: [], gid: [] });
  assertEquals(parseAuto("auto:size=100,uidmapping=0:5:10"), { size: 100, uid: map([0, 5, 10]), gid: [] });
  throws(() => parseAuto("auto:foo"), { message: 'invalid option specified: "foo"' });
  throws(() => parseAuto("auto:size=0"));
});

Deno.test("an automatic map takes the first ids that no other has", () => {
  assertEquals(allocateMap(1000, [], [], 65537), map([0, 1, 1000]));
  assertEquals(allocateMap(1000, [], map([0, 1, 1024]), 65537), map([0, 1025, 1000]));
  assertEquals(allocateMap(30, map([0, 5, 10]), [], 65537), map([0, 5, 10], [10, 1, 4], [14, 15, 16]));
  assertEquals(allocateMap(10, [], map([0, 3, 2], [0, 7, 1]), 65537), map([0, 1, 2], [2, 5, 2], [4, 8, 6]));
  throws(() => allocateMap(10, [], map([0, 1, 95]), 100), /not enough unused ids/);
});

Deno.test("--uidmap counts for groups as well, and must be within what there is", () => {
  const both = parseIdMaps(["0:1:1000"], [], counts);
  assertEquals(both, { uid: map([0, 1, 1000]), gid: map([0, 1, 1000]) });
  assertEquals(parseIdMaps(["0:0", "1:1:9"], ["0:5:7"], counts), {
    uid: map([0, 0, 1], [1, 1, 9]),
    gid: map([0, 5, 7]),
  });
  throws(() => parseIdMaps(["foo"], [], counts), {
    message: 'UID setting is malformed expected ["uint32:uint32:uint32"]: ["foo"]',
  });
  throws(() => parseIdMaps(["1:1:10"], [], counts), /UID 0 is not mapped/);
  throws(() => parseIdMaps(["0:1:65537"], [], counts), /needs more than the 65537 ids/);
  throws(() => parseIdMaps(["0:1:10", "5:20:10"], [], counts), /ranges overlap/);
  throws(() => parseIdMaps(["0:1:10", "20:5:10"], [], counts), /ranges overlap/);
});
