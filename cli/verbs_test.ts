import { deepStrictEqual as assertEquals } from "node:assert";
import { findVerb } from "./find_verb.ts";
import { ALL_GROUPS, VERBS } from "./verbs.ts";

/** Both spellings of what docker and podman have; the file is what is loaded. */
const SPELLINGS: [words: string, path: string][] = [
  ["ps -a", "skiff ps"],
  ["container ls", "skiff container list"],
  ["container list", "skiff container list"],
  ["container ps", "skiff container ps"],
  ["images", "skiff images"],
  ["image ls", "skiff image list"],
  ["image list", "skiff image list"],
  ["rmi x", "skiff rmi"],
  ["image rm x", "skiff image rm"],
  ["image remove x", "skiff image rm"],
  ["image inspect x", "skiff image inspect"],
  ["container inspect x", "skiff container inspect"],
  ["image exists x", "skiff image exists"],
  ["container run x", "skiff container run"],
  ["container rm x", "skiff container rm"],
  ["system info", "skiff system info"],
  ["build .", "skiff build"],
  ["image build .", "skiff image build"],
  ["buildx build .", "skiff buildx build"],
  ["builder build .", "skiff builder build"],
  ["builder prune -f", "skiff builder prune"],
  ["buildx prune -f", "skiff buildx prune"],
  ["build prune", "skiff build prune"],
  ["build ./prune", "skiff build"],
];
for (const [words, path] of SPELLINGS) {
  Deno.test(`skiff ${words} is ${path}`, () => {
    const found = findVerb(words.split(" "));
    assertEquals(found.kind === "verb" && found.path, path);
  });
}

Deno.test("what follows the name is left for the command", () => {
  const found = findVerb(["container", "ls", "-a", "x"]);
  assertEquals(found.kind === "verb" && found.rest, ["-a", "x"]);
});

Deno.test("a group alone, and a group with options, is the group", () => {
  assertEquals(findVerb(["image"]).kind, "group");
  assertEquals(findVerb(["image", "--help"]).kind, "group");
});

Deno.test("an unknown name says in which group it was sought", () => {
  const found = findVerb(["image", "foo"]);
  assertEquals(found.kind === "unknown" && [found.path, found.typed, found.group?.name], [
    "skiff image foo",
    "foo",
    "image",
  ]);
});

Deno.test("names and aliases are unique in each table", () => {
  for (const verbs of [VERBS, ...ALL_GROUPS.map((group) => group.verbs)]) {
    const names = verbs.flatMap(({ name, aliases = [] }) => [name, ...aliases]);
    assertEquals(new Set(names).size, names.length);
  }
});
