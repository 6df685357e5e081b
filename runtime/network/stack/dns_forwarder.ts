/**
 * Answers the questions of guests: names that are known here at once, all others by asking the host's servers, one after
 * the other.
 *
 * ```
 *  UDP to each server, twice round ── answer ──────────────── is it cut? ── TCP to the same server
 *       │ silence, refusal: the next                              │
 *       └── nobody answered ── TCP to the first                   └── no, or no TCP: passed on, with the asker's id
 * ```
 */

import type { DnsPlan, StackPlan } from "../plan.ts";
import { type AddressBytes, formatAddress, parseAddress } from "./addresses.ts";
import {
  cutAnswer,
  errorAnswer,
  HEADER_BYTES,
  isTruncated,
  localAnswer,
  type Message,
  MESSAGE_LIMIT_BYTES,
  type Query,
  RCODE,
  rcode,
  readQuery,
  reverseAddress,
  TYPE,
  withId,
} from "./dns_message.ts";
import { type DnsServer, DnsServers } from "./dns_servers.ts";
import { type Attempt, TcpAttempt, UdpAttempt, type UpstreamGround } from "./dns_upstream.ts";
import { clock, type Host } from "./host.ts";
import { MAX_QUESTIONS } from "./limits.ts";
import { toWords } from "./packet.ts";
import { guestOf, type Place, Shares } from "./shares.ts";

/** Names that are known here, as containers of one network know each other. */
export interface NameSource {
  /**
   * Addresses of a name (lower case, without a final dot), as the asker may see them; undefined where it is not known
   * here, and so is asked outside. No address at all: the name is known, and has none. "nobody": it would be known here
   * if there were such a name.
   */
  addresses(name: string, asker: AddressBytes): readonly string[] | "nobody" | undefined;
  /** Names of an address; undefined as above. */
  names(address: string, asker: AddressBytes): readonly string[] | undefined;
  /** Whether the asker's questions may go outside (not from an internal network). */
  mayAskOutside?(asker: AddressBytes): boolean;
  /** Whom the asker's questions go to instead of to the servers of the plan; undefined where it is to those. */
  servers?(asker: AddressBytes): readonly string[] | undefined;
}

export interface Asker {
  address: AddressBytes;
  /** Tells this asker's questions from those of others: its address and port, or its connection. */
  id: string;
  /** False: the answer goes by UDP, and must be no longer than the question says. */
  isTcp: boolean;
}

export interface DnsForwarderOptions {
  host: Host;
  plan: DnsPlan;
  outbound?: StackPlan["outbound"];
  names?: NameSource;
  /** Where the servers listen. */
  port?: number;
}

const ROUNDS = 2;
/** Answers after which the next server may know better. */
const UNHELPFUL: readonly number[] = [RCODE.SERVFAIL, RCODE.NOTIMP, RCODE.REFUSED];

interface Question {
  key: string;
  query: Query;
  asker: Asker;
  reply: (answer: Message) => void;
  /** Those still to be asked, in order. */
  steps: { server: DnsServer; byTcp: boolean; timeoutMs: number }[];
  attempt: Attempt | undefined;
  /** The best that was heard so far: an error, or what was cut. */
  fallback: Message | undefined;
  /** Among the asker's questions. */
  place: Place<Question> | undefined;
}

export class DnsForwarder {
  readonly #ground: UpstreamGround;
  readonly #servers: DnsServers;
  readonly #names: NameSource | undefined;
  readonly #questions = new Map<string, Question>();
  readonly #shares = new Shares<Question>();

  constructor({ host, plan, outbound, names, port = 53 }: DnsForwarderOptions) {
    this.#ground = { host, outbound, port };
    this.#servers = new DnsServers(plan);
    this.#names = names;
  }

  /**
   * Answers `message` by `reply`, now or later. False: there will be no answer, as it is no question, or one that the
   * asker has asked already. `message` stays the forwarder's.
   */
  ask(message: Message, asker: Asker, reply: (answer: Message) => void): boolean {
    const query = readQuery(message);
    if (query === undefined) return false;
    const atOnce = this.#answerAtOnce(query, message, asker);
    if (atOnce) {
      reply(atOnce);
      return true;
    }
    return this.#askOutside(query as Query, asker, reply);
  }

  #answerAtOnce(query: Query | { rcode: number }, message: Message, asker: Asker): Message | undefined {
    if ("rcode" in query) return errorAnswer(message, query.rcode);
    const limitBytes = asker.isTcp ? MESSAGE_LIMIT_BYTES : query.udpLimitBytes;
    const known = this.#answerFromNames(query, asker.address, limitBytes);
    if (known) return known;
    if (this.#names?.mayAskOutside?.(asker.address) !== false) return undefined;
    return errorAnswer(message, RCODE.NXDOMAIN, query);
  }

