import { assertEquals, messageOf } from "../../../tests/assertions.ts";
import { type Entry, makeTar } from "../../../tests/images.ts";
import { chunksOf, sourceOf } from "../chunks.ts";
import { listContents, plainName, TarContents } from "./contents.ts";

function contentsOf(entries: Entry[]) {
  const bytes = makeTar(entries);
  const contents = new TarContents(listContents(chunksOf(sourceOf(bytes), 700)));
  return (name: string) => {
    const file = contents.find(name);
    return file && new TextDecoder().decode(bytes.subarray(file.place, file.place + file.size));
  };
}

Deno.test("members are found by any spelling of their names, the later of two counting", () => {
  const read = contentsOf([
    { path: "./a/b", content: "first" },
    { path: "a/b", content: "second" },
    { path: "c", content: "x".repeat(5000) },
    { path: "ü", content: "umlaut" },
    { path: "d/", mode: 0o755 },
    { path: "pax", pax: { path: "e/" + "long/".repeat(40) + "name" }, content: "long" },
  ]);
  assertEquals(read("a/b"), "second");
  assertEquals(read("/a//c/../b"), "second");
  assertEquals(read("c")?.length, 5000);
  assertEquals(read("ü"), "umlaut");
  assertEquals(read("e/" + "long/".repeat(40) + "name"), "long");
  for (const name of ["d", "a", "", ".", "..", "../a/b", "nope"]) assertEquals(read(name), undefined, name);
});

Deno.test("links lead to members and nowhere else", () => {
  const read = contentsOf([
    { path: "x/file", content: "here" },
    { path: "y/link", link: "../x/file" },
    { path: "hard", type: "hardlink", link: "x/file" },
    { path: "twice", link: "y/link" },
    { path: "absolute", link: "/x/file" },
    { path: "out", link: "../../x/file" },
    { path: "loop", link: "loop" },
  ]);
  assertEquals(["y/link", "hard", "twice"].map(read), ["here", "here", "here"]);
  assertEquals(["absolute", "out", "loop"].map(read), [undefined, undefined, undefined]);
});

Deno.test("plain names", async () => {
  const cases: [string, string | null][] = [
    ["a/./b//c/", "a/b/c"],
    ["a/../b", "b"],
    ["/a", "a"],
    ["a/..", null],
    ["../a", null],
    ["a/../../b", null],
  ];
  for (const [name, plain] of cases) assertEquals(plainName(name), plain, name);
  assertEquals(
    await messageOf(() => listContents(chunksOf(sourceOf(new Uint8Array(700).fill(1))))),
    "bad checksum in header",
  );
});
