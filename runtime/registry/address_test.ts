import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { RegistryError } from "../errors.ts";
import {
  checkTargetPeer,
  checkTargetUrl,
  classifyAddress,
  classifyName,
  type Sender,
  shownUrl,
} from "./address.ts";

const registry: Sender = { host: "r.example", isPlain: false, insecure: false, addressClass: "ordinary" };

Deno.test("addresses are classed by what they reach", () => {
  const cases: Record<string, string> = {
    "93.184.216.34": "ordinary",
    "10.0.0.1": "ordinary",
    "127.0.0.1": "loopback",
    "127.255.0.9": "loopback",
    "::1": "loopback",
    "::ffff:127.0.0.1": "loopback",
    "64:ff9b::7f00:1": "loopback",
    "169.254.169.254": "link-local",
    "fe80::1%eth0": "link-local",
    "::ffff:a9fe:a9fe": "link-local",
    "0.0.0.0": "unspecified",
    "0.1.2.3": "unspecified",
    "::": "unspecified",
    "224.0.0.1": "unspecified",
    "255.255.255.255": "unspecified",
    "2001:4860:4860::8888": "ordinary",
    "registry.example": "unknown",
    "010.0.0.1": "unknown",
  };
  for (const [address, expected] of Object.entries(cases)) {
    assertEquals(classifyAddress(address), expected, address);
  }
  assertEquals(classifyName("LocalHost."), "loopback");
  assertEquals(classifyName("a.localhost"), "loopback");
  assertEquals(classifyName("localhost.example"), "unknown");
});

Deno.test("a url is refused for its scheme, its login or where it leads", () => {
  const check = (url: string, change: Partial<Sender> = {}) =>
    checkTargetUrl("redirect", { ...registry, ...change }, new URL(url));
  check("https://cdn.example/x");
  check("http://cdn.example/x", { isPlain: true });
  check("http://127.0.0.1/x", { insecure: true });
  check("https://127.0.0.1/x", { addressClass: "loopback" });
  const hint = "declare r.example insecure in registries.conf if this is meant";
  const refused = (url: string, why: string, withHint = true) =>
    throws(
      () => check(url),
      new RegistryError(`follow redirect of r.example to ${url}: ${why}`, 0, withHint ? { hint } : {}),
    );
  refused("http://cdn.example/x", "it is plain http");
  refused("https://127.0.0.1/x", "it leads to a loopback address");
  refused("https://localhost/x", "it leads to a loopback address");
  refused("https://169.254.169.254/x", "it leads to a link-local address");
  refused("ftp://cdn.example/x", "it is neither https nor http", false);
  throws(() => check("https://169.254.169.254/x", { addressClass: "loopback" }), RegistryError);
});

Deno.test("the address that answers counts, whatever the name", () => {
  const url = new URL("https://innocent.example/x");
  checkTargetPeer("redirect", registry, url, "93.184.216.34");
  checkTargetPeer("redirect", registry, url, "");
  throws(
    () => checkTargetPeer("token realm", registry, url, "169.254.169.254"),
    /leads to a link-local address$/,
  );
});

Deno.test("signatures in queries are never shown", () => {
  assertEquals(shownUrl(new URL("https://cdn.example/blob?sig=secret#f")), "https://cdn.example/blob");
});
