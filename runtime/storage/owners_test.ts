import { deepStrictEqual as assertEquals } from "node:assert";
import { close, open } from "../../ffi/file.ts";
import { O_CLOEXEC, O_WRONLY } from "../../ffi/constants/fcntl.ts";
import { OwnerRecorder, parseOwners } from "./owners.ts";

Deno.test("owners are written and read back, root's left out", () => {
  const path = Deno.makeTempFileSync();
  const fd = open(path, O_WRONLY | O_CLOEXEC);
  const recorder = new OwnerRecorder(fd);
  recorder.add("root", 0, 0);
  recorder.add("a/b", 1, 0);
  recorder.add("weird\nname:\xff", 3000000000, 5);
  recorder.add("a/b", 7, 8);
  recorder.flush();
  close(fd);
  assertEquals([...parseOwners(Deno.readFileSync(path))], [
    ["a/b", { uid: 7, gid: 8 }],
    ["weird\nname:\xff", { uid: 3000000000, gid: 5 }],
  ]);
  Deno.removeSync(path);
});
