import { deepStrictEqual as equal } from "node:assert/strict";
import { EPOLLIN } from "../../../ffi/constants/poll.ts";
import { AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from "../../../ffi/constants/socket.ts";
import { dup2 } from "../../../ffi/file.ts";
import { closeSocket } from "../../../ffi/inet.ts";
import { socketpair } from "../../../ffi/socket.ts";
import { Host } from "./host.ts";

const pair = () => socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC);

Deno.test("an event of a descriptor that was closed meanwhile is not taken for one of its number's next file", () => {
  const faults: unknown[] = [];
  const host = new Host((error) => faults.push(error));
  const [one, other, quiet] = [pair(), pair(), pair()];
  const seen: string[] = [];
  // whichever comes first closes the other one, whose event is fetched already, and gives its number to a quiet socket
  const replace = (fd: number) => {
    if (seen.length > 0) return;
    seen.push("first");
    host.forget(fd);
    dup2(quiet[0], fd);
    host.watch(fd, () => seen.push("of the quiet one"), EPOLLIN);
  };
  host.watch(one[0], () => replace(other[0]), EPOLLIN);
  host.watch(other[0], () => replace(one[0]), EPOLLIN);
  for (const [, peer] of [one, other]) closeSocket(peer);
  host.work();
  equal(seen, ["first"]);
  // the number's next file is watched
  closeSocket(quiet[1]);
  host.work();
  equal(seen, ["first", "of the quiet one"]);
  equal(faults, []);
  host.dispose();
  for (const [fd] of [one, other, quiet]) closeSocket(fd);
});
