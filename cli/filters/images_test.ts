import { deepStrictEqual as assertEquals, throws } from "node:assert";
import type { ImageListEntry } from "../../runtime/engine/images.ts";
import { filterImages, matchesReference } from "./images.ts";

function image(name: string, changes: Partial<ImageListEntry> = {}): ImageListEntry {
  return {
    Id: name.repeat(64).slice(0, 64),
    ParentId: "",
    RepoTags: null,
    History: [],
    RepoDigests: [],
    Names: [`docker.io/library/${name}:1`],
    Digest: "",
    Size: 1,
    SharedSize: 0,
    VirtualSize: 1,
    Labels: null,
    Containers: 0,
    Created: 1000,
    CreatedAt: "2026-11-20T10:00:00Z",
    Dangling: false,
    Arch: "amd64",
    Os: "linux",
    ...changes,
  };
}

const STORE = [
  image("a", { Labels: { kind: "base" }, Containers: 2 }),
  image("b", { Names: [], Dangling: true, CreatedAt: "2026-11-20T09:59:00Z" }),
  image("c", {
    CreatedAt: "2026-11-20T10:00:00.000000001Z",
    Names: ["localhost:5000/team/c:2", "localhost/c:3"],
  }),
];

const CASES: [filters: string[], ids: string][] = [
  [["dangling=true"], "b"],
  [["dangling=false"], "a c"],
  [["containers=true"], "a"],
  [["intermediate=true"], ""],
  [["readonly=true"], ""],
  [["label=kind"], "a"],
  [["label!=kind"], "b c"],
  [["id=ccc"], "c"],
  [["reference=a"], "a"],
  [["reference=*/c"], "c"],
  [["reference=c:*"], "c"],
  [["reference!=a"], "b c"],
  [["before=a"], "b"],
  [["since=a"], "c"],
  [["after=a"], "c"],
  [["until=2026-11-20T10:00:01Z"], "a b c"],
];
for (const [filters, ids] of CASES) {
  Deno.test(`--filter ${filters.join(" --filter ")} keeps ${ids}`, () => {
    assertEquals(filterImages(STORE, filters).map(({ Id }) => Id[0]).join(" "), ids);
  });
}

Deno.test("a pattern's star does not reach over a slash, and brackets cannot break out", () => {
  assertEquals(matchesReference("docker.io/library/debian:12", "deb*"), true);
  assertEquals(matchesReference("docker.io/library/debian:12", "docker*12"), false);
  assertEquals(matchesReference("docker.io/library/debian:12", "(a+)+*"), false);
});

Deno.test("what is no bool, and an image that is not there, are refused", () => {
  throws(() => filterImages(STORE, ["dangling=perhaps"]), {
    message: 'non-boolean value "perhaps" for dangling filter',
  });
  throws(() => filterImages(STORE, ["before=z"]), { message: "z: image not known" });
  throws(() => filterImages(STORE, ["foo=z"]), { message: "foo is an invalid filter" });
});
