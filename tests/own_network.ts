/** For tests: scripts that run in a network namespace of their own, which has nothing but loopback. */

import { NetlinkSocket } from "../ffi/netlink.ts";
import { addAddress, setLink } from "../ffi/rtnetlink.ts";
import { mustParse } from "../runtime/network/stack/addresses.ts";

/** What hangs ends. */
const TIMEOUT_MS = 10 * 60_000;

/** Runs a script there and gives what it printed as JSON. */
export async function runInOwnNetwork<Result>(script: string, ...args: string[]): Promise<Result> {
  return await runAsRootOfOwn<Result>("--net", script, ...args);
}

/** The same as root of a user namespace with a namespace of the kind (`--mount`, an option of unshare(1)). */
export async function runAsRootOfOwn<Result>(
  kind: string,
  script: string,
  ...args: string[]
): Promise<Result> {
  const path = new URL(script, import.meta.url).pathname;
  const flags = ["--no-check", "--v8-flags=--single-threaded,--expose-gc"];
  const { stdout, stderr, success } = await new Deno.Command("unshare", {
    args: ["--user", "--map-root-user", kind, Deno.execPath(), "run", "-A", ...flags, path, ...args],
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).output();
  if (!success) throw new Error(`${script}: ${new TextDecoder().decode(stderr)}`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

const LOOPBACK_INDEX = 1;

/** In the script: loopback, with these addresses as if they were the world. */
export function setUpLoopback(...addresses: string[]): void {
  using netlink = new NetlinkSocket();
  netlink.perform([setLink("lo", { up: true })]);
  netlink.perform(addresses.map((text) => {
    const address = mustParse(text);
    return addAddress({ link: LOOPBACK_INDEX, address, prefix: address.length * 8 });
  }));
  // the kernel makes an IPv6 address its own (RTF_LOCAL) a little later; what comes for it until then is dropped
  const late = addresses.map(mustParse).filter(({ length }) => length === 16).map((address) =>
    address.toHex()
  );
  for (const end = Date.now() + 60_000; late.length > 0;) {
    const routes = Deno.readTextFileSync("/proc/net/ipv6_route");
    if (late.every((address) => new RegExp(`^${address} 80 .* 8[0-9a-f]{7} +lo$`, "m").test(routes))) return;
    if (Date.now() > end) throw new Error(`no routes of ${late}: ${routes}`);
  }
}

/** Allows ping sockets, which a new namespace does not. @see icmp(7) */
export function allowPing(): void {
  Deno.writeTextFileSync("/proc/sys/net/ipv4/ping_group_range", "0 0");
}
