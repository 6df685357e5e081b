/** ps and inspect: sizes, namespaces, sorting. */

import { assertEquals, assertMatch, hostTest } from "./harness.ts";

const NEEDS = { needs: ["registry", "busybox"] as ("registry" | "busybox")[] };

hostTest("ps and inspect measure what a container has written", NEEDS, async (host) => {
  const image = await host.image();
  await host.run("-q", "-d", "--name", "big", image, "sleep", "600");
  await host.run("-q", "-d", "--name", "small", image, "sleep", "600");
  await host.ok("exec", "big", "sh", "-c", "head -c 3000000 /dev/zero > /file; chmod 000 /file");
  const [ofBig, ofSmall] = (await host.ok("ps", "-s", "--sort", "names", "--format", "{{.Size}}")).split(
    "\n",
  );
  assertMatch(ofBig!, /^3MB \(virtual [\d.]+[kM]B\)$/);
  assertMatch(ofSmall!, /^\d{1,3}B \(virtual [\d.]+[kM]B\)$/);
  assertEquals(await host.ok("ps", "--sort", "size", "--format", "{{.Names}}"), "small\nbig");
  const [written, whole] = (await host.ok("inspect", "-s", "-f", "{{.SizeRw}} {{.SizeRootFs}}", "big")).split(
    " ",
  );
  assertEquals(Number(written) >= 3_000_000 && Number(written) < 3_100_000, true);
  assertEquals(Number(whole) > Number(written), true);
  const [entry] = JSON.parse(await host.ok("ps", "-s", "--filter", "name=big", "--format", "json"));
  assertEquals(entry.Size, { rootFsSize: Number(whole), rwSize: Number(written) });
  assertEquals(JSON.parse(await host.ok("ps", "--format", "json"))[0].Size, null);
});

hostTest("ps shows namespaces, and paused containers with those that run", NEEDS, async (host) => {
  const image = await host.image();
  await host.run("-q", "-d", "--name", "c", image, "sleep", "600");
  const [heading, line] = (await host.ok("ps", "--ns")).split("\n");
  assertEquals(
    heading!.split(/ +/).join(" "),
    "CONTAINER ID NAMES PID CGROUPNS IPC MNT NET PIDNS USERNS UTS",
  );
  const cells = line!.split(/ +/);
  const pid = await host.ok("inspect", "-f", "{{.State.Pid}}", "c");
  assertEquals(cells[2], pid);
  assertEquals(`uts:[${cells[9]}]`, await Deno.readLink(`/proc/${pid}/ns/uts`));
  await host.ok("pause", "c");
  assertEquals(await host.ok("ps", "--filter", "name=c", "--format", "{{.Status}}"), "Paused");
});

hostTest("ps and rm find containers by the volumes and folders that they mount", NEEDS, async (host) => {
  const create = ["create", "--network", "none"];
  await host.ok(...create, "--name", "kept", "-v", "store:/data", await host.image(), "true");
  await host.ok(...create, "--name", "bound", "-v", `${host.home}:/data`, await host.image(), "true");
  const find = (filter: string) =>
    host.ok("ps", "-a", "--sort", "names", "--filter", `volume=${filter}`, "--format", "{{.Names}}");
  const found = await Promise.all(["store", host.home, "/data", "store:/data", "store:/x", "sto"].map(find));
  assertEquals(found, ["kept", "bound", "bound\nkept", "kept", "", ""]);
  await host.ok("rm", "--filter", "volume=store");
  assertEquals(await host.ok("ps", "-a", "--format", "{{.Names}}"), "bound");
});
