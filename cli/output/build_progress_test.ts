import { assertEquals } from "../../tests/assertions.ts";
import type { BuildEvent, Vertex, VertexStatus } from "../../runtime/engine/build_options.ts";
import { sourceExcerpt } from "./build_error.ts";
import { endOf } from "./build_progress.ts";
import { PlainProgress } from "./build_progress_plain.ts";
import { buildPicture } from "./build_progress_tty.ts";
import { BuildTrace, byteText, shownLine } from "./build_trace.ts";

const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1) + seconds * 1000).toISOString();
const vertex = (digest: string, more: Partial<Vertex> = {}): BuildEvent => ({
  kind: "vertex",
  vertex: { digest, name: `[${digest}] RUN ${digest}`, inputs: [], ...more },
});
const log = (digest: string, text: string, seconds: number): BuildEvent => ({
  kind: "log",
  log: { vertex: digest, stream: 1, data: new TextEncoder().encode(text), timestamp: at(seconds) },
});
const status = (digest: string, id: string, more: Partial<VertexStatus>): BuildEvent => ({
  kind: "status",
  status: { vertex: digest, id, name: id, current: 0, timestamp: at(1), ...more },
});

function plain(events: BuildEvent[], now: () => number = () => 0): string {
  const trace = new BuildTrace();
  const printer = new PlainProgress(trace, now);
  return events.map((event) => {
    trace.add(event);
    return printer.update(event);
  }).join("");
}

function picture(events: BuildEvent[], more: Partial<Parameters<typeof buildPicture>[1]> = {}): string[] {
  const trace = new BuildTrace();
  events.forEach((event) => trace.add(event));
  return buildPicture(trace, {
    columns: 40,
    rows: 24,
    colours: false,
    started: at(0),
    now: at(3),
    isLast: false,
    ...more,
  });
}

Deno.test("plain: a step has its name, its output with times, and its end", () => {
  assertEquals(
    plain([
      vertex("a", { started: at(0) }),
      log("a", "one\ntw", 0.1234),
      log("a", "o\n", 12.5),
      vertex("a", { started: at(0), completed: at(13) }),
      vertex("b", { started: at(13), completed: at(13), cached: true }),
    ]),
    "#1 [a] RUN a\n#1 0.123 one\n#1 12.50 two\n#1 DONE 13.0s\n\n#2 [b] RUN b\n#2 CACHED\n",
  );
});

Deno.test("plain: what runs beside the step that has the floor waits for its end", () => {
  assertEquals(
    plain([
      vertex("a", { started: at(0) }),
      vertex("b", { started: at(0) }),
      log("b", "from b\n", 1),
      log("a", "from a\n", 1),
      vertex("a", { started: at(0), completed: at(2) }),
      vertex("b", { started: at(0), completed: at(3), error: "exit code: 1" }),
    ]),
    "#1 [a] RUN a\n#1 1.000 from a\n#1 DONE 2.0s\n\n#2 [b] RUN b\n#2 1.000 from b\n#2 ERROR: exit code: 1\n",
  );
});

Deno.test("plain: a step that ends out of turn is told at once, and who had the floor begins anew", () => {
  assertEquals(
    plain([
      vertex("a", { started: at(0) }),
      vertex("b", { started: at(0), completed: at(1) }),
      log("a", "more\n", 2),
    ]),
    "#1 [a] RUN a\n#1 ...\n\n#2 [b] RUN b\n#2 DONE 1.0s\n\n#1 [a] RUN a\n#1 2.000 more\n",
  );
});

Deno.test("plain: after five seconds another step has the floor", () => {
  let ms = 0;
  const trace = new BuildTrace();
  const printer = new PlainProgress(trace, () => ms);
  const feed = (event: BuildEvent) => (trace.add(event), printer.update(event));
  feed(vertex("a", { started: at(0) }));
  feed(vertex("b", { started: at(0) }));
  assertEquals(feed(log("b", "x\n", 1)), "");
  ms = 5000;
  assertEquals(feed(log("b", "y\n", 5)), "#1 ...\n\n#2 [b] RUN b\n#2 1.000 x\n#2 5.000 y\n");
});

Deno.test("plain: what is given up is told so", () => {
  const trace = new BuildTrace();
  const printer = new PlainProgress(trace, () => 0);
  const events = [vertex("a", { started: at(0) }), vertex("b", { started: at(1) }), vertex("c")];
  for (const event of events) {
    trace.add(event);
    printer.update(event);
  }
  assertEquals(printer.finish(), "#1 CANCELED\n\n#2 [b] RUN b\n#2 CANCELED\n");
});

Deno.test("plain: a transfer is told at its beginning and at its end", () => {
  assertEquals(
    plain([
      vertex("a", { started: at(0) }),
      status("a", "transferring", { current: 1500, total: 3_000_000, started: at(0), timestamp: at(0) }),
      status("a", "transferring", { current: 2000, total: 3_000_000, started: at(0), timestamp: at(1) }),
      status("a", "transferring", {
        current: 3_000_000,
        total: 3_000_000,
        started: at(0),
        completed: at(1.5),
      }),
      vertex("a", { started: at(0), completed: at(2) }),
    ]),
    "#1 [a] RUN a\n#1 transferring 1.50kB / 3.00MB\n#1 transferring 3.00MB / 3.00MB 1.5s done\n#1 DONE 2.0s\n",
  );
});

