import { deepStrictEqual as equal } from "node:assert/strict";
import { listen } from "../../../ffi/socket.ts";
import { AF_INET, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from "../../../ffi/constants/socket.ts";
import { receiveFrom, sendTo } from "../../../ffi/datagram.ts";
import { acceptFrom, bindTo, closeSocket, openSocket, SocketAddress } from "../../../ffi/inet.ts";
import { formatAddress, mustParse } from "./addresses.ts";
import { type NameSource, udpAsker } from "./dns_forwarder.ts";
import { clock } from "./host.ts";
import { MAX_QUESTIONS } from "./limits.ts";
import { isTruncated, type Message, RCODE, rcode, TYPE } from "./dns_message.ts";
import { answerCount, dnsAnswer, dnsQuery } from "./dns_rig.ts";
import {
  GUEST,
  GuestRig,
  HostUdp,
  ipFrame,
  NAMESERVER,
  NAMESERVER6,
  type Packet,
  udpFrame,
  withChecksum,
} from "./guest_rig.ts";

const UDP = 17, TCP = 6;
const id = (message: Message) => message[0]! << 8 | message[1]!;
const answerOf = ({ payload }: Packet) => payload.slice(8);

/** Nameservers on loopback addresses that share a port, by UDP and TCP. */
class Servers {
  readonly udp: HostUdp[] = [];
  readonly tcp: number[] = [];
  readonly port: number;
  /** Its options hold: a test that is held up for seconds sees no timeouts. */
  readonly resolvConf = Deno.makeTempFileSync();
  #connections: number[] = [];
  constructor(count: number) {
    for (;;) {
      try {
        for (let index = 0; index < count; index++) {
          this.udp.push(new HostUdp(`127.0.0.${index + 1}`, this.udp[0]?.port ?? 0));
          const fd = openSocket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
          this.tcp.push(fd);
          const address = new SocketAddress().set(mustParse(`127.0.0.${index + 1}`), this.udp[0]!.port);
          equal(bindTo(fd, address), 0);
          listen(fd, 64);
        }
        break;
      } catch {
        this.close(); // the number was taken for the other
      }
    }
    this.port = this.udp[0]!.port;
    Deno.writeTextFileSync(this.resolvConf, "options timeout:30\n");
  }
  get addresses(): string[] {
    return this.udp.map(({ address }) => address);
  }
  /** The question by TCP that is there, answered by `answer`. */
  serveTcp(index: number, answer: (query: Message) => Message): Message | undefined {
    const fd = acceptFrom(this.tcp[index]!, new SocketAddress(), SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) this.#connections.push(fd);
    for (const connection of this.#connections) {
      const buffer = new Uint8Array(2048);
      const length = receiveFrom(connection, buffer, new SocketAddress());
      if (length <= 2) continue;
      const query = buffer.slice(2, length);
      const message = answer(query);
      const whole = new Uint8Array([message.length >> 8, message.length & 255, ...message]);
      // in two parts
      sendTo(connection, whole.slice(0, 5), null);
      sendTo(connection, whole.slice(5), null);
      return query;
    }
    return undefined;
  }
  close(): void {
    for (const { fd } of this.udp.splice(0)) closeSocket(fd);
    for (const fd of [...this.tcp.splice(0), ...this.#connections.splice(0)]) closeSocket(fd);
  }
  [Symbol.dispose](): void {
    this.close();
    Deno.removeSync(this.resolvConf);
  }
}

function rigFor(servers: Servers, names?: NameSource): GuestRig {
  const dns = { resolvConf: servers.resolvConf, servers: servers.addresses };
  return new GuestRig({ dns }, { dnsPort: servers.port, names });
}

Deno.test("a question goes to the host's server under another id and port, and its answer comes back", () => {
  using servers = new Servers(1);
  using rig = rigFor(servers);
  for (const [to, port] of [[NAMESERVER, 5001], [NAMESERVER6, 5002]] as const) {
    const query = dnsQuery("Example.org", { id: 0xabcd, edns: 1232 });
    rig.send(udpFrame(port, [to, 53], query));
    const asked = rig.until(() => servers.udp[0]!.receive());
    equal(asked.subarray(2), query.subarray(2), "all but the id is passed on, EDNS too");
    servers.udp[0]!.send(dnsAnswer(asked, 3));
    const packet = rig.next(UDP);
    equal([packet.source, packet.isRight], [to, true]);
    equal(answerOf(packet), dnsAnswer(query, 3));
  }
});

Deno.test("ids and source ports of questions are not to be guessed", () => {
  using servers = new Servers(1);
  using rig = rigFor(servers);
  const ids = new Set<number>(), ports = new Set<number>();
  for (let index = 0; index < 32; index++) {
    rig.send(udpFrame(5000, [NAMESERVER, 53], dnsQuery("example.org", { id: index })));
    ids.add(id(rig.until(() => servers.udp[0]!.receive())));
    ports.add(servers.udp[0]!.from.port);
  }
  equal([ids.size >= 30, ports.size >= 30], [true, true], `${ids.size} ids, ${ports.size} ports`);
});

Deno.test("answers with another id, another question or from elsewhere are not believed", () => {
  using servers = new Servers(2);
  using rig = rigFor(servers);
  rig.send(udpFrame(5000, [NAMESERVER, 53], dnsQuery("example.org")));
  const [server, stranger] = servers.udp as [HostUdp, HostUdp];
  const asked = rig.until(() => server.receive());
  const good = dnsAnswer(asked, 1);
  const otherId = good.slice();
  otherId[1]! ^= 1;
  const otherQuestion = good.slice();
  otherQuestion[14]! ^= 1;
  for (const wrong of [otherId, otherQuestion, asked, good.slice(0, 12), new Uint8Array()]) {
    server.send(wrong);
  }
  stranger.send(good, server.from);
  server.send(dnsAnswer(asked, 2));
  equal(answerCount(answerOf(rig.next(UDP))), 2, "the good answer, not the stranger's");
});

Deno.test("a server that refuses or is not there hands over to the next; nobody there is SERVFAIL", () => {
  using servers = new Servers(2);
  using rig = rigFor(servers);
  rig.send(udpFrame(5000, [NAMESERVER, 53], dnsQuery("example.org")));
  servers.udp[0]!.send(dnsAnswer(rig.until(() => servers.udp[0]!.receive()), 0, 0x8185));
  servers.udp[1]!.send(dnsAnswer(rig.until(() => servers.udp[1]!.receive()), 1));
  equal(answerCount(answerOf(rig.next(UDP))), 1);
  // both refuse: that is the answer
  rig.send(udpFrame(5001, [NAMESERVER, 53], dnsQuery("example.org")));
  servers.udp[0]!.send(dnsAnswer(rig.until(() => servers.udp[0]!.receive()), 0, 0x8185));
  servers.udp[1]!.send(dnsAnswer(rig.until(() => servers.udp[1]!.receive()), 0, 0x8182));
  equal(rcode(answerOf(rig.next(UDP))), RCODE.REFUSED);
  servers.close();
  rig.send(udpFrame(5002, [NAMESERVER, 53], dnsQuery("example.org")));
  const answer = answerOf(rig.next(UDP));
  equal([rcode(answer), id(answer)], [RCODE.SERVFAIL, 0x1234]);
});

Deno.test("a silent server is passed over, and the host's file is read again when it changes", () => {
  using servers = new Servers(2);
  const { resolvConf } = servers;
  Deno.writeTextFileSync(resolvConf, "nameserver 127.0.0.1\nnameserver 127.0.0.2\noptions timeout:1\n");
  using rig = new GuestRig({ dns: { resolvConf } }, { dnsPort: servers.port });
  let port = 5000;
  /** Asks again and again until an answer has so many records, which only that server gives. */
  const untilAnsweredBy = (index: number, records: number) => {
    const ask = () => rig.send(udpFrame(port++, [NAMESERVER, 53], dnsQuery("example.org")));
    ask();
    rig.until(() => {
      const asked = servers.udp[index]!.receive();
      if (asked) servers.udp[index]!.send(dnsAnswer(asked, records));
      const answer = rig.received.splice(0).find(({ protocol }) => protocol === UDP);
      if (answer && answerCount(answerOf(answer)) !== records) ask();
      return answer && answerCount(answerOf(answer)) === records;
    });
  };
  untilAnsweredBy(1, 2);
  Deno.writeTextFileSync(`${resolvConf}.new`, "nameserver 127.0.0.1\n");
  Deno.renameSync(`${resolvConf}.new`, resolvConf);
  // before a second has passed the other may still be asked, who is silent now: another question follows it
  untilAnsweredBy(0, 7);
});

Deno.test("an answer that was cut is fetched by TCP, and cut again only for who takes no more", () => {
  using servers = new Servers(1);
  using rig = rigFor(servers);
  for (const [edns, records] of [[4096, 60], [undefined, 0]] as const) {
    rig.send(udpFrame(5000, [NAMESERVER, 53], dnsQuery("example.org", { edns })));
    const asked = rig.until(() => servers.udp[0]!.receive());
    servers.udp[0]!.send(dnsAnswer(asked, 0, 0x8380));
    rig.until(() => servers.serveTcp(0, (query) => dnsAnswer(query, 60)));
    const answer = answerOf(rig.next(UDP));
    equal([answerCount(answer), isTruncated(answer), id(answer)], [records, records === 0, 0x1234]);
  }
});

Deno.test("questions by TCP are answered by TCP, several on a connection, and long answers whole", () => {
  using servers = new Servers(1);
  using rig = rigFor(servers);
  const client = new TcpClient(rig, 6000, NAMESERVER, 53);
  const framed = (query: Message) => new Uint8Array([query.length >> 8, query.length & 255, ...query]);
  const one = framed(dnsQuery("one.example", { id: 1 })),
    other = framed(dnsQuery("other.example", { id: 2 }));
  // split in the middle of the second
  client.send(new Uint8Array([...one, ...other.subarray(0, 9)]));
  const first = rig.until(() => servers.serveTcp(0, (query) => dnsAnswer(query, 3000)));
  client.send(other.slice(9));
  const second = rig.until(() => servers.serveTcp(0, (query) => dnsAnswer(query, 1)));
  equal([first.length, second.length], [one.length - 2, other.length - 2]);
  const expected = [dnsAnswer(one.slice(2), 3000), dnsAnswer(other.slice(2), 1)].map(framed);
  const all = rig.until(() => {
    const got = client.receive();
    return got.length === expected[0]!.length + expected[1]!.length && got;
  });
  equal(all.subarray(0, expected[0]!.length), expected[0]);
  equal(all.subarray(expected[0]!.length), expected[1]);
  // no question at all ends the connection
  client.send(new Uint8Array([0, 3, 1, 2, 3]));
  rig.until(() => (client.receive(), client.hasEnded));
});

Deno.test("of many questions at once on one connection only some are under way, and all are answered", () => {
  using servers = new Servers(1);
  using rig = rigFor(servers);
  const client = new TcpClient(rig, 6000, NAMESERVER, 53);
  const queries = Array.from({ length: 40 }, (_, index) => dnsQuery(`name${index}.example`, { id: index }));
  client.send(Uint8Array.from(queries.flatMap((query) => [query.length >> 8, query.length & 255, ...query])));
  rig.until(() => rig.stack.forwarder.size > 0);
  let most = 0;
  for (let served = 0; served < queries.length; served++) {
    most = Math.max(most, rig.stack.forwarder.size);
    rig.until(() => servers.serveTcp(0, (query) => dnsAnswer(query, 1)));
  }
  equal(most, 16);
  const length = queries.reduce((sum, query) => sum + 2 + dnsAnswer(query, 1).length, 0);
  rig.until(() => client.receive().length === length);
});

const NAMES: NameSource = {
  addresses: (name, asker) =>
    name === "db" && formatAddress(asker) === GUEST
      ? ["10.0.2.77", "fd00::77"]
      : name === "empty"
      ? []
      : name === "ghost"
      ? "nobody"
      : undefined,
  names: (address) => address === "10.0.2.77" ? ["db"] : undefined,
};

Deno.test("names that are known here are answered here, others are asked outside", () => {
  using servers = new Servers(1);
  using rig = rigFor(servers, NAMES);
  const ask = (name: string, type: number) => {
    rig.send(udpFrame(5000, [NAMESERVER, 53], dnsQuery(name, { type })));
    return answerOf(rig.next(UDP));
  };
  equal([...ask("DB", TYPE.A)].slice(-4), [10, 0, 2, 77]);
  equal(answerCount(ask("db", TYPE.AAAA)), 1);
  equal([answerCount(ask("db", 16)), rcode(ask("empty", TYPE.A))], [0, 0]);
  equal([rcode(ask("ghost", TYPE.A)), rcode(ask("ghost", TYPE.AAAA))], [RCODE.NXDOMAIN, RCODE.NXDOMAIN]);
  equal([...ask("77.2.0.10.in-addr.arpa", TYPE.PTR)].slice(-4), [2, 100, 98, 0]);
  equal(servers.udp[0]!.receive(), undefined);
  // another asker does not see it
  rig.send(udpFrame(5000, [NAMESERVER6, 53], dnsQuery("db")));
  rig.until(() => servers.udp[0]!.receive());
});

Deno.test("an internal network's other names do not exist, and nothing is asked outside", () => {
  using servers = new Servers(1);
  using rig = rigFor(servers, { ...NAMES, mayAskOutside: () => false });
  rig.send(udpFrame(5000, [NAMESERVER, 53], dnsQuery("example.org")));
  equal(rcode(answerOf(rig.next(UDP))), RCODE.NXDOMAIN);
  equal(servers.udp[0]!.receive(), undefined);
});

Deno.test("more questions than are answered end with SERVFAIL for the oldest, and descriptors are bounded", () => {
  using servers = new Servers(1);
  using rig = rigFor(servers);
  for (let index = 0; index < MAX_QUESTIONS + 100; index++) {
    rig.send(udpFrame(5000, [NAMESERVER, 53], dnsQuery("example.org", { id: index })));
    servers.udp[0]!.receive();
  }
  equal(rig.stack.forwarder.size, MAX_QUESTIONS);
  const refused = rig.received.filter(({ protocol }) => protocol === UDP).map(answerOf);
  equal(refused.map((answer) => [id(answer), rcode(answer)]).slice(0, 2), [[0, RCODE.SERVFAIL], [
    1,
    RCODE.SERVFAIL,
  ]]);
  equal(refused.length, 100);
  // the same question again is no other
  rig.send(udpFrame(5000, [NAMESERVER, 53], dnsQuery("example.org", { id: MAX_QUESTIONS + 99 })));
  equal(rig.stack.forwarder.size, MAX_QUESTIONS);
});

Deno.test("other ports of the nameserver's address have nobody", () => {
  using servers = new Servers(1);
  using rig = rigFor(servers);
  rig.send(udpFrame(5000, [NAMESERVER, servers.port], dnsQuery("example.org")));
  equal([...rig.next(1).payload.subarray(0, 2)], [3, 3]);
});

Deno.test("who asks after a long silence, and not from the guest, is answered as well", () => {
  using servers = new Servers(1);
  Deno.writeTextFileSync(servers.resolvConf, "options timeout:30\n");
  using rig = rigFor(servers);
  rig.work();
  // the clock of the last round is older than an attempt may last
  const { nowMs } = clock;
  try {
    clock.nowMs = () => nowMs() + 60_000;
    let answer: Message | undefined;
    rig.stack.forwarder.ask(
      dnsQuery("example.org"),
      udpAsker(mustParse("10.89.0.2"), 40),
      (heard) => answer = heard,
    );
    servers.udp[0]!.send(dnsAnswer(rig.until(() => servers.udp[0]!.receive()), 4));
    rig.until(() => answer);
    equal([answerCount(answer!), servers.udp[0]!.receive()], [4, undefined]);
  } finally {
    clock.nowMs = nowMs;
  }
});

/** As much of TCP as a client of one connection needs. */
class TcpClient {
  hasEnded = false;
  readonly #rig: GuestRig;
  readonly #port: number;
  readonly #to: string;
  readonly #toPort: number;
  #sequence = 1000;
  #expected = 0;
  #data: number[] = [];

  constructor(rig: GuestRig, port: number, to: string, toPort: number) {
    [this.#rig, this.#port, this.#to, this.#toPort] = [rig, port, to, toPort];
    this.#segment(0x02);
    const { payload } = rig.next(TCP);
    equal(payload[13]! & 0x12, 0x12, "SYN and ACK");
    this.#sequence++;
    this.#expected = (new DataView(payload.buffer).getUint32(4) + 1) >>> 0;
    this.#segment(0x10);
  }

  send(data: Uint8Array): void {
    this.#segment(0x18, data);
    this.#sequence += data.length;
  }

  /** All that came, acknowledged. */
  receive(): Uint8Array {
    for (const { protocol, payload } of this.#rig.received.splice(0)) {
      if (protocol !== TCP) continue;
      const view = new DataView(payload.buffer);
      if (view.getUint32(4) === this.#expected) {
        const data = payload.subarray((payload[12]! >> 4) * 4);
        for (const byte of data) this.#data.push(byte);
        this.#expected = (this.#expected + data.length + (payload[13]! & 1)) >>> 0;
      }
      if (payload[13]! & 5) this.hasEnded = true;
      this.#segment(0x10);
    }
    return Uint8Array.from(this.#data);
  }

  #segment(flags: number, data: Uint8Array = new Uint8Array()): void {
    const segment = new Uint8Array(20 + data.length);
    const view = new DataView(segment.buffer);
    view.setUint16(0, this.#port);
    view.setUint16(2, this.#toPort);
    view.setUint32(4, this.#sequence);
    view.setUint32(8, this.#expected);
    view.setUint16(12, 0x5000 | flags);
    view.setUint16(14, 60_000);
    segment.set(data, 20);
    this.#rig.send(ipFrame({ to: this.#to, protocol: TCP }, withChecksum(GUEST, this.#to, TCP, segment, 16)));
  }
}
