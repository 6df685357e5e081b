import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { HostError } from "../errors.ts";
import { nestedIdMap } from "../namespaces/id_map.ts";
import { shiftId } from "./layer_copy.ts";
import { shiftedForm } from "./shifted_layers.ts";

Deno.test("ids of the image become those that stand for them in the user's namespace", () => {
  const map = nestedIdMap("keep-id", 1000, 65537);
  assertEquals([0, 1, 999, 1000, 1001, 65536].map((id) => shiftId(map, id)), [1, 2, 1000, 0, 1001, 65536]);
  assertEquals(shiftId(nestedIdMap("nomap", 1000, 65537), 0), 1);
});

Deno.test("an id that the map does not have is an error, not another id", () => {
  throws(() => shiftId(nestedIdMap("nomap", 1000, 65537), 65536), HostError);
});

Deno.test("different maps have different forms", () => {
  const maps = (kind: "keep-id" | "nomap") => ({
    uid: nestedIdMap(kind, 5, 9),
    gid: nestedIdMap(kind, 5, 9),
  });
  assertEquals(shiftedForm("full", maps("keep-id")), "full-u0.1.5_5.0.1_6.6.3-g0.1.5_5.0.1_6.6.3");
  assertEquals(shiftedForm("full", maps("nomap")), "full-u0.1.8-g0.1.8");
});
