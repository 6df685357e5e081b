import { assertEquals, assertIncludes, messageOf } from "../../tests/assertions.ts";
import { close, pipe2, read, readAsync, writeAll } from "../../ffi/file.ts";
import { getegid, geteuid } from "../../ffi/process.ts";
import { O_CLOEXEC } from "../../ffi/constants/fcntl.ts";
import { isThere } from "../state/listing.ts";
import type { NamespaceContext } from "./context.ts";
import { forkInUserNamespace } from "./fork_task.ts";
import { mapWithRanges } from "./id_map.ts";

/** Of whoever runs the test, with a single-id map, which needs no helper. */
function makeContext(): NamespaceContext & Disposable {
  const folder = Deno.makeTempDirSync({ prefix: "skiff-userns-" });
  const [uid, gid] = [geteuid(), getegid()];
  const maps = { uid: mapWithRanges(uid, []), gid: mapWithRanges(gid, []), isSingle: true };
  return {
    ...{ isRootless: true, uid, gid, maps, membersDir: `${folder}/members` },
    [Symbol.dispose]: () => Deno.removeSync(folder, { recursive: true }),
  };
}

const members = (context: NamespaceContext) =>
  [...Deno.readDirSync(context.membersDir)].map(({ name }) => name).filter((name) => name !== "lock");

/** A task that says in which namespace it is and stays until `leave` is called. */
async function stay(context: NamespaceContext) {
  const [said, say] = pipe2(O_CLOEXEC);
  const [wait, go] = pipe2(O_CLOEXEC);
  const task = await forkInUserNamespace(context, [say, wait], () => {
    writeAll(say, new TextEncoder().encode(Deno.readLinkSync("/proc/self/ns/user")));
    read(wait, new Uint8Array(1));
    return 7;
  });
  close(say);
  close(wait);
  const buffer = new Uint8Array(64);
  const link = new TextDecoder().decode(buffer.subarray(0, await readAsync(said, buffer)));
  close(said);
  const leave = async () => {
    close(go);
    assertEquals((await task.wait()).status, 7);
  };
  return { link, leave, pid: task.pid };
}

Deno.test("tasks that start at once share one namespace, which ends with the last of them", async () => {
  using context = makeContext();
  const first = await Promise.all(Array.from({ length: 12 }, () => stay(context)));
  assertEquals(new Set(first.map(({ link }) => link)).size, 1);
  assertEquals(first[0]!.link === Deno.readLinkSync("/proc/self/ns/user"), false);
  const pids = members(context).map((name) => Number(name.split(".")[0])).sort();
  assertEquals(pids, first.map(({ pid }) => pid).sort());
  for (const { leave } of first.slice(1)) await leave();
  const late = await stay(context);
  assertEquals(late.link, first[0]!.link);
  await first[0]!.leave();
  const last = await stay(context);
  assertEquals(last.link, late.link);
  await Promise.all([late.leave(), last.leave()]);
  assertEquals(members(context), []);
});

Deno.test("a member that was killed is not joined, though its number lives again", async () => {
  using context = makeContext();
  Deno.mkdirSync(context.membersDir);
  // Nobody holds its lock: what has this number now is somebody else, who is in the host's namespace.
  Deno.writeTextFileSync(`${context.membersDir}/${Deno.pid}.abc`, "");
  const task = await stay(context);
  assertEquals(task.link === Deno.readLinkSync("/proc/self/ns/user"), false);
  assertEquals(members(context).length, 1);
  await task.leave();
});

Deno.test("a task that throws ends with status 125", async () => {
  using context = makeContext();
  const task = await forkInUserNamespace(context, [], () => {
    throw new Error("what a task does not catch");
  });
  assertEquals((await task.wait()).status, 125);
});

Deno.test("a map that the kernel refuses is an error of the caller, and no member stays", async () => {
  using context = makeContext();
  const twice = { ...context.maps, uid: [...context.maps.uid, ...context.maps.uid] };
  assertIncludes(
    await messageOf(() => forkInUserNamespace({ ...context, maps: twice }, [], () => 0)),
    "create user namespace: ",
  );
  assertEquals(members(context), []);
});

Deno.test("to kill a task that was reaped a moment ago, or is long over, does nothing", async () => {
  using context = makeContext();
  const task = await forkInUserNamespace(context, [], () => 3);
  const ended = task.wait();
  // until the thread that waits has it, while nobody here can be told
  const deadline = Date.now() + 20_000;
  while (isThere(`/proc/${task.pid}`) && Date.now() < deadline);
  assertEquals(isThere(`/proc/${task.pid}`), false);
  task.kill();
  assertEquals((await ended).status, 3);
  task.kill();
});
