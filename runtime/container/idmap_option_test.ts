import { parseIdmap, rangesInNamespace } from "./idmap_option.ts";
import { InvalidArgumentError } from "../errors.ts";

function equal(actual: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${a} is not ${b}`);
}

const SHARED = [
  { containerID: 0, hostID: 1000, size: 1 },
  { containerID: 1, hostID: 100000, size: 65536 },
];

Deno.test("idmap is read as crun(1) writes it", () => {
  equal(parseIdmap(""), {});
  equal(parseIdmap("uids=0-1-10#10-11-10;gids=@0-100-10"), {
    uids: [
      { disk: 0, to: 1, size: 10, isRelative: false },
      { disk: 10, to: 11, size: 10, isRelative: false },
    ],
    gids: [{ disk: 0, to: 100, size: 10, isRelative: true }],
  });
});

Deno.test("an idmap that says nothing, twice, too little or too much is refused", () => {
  for (
    const text of [
      "uids",
      "uids=",
      "uids=1-2",
      "uids=1-2-0",
      "uids=1-2-3-4",
      "uids=-1-2-3",
      "uids=0-0-4294967296",
      "uids=4294967295-0-1",
      "uids=0-0-1;uids=0-0-1",
      "users=0-0-1",
      "uids=0-0-1;",
      "uids=a-b-c",
    ]
  ) {
    try {
      parseIdmap(text);
    } catch (error) {
      if (error instanceof InvalidArgumentError) continue;
      throw error;
    }
    throw new Error(`${text} was accepted`);
  }
});

Deno.test("@ counts in the container, through its own map", () => {
  const ranges = (text: string) => parseIdmap(`uids=${text}`).uids!;
  equal(rangesInNamespace(ranges("@1000-999-1"), SHARED, undefined), [{ disk: 0, shown: 999, size: 1 }]);
  const keepId = [
    { containerID: 0, hostID: 1, size: 1000 },
    { containerID: 1000, hostID: 0, size: 1 },
    { containerID: 1001, hostID: 1001, size: 64536 },
  ];
  equal(rangesInNamespace(ranges("@1000-1000-1"), SHARED, keepId), [{ disk: 0, shown: 0, size: 1 }]);
  equal(rangesInNamespace(ranges("@1000-0-1"), SHARED, keepId), [{ disk: 0, shown: 1, size: 1 }]);
  // of a run over the borders of both maps every part is right
  equal(rangesInNamespace(ranges("@100000-999-3"), SHARED, keepId), [
    { disk: 1, shown: 1000, size: 1 },
    { disk: 2, shown: 0, size: 1 },
    { disk: 3, shown: 1001, size: 1 },
  ]);
});

Deno.test("without @ ids are the host's", () => {
  const ranges = (text: string) => parseIdmap(`uids=${text}`).uids!;
  equal(rangesInNamespace(ranges("1000-100998-1"), SHARED, undefined), [{ disk: 0, shown: 999, size: 1 }]);
  equal(rangesInNamespace(ranges("0-100000-1"), SHARED, undefined), []);
  equal(rangesInNamespace(ranges("0-5-10"), undefined, undefined), [{ disk: 0, shown: 5, size: 10 }]);
  equal(rangesInNamespace(ranges("998-99999-5"), SHARED, undefined), [{ disk: 0, shown: 2, size: 1 }]);
});
