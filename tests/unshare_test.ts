/** unshare. @see podman-unshare(1) */
import { assertEquals, hostTest } from "./harness.ts";

hostTest("unshare runs a command as root of the user's namespace, and containers share that namespace", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image();
  const { uid, subuid, subuidCount } = host.ids;
  const map = (text: string) => text.trim().split("\n").map((line) => line.trim().split(/\s+/).map(Number));
  assertEquals(map(await host.ok("unshare", "cat", "/proc/self/uid_map")), [[0, uid, 1], [
    1,
    subuid,
    subuidCount,
  ]]);
  const cases: [args: string[], code: number, stderr: string][] = [
    [["sh", "-c", "exit 3"], 3, ""],
    [["sh", "-c", "kill -9 $$"], 137, ""],
    [["/etc"], 126, "Error: fork/exec /etc: permission denied\n"],
    [["no-such"], 127, 'Error: exec: "no-such": executable file not found in $PATH\n'],
    [["./no"], 127, "Error: fork/exec ./no: no such file or directory\n"],
  ];
  for (const [args, code, stderr] of cases) {
    const result = await host.skiff(["unshare", ...args]);
    assertEquals([args, result.code, result.stderr], [args, code, stderr]);
  }
  assertEquals((await host.skiff(["unshare", "--rootless-netns", "id"])).code, 125);
  const folders = await host.ok("unshare", "sh", "-c", "echo $CONTAINERS_GRAPHROOT; id -u; cat");
  assertEquals(folders.split("\n").slice(0, 2), [host.data, "0"]);
  // a session sees the same containers, and they come into its namespace
  await host.ok("run", "-d", "--name", "before", "--network", "none", image, "sleep", "600");
  const session = await host.sh(`"$SKIFF" unshare sh -ec 'readlink /proc/self/ns/user
    "$SKIFF" ps --format "{{.Names}}"; "$SKIFF" run -d --name within --network none ${image} sleep 600 >/dev/null
    "$SKIFF" exec within readlink /proc/self/ns/user'`);
  const [own, names, within] = session.stdout.split("\n");
  const before = await host.ok("exec", "before", "readlink", "/proc/self/ns/user");
  assertEquals([session.code, names, within, before], [0, "before", own, own]);
  assertEquals(await host.ok("exec", "within", "echo", "lives on"), "lives on");
});

hostTest("unshare without a command is a shell on the terminal", {}, async (host) => {
  const session = host.pty(["unshare"], { env: { SHELL: "/bin/sh", PS1: "> " } });
  await session.expect("> ");
  session.write("id -u; exit 7\n");
  await session.expect("0\r\n");
  assertEquals(await session.wait(), 7);
});
