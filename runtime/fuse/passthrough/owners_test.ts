import fc from "fast-check";
import { diskOwner, NO_OWNER, type OwnerRule, shownOwner } from "./owners.ts";
import { assertEquals } from "../../../tests/assertions.ts";

Deno.test("the host's user is shown as the container's, whose root makes files for him too", () => {
  const rule: OwnerRule = { kind: "swap", disk: 0, shown: 999, root: 0 };
  assertEquals([0, 1, 999].map((id) => shownOwner(rule, id)), [999, 1, 999]);
  assertEquals([0, 1, 999].map((id) => diskOwner(rule, id)), [0, 1, 0]);
});

Deno.test("an id in no range is nobody, and nobody can be given anything", () => {
  const rule: OwnerRule = { kind: "ranges", ranges: [{ disk: 10, shown: 20, size: 5 }] };
  assertEquals([9, 10, 14, 15].map((id) => shownOwner(rule, id)), [NO_OWNER, 20, 24, NO_OWNER]);
  assertEquals([19, 20, 24, 25].map((id) => diskOwner(rule, id)), [undefined, 10, 14, undefined]);
});

Deno.test("what is shown of an id of a range leads back to it", () => {
  const id = fc.nat(1000);
  fc.assert(fc.property(id, id, fc.integer({ min: 1, max: 100 }), id, (disk, shown, size, asked) => {
    const rule: OwnerRule = { kind: "ranges", ranges: [{ disk, shown, size }] };
    const back = diskOwner(rule, asked);
    return back === undefined || shownOwner(rule, back) === asked;
  }));
});
