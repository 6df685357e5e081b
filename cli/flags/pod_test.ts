import { assertEquals, messageOf } from "../../tests/assertions.ts";
import { parseShare } from "./pod.ts";

Deno.test("what a pod shares is a list, none, or what comes to the default", async () => {
  assertEquals(parseShare(undefined), undefined);
  assertEquals(parseShare("net,ipc"), ["net", "ipc"]);
  assertEquals([parseShare("none"), parseShare("")], [[], []]);
  assertEquals(parseShare("+pid"), ["ipc", "net", "uts", "pid"]);
  const refused = (text: string) => messageOf(() => parseShare(text));
  assertEquals(
    await refused("net,mnt"),
    "invalid kernel namespace to share: mnt. Options are: cgroup, ipc, net, pid, uts or none",
  );
  assertEquals(
    await refused("cgroup"),
    "share the cgroup namespace: containers have no cgroup of their own",
  );
});
