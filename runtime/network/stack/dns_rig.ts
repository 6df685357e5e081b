/** Queries and answers for the tests of the forwarder. */

import { encodeName, HEADER_BYTES, type Message, TYPE } from "./dns_message.ts";

export interface QueryFields {
  id?: number;
  type?: number;
  class?: number;
  /** The size that EDNS offers; none: no EDNS. */
  edns?: number;
}

/** A query as a stub resolver sends it. */
export function dnsQuery(name: string, fields: QueryFields = {}): Message {
  const { id = 0x1234, type = TYPE.A, class: ofClass = 1, edns } = fields;
  const wire = name === "" ? new Uint8Array(1) : encodeName(name)!;
  const parts = [
    ...[id >> 8, id & 255, 1, 0x20, 0, 1, 0, 0, 0, 0, 0, edns === undefined ? 0 : 1],
    ...wire,
    ...[type >> 8, type & 255, ofClass >> 8, ofClass & 255],
    ...(edns === undefined ? [] : [0, 0, TYPE.OPT, edns >> 8, edns & 255, 0, 0, 0x80, 0, 0, 0]),
  ];
  return new Uint8Array(parts);
}

/** What a server answers: so many A records of 192.0.2.x, of which each takes 16 bytes. */
export function dnsAnswer(query: Message, records: number, flags = 0x8180): Message {
  let end = HEADER_BYTES;
  while (end < query.length && query[end] !== 0) end += query[end]! + 1;
  if (end + 5 > query.length) throw new RangeError("no question");
  end += 5;
  const answer = new Uint8Array(end + 16 * records);
  answer.set(query.subarray(0, end));
  answer.set([flags >> 8, flags & 255, 0, 1, records >> 8, records & 255, 0, 0, 0, 0], 2);
  for (let index = 0; index < records; index++) {
    const at = end + 16 * index;
    answer.set([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, index & 255], at);
  }
  return answer;
}

export function answerCount(answer: Message): number {
  return answer[6]! << 8 | answer[7]!;
}
