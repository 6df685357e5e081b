/**
 * Where a registry may send us. Its token realm and its redirects are words of a stranger: they must not reach
 * the services of this machine or of the link (cloud metadata), nor go down to plain http.
 */
import ipaddr from "ipaddr.js";
import { RegistryError } from "../errors.ts";
import { printable } from "../spec/printable.ts";

/** "ordinary" is every address that a stranger may name. */
export type AddressClass = "ordinary" | "loopback" | "link-local" | "unspecified" | "unknown";

/** @param address as `remoteAddr.hostname` has it; "" where a proxy stands between */
export function classifyAddress(address: string): AddressClass {
  const text = address.replace(/^\[|\]$/g, "").replace(/%.*$/, "");
  let parsed: ipaddr.IPv4 | ipaddr.IPv6;
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) parsed = ipaddr.IPv4.parse(text);
  else if (ipaddr.IPv6.isValid(text)) parsed = ipaddr.IPv6.parse(text);
  else return "unknown";
  if (parsed instanceof ipaddr.IPv6) {
    // The IPv4 address inside is what is reached: ::ffff:a.b.c.d and NAT64.
    if (parsed.isIPv4MappedAddress()) parsed = parsed.toIPv4Address();
    else if (parsed.range() === "rfc6052") parsed = ipaddr.fromByteArray(parsed.toByteArray().slice(12));
  }
  switch (parsed.range()) {
    case "loopback":
      return "loopback";
    case "linkLocal":
      return "link-local";
    case "unspecified":
    case "broadcast":
    case "multicast":
      return "unspecified";
    default:
      // 0.0.0.0/8 is "this network"; Linux takes 0.x as it takes 0.0.0.0.
      return parsed instanceof ipaddr.IPv4 && parsed.octets[0] === 0 ? "unspecified" : "ordinary";
  }
}

/** The class of a name before anything is resolved; "unknown" for most names. */
export function classifyName(hostname: string): AddressClass {
  const name = hostname.toLowerCase().replace(/\.$/, "");
  return name === "localhost" || name.endsWith(".localhost") ? "loopback" : classifyAddress(name);
}

/** What is known of the registry whose word sends us elsewhere. */
export interface Sender {
  /** `host[:port]`, for the message. */
  host: string;
  /** Reached by plain http. */
  isPlain: boolean;
  /** Declared insecure: it may send us anywhere. */
  insecure: boolean;
  addressClass: AddressClass;
}

/** @param role "token realm", "redirect" @throws RegistryError for a url that a registry may not send us to */
export function checkTargetUrl(role: string, sender: Sender, url: URL): void {
  const refuse = (why: string, hint?: string) =>
    new RegistryError(`follow ${role} of ${sender.host} to ${shownUrl(url)}: ${why}`, 0, { hint });
  if (url.protocol !== "https:" && url.protocol !== "http:") throw refuse("it is neither https nor http");
  if (url.username !== "" || url.password !== "") throw refuse("it carries a login");
  if (url.protocol === "http:" && !sender.insecure && !sender.isPlain) {
    throw refuse("it is plain http", `declare ${sender.host} insecure in registries.conf if this is meant`);
  }
  checkClass(role, sender, url, classifyName(url.hostname));
}

/** After the connection, before a byte is sent: a name may resolve to anything. */
export function checkTargetPeer(role: string, sender: Sender, url: URL, peer: string): void {
  if (peer !== "") checkClass(role, sender, url, classifyAddress(peer));
}

function checkClass(role: string, sender: Sender, url: URL, target: AddressClass): void {
  if (sender.insecure || target === "ordinary" || target === "unknown" || target === sender.addressClass) {
    return;
  }
  const words = target === "unspecified" ? "an address that is nobody's" : `a ${target} address`;
  throw new RegistryError(`follow ${role} of ${sender.host} to ${shownUrl(url)}: it leads to ${words}`, 0, {
    hint: `declare ${sender.host} insecure in registries.conf if this is meant`,
  });
}

/** Queries of storage urls are signatures, thus secrets: they are never shown. */
export function shownUrl(url: URL): string {
  return printable(`${url.protocol}//${url.host}${url.pathname}`, 200);
}
