import fc from "fast-check";
import { OPCODES } from "./constants.ts";
import { IN, IN_HEADER_BYTES, MalformedRequest, Request } from "./request.ts";
import { assert, assertEquals } from "../../tests/assertions.ts";
import { build } from "../../tests/fuse_request.ts";

const CAPACITY = 4096;
const encode = (text: string) => new TextEncoder().encode(text);

function take(bytes: Uint8Array, received = bytes.length): Request {
  const request = new Request(CAPACITY);
  // what an earlier request has left behind must never be seen
  request.buffer.fill(0x41);
  request.buffer.set(bytes);
  request.begin(received);
  return request;
}

function isMalformed(action: () => unknown): boolean {
  try {
    action();
    return false;
  } catch (error) {
    if (error instanceof MalformedRequest) return true;
    throw error;
  }
}

Deno.test("a LOOKUP is read field by field", () => {
  const bytesOfKernel = "2d00000001000000" + "0600000000000000" + "0100000000000000" + "e8030000e9030000" +
    "2a00000000000000" + "66696c6500";
  const bytes = Uint8Array.from(bytesOfKernel.match(/../g)!, (hex) => parseInt(hex, 16));
  const request = take(bytes);
  const { opcode, nodeid, unique, uid, gid, pid, bodyLength } = request;
  assertEquals({ opcode, nodeid, unique, uid, gid, pid, bodyLength }, {
    opcode: OPCODES.LOOKUP,
    nodeid: 1,
    unique: 6n,
    uid: 1000,
    gid: 1001,
    pid: 42,
    bodyLength: 5,
  });
  assertEquals(request.name(0), encode("file\0"));
});

Deno.test("a request must be as long as it says, and as its operation needs", () => {
  const body = new Uint8Array(IN.read.end);
  assert(!isMalformed(() => take(build(OPCODES.READ, body))));
  assert(isMalformed(() => take(build(OPCODES.READ, body), IN_HEADER_BYTES)));
  assert(isMalformed(() => take(build(OPCODES.READ, body.subarray(1)))));
  assert(isMalformed(() => take(new Uint8Array(10))));
  // extensions are no part of the body
  assert(isMalformed(() => take(build(OPCODES.READ, body, { extra: 1 }))));
  assert(!isMalformed(() => take(build(OPCODES.READ, new Uint8Array(IN.read.end + 8), { extra: 1 }))));
});

Deno.test("names are those of entries: with an end, not empty, no dots, no slash", () => {
  const name = (text: string) => isMalformed(() => take(build(OPCODES.LOOKUP, encode(text))).name(0));
  for (const text of ["", "\0", ".\0", "..\0", "a/b\0", "/\0", "unended"]) {
    assert(name(text), JSON.stringify(text));
  }
  for (const text of ["a\0", "...\0", ".a\0", "..a\0", "\n\0", "a\0b"]) {
    assert(!name(text), JSON.stringify(text));
  }
  // the target of a link may be anything
  assertEquals(take(build(OPCODES.SYMLINK, encode("l\0../x\0"))).cstring(2), encode("../x\0"));
});

Deno.test("data are never longer than their request", () => {
  const body = new Uint8Array(IN.write.end + 10).fill(5);
  const request = take(build(OPCODES.WRITE, body));
  assertEquals(request.data(IN.write.end, 10), new Uint8Array(10).fill(5));
  assert(isMalformed(() => request.data(IN.write.end, 11)));
  assert(isMalformed(() => request.data(IN.write.end, 0xffffffff)));
});

Deno.test("whatever bytes come, nothing behind them is given", () => {
  const bytes = fc.uint8Array({ minLength: 0, maxLength: 200 });
  fc.assert(fc.property(fc.nat(60), bytes, fc.nat(300), (opcode, body, size) => {
    const whole = build(opcode, body);
    let request: Request;
    try {
      request = take(whole);
    } catch (error) {
      return error instanceof MalformedRequest;
    }
    for (const read of [() => request.name(0), () => request.cstring(8), () => request.data(8, size)]) {
      try {
        const given = read();
        const end = given.byteOffset + given.length;
        if (end > whole.length) return false;
      } catch (error) {
        if (!(error instanceof MalformedRequest)) return false;
      }
    }
    return true;
  }));
});
