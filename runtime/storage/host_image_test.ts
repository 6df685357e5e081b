import { deepStrictEqual as assertEquals } from "node:assert";
import { type HostEntry, type ListFolder, planHostFolders } from "./host_image.ts";

const folder = (name: string, mode = 0o755): HostEntry => ({ name, kind: "folder", mode });
const file = (name: string, mode = 0o644): HostEntry => ({ name, kind: "file", mode });
const symlink = (name: string, target: string): HostEntry => ({ name, kind: "symlink", mode: 0o777, target });

function machine(tree: Record<string, HostEntry[]>): ListFolder {
  return (path) => tree[path] ?? [];
}

const MACHINE = machine({
  "/": [
    folder("usr"),
    folder("etc"),
    symlink("bin", "usr/bin"),
    symlink("lib64", "usr/lib64"),
    folder("home"),
    folder("root", 0o700),
    folder("proc", 0o555),
    folder("data"),
    folder("boot"),
    folder("var"),
    folder("tmp", 0o1777),
    file("swapfile"),
  ],
  "/etc": [folder("ssl"), folder("secret.d", 0o750), file("passwd"), file("shadow", 0o640)],
  "/etc/ssl": [folder("private", 0o710), folder("certs"), file("key.pem", 0o600), symlink("link", "/x")],
  "/usr": [file("unsearched", 0o600)],
  "/var": [folder("lib"), folder("mail", 0o2775), symlink("run", "/run"), folder("tmp", 0o1777)],
});
const plan = (isRootless: boolean) => planHostFolders(MACHINE, { isRootless });
const paths = (list: ReturnType<typeof plan>) => list.map(({ path }) => path);

Deno.test("the system's folders are shown, people's are fresh, all else is not there", () => {
  const folders = plan(true);
  const shown = folders.filter((one) => !one.fresh && one.symlink === undefined);
  assertEquals(paths(shown), ["/etc", "/usr", "/var/lib"]);
  assertEquals(paths(folders.filter((one) => one.fresh)), [
    "/home",
    "/root",
    "/run",
    "/tmp",
    "/mnt",
    "/media",
    "/var",
    "/var/tmp",
    "/var/mail",
  ]);
});

Deno.test("symlinks of merged /usr and /var are made again", () => {
  assertEquals(
    plan(true).filter((one) => one.symlink !== undefined).map(({ path, symlink }) => [path, symlink]),
    [["/bin", "usr/bin"], ["/lib64", "usr/lib64"], ["/var/run", "/run"]],
  );
});

Deno.test("a folder comes before what is in it", () => {
  const order = paths(plan(true));
  for (const path of order) {
    const parent = path.slice(0, path.lastIndexOf("/"));
    if (parent !== "") {
      assertEquals(order.indexOf(parent) < order.indexOf(path) && order.includes(parent), true);
    }
  }
});

Deno.test("as root, what others cannot read is hidden; as a user nothing needs to be", () => {
  const hidden = (isRootless: boolean) => plan(isRootless).find(({ path }) => path === "/etc")!.hidden;
  assertEquals(hidden(false), ["/etc/secret.d", "/etc/shadow", "/etc/ssl/key.pem", "/etc/ssl/private"]);
  assertEquals(hidden(true), undefined);
});

Deno.test("as root, a folder that others cannot enter is left out", () => {
  const list = machine({ "/": [folder("opt", 0o700), folder("srv")] });
  assertEquals(paths(planHostFolders(list, { isRootless: false }).filter((one) => !one.fresh)), ["/srv"]);
});

Deno.test("a search that would not end hides what it has not seen", () => {
  const list: ListFolder = (path) =>
    path === "/" ? [folder("etc")] : path.startsWith("/etc") ? [folder("a"), folder("b")] : [];
  const { hidden } = planHostFolders(list, { isRootless: false }).find(({ path }) => path === "/etc")!;
  assertEquals(hidden!.length > 1000, true);
});
