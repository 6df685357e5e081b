import { close, read } from "../../ffi/file.ts";
import { socketpair } from "../../ffi/socket.ts";
import { AF_UNIX, SOCK_SEQPACKET } from "../../ffi/constants/socket.ts";
import { Notices } from "./notices.ts";
import { assertEquals } from "../../tests/assertions.ts";

Deno.test("a message is told at once and once more, or only then", () => {
  const [kernel, twin] = socketpair(AF_UNIX, SOCK_SEQPACKET);
  const now = Date.now;
  const notices = new Notices(twin, () => {});
  try {
    let at = now();
    Date.now = () => at;
    const received = (count: number) => {
      notices.send();
      return Array.from({ length: count }, () => {
        const buffer = new Uint8Array(16);
        return new TextDecoder().decode(buffer.subarray(0, read(kernel, buffer)));
      });
    };
    notices.tellLater(new TextEncoder().encode("later"));
    notices.tell(new TextEncoder().encode("twice"));
    assertEquals(received(1), ["twice"]);
    assertEquals(notices.waitMs, 1000);
    at += 1000;
    assertEquals(received(2), ["later", "twice"]);
    assertEquals([notices.waitMs, notices.isWaiting], [-1, false]);
  } finally {
    Date.now = now;
    for (const fd of [notices.fd, kernel, twin]) close(fd);
  }
});
