import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { InvalidArgumentError } from "../errors.ts";
import { proxyFor } from "./proxy.ts";

const https = { HTTPS_PROXY: "http://proxy.example:3128", HTTP_PROXY: "proxy.example:80" };
const via = (url: string, env: Record<string, string> = https) => proxyFor(env, new URL(url))?.port ?? null;

Deno.test("the scheme picks the variable, loopback needs none", () => {
  assertEquals(via("https://r.example/"), 3128);
  assertEquals(via("http://r.example/"), 80);
  assertEquals(via("https://r.example/", { all_proxy: "http://p:1" }), 1);
  assertEquals(via("https://r.example/", {}), null);
  for (const host of ["localhost", "127.0.0.1", "[::1]"]) assertEquals(via(`https://${host}:5000/`), null);
  // CVE-2016-5385: a CGI's HTTP_PROXY is the Proxy header of whoever asks.
  assertEquals(via("http://r.example/", { ...https, REQUEST_METHOD: "GET" }), null);
});

Deno.test("NO_PROXY takes names, domains, addresses, ranges and ports", () => {
  const cases: [string, string, boolean][] = [
    ["*", "https://r.example/", true],
    ["r.example", "https://r.example/", true],
    ["example", "https://r.example/", true],
    [".example", "https://r.example/", true],
    ["*.example", "https://r.example/", true],
    [".r.example", "https://r.example/", false],
    ["xample", "https://r.example/", false],
    ["a, r.example ,b", "https://r.example/", true],
    ["r.example:443", "https://r.example/", true],
    ["r.example:80", "https://r.example/", false],
    ["10.0.0.0/8", "https://10.1.2.3/", true],
    ["10.0.0.0/8", "https://11.1.2.3/", false],
    ["10.0.0.0/99", "https://10.1.2.3/", false],
    ["10.1.2.3", "https://10.1.2.3/", true],
    ["2001:db8::/32", "https://[2001:db8::5]/", true],
    ["[2001:db8::5]:443", "https://[2001:db8::5]/", true],
  ];
  for (const [list, url, isExempt] of cases) {
    assertEquals(via(url, { ...https, NO_PROXY: list }) === null, isExempt, `${list} ${url}`);
  }
});

Deno.test("a login of the proxy becomes a header, other schemes are refused", () => {
  const proxy = proxyFor({ HTTPS_PROXY: "http://me:p%40ss@p.example" }, new URL("https://r.example/"));
  assertEquals(proxy, { hostname: "p.example", port: 80, authorization: `Basic ${btoa("me:p@ss")}` });
  throws(
    () => via("https://r.example/", { HTTPS_PROXY: "socks5://me:secret@p.example:1080" }),
    new InvalidArgumentError("use proxy socks5://p.example:1080: only http:// proxies are supported"),
  );
});
