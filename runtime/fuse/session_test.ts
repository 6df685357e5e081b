import { close, read, setNonblocking, writeAll } from "../../ffi/file.ts";
import { EIO, ENOENT, ENOSYS, SyscallError } from "../../ffi/errno.ts";
import { shutdown, socketpair } from "../../ffi/socket.ts";
import { AF_UNIX, SHUT_WR, SOCK_SEQPACKET } from "../../ffi/constants/socket.ts";
import {
  FUSE_BIG_WRITES,
  FUSE_DO_READDIRPLUS,
  FUSE_INIT_EXT,
  FUSE_PASSTHROUGH,
  FUSE_WRITEBACK_CACHE,
  OPCODES,
} from "./constants.ts";
import { DEFERRED, type Handler } from "./handler.ts";
import { serveBlocking, Session } from "./session.ts";
import { IN } from "./request.ts";
import { assert, assertEquals } from "../../tests/assertions.ts";
import { build } from "../../tests/fuse_request.ts";

/** A session whose kernel is the test. */
function converse(
  handler: Handler,
  fn: (ask: (bytes: Uint8Array) => DataView | null, session: Session) => void,
): void {
  const [kernel, server] = socketpair(AF_UNIX, SOCK_SEQPACKET);
  setNonblocking(kernel, true);
  try {
    const wanted = FUSE_BIG_WRITES | FUSE_DO_READDIRPLUS;
    const session = new Session(server, handler, { wanted: wanted + FUSE_PASSTHROUGH, maxTransfer: 65536 });
    fn((bytes) => {
      session.request.buffer.set(bytes);
      session.handle(bytes.length);
      return take(kernel);
    }, session);
  } finally {
    close(kernel);
    close(server);
  }
}

/** The answer, or null where there is none. */
function take(kernel: number): DataView | null {
  const buffer = new Uint8Array(70000);
  try {
    const length = read(kernel, buffer);
    return new DataView(buffer.buffer, 0, length);
  } catch {
    return null;
  }
}

function init(minor: number, flags: number, flags2 = 0): Uint8Array {
  const body = new Uint8Array(IN.init.extendedEnd);
  const view = new DataView(body.buffer);
  [7, minor, 131072, flags, flags2].forEach((word, index) => view.setUint32(index * 4, word, true));
  return build(OPCODES.INIT, body);
}

Deno.test("INIT agrees on what both sides can", () => {
  converse({}, (ask, session) => {
    const everything = FUSE_BIG_WRITES | FUSE_WRITEBACK_CACHE | FUSE_INIT_EXT;
    const answer = ask(init(50, everything, 2 ** 5))!;
    const word = (at: number) => answer.getUint32(16 + at, true);
    assertEquals([answer.byteLength, answer.getInt32(4, true)], [80, 0]);
    assertEquals([word(0), word(4), word(8)], [7, 45, 131072]);
    // what was not wanted, and what the kernel lacks, is not in force
    assertEquals([word(12), word(32)], [FUSE_BIG_WRITES | FUSE_INIT_EXT, 2 ** 5]);
    assertEquals([word(20), answer.getUint16(16 + 28, true)], [65536, 16]);
    assertEquals(session.flags, FUSE_BIG_WRITES + FUSE_INIT_EXT + FUSE_PASSTHROUGH);
  });
  converse({}, (ask, session) => {
    const answer = ask(init(31, FUSE_BIG_WRITES, 2 ** 5))!;
    // without the extension there are no further flags
    assertEquals([answer.getUint32(20, true), answer.getUint32(48, true)], [31, 0]);
    assertEquals([session.minor, session.flags], [31, FUSE_BIG_WRITES]);
  });
  converse({}, (ask) => assertEquals(ask(init(30, 0))!.getInt32(4, true), -EIO));
});

Deno.test("requests are answered at once, with an errno, or later by their id", () => {
  let kept = 0n;
  const handler: Handler = {
    lookup: () => ENOENT,
    getattr: () => {
      throw new SyscallError("statx", 13);
    },
    readlink: (_, reply) => {
      reply.bytes(new TextEncoder().encode("target"));
      return 0;
    },
    open: (request) => {
      kept = request.unique;
      return DEFERRED;
    },
    statfs: () => {
      throw new Error("a mistake of ours");
    },
  };
  converse(handler, (ask, session) => {
    const code = (opcode: number, body = new Uint8Array(128)) => ask(build(opcode, body))!.getInt32(4, true);
    assertEquals(code(OPCODES.LOOKUP, new Uint8Array([97, 0])), -ENOENT);
    assertEquals(code(OPCODES.GETATTR), -13);
    assertEquals(code(OPCODES.STATFS), -EIO);
    assertEquals(code(OPCODES.READ), -ENOSYS);
    assertEquals(code(9999), -ENOSYS);
    assertEquals(code(OPCODES.READ, new Uint8Array(3)), -EIO);
    const link = ask(build(OPCODES.READLINK, new Uint8Array(0)))!;
    assertEquals(new TextDecoder().decode(new Uint8Array(link.buffer, 16, link.byteLength - 16)), "target");
    assertEquals(ask(build(OPCODES.OPEN, new Uint8Array(8), { unique: 99n })), null);
    assertEquals(kept, 99n);
    // others come between
    assertEquals(code(OPCODES.LOOKUP, new Uint8Array([97, 0])), -ENOENT);
    assert(session.answer(kept, 0, (reply) => reply.open(5, 0)));
  });
});

Deno.test("what the kernel forgets has no answer", () => {
  const forgotten: [number, number][] = [];
  const interrupted: bigint[] = [];
  const handler: Handler = {
    forget: (id, count) => void forgotten.push([id, count]),
    interrupt: (unique) => void interrupted.push(unique),
  };
  converse(handler, (ask) => {
    const body = new BigUint64Array([3n, 5n, 1n, 6n, 2n, 7n, 4n]);
    body[0] = 3n;
    assertEquals(ask(build(OPCODES.BATCH_FORGET, new Uint8Array(body.buffer))), null);
    assertEquals(forgotten, [[5, 1], [6, 2], [7, 4]]);
    assertEquals(
      ask(build(OPCODES.FORGET, new Uint8Array(new BigUint64Array([9n]).buffer), { nodeid: 8n })),
      null,
    );
    assertEquals(forgotten.at(-1), [8, 9]);
    assertEquals(ask(build(OPCODES.INTERRUPT, new Uint8Array(new BigUint64Array([12n]).buffer))), null);
    assertEquals(interrupted, [12n]);
  });
});

Deno.test("between two waits some of the requests that are there are answered, and all before the next long one", () => {
  const [kernel, server] = socketpair(AF_UNIX, SOCK_SEQPACKET);
  setNonblocking(kernel, true);
  try {
    const session = new Session(server, { statfs: () => 0 }, { wanted: 0, maxTransfer: 65536 });
    for (let each = 0; each < 40; each++) writeAll(kernel, build(OPCODES.STATFS, new Uint8Array(0)));
    let answered = 0;
    const waits: number[] = [];
    serveBlocking(session, server, () => {
      while (take(kernel) !== null) answered++;
      waits.push(answered);
      // nothing more comes: the mount is gone
      if (answered === 40) shutdown(kernel, SHUT_WR);
    });
    assertEquals(waits, [0, 16, 32, 40]);
  } finally {
    close(kernel);
    close(server);
  }
});
