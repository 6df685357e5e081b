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
  const bar = new PullProgressBar((text) => written.push(text), () => ({ columns: 60, rows: 24 }), () => now);
  bar.update({ kind: "status", text: "Trying to pull x..." });
  bar.update(layer("downloading", 10));
  bar.update(layer("downloading", 20));
  now = 100;
  bar.update(layer("downloading", 30));
  bar.update(layer("done", 100));
  bar.finish();
  assertEquals(written.length, 5);
  assertEquals(written[0], "Trying to pull x...\x1b[K\n\x1b[J");
  assertEquals(written[2]!.startsWith("\x1b[1A\rCopying blob abababababab ["), true);
  assertEquals(written[4], "\x1b[1A\rCopying blob abababababab done\x1b[K\n\x1b[J");
});

Deno.test("elsewhere each finished layer is one plain line, and hostile text is escaped", () => {
  const written: string[] = [];
  const bar = new PullProgressBar((text) => written.push(text), () => undefined, () => 0);
  bar.update({ kind: "status", text: "registry says \x1b[2J" });
  for (const status of ["waiting", "downloading", "extracting", "done"] as const) bar.update(layer(status));
  bar.finish();
  assertEquals(written, ["registry says \\x1b[2J\n", "Copying blob abababababab done\n"]);
});

Deno.test("of more layers than rows the finished scroll away, and as many others are shown as fit", () => {
  const written: string[] = [];
  const bar = new PullProgressBar((text) => written.push(text), () => ({ columns: 60, rows: 4 }), () => 0);
  const digest = (n: number) => `sha256:${String(n).repeat(64)}`;
  const say = (n: number, status: LayerStatus) => bar.update({ ...layer(status), digest: digest(n) });
  const line = (n: number, text: string) => `Copying blob ${String(n).repeat(12)} ${text}\x1b[K\n`;
  for (const n of [1, 2, 3, 4, 5]) say(n, "waiting");
  assertEquals(written.at(-1), `\x1b[3A\r${line(1, "waiting")}${line(2, "waiting")}and 3 more\x1b[K\n\x1b[J`);
  say(4, "done");
  assertEquals(
    written.at(-1),
    `\x1b[3A\r${line(4, "done")}${line(1, "waiting")}${line(2, "waiting")}and 2 more\x1b[K\n\x1b[J`,
  );
  say(1, "exists");
  assertEquals(
    written.at(-1),
    `\x1b[3A\r${line(1, "skipped: already exists")}${line(2, "waiting")}${line(3, "waiting")}${
      line(5, "waiting")
    }\x1b[J`,
  );
  for (const n of [2, 3, 5]) say(n, "done");
  bar.finish();
  assertEquals(written.at(-1), `\x1b[3A\r${line(2, "done")}${line(3, "done")}${line(5, "done")}\x1b[J`);
});
