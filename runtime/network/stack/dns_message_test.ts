import { deepStrictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { mustParse } from "./addresses.ts";
import {
  cutAnswer,
  encodeName,
  errorAnswer,
  isAnswer,
  isTruncated,
  localAnswer,
  type Message,
  type Query,
  RCODE,
  rcode,
  readQuery,
  reverseAddress,
  TYPE,
  withId,
} from "./dns_message.ts";
import { answerCount, dnsAnswer, dnsQuery } from "./dns_rig.ts";

function query(message: Message): Query {
  const read = readQuery(message);
  if (read === undefined || !("end" in read)) throw new Error("not read as a query");
  return read;
}

Deno.test("a query is read: name in lower case, type, what UDP may carry", () => {
  const { name, type, isInternet, udpLimitBytes, end } = query(dnsQuery("WwW.Example.ORG", { type: 28 }));
  equal({ name, type, isInternet, udpLimitBytes, end }, {
    name: "www.example.org",
    type: TYPE.AAAA,
    isInternet: true,
    udpLimitBytes: 512,
    end: 33,
  });
  equal(query(dnsQuery("a", { edns: 1232 })).udpLimitBytes, 1232);
  equal(query(dnsQuery("a", { edns: 20 })).udpLimitBytes, 512);
  // what no datagram carries is cut, not lost
  equal(query(dnsQuery("a", { edns: 65535 })).udpLimitBytes, 65_494);
  equal(query(dnsQuery("")).name, "");
  equal(query(dnsQuery("a b")).name, "a\\032b");
});

Deno.test("what is no query gets an error, and what is too short or an answer gets nothing", () => {
  const good = dnsQuery("example.org");
  const changed = (at: number, value: number) => {
    const copy = good.slice();
    copy[at] = value;
    return readQuery(copy);
  };
  equal(readQuery(good.subarray(0, 11)), undefined);
  equal(changed(2, 0x80), undefined);
  equal(changed(2, 0x28), { rcode: RCODE.NOTIMP });
  equal(changed(5, 0), { rcode: RCODE.FORMERR });
  equal(changed(5, 2), { rcode: RCODE.FORMERR });
  equal(changed(7, 1), { rcode: RCODE.FORMERR });
  equal(changed(12, 0xc0), { rcode: RCODE.FORMERR }, "a pointer");
  equal(changed(12, 63), { rcode: RCODE.FORMERR }, "a label past the end");
  equal(changed(11, 1), { rcode: RCODE.FORMERR }, "an additional record that is not there");
  for (let length = 12; length < good.length; length++) {
    equal(readQuery(good.slice(0, length)), { rcode: RCODE.FORMERR }, String(length));
  }
  const long = new Uint8Array(12 + 5 * 64 + 5);
  long.set(good.subarray(0, 12));
  for (let label = 0; label < 5; label++) long[12 + 64 * label] = 63;
  equal(readQuery(long), { rcode: RCODE.FORMERR }, "a name longer than 255 bytes");
});

Deno.test("an answer is believed only with the id and the question that were sent", () => {
  const asked = query(dnsQuery("example.org", { edns: 1232 }));
  const answer = withId(dnsAnswer(asked.message, 2), 777);
  equal(isAnswer(answer, asked, 777), true);
  equal(isAnswer(answer, asked, 778), false);
  equal(isAnswer(withId(asked.message, 777), asked, 777), false, "it is no answer");
  for (let at = 12; at < asked.end; at++) {
    const other = answer.slice();
    other[at] = other[at]! ^ 0x20;
    equal(isAnswer(other, asked, 777), false, `byte ${at} of the question`);
  }
  equal(isAnswer(answer.slice(0, 20), asked, 777), false);
  equal(isAnswer(new Uint8Array(), asked, 0), false);
  const refusal = new Uint8Array([3, 9, 0x80, RCODE.FORMERR, 0, 0, 0, 0, 0, 0, 0, 0]);
  equal(isAnswer(refusal, asked, 777), true, "a server that does not know EDNS");
  refusal[3] = 0;
  equal(isAnswer(refusal, asked, 777), false);
});

Deno.test("an answer that is too long is cut to its question, marked so", () => {
  const asked = query(dnsQuery("example.org"));
  const cut = cutAnswer(dnsAnswer(asked.message, 100), asked);
  equal([cut.length, isTruncated(cut), answerCount(cut), isAnswer(cut, asked, 0x1234)], [29, true, 0, true]);
});

Deno.test("own names are answered by address, by type and in reverse", () => {
  const records = { addresses: [mustParse("10.89.0.2"), mustParse("fd00::2")], names: ["db", "db.net"] };
  const of = (type: number, limit = 512) => localAnswer(query(dnsQuery("db", { type })), records, limit);
  equal([...of(TYPE.A)].slice(-4), [10, 89, 0, 2]);
  equal([answerCount(of(TYPE.A)), answerCount(of(TYPE.AAAA)), answerCount(of(TYPE.PTR))], [1, 1, 2]);
  equal([...of(TYPE.AAAA)].slice(-16), [...mustParse("fd00::2")]);
  equal([answerCount(of(15)), rcode(of(15))], [0, RCODE.NOERROR], "MX: the name is there, no such record");
  equal([...of(TYPE.PTR)].slice(-8), [2, 100, 98, 3, 110, 101, 116, 0]);
  const many = { addresses: Array.from({ length: 60 }, (_, index) => mustParse(`10.0.0.${index}`)) };
  const cut = localAnswer(query(dnsQuery("db")), many, 512);
  equal([cut.length <= 512, isTruncated(cut), answerCount(cut)], [true, true, 30]);
});

Deno.test("an error repeats id and question", () => {
  const asked = query(dnsQuery("example.org", { edns: 1232 }));
  const error = errorAnswer(asked.message, RCODE.SERVFAIL, asked);
  equal([isAnswer(error, asked, 0x1234), rcode(error), error.length], [true, 2, asked.end]);
  equal(errorAnswer(asked.message, RCODE.FORMERR).length, 12);
});

Deno.test("reverse names are read in full or not at all", () => {
  equal(reverseAddress("4.3.2.1.in-addr.arpa"), "1.2.3.4");
  equal(reverseAddress(`2${".0".repeat(29)}.d.f.ip6.arpa`), "fd00::2");
  for (
    const name of [
      "3.2.1.in-addr.arpa",
      "256.1.1.1.in-addr.arpa",
      "x.1.1.1.in-addr.arpa",
      "1.ip6.arpa",
      "arpa",
      "",
    ]
  ) {
    equal(reverseAddress(name), undefined, name);
  }
});

Deno.test("no bytes at all make the reader throw, and a name is written within its bounds", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
    const message = new Uint8Array(bytes);
    const read = readQuery(message);
    if (read && "end" in read) equal(read.end <= message.length, true);
    isAnswer(message, query(dnsQuery("a.b")), 0);
  }));
  equal(encodeName("a..b"), undefined);
  equal(encodeName("x".repeat(64)), undefined);
  equal(encodeName("x.".repeat(127) + "x"), undefined);
  equal(encodeName("a.bc."), new Uint8Array([1, 97, 2, 98, 99, 0]));
});
