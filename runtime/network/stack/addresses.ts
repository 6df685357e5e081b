/** Internet addresses as bytes (4 or 16, network order) and as text; the library for it is too large for a monitor. */

export type AddressBytes = Uint8Array<ArrayBuffer>;

/** Dotted IPv4 or IPv6 text, without zone; undefined for anything else (`010.0.0.1` and `1.2.3` among it). */
export function parseAddress(text: string): AddressBytes | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

function parseIpv4(text: string): AddressBytes | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  const bytes = new Uint8Array(4);
  for (let index = 0; index < 4; index++) {
    const part = parts[index]!;
    // a leading zero is octal to some readers
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    bytes[index] = Number(part);
  }
  return bytes;
}

/** @see RFC 4291, 2.2 */
function parseIpv6(text: string): AddressBytes | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const groups = halves.map((half) => half === "" ? [] : half.split(":"));
  const last = groups.at(-1)!;
  const dotted = last.at(-1)?.includes(".") ? parseIpv4(last.pop()!) : null;
  if (dotted === undefined) return undefined;
  if (dotted) last.push(hex(dotted[0]! << 8 | dotted[1]!), hex(dotted[2]! << 8 | dotted[3]!));
  const given = groups.reduce((sum, half) => sum + half.length, 0);
  if (halves.length === 2 ? given > 7 : given !== 8) return undefined;
  const all = halves.length === 2
    ? [...groups[0]!, ...new Array<string>(8 - given).fill("0"), ...groups[1]!]
    : groups[0]!;
  const bytes = new Uint8Array(16);
  for (let index = 0; index < 8; index++) {
    if (!/^[0-9a-f]{1,4}$/i.test(all[index]!)) return undefined;
    const value = parseInt(all[index]!, 16);
    bytes[2 * index] = value >> 8;
    bytes[2 * index + 1] = value & 255;
  }
  return bytes;
}

function hex(value: number): string {
  return value.toString(16);
}

/** The canonical text. @see RFC 5952 */
export function formatAddress(bytes: ArrayLike<number>, offset = 0, length = bytes.length): string {
  if (length === 4) {
    return `${bytes[offset]}.${bytes[offset + 1]}.${bytes[offset + 2]}.${bytes[offset + 3]}`;
  }
  const groups: number[] = [];
  for (let index = 0; index < 8; index++) {
    groups.push(bytes[offset + 2 * index]! << 8 | bytes[offset + 2 * index + 1]!);
  }
  // the first of the longest runs of two zeros and more is left out
  let from = 0, run = 1;
  for (let start = 0; start < 8; start++) {
    let end = start;
    while (end < 8 && groups[end] === 0) end++;
    if (end - start > run) [from, run] = [start, end - start];
  }
  if (run === 1) return groups.map(hex).join(":");
  return `${groups.slice(0, from).map(hex).join(":")}::${groups.slice(from + run).map(hex).join(":")}`;
}

/** Whether an address is inside the prefix; of another length it never is. */
export function inPrefix(address: ArrayLike<number>, network: ArrayLike<number>, prefix: number): boolean {
  if (address.length !== network.length) return false;
  const whole = prefix >> 3;
  for (let index = 0; index < whole; index++) if (address[index] !== network[index]) return false;
  const rest = prefix & 7;
  return rest === 0 || ((address[whole]! ^ network[whole]!) & (0xff00 >> rest) & 0xff) === 0;
}

/** Throws TypeError: for addresses that were checked when the plan was made. */
export function mustParse(text: string): AddressBytes {
  const bytes = parseAddress(text);
  if (bytes === undefined) throw new TypeError(`not an address: ${text}`);
  return bytes;
}

export function sameAddress(one: ArrayLike<number>, other: ArrayLike<number>): boolean {
  if (one.length !== other.length) return false;
  for (let index = 0; index < one.length; index++) if (one[index] !== other[index]) return false;
  return true;
}

/** `::ffff:a.b.c.d` as its IPv4 address, as dual-stack sockets name their clients; others as they are. */
export function unmapped(address: AddressBytes): AddressBytes {
  if (address.length !== 16 || address[10] !== 255 || address[11] !== 255) return address;
  for (let index = 0; index < 10; index++) if (address[index] !== 0) return address;
  return address.slice(12);
}

/** 127.0.0.0/8, ::1, and both unspecified addresses: what would be the receiver itself. */
export function isLoopback(address: ArrayLike<number>): boolean {
  if (address.length === 4) return address[0] === 127 || address[0] === 0;
  for (let index = 0; index < 10; index++) if (address[index] !== 0) return false;
  if (address[10] === 255 && address[11] === 255) return address[12] === 127 || address[12] === 0;
  for (let index = 10; index < 15; index++) if (address[index] !== 0) return false;
  return address[15]! <= 1;
}

/** Multicast and the broadcast of all networks: never a peer's address. */
export function isGroup(address: ArrayLike<number>): boolean {
  return address.length === 4 ? address[0]! >= 224 : address[0] === 0xff;
}

/** 169.254.0.0/16 and fe80::/10, which mean another network on each side. */
export function isLinkLocal(address: ArrayLike<number>): boolean {
  return address.length === 4
    ? address[0] === 169 && address[1] === 254
    : address[0] === 0xfe && (address[1]! & 0xc0) === 0x80;
}
