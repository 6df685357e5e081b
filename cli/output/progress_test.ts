import { deepStrictEqual as assertEquals } from "node:assert";
import { layerLine, type LayerStatus, PullProgressBar } from "./progress.ts";

const DIGEST = "sha256:" + "ab".repeat(32);
const layer = (status: LayerStatus, current = 0, total = 100) =>
  ({ kind: "layer", digest: DIGEST, status, current, total }) as const;

Deno.test("a layer's line says how far it is", () => {
  const line = (status: LayerStatus, current?: number) => layerLine(layer(status, current), 80);
  assertEquals(line("waiting"), "Copying blob abababababab waiting");
  assertEquals(line("downloading", 0), `Copying blob abababababab [${"-".repeat(30)}] 0B / 100B`);
  assertEquals(
    line("downloading", 50),
    `Copying blob abababababab [${"=".repeat(14)}>${"-".repeat(15)}] 50B / 100B`,
  );
  assertEquals(line("extracting", 100), `Copying blob abababababab [${"=".repeat(30)}] extracting`);
  assertEquals(line("exists"), "Copying blob abababababab skipped: already exists");
  assertEquals(line("done"), "Copying blob abababababab done");
});

Deno.test("a line never reaches the edge of the terminal", () => {
  assertEquals(layerLine(layer("downloading", 50), 20).length, 19);
});

Deno.test("on a terminal the picture is drawn over, at most ten times a second", () => {
  const written: string[] = [];
  let now = 0;
  const bar = new PullProgressBar((text) => written.push(text), () => 60, () => now);
  bar.update({ kind: "status", text: "Trying to pull x..." });
  bar.update(layer("downloading", 10));
  bar.update(layer("downloading", 20));
  now = 100;
  bar.update(layer("downloading", 30));
  bar.update(layer("done", 100));
  bar.finish();
  assertEquals(written.length, 5);
  assertEquals(written[0], "Trying to pull x...\n");
  assertEquals(written[2]!.startsWith("\x1b[1A\r\x1b[JCopying blob abababababab ["), true);
  assertEquals(written[4], "\x1b[1A\r\x1b[JCopying blob abababababab done\n");
});

Deno.test("elsewhere each finished layer is one plain line, and hostile text is escaped", () => {
  const written: string[] = [];
  const bar = new PullProgressBar((text) => written.push(text), () => undefined, () => 0);
  bar.update({ kind: "status", text: "registry says \x1b[2J" });
  for (const status of ["waiting", "downloading", "extracting", "done"] as const) bar.update(layer(status));
  bar.finish();
  assertEquals(written, ["registry says \\x1b[2J\n", "Copying blob abababababab done\n"]);
});
