import { assertEquals } from "../../tests/assertions.ts";
import { isThere } from "../state/listing.ts";
import { LoopbackStream, openLoopback } from "./loopback_stream.ts";
import { pause } from "./watchdog.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const descriptors = () => Array.from(Deno.readDirSync("/proc/self/fd")).length;

/** A server that is asked once, and does with the connection what `serve` says. */
async function withServer(
  hostname: string,
  serve: (conn: Deno.Conn) => Promise<void>,
  ask: (stream: LoopbackStream) => Promise<void>,
): Promise<void> {
  using listener = Deno.listen({ hostname, port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const served = listener.accept().then(async (conn) => {
    using _conn = conn;
    await serve(conn);
  });
  const place = hostname.includes(":") ? `[${hostname}]` : hostname;
  const stream = openLoopback(new URL(`http://${place}:${port}/`));
  if (stream === undefined) throw new Error(`nobody is at ${hostname}`);
  try {
    await ask(stream);
  } finally {
    stream.close();
    await served;
  }
}

const hasIpv6 = isThere("/proc/net/if_inet6");
for (const hostname of ["127.0.0.1", "127.1.2.3", ...hasIpv6 ? ["::1"] : []]) {
  Deno.test(`bytes go to a server at ${hostname} and come back, and then the end`, () =>
    withServer(hostname, async (conn) => {
      const asked = new Uint8Array(8);
      assertEquals(await conn.read(asked), 4);
      await conn.write(new TextEncoder().encode(`so ${text(asked.subarray(0, 4))}`));
    }, async (stream) => {
      assertEquals(stream.peer, hostname);
      assertEquals(await stream.write(new TextEncoder().encode("word")), 4);
      const into = new Uint8Array(16);
      assertEquals(await stream.read(into), 7);
      assertEquals(text(into.subarray(0, 7)), "so word");
      assertEquals(await stream.read(into), null);
    }));
}

Deno.test("what does not fit into the socket is written when there is room", async () => {
  const sent = new Uint8Array(8 << 20).fill(7);
  await withServer("127.0.0.1", async (conn) => {
    let got = 0;
    for (const into = new Uint8Array(1 << 20); got < sent.length;) got += await conn.read(into) ?? NaN;
    assertEquals(got, sent.length);
  }, async (stream) => {
    for (let at = 0; at < sent.length;) at += await stream.write(sent.subarray(at));
  });
});

Deno.test("who waits for an answer is told that this side has closed, and no descriptor is left", async () => {
  const before = descriptors();
  const failed = Promise.withResolvers<unknown>();
  await withServer("127.0.0.1", async (conn) => {
    await conn.read(new Uint8Array(1));
  }, async (stream) => {
    stream.read(new Uint8Array(1)).catch(failed.resolve);
    await pause(1);
    stream.close();
    stream.close();
    assertEquals(String(await failed.promise), "Error: the connection was closed on this side");
  });
  assertEquals(descriptors(), before);
});

Deno.test("there is none where nobody listens, nor to a name or another machine", () => {
  const before = descriptors();
  const { port } = (() => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    return listener.addr as Deno.NetAddr;
  })();
  for (
    const host of ["127.0.0.1", "localhost", "[::2]", "192.0.2.1", "127.0.0.1.example", "[::ffff:127.0.0.1]"]
  ) {
    assertEquals(openLoopback(new URL(`http://${host}:${port}/`)), undefined, host);
  }
  assertEquals(descriptors(), before);
});
