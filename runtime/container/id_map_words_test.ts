import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { checkMap, parseIdMaps, parseMapping } from "./id_map_words.ts";

const map = (...lines: [number, number, number][]) =>
  lines.map(([containerID, hostID, size]) => ({ containerID, hostID, size }));
const own = map([0, 999, 1], [1, 165536, 65536]);
const rootless = { uid: own, gid: own, isRootless: true };
const all = map([0, 0, 0xffffffff]);
const root = { uid: all, gid: all, isRootless: false };

Deno.test("--uidmap counts for groups as well, and must be within what there is", () => {
  const both = parseIdMaps(["0:1:1000"], [], rootless);
  assertEquals(both, { uid: map([0, 1, 1000]), gid: map([0, 1, 1000]) });
  assertEquals(parseIdMaps(["0:0", "1:5:9"], ["0:5:7"], rootless), {
    uid: map([0, 0, 1], [1, 5, 9]),
    gid: map([0, 5, 7]),
  });
  assertEquals(parseIdMaps(["0:100000:10:20:200000:1", "10:100010"], [], root).uid, [
    ...map([0, 100000, 11], [20, 200000, 1]),
  ]);
  for (const word of ["foo", "0", "0:", "0:1:0", "0:1:2:3", "x0:1", "0:1:1:+", "0:@", "-1:0"]) {
    throws(() => parseIdMaps([word], [], rootless), {
      message:
        `initializing ID mappings: UID setting is malformed expected ["[+ug]uint32:[@]uint32[:uint32]"]: ["${word}"]`,
    });
  }
  throws(() => parseIdMaps(["1:1:10"], [], rootless), /UID 0 is not mapped/);
  throws(() => parseIdMaps(["0:1:65537"], [], rootless), /needs more than the 65537 ids/);
  throws(() => parseIdMaps(["0:4294967290:6"], [], root), /needs more than the 4294967295 ids/);
  throws(() => parseIdMaps(["0:1:10", "5:20:10"], [], rootless), /ranges overlap/);
  throws(() => parseIdMaps(["0:1:10", "20:5:10"], [], rootless), /ranges overlap/);
});

Deno.test("@ is an id of the host", () => {
  assertEquals(parseIdMaps(["0:@165536:10", "2000:@999"], [], rootless).uid, map([0, 1, 10], [2000, 0, 1]));
  assertEquals(parseIdMaps(["0:@100000:10"], [], root).uid, map([0, 100000, 10]));
  throws(() => parseIdMaps(["0:@1000"], [], rootless), {
    message: "parent ID UID 1000 is not mapped/delegated",
  });
  throws(() => parseIdMaps(["0:@165536:65537"], [], rootless), /parent ID UID 231072 is not/);
  assertEquals(parseMapping("UID", "5:@999", own), map([5, 0, 1]));
  throws(() => parseMapping("GID", "0:1:1:5:5:1", own), /malformed/);
});

Deno.test("+ takes its ids from the words before, and without root the rest is filled in", () => {
  // podman-run(1)'s own example: one id of the host in the midst of the others
  assertEquals(parseIdMaps(["+100000:@165540:1"], [], rootless).uid, [
    ...map([0, 0, 5], [5, 6, 65531], [100000, 5, 1]),
  ]);
  assertEquals(
    parseIdMaps(["0:100000:5000", "+5:200000:10", "+100:100003:1"], [], root).uid,
    map(
      [0, 100000, 3],
      [4, 100004, 1],
      [5, 200000, 10],
      [15, 100015, 85],
      [100, 100003, 1],
      [101, 100101, 4899],
    ),
  );
  assertEquals(parseIdMaps(["+0:100000:5"], [], root).uid, map([0, 100000, 5]));
});

Deno.test("u and g count for users and for groups alone", () => {
  assertEquals(parseIdMaps(["u0:100000:5", "g0:7:5", "ug9:90:1"], [], root), {
    uid: map([0, 100000, 5], [9, 90, 1]),
    gid: map([0, 7, 5], [9, 90, 1]),
  });
  assertEquals(parseIdMaps(["u0:1:5"], [], rootless), { uid: map([0, 1, 5]), gid: map([0, 0, 65537]) });
  assertEquals(parseIdMaps([], ["+g5:@999"], rootless).gid, map([0, 1, 5], [5, 0, 1], [6, 6, 65531]));
  throws(() => parseIdMaps(["u0:1:5"], [], root), /GID 0 is not mapped/);
  checkMap("UID", map([0, 7, 3]), all);
});
