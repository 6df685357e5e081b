import { assertEquals } from "../../tests/assertions.ts";
import { chooseDataFolder } from "./data_folder.ts";

/** The choice of a user with this environment, where `home` lies on a file system of that type. */
function choice(home: string, type: string, env: Record<string, string> = {}) {
  const before = Deno.env.toObject();
  const uid = Deno.uid;
  try {
    Deno.env.delete("XDG_DATA_HOME");
    for (const [name, value] of Object.entries({ HOME: home, ...env })) Deno.env.set(name, value);
    Deno.uid = () => Deno.statSync(home).uid;
    // root has a folder of its own, whatever its home is
    if (Deno.uid() === 0) Deno.uid = () => 4711;
    const table = [{ point: "/", type: "ext4", isReadOnly: false }, { point: home, type, isReadOnly: false }];
    return { ...chooseDataFolder(() => table), uid: Deno.uid() };
  } finally {
    Deno.uid = uid;
    Deno.env.delete("XDG_DATA_HOME");
    for (const [name, value] of Object.entries(before)) Deno.env.set(name, value);
  }
}

async function withHome(fn: (home: string) => void): Promise<void> {
  const home = await Deno.realPath(await Deno.makeTempDir());
  if (Deno.uid() === 0) await Deno.chown(home, 4711, 4711);
  try {
    fn(home);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

Deno.test("data is below the home, or where XDG_DATA_HOME says", () =>
  withHome((home) => {
    assertEquals(choice(home, "ext4").path, `${home}/.local/share/skiff`);
    assertEquals(choice(home, "ext4", { XDG_DATA_HOME: `${home}/data/` }).path, `${home}/data/skiff`);
    assertEquals(choice(home, "ext4", { XDG_DATA_HOME: "relative" }).path, `${home}/.local/share/skiff`);
  }));

Deno.test("a home on a network file system is passed over, unless data is there already", () =>
  withHome((home) => {
    for (const type of ["nfs", "nfs4", "cifs", "fuse.sshfs"]) {
      const { path, obstacle, uid } = choice(home, type);
      assertEquals([path, obstacle], [
        `/var/tmp/skiff-${uid}`,
        `${home} is on a network file system (${type})`,
      ]);
    }
    Deno.mkdirSync(`${home}/.local/share/skiff`, { recursive: true });
    assertEquals(choice(home, "nfs4").path, `${home}/.local/share/skiff`);
  }));

Deno.test("where the folder cannot be made, the reason is told", () =>
  withHome((home) => {
    Deno.writeTextFileSync(`${home}/.local`, "");
    assertEquals(
      choice(home, "ext4").path,
      `${home}/.local/share/skiff`,
      "a file in the way is the user's to see",
    );
  }));

Deno.test("what su or sudo left of another user in the environment is passed over", () =>
  withHome((home) => {
    // nobody's own: root's
    assertEquals(choice(home, "ext4", { XDG_DATA_HOME: "/usr" }).path, `${home}/.local/share/skiff`);
  }));
