import { assertEquals } from "../../tests/assertions.ts";
import { configSources } from "../config/sources.ts";
import { drain, Transport } from "./transport.ts";
import { pause } from "./watchdog.ts";

/** A server that counts its connections and answers each question with the number of its connection. */
class CountingServer implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #served: Promise<void>[] = [];
  readonly #done: Promise<void>;
  connections = 0;
  questions = 0;
  /** Connections that the other side has ended. */
  ended = 0;

  constructor() {
    this.#done = (async () => {
      for await (const conn of this.#listener) this.#served.push(this.#serve(conn, ++this.connections));
    })();
  }

  get url(): URL {
    return new URL(`http://127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}/v2/`);
  }

  async #serve(conn: Deno.Conn, number: number): Promise<void> {
    using _conn = conn;
    const head = `HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Number: ${number}\r\n\r\n`;
    // who closes with an answer unread resets the connection
    while (await conn.read(new Uint8Array(4096)).catch(() => null) !== null) {
      this.questions++;
      await conn.write(new TextEncoder().encode(head));
    }
    this.ended++;
  }

  async until(condition: () => boolean): Promise<void> {
    for (let tries = 0; !condition(); tries++) {
      if (tries === 5000) throw new Error("it does not come about");
      await pause(1);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#done;
    await Promise.all(this.#served);
  }
}

const ask = (transport: Transport, url: URL, wanted?: Promise<void>) =>
  transport.request({ method: "HEAD", url, insecure: true, wanted });

Deno.test("what is asked ahead is sent at once, and its answer may wait longer than a registry may say nothing", async () => {
  await using server = new CountingServer();
  const transport = new Transport({ sources: configSources(), idleTimeoutMs: 20 });
  const wanted = Promise.withResolvers<void>();
  const asked = ask(transport, server.url, wanted.promise);
  await server.until(() => server.questions === 1);
  await pause(60);
  wanted.resolve();
  const answer = await asked;
  await drain(answer);
  assertEquals([answer.status, answer.peer, answer.head.get("x-number")], [200, "127.0.0.1", "1"]);
  // that connection is not kept
  await server.until(() => server.ended === 1);
  for (const number of ["2", "2"]) {
    const next = await ask(transport, server.url);
    await drain(next);
    assertEquals(next.head.get("x-number"), number);
  }
  transport.close();
  assertEquals([server.connections, server.questions], [2, 3]);
});

Deno.test("an answer that is wanted and does not come is waited for as long as any", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = listener.accept();
  const { port } = listener.addr as Deno.NetAddr;
  const transport = new Transport({ sources: configSources(), idleTimeoutMs: 30 });
  const asked = ask(transport, new URL(`http://127.0.0.1:${port}/v2/`), Promise.resolve());
  const error = await asked.then(() => undefined, (error) => error);
  (await accepted).close();
  assertEquals(String(error), `RegistryError: HEAD http://127.0.0.1:${port}/v2/: nothing came for 0 s`);
});

Deno.test("a transport that is closed ends the connections whose answers nobody has wanted", async () => {
  await using server = new CountingServer();
  const transport = new Transport({ sources: configSources() });
  ask(transport, server.url, new Promise(() => {})).catch(() => {});
  await server.until(() => server.questions === 1);
  transport.close();
  await server.until(() => server.ended === 1);
});
