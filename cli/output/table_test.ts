import { deepStrictEqual as assertEquals } from "node:assert";
import { displayWidth, renderTable } from "./table.ts";

Deno.test("columns are at least 12 wide, two blanks apart, and the last is not padded", () => {
  const lines = [["CONTAINER ID", "IMAGE", "NAMES"], ["bfc933ca1305", "bb", "c1"]];
  assertEquals(renderTable(lines), "CONTAINER ID  IMAGE       NAMES\nbfc933ca1305  bb          c1\n");
});

Deno.test("a line with fewer cells begins a new run of columns", () => {
  const lines = [["a-very-long-first-cell", "x", "y"], ["alone"], ["b", "z"]];
  assertEquals(renderTable(lines), "a-very-long-first-cell  x           y\nalone\nb           z\n");
});

Deno.test("an empty table is empty text", () => assertEquals(renderTable([]), ""));

Deno.test("wide and combining characters count as they are drawn", () => {
  assertEquals(displayWidth("容器"), 4);
  assertEquals(displayWidth("e\u0301"), 1);
  assertEquals(renderTable([["容器", "x"]]), "容器        x\n");
});