Deno.test("output moves no cursor: colours and titles are dropped, other control characters shown", () => {
  assertEquals(shownLine("\x1b[31mred\x1b[0m\ttext"), "red\ttext");
  assertEquals(shownLine("\x1b]0;title\x07rest"), "rest");
  assertEquals(shownLine(" 10%\r 50%\r100%\r"), "100%");
  assertEquals(shownLine("bell\x07 \x9b2J"), "bell\\x07 \\x9b2J");
  const shown = plain([
    vertex("a", { started: at(0), name: "RUN \x1b[2J" }),
    log("a", "\x1b[2J\x1b[Hx\n", 0),
  ]);
  assertEquals(shown, "#1 RUN \\x1b[2J\n#1 0.000 x\n");
});

Deno.test("a character that comes in two pieces is one", () => {
  const bytes = new TextEncoder().encode("é\n");
  const piece = (data: Uint8Array): BuildEvent => ({
    kind: "log",
    log: { vertex: "a", stream: 1, data, timestamp: at(0) },
  });
  const text = plain([vertex("a", { started: at(0) }), piece(bytes.slice(0, 1)), piece(bytes.slice(1))]);
  assertEquals(text, "#1 [a] RUN a\n#1 0.000 é\n");
});

Deno.test("live: steps with their times at the edge, the last output below what runs", () => {
  assertEquals(
    picture([
      vertex("a", { started: at(0), completed: at(1) }),
      vertex("b", { started: at(0), completed: at(0), cached: true }),
      vertex("c", { started: at(1) }),
      log("c", "one\ntwo\nthree 5%\rthree 9%", 2),
      vertex("d"),
    ]),
    [
      "[+] Building 3.0s (2/4)",
      " => [a] RUN a                      1.0s",
      " => CACHED [b] RUN b               0.0s",
      " => [c] RUN c                      2.0s",
      " => => # one",
      " => => # two",
      " => => # three 9%",
    ],
  );
});

Deno.test("live: no line is wider than the terminal, no picture higher", () => {
  const events = Array.from({ length: 30 }, (_, index) => [
    vertex(`v${index}`, {
      name: "界".repeat(50),
      started: at(0),
      ...(index < 20 ? { completed: at(1) } : {}),
    }),
    log(`v${index}`, `${"wide ".repeat(30)}\n`.repeat(9), 1),
  ]).flat();
  const lines = picture(events, { rows: 10 });
  assertEquals(lines.length <= 9, true);
  for (const line of lines) assertEquals(line.replaceAll("界", "xx").length < 40, true);
});

Deno.test("live: colours only where they are wanted; the last picture tells how it ended", () => {
  const events = [vertex("a", { started: at(0), completed: at(1), error: "exit code: 3" })];
  assertEquals(picture(events, { colours: true, isLast: true }), [
    "[+] Building 3.0s (1/1) ERROR",
    "\x1b[31m => ERROR [a] RUN a                1.0s\x1b[39m",
  ]);
});

Deno.test("what failed is told with its last output, findings with their line", () => {
  const trace = new BuildTrace();
  const lines = ["from x"];
  trace.add(vertex("a", { started: at(0) }));
  trace.add(log("a", "1\n".repeat(30) + "last\n", 1));
  trace.add(vertex("a", { started: at(0), completed: at(1), error: "exit code: 3" }));
  const location = { startLine: 1, endLine: 1 };
  const finding = { rule: "Casing", description: "", url: "", detail: "do not match", location };
  trace.add({ kind: "finding", finding, fileName: "Dockerfile", lines });
  assertEquals(
    endOf(trace),
    `------\n > [a] RUN a:\n${"1.000 1\n".repeat(19)}1.000 last\n------\n\n` +
      " 1 warning found (use --check to expand):\n - Casing: do not match (line 1)\n",
  );
});

Deno.test("an excerpt marks the lines of the instruction", () => {
  const lines = ["FROM x", "", "RUN \\", "\tfalse", "CMD a", "CMD b", "CMD c"];
  const location = { startLine: 3, endLine: 4 };
  assertEquals(
    sourceExcerpt({ fileName: "Dockerfile", lines, location }),
    [
      "Dockerfile:3",
      "--------------------",
      "   2 |",
      "   3 | >>> RUN \\",
      "   4 | >>>     false",
      "   5 |     CMD a",
      "--------------------\n",
    ].join("\n"),
  );
});

Deno.test("sizes have two decimals from a kilobyte on", () => {
  assertEquals([2, 999, 1000, 123_456, 5_000_000_000].map(byteText), [
    "2B",
    "999B",
    "1.00kB",
    "123.46kB",
    "5.00GB",
  ]);
});
