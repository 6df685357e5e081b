/**
 * Which proxy leads to an address: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY as Go programs read them.
 *
 * @see https://pkg.go.dev/golang.org/x/net/http/httpproxy
 */
import ipaddr from "ipaddr.js";
import { InvalidArgumentError } from "../errors.ts";

export interface Proxy {
  hostname: string;
  port: number;
  /** The value of `Proxy-Authorization`, where the url has a login. */
  authorization?: string;
}

type Env = Readonly<Record<string, string | undefined>>;

/**
 * The proxy for a url, null for a direct connection. Loopback is never reached through a proxy.
 * @throws InvalidArgumentError for a proxy url that cannot be used
 */
export function proxyFor(env: Env, url: URL): Proxy | null {
  const isHttps = url.protocol === "https:";
  const text = isHttps
    ? env.HTTPS_PROXY ?? env.https_proxy ?? env.ALL_PROXY ?? env.all_proxy
    // In a CGI program HTTP_PROXY is a header of the caller (CVE-2016-5385).
    : (env.REQUEST_METHOD === undefined ? env.HTTP_PROXY : undefined) ?? env.http_proxy ?? env.ALL_PROXY ??
      env.all_proxy;
  if (text === undefined || text === "") return null;
  const host = bareHost(url.hostname);
  const port = url.port || (isHttps ? "443" : "80");
  if (host === "localhost" || isLoopback(host) || isExempt(env.NO_PROXY ?? env.no_proxy ?? "", host, port)) {
    return null;
  }
  return parseProxy(text);
}

function parseProxy(text: string): Proxy {
  let url: URL;
  try {
    url = new URL(/^[a-z0-9]+:\/\//i.test(text) ? text : `http://${text}`);
  } catch {
    throw new InvalidArgumentError("use proxy: the url in the environment is malformed");
  }
  if (url.protocol !== "http:") {
    throw new InvalidArgumentError(
      `use proxy ${url.protocol}//${url.host}: only http:// proxies are supported`,
    );
  }
  const login = url.username === ""
    ? undefined
    : `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return {
    hostname: bareHost(url.hostname),
    port: Number(url.port || "80"),
    ...(login === undefined ? {} : { authorization: `Basic ${new TextEncoder().encode(login).toBase64()}` }),
  };
}

/** `*`, names (`example.com` covers its subdomains, `.example.com` only these), addresses, CIDR, `:port`. */
function isExempt(list: string, host: string, port: string): boolean {
  return list.split(",").map((word) => word.trim().toLowerCase()).some((word) => {
    if (word === "*") return true;
    if (word === "") return false;
    const withPort = /^(\[[^\]]+\]|[^:]+):(\d+)$/.exec(word);
    if (withPort !== null && withPort[2] !== port) return false;
    const pattern = bareHost(withPort?.[1] ?? word);
    if (pattern.includes("/")) return inRange(pattern, host);
    const address = parseAddress(pattern);
    if (address !== null) return parseAddress(host)?.toNormalizedString() === address.toNormalizedString();
    const name = pattern.replace(/^\*(?=\.)/, "");
    return name.startsWith(".") ? host.endsWith(name) : host === name || host.endsWith(`.${name}`);
  });
}

function inRange(cidr: string, host: string): boolean {
  const address = parseAddress(host);
  if (address === null) return false;
  try {
    const [base, bits] = ipaddr.parseCIDR(cidr);
    return base.kind() === address.kind() && address.match(base as never, bits);
  } catch {
    return false;
  }
}

function isLoopback(host: string): boolean {
  return parseAddress(host)?.range() === "loopback";
}

/** ipaddr.js alone would read `010.0.0.1` as octal. */
function parseAddress(host: string): ipaddr.IPv4 | ipaddr.IPv6 | null {
  if (ipaddr.IPv4.isValidFourPartDecimal(host)) return ipaddr.IPv4.parse(host);
  return ipaddr.IPv6.isValid(host) ? ipaddr.IPv6.parse(host) : null;
}

function bareHost(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, "").toLowerCase();
}
