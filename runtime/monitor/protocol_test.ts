import fc from "fast-check";
import { assertEquals, messageOf } from "../../tests/assertions.ts";
import {
  CONTROL_LIMIT_BYTES,
  encodeFrame,
  encodeJsonFrame,
  FRAME,
  FrameDecoder,
  type FrameType,
  parseHello,
} from "./protocol.ts";

const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

/** Feeds the bytes in pieces that end where `cuts` says; stream pieces are joined per frame run. */
function decode(bytes: Uint8Array, cuts: number[]): { type: FrameType; bytes: number[] }[] {
  const decoder = new FrameDecoder();
  const frames: { type: FrameType; bytes: number[] }[] = [];
  const edges = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) =>
    a - b
  );
  edges.slice(1).forEach((edge, index) => {
    decoder.feed(bytes.subarray(edges[index]!, edge), {
      stream: (type, piece) => {
        const last = frames.at(-1);
        if (last?.type === type) last.bytes.push(...piece);
        else frames.push({ type, bytes: [...piece] });
      },
      control: (type, payload) => frames.push({ type, bytes: [...payload] }),
    });
  });
  assertEquals(decoder.isAtBoundary, true);
  return frames;
}

Deno.test("frames survive any cutting of the connection", () => {
  const frame = fc.record({
    type: fc.constantFrom(FRAME.HELLO, FRAME.STDIN, FRAME.STDOUT, FRAME.EXIT, FRAME.DETACH),
    payload: fc.uint8Array({ minLength: 1, maxLength: 40 }),
  });
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 12 }), (frames, cuts) => {
      const bytes = new Uint8Array(frames.flatMap(({ type, payload }) => [...encodeFrame(type, payload)]));
      const expected: { type: FrameType; bytes: number[] }[] = [];
      for (const { type, payload } of frames) {
        const last = expected.at(-1);
        const isStream = type === FRAME.STDIN || type === FRAME.STDOUT;
        if (isStream && last?.type === type) last.bytes.push(...payload);
        else expected.push({ type, bytes: [...payload] });
      }
      assertEquals(decode(bytes, cuts), expected);
    }),
  );
});

Deno.test("a frame without a payload is a frame", () => {
  assertEquals(decode(encodeFrame(FRAME.DETACH, new Uint8Array(0)), [1, 4]), [{
    type: FRAME.DETACH,
    bytes: [],
  }]);
});

Deno.test("hostile bytes are refused or kept waiting, and never more than a payload of them is held", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    const decoder = new FrameDecoder();
    try {
      decoder.feed(bytes, { stream: () => {}, control: () => {} });
    } catch (error) {
      if (!/^read frame: /.test((error as Error).message)) throw error;
    }
  }));
});

Deno.test("an unknown type and a length beyond the limit are named", async () => {
  const feed = (bytes: number[]) => () =>
    new FrameDecoder().feed(new Uint8Array(bytes), { stream: () => {}, control: () => {} });
  assertEquals(await messageOf(feed([0x77, 0, 0, 0, 0])), "read frame: unknown type 119");
  assertEquals(
    await messageOf(feed([FRAME.HELLO, 0xff, 0xff, 0xff, 0xff])),
    `read frame: 4294967295 bytes are more than ${CONTROL_LIMIT_BYTES}`,
  );
});

Deno.test("a hello says what it wants, and nothing else is taken from it", () => {
  assertEquals(parseHello(bytesOf({ version: 1, op: "attach", stdin: true, extra: 1 })), {
    version: 1,
    op: "attach",
    stdin: true,
    stdout: true,
    stderr: true,
  });
  assertEquals(parseHello(bytesOf({ version: 9, op: "stop", timeoutSeconds: -1 })), {
    version: 9,
    op: "stop",
    timeoutSeconds: -1,
  });
  const port = { protocol: "udp", hostAddress: "::", hostPort: 53, containerPort: 5353 };
  assertEquals(parseHello(bytesOf({ version: 1, op: "ports", add: [{ ...port, extra: 1 }], remove: [] })), {
    version: 1,
    op: "ports",
    add: [port],
    remove: [],
  });
});

Deno.test("a wrong hello is answered in one sentence", async () => {
  const cases: [unknown, string][] = [
    [[], "read frame: the payload is not a JSON object"],
    [{ op: "wait" }, "read hello: the version is missing"],
    [{ version: 1, op: "dance" }, 'read hello: unknown operation "dance"'],
    [{ version: 1, op: "signal", signal: 65 }, "read frame: a signal is a number from 1 to 64"],
    [{ version: 1, op: "signal", signal: "TERM" }, "read frame: a signal is a number from 1 to 64"],
    [
      { version: 1, op: "resize", size: { rows: -1, cols: 2 } },
      "read frame: a window size is two numbers up to 65535",
    ],
    [{ version: 1, op: "resize" }, "read frame: a window size is two numbers up to 65535"],
    [{ version: 1, op: "ports", add: [] }, "read hello: published ports are a list"],
    ...[null, {}, { protocol: "tcp", hostAddress: "::", hostPort: 0, containerPort: 80 }].map((
      port,
    ): [unknown, string] => [
      { version: 1, op: "ports", add: [port], remove: [] },
      "read hello: a published port has a protocol, an address and two numbers up to 65535",
    ]),
    [{ version: 1, op: "stop", timeoutSeconds: -2 }, "read frame: a timeout is a number of seconds, or -1"],
  ];
  for (const [hello, message] of cases) {
    assertEquals(await messageOf(() => parseHello(bytesOf(hello))), message);
  }
  assertEquals(
    await messageOf(() => parseHello(new Uint8Array([0xff]))),
    "read frame: the payload is not JSON",
  );
});

Deno.test("a JSON frame has its length in front, big-endian", () => {
  assertEquals([...encodeJsonFrame(FRAME.OK, { a: 1 }).subarray(0, 6)], [0x81, 0, 0, 0, 7, 0x7b]);
});
