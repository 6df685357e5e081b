import { O_CLOEXEC, O_RDONLY } from "../../ffi/constants/fcntl.ts";
import { open } from "../../ffi/file.ts";
import { assertEquals } from "../../tests/assertions.ts";
import { makeLoop } from "./loop_rig.ts";
import { ProgramNetwork } from "./program_network.ts";

/** A network whose program is a shell script, begun; what became of it, and what is still watched. */
function begin(script: string) {
  const path = Deno.makeTempFileSync();
  Deno.writeTextFileSync(path, `#!/bin/sh\n${script}\n`);
  Deno.chmodSync(path, 0o700);
  const { loop, handlers } = makeLoop();
  const told: string[] = [];
  const network = new ProgramNetwork(
    { kind: "program", program: "slirp4netns", path, args: [] },
    { loop, initPid: 1, onFault: (error) => told.push(`fault: ${(error as Error).message}`) },
  );
  network.take(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  network.letStart(() => told.push("go"), (error) => told.push((error as Error).message));
  return { network, handlers, told, path };
}

Deno.test("a program that says more and more is not listened to for ever, and its first line is told", () => {
  const { network, handlers, told, path } = begin("while echo 'no device' >&2; do :; done");
  // reads until the program has ended, which it does as its writes fail
  for (const handler of [...handlers.values()]) handler(1);
  assertEquals(told, [`serve the network with ${path}: no device`]);
  network.end();
  network.release();
  assertEquals(handlers.size, 0);
  Deno.removeSync(path);
});

Deno.test("a container that ends before its network is ready leaves nothing watched or open", () => {
  const kept = openFiles();
  const { network, handlers, told, path } = begin("exec sleep 60");
  network.end();
  network.end();
  network.release();
  assertEquals([handlers.size, told], [0, []]);
  assertEquals(openFiles(), kept);
  Deno.removeSync(path);
});

/** Of the kinds that such a network opens. */
function openFiles(): string[] {
  return [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
    try {
      const link = Deno.readLinkSync(`/proc/self/fd/${name}`);
      return /memfd|pidfd|pipe|net:/.test(link) ? [link] : [];
    } catch {
      return []; // that of the listing
    }
  }).sort();
}
