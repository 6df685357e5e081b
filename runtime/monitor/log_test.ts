import fc from "fast-check";
import { assert, assertEquals, assertMatch, messageOf } from "../../tests/assertions.ts";
import { JsonLogWriter } from "./json_log.ts";
import { K8sLogWriter } from "./k8s_log.ts";
import { readLog } from "./log_reader.ts";
import { parseJsonLine, parseK8sLine, parseLogTime } from "./log_record.ts";
import type { LogWriter, OutputStream } from "./log_writer.ts";

const encoder = new TextEncoder();
type Driver = "k8s-file" | "json-file";
const WRITERS = { "k8s-file": K8sLogWriter, "json-file": JsonLogWriter };

class LogFixture implements Disposable {
  readonly folder = Deno.makeTempDirSync({ prefix: "skiff-log-" });
  readonly path = `${this.folder}/log`;
  constructor(readonly driver: Driver) {}

  writer(maxSize = 0): LogWriter {
    return new WRITERS[this.driver](this.path, maxSize);
  }

  async read(query: Parameters<typeof readLog>[1] = {}): Promise<Record<OutputStream, number[]>> {
    const all: Record<OutputStream, number[]> = { stdout: [], stderr: [] };
    for await (const records of readLog({ driver: this.driver, path: this.path }, query)) {
      for (const { stream, bytes } of records) for (const byte of bytes) all[stream].push(byte);
    }
    return all;
  }

  async text(query: Parameters<typeof readLog>[1] = {}): Promise<string> {
    const decoder = new TextDecoder();
    return decoder.decode(Uint8Array.from((await this.read(query)).stdout));
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}

/** Text with many newlines, lines around the sizes at which the writer changes its way, and none. */
const output = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.array(
    fc.constantFrom("a\n", "\n", "word ", "x".repeat(250), "y".repeat(253) + "\n", "z".repeat(70_000)),
    {
      maxLength: 12,
    },
  ).map((parts) => encoder.encode(parts.join(""))),
);
const writes = fc.array(
  fc.record({ stream: fc.constantFrom<OutputStream>("stdout", "stderr"), bytes: output }),
  { maxLength: 12 },
);

Deno.test("k8s-file: every byte comes back in order, however it was cut", async () => {
  await fc.assert(
    fc.asyncProperty(writes, async (pieces) => {
      using log = new LogFixture("k8s-file");
      const writer = log.writer();
      const expected: Record<OutputStream, number[]> = { stdout: [], stderr: [] };
      for (const { stream, bytes } of pieces) {
        writer.write(stream, bytes.slice());
        for (const byte of bytes) expected[stream].push(byte);
      }
      writer.close();
      const actual = await log.read();
      for (const stream of ["stdout", "stderr"] as const) {
        assert(isSame(expected[stream], actual[stream]), `${stream} differs`);
      }
    }),
    { numRuns: 60 },
  );
});

Deno.test("json-file: every character comes back in order, however it was cut", async () => {
  const text = fc.array(
    fc.oneof(
      fc.string({ unit: "binary", maxLength: 40 }),
      fc.constantFrom("\n", 'ü\u2028<&>"\\', "🛶".repeat(5000)),
    ),
    {
      maxLength: 8,
    },
  ).map((parts) => parts.join(""));
  await fc.assert(
    fc.asyncProperty(text, fc.array(fc.nat(), { maxLength: 6 }), async (text, cuts) => {
      using log = new LogFixture("json-file");
      const writer = log.writer();
      const bytes = encoder.encode(text);
      const edges = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((
        a,
        b,
      ) => a - b);
      edges.slice(1).forEach((edge, index) => writer.write("stdout", bytes.slice(edges[index]!, edge)));
      writer.close();
      assertEquals(await log.text(), new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes));
    }),
    { numRuns: 60 },
  );
});

function isSame(a: number[], b: number[]): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

