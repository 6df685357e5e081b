/** Debian's nginx behind a published port: ten thousand requests of the host, each logged with the client's address. */

import { assertEquals, hostTest, waitFor } from "./harness.ts";

const CONFIG = `worker_processes 1;
events { worker_connections 4096; }
http {
  log_format client "client=$remote_addr $uri";
  access_log /dev/stdout client;
  keepalive_requests 100000;
  server { listen 80; location / { return 200 "hello from a container\\n"; } }
}
`;

const KEPT_CONNECTIONS = 8;
const REQUESTS_EACH = 1_200;
const SINGLE_REQUESTS = 400;
const IN_PARALLEL = 16;

/** One HTTP/1.1 connection, used again and again. */
class Client implements Disposable {
  readonly #buffer = new Uint8Array(4096);
  constructor(readonly conn: Deno.Conn, readonly host: string) {}

  static async connect(hostname: string, port: number): Promise<Client> {
    return new Client(await Deno.connect({ hostname, port }), hostname);
  }

  /** The body of an answer. */
  async get(path: string, isLast: boolean): Promise<string> {
    const request = `GET ${path} HTTP/1.1\r\nHost: ${this.host}\r\n${
      isLast ? "Connection: close\r\n" : ""
    }\r\n`;
    await this.conn.write(new TextEncoder().encode(request));
    for (let text = "";;) {
      const count = await this.conn.read(this.#buffer);
      if (count === null) throw new Error(`the connection ended: ${JSON.stringify(text)}`);
      text += new TextDecoder().decode(this.#buffer.subarray(0, count));
      const [, length, body = ""] =
        /^HTTP\/1\.1 200 [^]*?Content-Length: (\d+)\r\n[^]*?\r\n\r\n([^]*)$/i.exec(text) ?? [];
      if (length !== undefined && body.length >= Number(length)) return body;
    }
  }

  [Symbol.dispose](): void {
    this.conn.close();
  }
}

/** `requests` answers over one connection; gives how many were right. */
async function ask(hostname: string, port: number, requests: number, path = "/page"): Promise<number> {
  using client = await Client.connect(hostname, port);
  let right = 0;
  for (let count = 1; count <= requests; count++) {
    if (await client.get(path, count === requests) === "hello from a container\n") right++;
  }
  return right;
}

hostTest("nginx with a published port serves 10,000 requests and logs the client's address", {
  needs: ["registry", "debootstrap", "uidmap"],
  // the first that uses the image makes it
  timeoutMs: 600_000,
}, async (host) => {
  const image = await host.image("servers");
  const pulled = await host.skiff(["pull", "-q", image], { timeoutMs: 300_000 });
  assertEquals(pulled.code, 0, pulled.stderr);
  const config = `${host.home}/nginx.conf`;
  await Deno.writeTextFile(config, CONFIG);
  await host.own(config);
  const volume = `${config}:/etc/nginx/nginx.conf:ro`;
  await host.ok("run", "-d", "--name", "web", "-p", "80", "-v", volume, image, "nginx", "-g", "daemon off;");
  const port = Number((await host.ok("port", "web", "80")).replace(/.*:/, ""));
  // not loopback, whose addresses mean somebody else inside; nor one of the network inside
  const own = Deno.networkInterfaces().find(({ family, address }) =>
    family === "IPv4" && !/^(127|10\.0\.2)\./.test(address)
  );
  const hostname = own?.address ?? "127.0.0.1";
  const ready = () => ask(hostname, port, 1, "/ready").catch(() => 0);
  await waitFor("nginx answers", ready);
  const kept = await Promise.all(
    Array.from({ length: KEPT_CONNECTIONS }, () => ask(hostname, port, REQUESTS_EACH)),
  );
  const one = async () => {
    let right = 0;
    for (let count = 0; count < SINGLE_REQUESTS / IN_PARALLEL; count++) right += await ask(hostname, port, 1);
    return right;
  };
  const single = await Promise.all(Array.from({ length: IN_PARALLEL }, one));
  const total = [...kept, ...single].reduce((sum, right) => sum + right, 0);
  assertEquals(total, 10_000);
  const lines = await waitFor("all requests are logged", async () => {
    const found = await logged();
    return found.length >= total && found;
  });
  assertEquals(lines.length, total);
  assertEquals([...new Set(lines)], [`client=${own?.address ?? "10.0.2.2"} /page`]);
  assertEquals(await host.ok("stop", "-t", "60", "web"), "web");

  async function logged(): Promise<string[]> {
    return (await host.ok("logs", "web")).split("\n").filter((line) => line.endsWith(" /page"));
  }
});
