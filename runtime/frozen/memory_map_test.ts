import { assertEquals, messageOf } from "../../tests/assertions.ts";
import { isKernels, isOwnPage, parseMaps, wantedRuns } from "./memory_map.ts";

Deno.test("a line of the memory map is read as the kernel writes it", () => {
  const text = "10000000-11b8e000 r--p 00001000 fe:00 2245154                            /a b/skiff\n" +
    "2d5400000000-2d5800000000 ---p 00000000 00:00 0 \n" +
    "7f32065a6000-7f32065ae000 rw-s 00000000 fe:00 22 /x (deleted)\n" +
    "7f320ef4c000-7f320ef4e000 r-xp 00000000 00:00 0                          [vdso]\n";
  const [file, none, shared, vdso] = parseMaps(text);
  assertEquals(file, {
    start: 0x10000000n,
    end: 0x11b8e000n,
    rights: 1,
    isShared: false,
    offset: 0x1000n,
    name: "/a b/skiff",
  });
  assertEquals([none!.rights, none!.name], [0, ""]);
  assertEquals([shared!.isShared, shared!.rights, shared!.name], [true, 3, "/x (deleted)"]);
  assertEquals([vdso!.rights, isKernels(vdso!), isKernels(file!)], [5, true, false]);
});

Deno.test("a line that is none is an error", async () => {
  assertEquals(await messageOf(() => parseMaps("10000000 r--p")), "read the memory map: 10000000 r--p");
});

Deno.test("a page is the process's own if it was written, in memory or swapped out", () => {
  const present = 1n << 63n, swapped = 1n << 62n, ofFile = 1n << 61n;
  assertEquals([0n, present, present | ofFile, swapped, ofFile].map(isOwnPage), [
    false,
    true,
    false,
    true,
    false,
  ]);
});

Deno.test("stretches of wanted pages take small gaps in", () => {
  const wanted = new Set([0, 1, 4, 9, 20]);
  const runs = (gap: number) =>
    wantedRuns(21, (page) => wanted.has(page), gap).map(({ first, count }) => [first, count]);
  assertEquals(runs(0), [[0, 2], [4, 1], [9, 1], [20, 1]]);
  assertEquals(runs(4), [[0, 10], [20, 1]]);
  assertEquals(wantedRuns(3, () => false, 4), []);
});
