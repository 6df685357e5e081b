import { assertEquals } from "../../tests/assertions.ts";
import { apparmorProfile, findRestrictions } from "./restrictions.ts";

/** The causes on a machine with these sysctls. */
async function causes(sysctls: Record<string, string>): Promise<string[]> {
  const root = await Deno.makeTempDir();
  try {
    for (const [path, value] of Object.entries(sysctls)) {
      await Deno.mkdir(`${root}/proc/sys/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${root}/proc/sys/${path}`, `${value}\n`);
    }
    return findRestrictions("/usr/bin/skiff", root).map(({ cause, remedy }) => `${cause}: ${remedy}`);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("each sysctl that forbids user namespaces is named with the command that allows them", async () => {
  const open = { "kernel/unprivileged_userns_clone": "1", "user/max_user_namespaces": "63000" };
  const before = await causes(open);
  const added = async (closed: Record<string, string>) =>
    (await causes({ ...open, ...closed })).slice(0, -before.length || undefined);
  assertEquals(await added({ "kernel/unprivileged_userns_clone": "0" }), [
    "the sysctl kernel.unprivileged_userns_clone is 0: as root: sysctl -w kernel.unprivileged_userns_clone=1 && " +
    "echo kernel.unprivileged_userns_clone=1 > /etc/sysctl.d/90-skiff.conf",
  ]);
  assertEquals(await added({ "user/max_user_namespaces": "0" }), [
    "the sysctl user.max_user_namespaces is 0: as root: sysctl -w user.max_user_namespaces=28633 && " +
    "echo user.max_user_namespaces=28633 > /etc/sysctl.d/90-skiff.conf",
  ]);
  assertEquals(await added({ "kernel/apparmor_restrict_unprivileged_userns": "1" }), [
    "AppArmor forbids user namespaces to programs without a profile: as root, write this to " +
    "/etc/apparmor.d/skiff and run: apparmor_parser -r /etc/apparmor.d/skiff\n" +
    apparmorProfile("/usr/bin/skiff"),
  ]);
});

Deno.test("the profile names the program, and of the packed form every version", () => {
  const line = (path: string) => apparmorProfile(path).split("\n")[2];
  assertEquals(line("/usr/bin/skiff"), 'profile skiff "/usr/bin/skiff" flags=(unconfined) {');
  assertEquals(
    line("/home/alice/.cache/skiff/0123456789abcdef/skiff"),
    'profile skiff "/home/alice/.cache/skiff/**/skiff" flags=(unconfined) {',
  );
  assertEquals(
    line("/home/alice/.cache/skiff/0123456789abcdef/263d1964-c783-4b84-b872-679c67006d5a/skiff"),
    'profile skiff "/home/alice/.cache/skiff/**/skiff" flags=(unconfined) {',
  );
  assertEquals(line("/home/a{b} *c/skiff"), 'profile skiff "/home/a\\{b\\} \\*c/skiff" flags=(unconfined) {');
});
