/** ADD of an address: what was downloaded once is asked for again, and used if its server says so. */
import { assertEquals, hostTest } from "./harness.ts";
import { makeContext } from "./build_context.ts";

/** A server of four files, which know themselves by a tag, a date, a tag that is never looked at, and nothing. */
class Files implements AsyncDisposable {
  content = "one\n";
  tag = '"one"';
  /** `/tag 304`, in their order. */
  seen: string[] = [];
  readonly #server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { pathname } = new URL(request.url);
    const response = this.#answer(pathname, request.headers);
    this.seen.push(`${pathname} ${response.status}`);
    return response;
  });

  get url(): string {
    return `http://user:secret-word@127.0.0.1:${(this.#server.addr as Deno.NetAddr).port}`;
  }

  /** What was asked for since the last look, sorted. */
  take(): string[] {
    return this.seen.splice(0).sort();
  }

  #answer(path: string, headers: Headers): Response {
    const date = "Mon, 02 Mar 2020 10:00:00 GMT";
    switch (path) {
      case "/tag":
        if (headers.get("if-none-match") === this.tag) return new Response(null, { status: 304 });
        return new Response(this.content, { headers: { etag: this.tag, "last-modified": date } });
      case "/date":
        if (headers.get("if-modified-since") === date) return new Response(null, { status: 304 });
        return new Response("dated\n", { headers: { "last-modified": date } });
      // weak where it was strong: the same for whoever wants to know whether something has changed
      case "/deaf":
        return new Response("deaf\n", { headers: { etag: headers.has("if-none-match") ? 'W/"d"' : '"d"' } });
      default:
        return new Response("plain\n");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

hostTest(
  "what ADD has downloaded is used again when its server says that it has the same",
  {},
  async (host) => {
    await using files = new Files();
    const names = ["tag", "date", "deaf", "plain"];
    const adds = names.map((name) => `ADD ${files.url}/${name} /${name}\n`).join("");
    const folder = await makeContext(host, {
      Dockerfile: `FROM scratch\nARG FIRST\nCOPY <<EOF /first\n$FIRST\nEOF\n${adds}`,
    });
    const build = async (first: string) => {
      const out = `${host.home}/out-${crypto.randomUUID()}`;
      const words = ["--progress", "plain", "--build-arg", `FIRST=${first}`, "-o", out, folder];
      const { code, stderr } = await host.skiff(["build", ...words]);
      assertEquals(code, 0, stderr);
      const cached = stderr.match(/^#\d+ CACHED$/gm)?.length ?? 0;
      const read = await Promise.all(names.map((name) => Deno.readTextFile(`${out}/${name}`)));
      const { mtime } = await Deno.stat(`${out}/date`);
      return { cached, text: read.join(""), year: mtime?.getUTCFullYear() };
    };
    const text = "one\ndated\ndeaf\nplain\n";
    const again = ["/date 304", "/deaf 200", "/plain 200", "/tag 304"];
    assertEquals(await build("1"), { cached: 0, text, year: 2020 });
    assertEquals(files.take(), ["/date 200", "/deaf 200", "/plain 200", "/tag 200"]);
    // what is not fetched is in the cache
    assertEquals(await build("1"), { cached: 5, text, year: 2020 });
    assertEquals(files.take(), again);
    // or, where the steps are to be made again, beside it
    assertEquals(await build("2"), { cached: 0, text, year: 2020 });
    assertEquals(files.take(), again);
    // one that is not whole, as the machine went down, is fetched
    const kept = `${host.data}/build-http`;
    for (const { name } of Deno.readDirSync(kept)) {
      if (Deno.readTextFileSync(`${kept}/${name}`) === "dated\n") Deno.truncateSync(`${kept}/${name}`, 2);
    }
    [files.content, files.tag] = ["other\n", '"other"'];
    assertEquals(await build("2"), { cached: 1, text: text.replace("one", "other"), year: 2020 });
    assertEquals(files.take(), ["/date 200", "/deaf 200", "/plain 200", "/tag 200"]);

    const entries = async () =>
      (await host.ok("buildx", "du", "--format", "json", "--filter", "description=http url")).trim()
        .split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
    const address = files.url.replace("user:secret-word@", "");
    assertEquals(
      (await entries()).map(({ Description, Size }) => `${Description} ${Size}`).sort(),
      [`http url ${address}/date 6`, `http url ${address}/deaf 5`, `http url ${address}/tag 6`],
    );
    const { ID } = (await entries()).find(({ Description }) => Description.endsWith("/tag"));
    await host.ok("builder", "prune", "-f", "--filter", `id=${ID}`);
    assertEquals([...Deno.readDirSync(kept)].length, 2);
    assertEquals((await build("3")).text, text.replace("one", "other"));
    assertEquals(files.take(), ["/date 304", "/deaf 200", "/plain 200", "/tag 200"]);
    await host.ok("builder", "prune", "-af");
    assertEquals([...Deno.readDirSync(kept)], []);
  },
);