  #askOutside(query: Query, asker: Asker, reply: (answer: Message) => void): boolean {
    const { message, type, name } = query;
    const key = `${asker.id},${message[0]},${message[1]},${type},${name}`;
    if (this.#questions.has(key)) return false;
    const [oldest] = this.#questions.size >= MAX_QUESTIONS ? this.#shares.most() : [];
    if (oldest) this.#end(oldest, undefined);
    const question: Question = {
      ...{ key, query, asker, reply },
      steps: this.#plan(asker),
      attempt: undefined,
      fallback: undefined,
      place: undefined,
    };
    this.#questions.set(key, question);
    question.place = this.#shares.add(askerOf(question), question);
    this.#next(question);
    return true;
  }

  #answerFromNames(query: Query, asker: AddressBytes, limitBytes: number): Message | undefined {
    if (!this.#names || !query.isInternet || query.name === "") return undefined;
    const address = query.type === TYPE.PTR ? reverseAddress(query.name) : undefined;
    const names = address === undefined ? undefined : this.#names.names(address, asker);
    if (names) return localAnswer(query, { names }, limitBytes);
    const found = this.#names.addresses(query.name, asker);
    if (found === "nobody") return errorAnswer(query.message, RCODE.NXDOMAIN, query);
    const addresses = found?.map(parseAddress).filter((bytes) => bytes !== undefined);
    return addresses && localAnswer(query, { addresses }, limitBytes);
  }

  #plan(asker: Asker): Question["steps"] {
    const { servers, timeoutMs, useTcp } = this.#servers.list(
      clock.nowMs(),
      this.#names?.servers?.(asker.address),
    );
    const byTcp = asker.isTcp || useTcp;
    const steps = [];
    for (let round = 0; round < (byTcp ? 1 : ROUNDS); round++) {
      for (const server of servers) steps.push({ server, byTcp, timeoutMs });
    }
    if (!byTcp && servers[0]) steps.push({ server: servers[0], byTcp: true, timeoutMs });
    return steps;
  }

  #next(question: Question): void {
    const step = question.steps.shift();
    if (step === undefined) return this.#end(question, question.fallback);
    const { server, byTcp, timeoutMs } = step;
    const Kind = byTcp ? TcpAttempt : UdpAttempt;
    question.attempt = new Kind(
      this.#ground,
      server,
      question.query,
      timeoutMs,
      (answer) => this.#heard(question, server, byTcp, timeoutMs, answer),
    );
  }

  #heard(
    question: Question,
    server: DnsServer,
    byTcp: boolean,
    timeoutMs: number,
    answer: Message | undefined,
  ): void {
    if (answer === undefined) this.#servers.failed(server, clock.nowMs());
    else this.#servers.answered(server);
    if (answer && UNHELPFUL.includes(rcode(answer))) {
      question.fallback ??= answer;
      // it would say the same again
      question.steps = question.steps.filter((step) => step.server !== server);
    } else if (answer && isTruncated(answer) && !byTcp) {
      // nobody else has more; if TCP does not work, this is the answer
      question.fallback = answer;
      question.steps = [{ server, byTcp: true, timeoutMs }];
    } else if (answer) return this.#end(question, answer);
    this.#next(question);
  }

  #end(question: Question, answer: Message | undefined): void {
    question.attempt?.cancel();
    if (!this.#remove(question)) return;
    const { query, asker, reply } = question;
    if (answer === undefined) return reply(errorAnswer(query.message, RCODE.SERVFAIL, query));
    const fits = asker.isTcp || answer.length <= query.udpLimitBytes;
    // an error may come without its question
    const whole = fits || answer.length < Math.max(HEADER_BYTES, query.end);
    const id = query.message[0]! << 8 | query.message[1]!;
    reply(withId(whole ? answer : cutAnswer(answer, query), id));
  }

  /** Forgets what an asker that has gone wanted to know. */
  forget(askerId: string): void {
    for (const question of this.#questions.values()) {
      if (question.asker.id !== askerId) continue;
      question.attempt?.cancel();
      this.#remove(question);
    }
  }

  #remove(question: Question): boolean {
    this.#shares.delete(question.place!);
    return this.#questions.delete(question.key);
  }

  /** Questions under way. */
  get size(): number {
    return this.#questions.size;
  }

  dispose(): void {
    for (const question of this.#questions.values()) question.attempt?.cancel();
    this.#questions.clear();
  }
}

function askerOf({ asker }: Question): number {
  return guestOf(...toWords(asker.address));
}

/** The id of an asker by UDP. */
export function udpAsker(address: AddressBytes, port: number): Asker {
  return { address, id: `${formatAddress(address)} ${port}`, isTcp: false };
}
