import fc from "fast-check";
import { assert, assertEquals } from "../../tests/assertions.ts";
import {
  formatIdMap,
  mappedIdCount,
  mapWithRanges,
  nestedIdMap,
  parseIdMap,
  parseSubordinateRanges,
  splitIdMap,
} from "./id_map.ts";

Deno.test("a user's ranges are found by name and by number, in the file's order", () => {
  const text = "root:1:2\nalice:100000:65536\nbob:165536:65536\n1000:300000:10\nalice:400000:1\n";
  assertEquals(parseSubordinateRanges(text, "alice", 1000), [
    { start: 100000, count: 65536 },
    { start: 300000, count: 10 },
    { start: 400000, count: 1 },
  ]);
});

Deno.test("a line that is no range is passed over", () => {
  const lines = [
    "",
    "# alice:100000:65536",
    "alice",
    "alice:100000",
    "alice:100000:0",
    "alice:-5:10",
    "alice:1e5:10",
    "alice:0x10:10",
    "alice:10:10:10",
    "alice:4294967290:10",
    "alice:99999999999:1",
    "alicia:100000:65536",
  ];
  assertEquals(parseSubordinateRanges(lines.join("\n"), "alice", 1000), []);
});

Deno.test("container 0 is the user and the ranges follow from 1", () => {
  const maps = mapWithRanges(1000, [{ start: 100000, count: 65536 }, { start: 300000, count: 10 }]);
  assertEquals(formatIdMap(maps), "0 1000 1\n1 100000 65536\n65537 300000 10\n");
  assertEquals(mappedIdCount(maps), 65547);
});

Deno.test("a range that holds an id already mapped is left out, since the kernel would refuse the whole map", () => {
  const ranges = [{ start: 900, count: 200 }, { start: 2000, count: 10 }, { start: 2009, count: 5 }];
  assertEquals(formatIdMap(mapWithRanges(1000, ranges)), "0 1000 1\n1 2000 10\n");
});

Deno.test("a map has at most 340 lines", () => {
  const ranges = Array.from({ length: 400 }, (_, index) => ({ start: 100000 + index * 10, count: 5 }));
  assertEquals(mapWithRanges(1000, ranges).length, 340);
});

Deno.test("keep-id gives the user the same id inside as outside", () => {
  assertEquals(formatIdMap(nestedIdMap("keep-id", 1000, 65537)), "0 1 1000\n1000 0 1\n1001 1001 64536\n");
  assertEquals(formatIdMap(nestedIdMap("keep-id", 0, 65537)), "0 0 65537\n");
  // An id above the number of mapped ids leaves a hole below it.
  assertEquals(formatIdMap(nestedIdMap("keep-id", 100000, 65537)), "0 1 65536\n100000 0 1\n");
});

Deno.test("nomap leaves the user out", () => {
  assertEquals(formatIdMap(nestedIdMap("nomap", 1000, 65537)), "0 1 65536\n");
});

Deno.test("no map names an id twice, on either side", () => {
  const range = fc.record({
    start: fc.integer({ min: 0, max: 5000 }),
    count: fc.integer({ min: 1, max: 500 }),
  });
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 5000 }), fc.array(range, { maxLength: 10 }), (own, ranges) => {
      const shared = mapWithRanges(own, ranges);
      const nested = nestedIdMap("keep-id", own, mappedIdCount(shared));
      for (const maps of [shared, nested]) {
        for (const side of ["containerID", "hostID"] as const) {
          const sorted = maps.toSorted((a, b) => a[side] - b[side]);
          sorted.slice(1).forEach((one, index) => {
            assert(sorted[index]![side] + sorted[index]!.size <= one[side], formatIdMap(maps));
          });
        }
      }
      assertEquals(mappedIdCount(nested), mappedIdCount(shared));
      assertEquals(nested.find((one) => one.hostID === 0)?.containerID, own);
    }),
  );
});

Deno.test("a line of a map that lies in several of the map around it is written in pieces", () => {
  const around = parseIdMap("         0        999          1\n         1     165536      65536\n");
  assertEquals(around, mapWithRanges(999, [{ start: 165536, count: 65536 }]));
  const split = (text: string) => formatIdMap(splitIdMap(parseIdMap(text), around));
  assertEquals(split("0 0 60001"), "0 0 1\n1 1 60000\n");
  assertEquals(split("0 1 100\n100 0 1"), "0 1 100\n100 0 1\n");
  // what is in none of them, the kernel refuses
  assertEquals(split("0 65530 20"), "0 65530 7\n7 65537 13\n");
});