Deno.test("k8s-file lines are conmon's: time with zone, stream, F or P, text", () => {
  using log = new LogFixture("k8s-file");
  const writer = log.writer();
  writer.write("stdout", encoder.encode("foo"));
  writer.write("stdout", encoder.encode("bar\n\nlast"));
  writer.write("stderr", encoder.encode("oops\n"));
  writer.close();
  const lines = Deno.readTextFileSync(log.path).split("\n");
  const stamp = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}\+00:00`;
  const expected = ["stdout P foo", "stdout F bar", "stdout F ", "stdout P last", "stderr F oops"];
  expected.forEach((line, index) => assertMatch(lines[index]!, new RegExp(`^${stamp} ${line}$`)));
  assertEquals(lines.slice(expected.length), [""]);
});

Deno.test("json-file lines are Docker's: escapes, order of members, whole lines", () => {
  using log = new LogFixture("json-file");
  const writer = log.writer();
  writer.write("stdout", encoder.encode('a"<\t'));
  writer.write("stdout", encoder.encode("\r\n"));
  writer.write("stderr", Uint8Array.of(0xff, 10));
  writer.close();
  const lines = Deno.readTextFileSync(log.path).replaceAll(/"time":"[0-9T:.-]+Z"/g, "TIME").split("\n");
  assertEquals(lines, [
    '{"log":"a\\"\\u003c\\u0009\\r\\n","stream":"stdout",TIME}',
    '{"log":"\\ufffd\\n","stream":"stderr",TIME}',
    "",
  ]);
});

Deno.test("json-file cuts an endless line at 16 KiB", () => {
  using log = new LogFixture("json-file");
  const writer = log.writer();
  writer.write("stdout", new Uint8Array(40_000).fill(97));
  writer.close();
  const lengths = Deno.readTextFileSync(log.path).trim().split("\n").map((line) =>
    JSON.parse(line).log.length
  );
  assertEquals(lengths, [16384, 16384, 7232]);
});

for (const driver of ["k8s-file", "json-file"] as const) {
  Deno.test(`${driver}: a flood with a limit takes at most two files of it, and the newest bytes stay`, async () => {
    using log = new LogFixture(driver);
    const limit = 100_000;
    const writer = log.writer(limit);
    const lines = Array.from({ length: 20_000 }, (_, index) => `line ${index}\n`);
    for (let at = 0; at < lines.length; at += 100) {
      writer.write("stdout", encoder.encode(lines.slice(at, at + 100).join("")));
    }
    writer.close();
    const sizes = [...Deno.readDirSync(log.folder)].map(({ name }) =>
      Deno.statSync(`${log.folder}/${name}`).size
    );
    assertEquals(sizes.length, 2);
    assert(sizes.every((size) => size <= limit), String(sizes));
    const text = await log.text();
    assert(lines.join("").endsWith(text) && text.length > limit / 10, "the end is missing");
  });

  Deno.test(`${driver}: the last lines are found from the end, partial pieces with their line`, async () => {
    using log = new LogFixture(driver);
    const writer = log.writer();
    writer.write(
      "stdout",
      encoder.encode(Array.from({ length: 30_000 }, (_, index) => `${index}\n`).join("")),
    );
    writer.write("stdout", encoder.encode("be"));
    writer.write("stdout", encoder.encode("gun\nopen"));
    writer.close();
    assertEquals(await log.text({ tail: 0 }), "");
    assertEquals(await log.text({ tail: 1 }), "open");
    assertEquals(await log.text({ tail: 3 }), "29999\nbegun\nopen");
    assertEquals((await log.text({ tail: 20_000 })).split("\n")[0], "10002");
    assertEquals((await log.text({ tail: 99_999 })).split("\n").length, 30_002);
  });
}

Deno.test("what was written before a rotation is read first", async () => {
  using log = new LogFixture("k8s-file");
  const writer = log.writer(400);
  writer.write("stdout", encoder.encode("one\n"));
  writer.write("stdout", encoder.encode("two\n"));
  writer.write("stdout", encoder.encode("three\n"));
  writer.close();
  assertEquals(await log.text(), "one\ntwo\nthree\n");
  assertEquals(await log.text({ tail: 2 }), "two\nthree\n");
});

Deno.test("without follow, what is written during the reading is not chased", async () => {
  for (const query of [{}, { tail: 1 }]) {
    using log = new LogFixture("k8s-file");
    const writer = log.writer();
    writer.write("stdout", encoder.encode("before\n"));
    const texts: string[] = [];
    for await (const records of readLog({ driver: "k8s-file", path: log.path }, query)) {
      writer.write("stdout", encoder.encode("later\n"));
      for (const { bytes } of records) texts.push(new TextDecoder().decode(bytes));
    }
    writer.close();
    assertEquals(texts.join(""), "before\n");
  }
});

Deno.test("since and until compare nanoseconds", async () => {
  using log = new LogFixture("k8s-file");
  const line = (nanoseconds: number, text: string) =>
    `2016-10-06T00:17:09.${String(nanoseconds).padStart(9, "0")}+00:00 stdout F ${text}\n`;
  Deno.writeTextFileSync(log.path, line(1, "a") + line(2, "b") + line(3, "c"));
  const at = parseLogTime("2016-10-06T00:17:09.000000002Z")!;
  assertEquals(await log.text({ since: at }), "b\nc\n");
  assertEquals(await log.text({ until: at }), "a\nb\n");
});

Deno.test("torn and foreign lines are left out", () => {
  for (const text of ["", "x", "a b c d", "2016 stdout X text", "2016 stdin F text", "2016 stdout Ftext"]) {
    assertEquals(parseK8sLine(encoder.encode(text)), undefined);
  }
  for (const text of ["", "{", "[]", "null", '{"log":1,"stream":"stdout","time":""}']) {
    assertEquals(parseJsonLine(encoder.encode(text)), undefined);
  }
});

Deno.test("times of both formats are understood", () => {
  const expected = 1475713029669794202n;
  assertEquals(parseLogTime("2016-10-06T00:17:09.669794202+00:00"), expected);
  assertEquals(parseLogTime("2016-10-06T02:17:09.669794202+02:00"), expected);
  assertEquals(parseLogTime("2016-10-06T00:17:09.669794202Z"), expected);
  assertEquals(parseLogTime("2016-10-06T00:17:09Z"), 1475713029000000000n);
  assertEquals(parseLogTime("yesterday"), undefined);
});

Deno.test("a log that keeps nothing is said to", async () => {
  assertEquals(
    await messageOf(() => readLog({ driver: "none", path: "/nowhere" }).next()),
    "read logs: the log driver none keeps none",
  );
});

Deno.test("a full disk loses output and leaves no torn line", () => {
  const writer = new K8sLogWriter("/dev/full", 0);
  writer.write("stdout", encoder.encode("lost\n"));
  writer.close();
});
