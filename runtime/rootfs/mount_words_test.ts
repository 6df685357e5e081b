import { assertEquals } from "../../tests/assertions.ts";
import {
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MS_PRIVATE,
  MS_SHARED,
  MS_SLAVE,
} from "../../ffi/constants/mount.ts";
import { type MountWords, parseMountWords } from "./mount_words.ts";

const NOTHING: MountWords = {
  set: 0,
  clear: 0,
  isBind: false,
  isRecursive: false,
  propagation: 0,
  propagationIsRecursive: false,
  data: [],
  copyUp: false,
  mayBeMissing: false,
  needsFolder: false,
};

Deno.test("each word becomes what the kernel calls it", () => {
  const cases: [string[], Partial<MountWords>][] = [
    [[], {}],
    [["ro", "nosuid", "nodev", "noexec"], {
      set: MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
    }],
    [["rw"], { clear: MOUNT_ATTR_RDONLY }],
    [["bind"], { isBind: true }],
    [["rbind"], { isBind: true, isRecursive: true }],
    [["private"], { propagation: MS_PRIVATE }],
    [["rslave"], { propagation: MS_SLAVE, propagationIsRecursive: true }],
    [["rshared"], { propagation: MS_SHARED, propagationIsRecursive: true }],
    [["tmpcopyup"], { copyUp: true }],
    [["mode=755", "size=64m", "newinstance"], { data: ["mode=755", "size=64m", "newinstance"] }],
    [["relatime", "z", "Z", "U", "defaults", "copy"], {}],
  ];
  for (const [words, expected] of cases) {
    assertEquals(parseMountWords(words), { ...NOTHING, ...expected }, words.join(","));
  }
});

Deno.test("the later of two words that exclude each other wins", () => {
  assertEquals(parseMountWords(["ro", "rw"]), { ...NOTHING, clear: MOUNT_ATTR_RDONLY });
  assertEquals(parseMountWords(["rw", "ro"]), { ...NOTHING, set: MOUNT_ATTR_RDONLY });
  assertEquals(parseMountWords(["rbind", "bind"]), { ...NOTHING, isBind: true });
  assertEquals(parseMountWords(["tmpcopyup", "notmpcopyup"]), NOTHING);
  assertEquals(parseMountWords(["nofail"]), { ...NOTHING, mayBeMissing: true });
  assertEquals(parseMountWords(["x-skiff.existing-folder"]), { ...NOTHING, needsFolder: true });
  assertEquals(parseMountWords(["rshared", "private"]), { ...NOTHING, propagation: MS_PRIVATE });
});

Deno.test("a name that every object has is no word of the table", () => {
  assertEquals(parseMountWords(["constructor", "toString"]).data, ["constructor", "toString"]);
});
