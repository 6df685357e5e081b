import { assertEquals } from "../../tests/assertions.ts";
import { SOCK_CLOEXEC, SOCK_STREAM } from "../../ffi/constants/socket.ts";
import { close } from "../../ffi/file.ts";
import { listenUnix } from "../../ffi/socket.ts";
import { type LoopRig, makeLoop } from "./loop_rig.ts";
import { type ForwardStep, parseAnswer, SlirpForwards } from "./slirp4netns_api.ts";

/** What a slirp4netns that answers with `answer` is asked for, and what is told of each group of steps. */
async function perform(groups: ForwardStep[][], answer: (request: string) => string) {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/api`;
  using listener = Deno.listen({ transport: "unix", path });
  const { loop, handlers } = makeLoop();
  const forwards = new SlirpForwards(loop, path);
  const asked: string[] = [];
  const told: (string | undefined)[] = [];
  for (const steps of groups) {
    forwards.perform(steps, (error) => told.push((error as Error | undefined)?.message));
    while (handlers.size > 0) {
      const connection = await listener.accept();
      const { execute, arguments: { id, host_port } } = JSON.parse(await readAll(connection));
      asked.push(`${execute} ${id ?? host_port}`);
      await connection.write(new TextEncoder().encode(answer(asked.at(-1)!)));
      connection.close();
      const [[fd, handler]] = [...handlers] as [[number, () => void]];
      while (handlers.get(fd) === handler) handler();
    }
  }
  await Deno.remove(folder, { recursive: true });
  return { asked, told };
}

async function readAll(connection: Deno.Conn): Promise<string> {
  const buffer = new Uint8Array(4096);
  let text = "";
  for (let count = await connection.read(buffer); count !== null; count = await connection.read(buffer)) {
    text += new TextDecoder().decode(buffer.subarray(0, count));
  }
  return text;
}

function step(kind: "add" | "remove", port: number): ForwardStep {
  const forward = { proto: "tcp", host_addr: "0.0.0.0", host_port: port, guest_addr: "10.0.2.100" };
  return { kind, forward: { ...forward, guest_port: 80 } };
}

Deno.test("a change that slirp4netns refuses in part is undone", async () => {
  let id = 0;
  const { asked, told } = await perform(
    [[step("add", 1), step("add", 2)], [step("remove", 1), step("add", 3), step("add", 4)], [
      step("remove", 1),
    ]],
    (request) =>
      request === "add_hostfwd 4" ? '{"error":{"desc":"bad request"}}' : `{"return":{"id":${++id}}}`,
  );
  assertEquals(told, [undefined, "publish port 0.0.0.0:4/tcp: slirp4netns: bad request", undefined]);
  assertEquals(asked, [
    ...["add_hostfwd 1", "add_hostfwd 2"],
    ...["remove_hostfwd 1", "add_hostfwd 3", "add_hostfwd 4", "remove_hostfwd 4", "add_hostfwd 1"],
    "remove_hostfwd 6",
  ]);
});

/** Requests to one that listens and never accepts. */
async function hanging(
  act: (rig: LoopRig, forwards: SlirpForwards) => void,
): Promise<(string | undefined)[]> {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/api`;
  using _listener = Deno.listen({ transport: "unix", path });
  const rig = makeLoop();
  const forwards = new SlirpForwards(rig.loop, path);
  const told: (string | undefined)[] = [];
  const before = openSockets();
  forwards.perform([step("add", 1)], (error) => told.push((error as Error | undefined)?.message));
  assertEquals([told, rig.handlers.size, rig.timers.size, openSockets()], [[], 1, 1, before + 1]);
  // called without a cause
  for (const handler of rig.handlers.values()) handler(0);
  assertEquals([told, rig.handlers.size], [[], 1]);
  act(rig, forwards);
  assertEquals([rig.handlers.size, rig.timers.size, openSockets()], [0, 0, before]);
  forwards.end();
  forwards.perform([step("add", 2)], (error) => told.push((error as Error | undefined)?.message));
  await Deno.remove(folder, { recursive: true });
  return told;
}

function openSockets(): number {
  return [...Deno.readDirSync("/proc/self/fd")].filter(({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${name}`).startsWith("socket:");
    } catch {
      return false; // that of the listing
    }
  }).length;
}

Deno.test("a slirp4netns that never answers is waited for no longer than a while, or than the container lives", async () => {
  const ended = (port: number) => `publish port 0.0.0.0:${port}/tcp: slirp4netns: it has ended`;
  assertEquals(await hanging(({ timers }) => timers.forEach((due) => due())), [
    "publish port 0.0.0.0:1/tcp: slirp4netns: it does not answer",
    ended(2),
  ]);
  assertEquals(await hanging((_, forwards) => forwards.end()), [ended(1), ended(2)]);
});

Deno.test("one that accepts nothing any more is not waited for", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/api`;
  const fd = listenUnix(path, 0, SOCK_STREAM | SOCK_CLOEXEC);
  const { loop } = makeLoop();
  const forwards = new SlirpForwards(loop, path);
  const told: (string | undefined)[] = [];
  const tell = (error?: unknown) => told.push((error as Error | undefined)?.message);
  for (const port of [1, 2]) forwards.perform([step("add", port)], tell);
  assertEquals(told, [
    `publish port 0.0.0.0:2/tcp: slirp4netns: connect \`${path}\`: Resource temporarily unavailable`,
  ]);
  forwards.end();
  close(fd);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("what is no answer of slirp4netns is a refusal", () => {
  assertEquals(parseAnswer(""), { refusal: "no answer" });
  assertEquals(parseAnswer("{"), { refusal: "{" });
  assertEquals(parseAnswer('{"return":{}}').refusal, undefined);
});
