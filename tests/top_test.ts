/** top: podman's descriptors, and the options of ps. */

import { assertEquals, assertIncludes, assertMatch, hostTest, waitFor } from "./harness.ts";

const NEEDS = { needs: ["registry", "busybox"] as ("registry" | "busybox")[] };

hostTest("top shows who runs in a container, by its numbers and the host's", NEEDS, async (host) => {
  const image = await host.image();
  await host.run("-q", "-d", "--name", "c", image, "sh", "-c", "setsid sleep 601 & exec sleep 600");
  const asleep = async () =>
    (await host.ok("top", "c", "state", "args")).match(/^S +sleep 60[01]$/gm)?.length === 2;
  await waitFor("both processes", asleep);
  const [heading, ...lines] = (await host.ok("top", "c")).split("\n");
  assertEquals(
    heading,
    "USER        PID         PPID        %CPU        ELAPSED     TTY         TIME        COMMAND".replace(
      "ELAPSED     ",
      heading!.slice(48, heading!.indexOf("TTY")),
    ),
  );
  assertEquals(lines.length, 2);
  assertMatch(lines[0]!, /^root +1 +0 +\d+\.\d{3} +[\d.]+m?s +\? +\d.* +sleep 600$/);
  const table = async (...words: string[]) =>
    (await host.ok("top", "c", ...words)).split("\n").slice(1).map((line) => line.trim().split(/ {2,}/));
  assertEquals(await table("pid,ppid", "comm", "user", "group", "seccomp", "capinh", "state"), [
    ["1", "0", "sleep", "root", "root", "filter", "none", "S"],
    ["2", "1", "sleep", "root", "root", "filter", "none", "S"].map((text, at) =>
      at === 0 ? lines[1]!.trim().split(/ +/)[1]! : text
    ),
  ]);
  const pid = await host.ok("inspect", "-f", "{{.State.Pid}}", "c");
  assertEquals((await table("hpid", "huser", "%p"))[0], [pid, "skiff-test", "1"]);
  assertIncludes((await table("capeff"))[0]![0]!, "CHOWN,DAC_OVERRIDE");
  // busybox has a ps of its own
  const own = await host.ok("top", "c", "-o", "pid,args");
  assertMatch(own, /^PID +COMMAND\n +1 sleep 600\n/);
  assertIncludes(own, "ps -o pid,args");
  // an image without: this machine's
  await host.ok("exec", "c", "rm", "/bin/ps");
  assertMatch(
    await host.ok("top", "c", "-o", "pid,args"),
    new RegExp(`^ *PID COMMAND\\n *${pid} sleep 600\\n *\\d+ sleep 601$`),
  );
  const bad = await host.skiff(["top", "c", "--bogus"]);
  assertEquals(bad.code, 125);
  await host.ok("stop", "-t", "0", "c");
  const stopped = await host.skiff(["top", "c"]);
  assertEquals([stopped.code, stopped.stderr], [
    125,
    'Error: list processes of container "c": it is not running, its state is exited\n',
  ]);
  assertEquals(
    (await host.skiff(["top"])).stderr,
    "Error: you must provide the name or id of a running container\n",
  );
});

hostTest("names come from the container's own files, and only from within it", NEEDS, async (host) => {
  const image = await host.image();
  await host.run("-q", "-d", "--name", "c", "-u", "4321", image, "sleep", "600");
  // a link that leaves the root would name 4321 after the host's file
  await Deno.writeTextFile(`${host.folder}/passwd`, "intruder:x:4321:0::/:/bin/sh\n");
  const script = `rm -f /etc/passwd; ln -s ${host.folder}/passwd /etc/passwd`;
  await host.ok("exec", "-u", "0", "c", "sh", "-c", script);
  assertEquals((await host.ok("top", "c", "user")).split("\n")[1], "4321");
  // the control: a link within is followed
  const inside = "echo someone:x:4321:0::/:/bin/sh > /etc/other; ln -sf other /etc/passwd";
  await host.ok("exec", "-u", "0", "c", "sh", "-c", inside);
  assertEquals((await host.ok("top", "c", "user")).split("\n")[1], "someone");
});
