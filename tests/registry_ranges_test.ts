/** Pieces of blobs: from registries that send several at once, one at a time or none, that break off, and that lie. */
import { deepStrictEqual as assertEquals, ok, rejects } from "node:assert";
import { RegistryClient } from "../runtime/registry/client.ts";
import { fetchRanges, RangesUnsupported } from "../runtime/registry/ranges.ts";
import { Transport } from "../runtime/registry/transport.ts";
import type { Digest } from "../runtime/spec/digest.ts";
import { blobReply, FakeRegistry, type RecordedRequest, type Reply } from "./fake_registry.ts";

const BLOB = crypto.getRandomValues(new Uint8Array(60_000));
const RANGES = [[0, 100], [5_000, 5_001], [9_000, 50_000], [59_999, 60_000]] as const;
const WANTED = Uint8Array.from(RANGES.flatMap(([start, end]) => [...BLOB.subarray(start, end)]));

async function fetchWith(
  answer: (range: string, request: RecordedRequest, asked: number) => Reply | undefined,
  idleTimeoutMs = 60_000,
) {
  await using registry = FakeRegistry.start();
  const { digest, size } = await registry.addBlob(BLOB, "x");
  let asked = 0;
  registry.hook = (request) =>
    request.path.includes("/blobs/") ? answer(request.headers.range ?? "", request, asked++) : undefined;
  const sources = { home: "/x", isRoot: false, configHome: "/x", cacheHome: "/x", systemDir: "/x", env: {} };
  const transport = new Transport({ sources, idleTimeoutMs });
  const retries: string[] = [];
  const client = new RegistryClient({
    transport,
    source: { host: registry.host, path: "test/app", insecure: true, isMirror: false },
    imageName: "test",
    tlsVerify: false,
    retry: { pause: () => Promise.resolve() },
  });
  const got: number[] = [];
  try {
    await fetchRanges(client, {
      digest: digest as Digest,
      size,
      ranges: RANGES.map(([start, end]) => ({ start, end })),
      onBytes: (bytes) => void got.push(...bytes),
      onRetry: (why) => void retries.push(why),
    });
    return { got: new Uint8Array(got), requests: asked, retries, registry };
  } finally {
    transport.close();
  }
}

Deno.test("several pieces come in one answer", async () => {
  const { got, requests } = await fetchWith(() => undefined);
  assertEquals(got, WANTED);
  assertEquals(requests, 1);
});

Deno.test("a registry that sends one piece at a time is asked for one at a time", async () => {
  // the whole blob, as S3 answers a request for several; or the first piece alone; or one piece that covers all
  const ways: ((range: string) => Reply)[] = [
    (range) => blobReply(BLOB, range.includes(",") ? undefined : range),
    (range) => blobReply(BLOB, range.split(",")[0]),
    (range) => blobReply(BLOB, range.includes(",") ? "bytes=0-59999" : range),
  ];
  for (const way of ways) {
    const { got, requests } = await fetchWith(way);
    assertEquals(got, WANTED);
    ok(requests >= RANGES.length && requests <= RANGES.length + 1, `${requests}`);
  }
});

Deno.test("a registry without ranges is found out", async () => {
  await rejects(fetchWith(() => blobReply(BLOB, undefined)), RangesUnsupported);
});

Deno.test("what broke off goes on where it was", async () => {
  const whole = (range: string) => blobReply(BLOB, range);
  const cut = await fetchWith((range, _, asked) =>
    asked < 3 ? { ...whole(range), breakAfter: 15_000 } : whole(range)
  );
  assertEquals(cut.got, WANTED);
  const failing = await fetchWith((range, _, asked) => asked < 2 ? { status: 503 } : whole(range));
  assertEquals(failing.got, WANTED);
  let end = () => {};
  const never = new Promise<void>((resolve) => end = resolve);
  const stalled = await fetchWith((range, _, asked) => {
    if (asked > 0) end(); // the first answer, which nobody waits for any more
    return asked === 0 ? { ...whole(range), after: never } : whole(range);
  }, 2_000);
  assertEquals(stalled.got, WANTED);
  await rejects(fetchWith(() => ({ status: 500 })), /500/);
  await rejects(fetchWith((range) => ({ ...whole(range), breakAfter: 10 })), /ended|broke|closed|early/);
});

Deno.test("a registry that lies about ranges is refused", async () => {
  const other = (change: (reply: Reply) => Reply) =>
    rejects(fetchWith((range) => change(blobReply(BLOB, range.split(",")[0]))), /another range|whole only/);
  await other((reply) => ({ ...reply, headers: { "Content-Range": "bytes 1-100/60000" } }));
  await other((reply) => ({ ...reply, headers: { "Content-Range": "bytes 0-99/70000" } }));
  await other((reply) => ({ ...reply, headers: {} }));
  await other((reply) => ({ ...reply, body: BLOB.slice(0, 200) }));
  const parts = (change: (text: string) => string) =>
    rejects(
      fetchWith((range) => {
        const reply = blobReply(BLOB, range);
        const latin = Array.from(reply.body as Uint8Array, (byte) => String.fromCharCode(byte)).join("");
        return { ...reply, body: Uint8Array.from(change(latin), (char) => char.charCodeAt(0)) };
      }),
      /another range|malformed|early/,
    );
  await parts((text) => text.replace("bytes 5000-5000", "bytes 5000-5001"));
  await parts((text) => text.replace("\r\n--cut\r\n", "\r\n--knife\r\n"));
  await parts((text) => text.replace("\r\n\r\n", "x".repeat(5000)));
  await parts((text) => text + "more");
});
