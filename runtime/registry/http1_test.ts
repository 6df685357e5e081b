import { deepStrictEqual as assertEquals, rejects, throws } from "node:assert";
import fc from "fast-check";
import type { ByteStream } from "./dial.ts";
import { BrokenConnectionError, HttpConnection, HttpFormatError, parseHead } from "./http1.ts";

/** A connection whose other end sends `text` in pieces, then nothing more. */
function connectionTo(text: string, piece = 7): { http: HttpConnection; written: string[] } {
  const bytes = Uint8Array.from(text, (c) => c.charCodeAt(0));
  const written: string[] = [];
  let at = 0;
  const stream: ByteStream = {
    peer: "",
    read(into) {
      if (at === bytes.length) return Promise.resolve(null);
      const n = Math.min(piece, into.length, bytes.length - at);
      into.set(bytes.subarray(at, at += n));
      return Promise.resolve(n);
    },
    write(sent) {
      written.push(new TextDecoder().decode(sent));
      return Promise.resolve(sent.length);
    },
    close() {},
  };
  return { http: new HttpConnection(stream), written };
}

async function bodyOf(text: string, method = "GET", piece = 7): Promise<{ body: string; reusable: boolean }> {
  const { http } = connectionTo(text, piece);
  await http.readHead(method);
  let body = "";
  const into = new Uint8Array(5);
  for (let n = await http.readBody(into); n !== null; n = await http.readBody(into)) {
    body += String.fromCharCode(...into.subarray(0, n));
  }
  return { body, reusable: http.isReusable };
}

const OK = "HTTP/1.1 200 OK\r\n";

Deno.test("bodies end by length, by chunks, by the connection, or are not there", async () => {
  const cases: [string, string, boolean, string?][] = [
    [`${OK}Content-Length: 5\r\n\r\nhello`, "hello", true],
    [
      `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: t\r\n\r\n`,
      "hello world",
      true,
    ],
    [`${OK}\r\nhello`, "hello", false],
    [`${OK}Connection: close\r\nContent-Length: 5\r\n\r\nhello`, "hello", false],
    ["HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", false],
    ["HTTP/1.1 204 No Content\r\n\r\n", "", true],
    [`${OK}Content-Length: 5\r\n\r\n`, "", true, "HEAD"],
    [`HTTP/1.1 103 Early\r\nLink: x\r\n\r\n${OK}Content-Length: 2\r\n\r\nok`, "ok", true],
  ];
  for (const [text, body, reusable, method] of cases) {
    for (const piece of [1, 7, 10_000]) {
      assertEquals(await bodyOf(text, method, piece), { body, reusable }, text);
    }
  }
});

Deno.test("an early end is not taken for the end of the body", async () => {
  for (
    const text of [
      `${OK}Content-Length: 9\r\n\r\nhello`,
      `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello`,
      `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n`,
      "HTTP/1.1 200",
    ]
  ) await rejects(bodyOf(text), BrokenConnectionError, text);
});

Deno.test("ambiguous or malformed framing is refused", async () => {
  for (
    const text of [
      `${OK}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`,
      `${OK}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      `${OK}Content-Length: -5\r\n\r\n`,
      `${OK}Content-Length: 0x5\r\n\r\nhello`,
      `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n`,
      `${OK}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
      `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n`,
      `${OK}no colon\r\n\r\n`,
      `${OK}a b: c\r\n\r\n`,
      "SSH-2.0-OpenSSH\r\n\r\n",
      "HTTP/2 200\r\n\r\n",
    ]
  ) await rejects(bodyOf(text), HttpFormatError, text);
});

Deno.test("a request is written with its length, and with no header that breaks out of its line", async () => {
  const { http, written } = connectionTo("");
  const body = new TextEncoder().encode("a=b");
  await http.send({ method: "POST", target: "/t", host: "h:1", headers: { Accept: "x" }, body });
  assertEquals(
    written.join(""),
    "POST /t HTTP/1.1\r\nHost: h:1\r\nAccept: x\r\nContent-Length: 3\r\n\r\na=b",
  );
  for (const value of ["a\r\nX: y", "a\0", "a\u0100"]) {
    await rejects(
      http.send({ method: "GET", target: "/", host: "h", headers: { Authorization: value } }),
      new HttpFormatError("the header Authorization is malformed"),
    );
  }
});

Deno.test("any head is read or refused", () => {
  fc.assert(fc.property(fc.array(fc.string()), (lines) => {
    try {
      parseHead(lines);
    } catch (error) {
      if (!(error instanceof HttpFormatError)) throw error;
    }
  }));
  throws(() => parseHead(["HTTP/1.1 099 x"]), HttpFormatError);
});

Deno.test("a body arrives whole however it is cut", async () => {
  const pieces = fc.array(fc.stringMatching(/^[a-z\r\n]{1,30}$/), { maxLength: 6 });
  await fc.assert(fc.asyncProperty(pieces, fc.integer({ min: 1, max: 40 }), async (chunks, piece) => {
    const coded = chunks.map((c) => `${c.length.toString(16)}\r\n${c}\r\n`).join("") + "0\r\n\r\n";
    const { body } = await bodyOf(`${OK}Transfer-Encoding: chunked\r\n\r\n${coded}`, "GET", piece);
    assertEquals(body, chunks.join(""));
  }));
});
