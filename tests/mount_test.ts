/** mount and unmount of containers. @see podman-mount(1), podman-unmount(1) */
import { assertEquals, assertIncludes, driverTest, type Host, hostTest, waitFor } from "./harness.ts";

const SCRIPT = (driver: string, image: string) =>
  `set -e; S="$SKIFF ${driver}"; $S create --name box --network none ${image} cat /made >/dev/null
  m=$($S mount box); cat $m/etc/passwd | head -1 | cut -d: -f1; echo text >$m/made
  [ "$($S mount box)" = "$m" ] && [ "$($S mount | wc -l)" = 1 ] && $S mount --format json | grep mountpoint | tr -d ' '
  ! $S start box 2>&1; ! $S rm box 2>&1 | tail -1
  cd $m; ! $S unmount box >/dev/null 2>&1; cd /; $S unmount box; ls $m | wc -l; $S umount box; $S mount
  $S start -a box; $S run -d --name up --network none ${image} sh -c 'echo up >/up; exec sleep 600' >/dev/null
  until grep up $($S mount up)/up 2>/dev/null; do :; done; $S rm -f up >/dev/null
  $S mount box >/dev/null; $S rm -f box`;

function assertLines(stdout: string): void {
  const lines = stdout.trim().split("\n");
  const id = /containers\/([0-9a-f]{64})/.exec(lines[1] ?? "")?.[1] ?? "";
  const refused = `Error: use container ${id.slice(0, 12)}: it is mounted`;
  const hint = `skiff unmount ${id.slice(0, 12)}`;
  assertEquals(lines.filter((_, index) => index !== 1), [
    ...["root", refused, hint, hint, "box", "0", "box", "text", "up", "box"],
  ]);
}

driverTest("a session of unshare mounts a container, and takes the mount along", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image();
  const outside = await host.skiff(["create", "--name", "other", "--network", "none", image, "true"]);
  assertEquals(outside.code, 0, outside.stderr);
  const refused = await host.skiff(["mount", "other"]);
  assertEquals([refused.code, refused.stderr], [
    125,
    'Error: cannot run command "skiff mount" in rootless mode, must execute `skiff unshare` first\n',
  ]);
  const driver = host.driverArgs.join(" ");
  const session = await inSession(host, SCRIPT(driver, image));
  assertEquals([session.code, session.stderr], [0, ""]);
  assertLines(session.stdout);
  // who ends without unmounting leaves nothing
  const left = await inSession(
    host,
    `$SKIFF ${driver} mount other; touch $($SKIFF ${driver} mount other)/written`,
  );
  assertIncludes(left.stdout, "/merged");
  await waitFor("the end of the mount", async () => (await host.skiff(["start", "other"])).code === 0);
  assertIncludes(await host.ok("diff", "other"), "A /written");
});

function inSession(host: Host, script: string) {
  return host.skiff(["unshare", "sh", "-c", script], { env: { SKIFF: host.binary } });
}

hostTest("root mounts a container without a session", {
  asRoot: true,
  needs: ["root", "registry", "busybox"],
}, async (host) => {
  const image = await host.image();
  await host.ok("pull", "-q", image);
  const { code, stdout, stderr } = await host.sh(SCRIPT("", image));
  assertEquals([code, stderr], [0, ""]);
  assertLines(stdout);
});
