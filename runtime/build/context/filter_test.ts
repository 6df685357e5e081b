import { both, type Decision, type EntryFilter, excluding, including, TAKE_ALL, without } from "./filter.ts";
import { assertEquals } from "../../../tests/assertions.ts";

function decide(filter: EntryFilter, entries: Record<string, Decision>): void {
  for (const [path, decision] of Object.entries(entries)) {
    const isFolder = path.endsWith("/");
    assertEquals({ path, decision: filter(path.replace(/\/$/, ""), isFolder) }, { path, decision });
  }
}

Deno.test("what is excluded is left, and a folder is looked into where something in it is taken back", () => {
  decide(excluding(["*.md", "drop", "!drop/kept"]), {
    "a.md": "leave",
    "d/a.md": "take",
    "drop/": "look",
    "drop/x": "leave",
    "drop/other/": "leave",
    "drop/kept/": "take",
    "drop/kept/x": "take",
  });
  assertEquals(excluding([]), TAKE_ALL);
});

Deno.test("what is included is taken with all below it; folders on the way are looked into, others are not", () => {
  decide(including("a/b/c.txt"), {
    "a/": "look",
    "a/b/": "look",
    "a/b/c.txt": "take",
    "a/b/d.txt": "leave",
    "a/x/": "leave",
    "b/": "leave",
  });
  decide(including("a/*/c"), {
    "a/": "look",
    "a/b/": "look",
    "a/b/c/": "take",
    "a/b/c/d": "take",
    "a/b/x": "leave",
  });
  decide(including("r/**/*.go"), {
    "r/": "look",
    "r/1/2/": "look",
    "r/1/2/x.go": "take",
    "r/x.c": "leave",
    "s/": "leave",
  });
  assertEquals(including("."), TAKE_ALL);
});

Deno.test("of two filters both must want an entry; one folder is left out of all", () => {
  decide(both(including("a"), excluding(["**/x"])), { "a/": "take", "a/x": "leave", "b/": "leave" });
  decide(without("own/data", TAKE_ALL), {
    "own/": "take",
    "own/data/": "leave",
    "own/data/x": "leave",
    "own/database": "take",
  });
});
