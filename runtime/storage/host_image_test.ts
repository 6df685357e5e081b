import { deepStrictEqual as assertEquals } from "node:assert";
import { type HostEntry, type ListFolder, planHostFolders } from "./host_image.ts";

const folder = (name: string, mode = 0o755, uid = 0): HostEntry => ({ name, kind: "folder", mode, uid });
const file = (name: string, mode = 0o644, uid = 0): HostEntry => ({ name, kind: "file", mode, uid });
const symlink = (name: string, target: string): HostEntry => (
  { name, kind: "symlink", mode: 0o777, uid: 0, target }
);

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
const plan = (isRootless: boolean) =>
  planHostFolders(MACHINE, isRootless ? { uid: 1000, folders: [] } : undefined);
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

Deno.test("as root, what others cannot read is hidden; as a user nothing needs to be but the user's own", () => {
  const hidden = (isRootless: boolean) => plan(isRootless).find(({ path }) => path === "/etc")!.hidden;
  assertEquals(hidden(false), ["/etc/secret.d", "/etc/shadow", "/etc/ssl/key.pem", "/etc/ssl/private"]);
  assertEquals(hidden(true), undefined);
});

Deno.test("a user's own files are hidden wherever they lie", () => {
  const list = machine({
    "/": [folder("etc"), folder("opt"), folder("srv", 0o755, 1000), folder("usr"), folder("var")],
    "/opt": [folder("alice", 0o755, 1000), folder("bob", 0o755, 1001), file("key", 0o600, 1000)],
    "/var": [folder("lib")],
    "/var/lib": [folder("jobs")],
  });
  const user = {
    uid: 1000,
    folders: ["/opt/alice/data", "/srv", "/usr/home/alice", "/var/lib/jobs/alice", "/home/x"],
  };
  const folders = planHostFolders(list, user);
  assertEquals(
    folders.filter((one) => one.hidden).map(({ path, hidden }) => [path, hidden]),
    [
      ["/opt", ["/opt/alice", "/opt/key"]],
      ["/usr", ["/usr/home/alice"]],
      ["/var/lib", ["/var/lib/jobs/alice"]],
    ],
  );
  assertEquals(folders.find(({ path }) => path === "/srv"), { path: "/srv", mode: 0o755, fresh: true });
});

Deno.test("as root, a folder that others cannot enter is left out", () => {
  const list = machine({ "/": [folder("opt", 0o700), folder("srv")] });
  assertEquals(paths(planHostFolders(list).filter((one) => !one.fresh)), ["/srv"]);
});

Deno.test("a search that would not end hides what it has not seen", () => {
  const list: ListFolder = (path) =>
    path === "/" ? [folder("etc")] : path.startsWith("/etc") ? [folder("a"), folder("b")] : [];
  const { hidden } = planHostFolders(list).find(({ path }) => path === "/etc")!;
  assertEquals(hidden!.length > 1000, true);
});
