import { deepStrictEqual as equal } from "node:assert/strict";
import { EPOLLIN } from "../../../ffi/constants/poll.ts";
import { AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from "../../../ffi/constants/socket.ts";
import { O_CLOEXEC, O_NONBLOCK } from "../../../ffi/constants/fcntl.ts";
import { close, dup2, pipe2, read, write } from "../../../ffi/file.ts";
import { closeSocket } from "../../../ffi/inet.ts";
import { socketpair } from "../../../ffi/socket.ts";
import { EventLoop } from "../../monitor/loop.ts";
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

Deno.test("who leads a loop serves both: its own timers and descriptors, and those of the loop", () => {
  const loop = new EventLoop();
  const host = new Host((error) => {
    throw error;
  });
  const [reader, writer] = pipe2(O_CLOEXEC | O_NONBLOCK);
  const [own, other] = pipe2(O_CLOEXEC | O_NONBLOCK);
  const heard: string[] = [];
  loop.follow(host.lead(loop.fd));
  loop.watch(reader, () => {
    heard.push(`loop ${read(reader, new Uint8Array(9))}`);
    // it is not waited for beyond what it asks for itself
    loop.after(1, () => heard.push("loop's timer"));
    loop.after(2, () => write(other, new Uint8Array(3)));
  });
  host.watchLevel(own, () => {
    heard.push(`host ${read(own, new Uint8Array(9))}`);
    host.defer(() => heard.push("task"));
    host.after(1, () => {
      heard.push("host's timer");
      loop.stop();
    });
  });
  write(writer, new Uint8Array(2));
  loop.runBlocking();
  equal(heard, ["loop 2", "loop's timer", "host 3", "task", "host's timer"]);
  loop.follow(undefined);
  host.dispose();
  loop.dispose();
  for (const fd of [reader, writer, own, other]) close(fd);
});
