import { assertEquals } from "../tests/assertions.ts";
import { cstring } from "./cstring.ts";
import { EBADF, ENOENT, errno } from "./errno.ts";
import { compileFunction, failure, libc } from "./libc.ts";

const ESPIPE = 29;

Deno.test("what sets errno after a failed call does not change what it failed with", () => {
  // as V8's compilers do, which may run before anybody looks
  const syncBadly = compileFunction("file", "fsync");
  const absent = cstring("/absent/file");
  for (let call = 0; call < 5000; call++) {
    assertEquals(libc("file").openat(-100, absent, 0, 0), -1);
    assertEquals(syncBadly(-1), -1);
    assertEquals([errno(), failure.word[0]], [ENOENT, EBADF]);
  }
});

Deno.test("the errno of a call whose result is 64 bits wide is kept as well", () => {
  const [pipe, syncBadly] = [new Int32Array(2), compileFunction("file", "fsync")];
  assertEquals(libc("file").pipe2(new Uint8Array(pipe.buffer), 0), 0);
  assertEquals(libc("file").lseek(pipe[0]!, 0n, 1), -1n);
  syncBadly(-1);
  assertEquals(errno(), ESPIPE);
  for (const fd of pipe) libc("file").close(fd);
});
