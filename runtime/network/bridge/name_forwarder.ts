/** Questions for the world, asked at the host's servers or those of a network: one after the other, twice. */

import {
  AF_INET,
  AF_INET6,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_STREAM,
} from "../../../ffi/constants/socket.ts";
import { sendTo } from "../../../ffi/datagram.ts";
import { EINPROGRESS } from "../../../ffi/errno.ts";
import { closeSocket, connectTo, openSocket, SocketAddress } from "../../../ffi/inet.ts";
import { receiveFrom } from "../../../ffi/datagram.ts";
import type { ProcessLoop } from "../monitor_network.ts";
import { parseResolvConf, RESOLV_CONF_LIMIT_BYTES, upstreamOptions } from "../resolv_conf.ts";
import { parseAddress } from "../stack/addresses.ts";
import { isAnswer, type Message, MESSAGE_LIMIT_BYTES, type Query, withId } from "../stack/dns_message.ts";
import { TcpMessages } from "./tcp_messages.ts";

type Done = (answer: Message | undefined) => void;

const DNS_PORT = 53;
const ROUNDS = 2;
/** Of all containers together; what comes beyond is told to ask later. */
const OUTSTANDING_LIMIT = 512;
const RESOLV_CONF = "/etc/resolv.conf";

export class NameForwarder {
  readonly #loop: ProcessLoop;
  #outstanding = 0;

  constructor(loop: ProcessLoop) {
    this.#loop = loop;
  }

  /** `done` gets the answer under the query's own id, or undefined where no server gives one. */
  forward(query: Query, servers: readonly string[], byTcp: boolean, done: Done): void {
    if (this.#outstanding >= OUTSTANDING_LIMIT) return done(undefined);
    const host = readHostResolver();
    const asked = (servers.length > 0 ? servers : host.servers).map(parseServer)
      .filter((one) => one !== undefined);
    const attempts = Array.from({ length: ROUNDS }, () => asked).flat();
    this.#outstanding++;
    const settle: Done = (answer) => {
      this.#outstanding--;
      done(answer && withId(answer, query.message[0]! << 8 | query.message[1]!));
    };
    const next = (): void => {
      const server = attempts.shift();
      if (!server) return settle(undefined);
      const exchange = byTcp || host.useTcp ? this.#askByTcp : this.#askByUdp;
      exchange.call(this, server, query, host.timeoutMs, (answer) => answer ? settle(answer) : next());
    };
    next();
  }

  #askByUdp(server: SocketAddress, query: Query, timeoutMs: number, done: Done): void {
    const fd = connect(server, SOCK_DGRAM);
    if (fd === undefined) return done(undefined);
    const id = randomId();
    const buffer = new Uint8Array(MESSAGE_LIMIT_BYTES);
    const from = new SocketAddress();
    const end: Done = (answer) => {
      this.#loop.cancel(timer);
      this.#loop.unwatch(fd);
      closeSocket(fd);
      done(answer);
    };
    const timer = this.#loop.after(timeoutMs, () => end(undefined));
    this.#loop.watch(fd, () => {
      const length = receiveFrom(fd, buffer, from);
      if (length < 0) return end(undefined);
      const answer = buffer.slice(0, length);
      if (isAnswer(answer, query, id)) end(answer);
    });
    if (sendTo(fd, withId(query.message, id), null) < 0) end(undefined);
  }

  #askByTcp(server: SocketAddress, query: Query, timeoutMs: number, done: Done): void {
    const fd = connect(server, SOCK_STREAM);
    if (fd === undefined) return done(undefined);
    const id = randomId();
    let answer: Message | undefined;
    const messages: TcpMessages = new TcpMessages(this.#loop, fd, timeoutMs, {
      take: (message) => {
        if (!isAnswer(message, query, id)) return;
        answer = message;
        messages.end();
      },
      ended: () => done(answer),
    });
    messages.send(withId(query.message, id));
  }
}

/** Read each time: it changes as the machine moves. */
function readHostResolver(): { servers: string[]; timeoutMs: number; useTcp: boolean } {
  let text = "";
  try {
    text = Deno.readTextFileSync(RESOLV_CONF).slice(0, RESOLV_CONF_LIMIT_BYTES);
  } catch {
    // without one the resolver asks this machine
  }
  const { servers, options } = parseResolvConf(text);
  return { servers: servers.length > 0 ? servers : ["127.0.0.1"], ...upstreamOptions(options) };
}

/** `fe80::1%eth0` needs its zone's index, which a name alone does not give. */
function parseServer(text: string): SocketAddress | undefined {
  const address = parseAddress(text);
  return address && new SocketAddress().set(address, DNS_PORT);
}

function connect(server: SocketAddress, type: number): number | undefined {
  const family = server.length === 28 ? AF_INET6 : AF_INET;
  const fd = openSocket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return undefined;
  const connected = connectTo(fd, server);
  if (connected >= 0 || connected === -EINPROGRESS) return fd;
  closeSocket(fd);
  return undefined;
}

function randomId(): number {
  return crypto.getRandomValues(new Uint16Array(1))[0]!;
}
