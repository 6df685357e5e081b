/**
 * The unpacked tree beside what umoci and podman make of the same image: mode, owner, times, links, devices,
 * extended attributes and content of every entry.
 */
import { archiveOf, type Member } from "../runtime/archive/tar/testing.ts";
import { byteStringOf } from "../runtime/archive/byte_string.ts";
import { debianImage } from "./debian.ts";
import { BASE, makeBase } from "./fixtures.ts";
import { assertEquals, type Host, hostTest } from "./harness.ts";
import { type BuiltImage, busyboxEntries, makeImage } from "./images.ts";
import { TEST_USER } from "./needs.ts";
import { layoutJobs, writeLayout } from "./oci_layout.ts";
import { describeTree, differences, type TreeOptions } from "./tree.ts";

const PROBE = new URL("unpack_probe.ts", import.meta.url).pathname;
const V8 = "--v8-flags=--single-threaded";

const cap = new Uint8Array([1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]); // cap_net_bind_service=ep
const time = (mtime: number, mtimeNs = 0) => ({ mtime, mtimeNs });
const dir = (name: string, more: Partial<Member> = {}): Member => ({
  name,
  type: "directory",
  mode: 0o755,
  ...time(1_600_000_000, 5),
  ...more,
});
const file = (name: string, data: string, more: Partial<Member> = {}): Member => ({
  name,
  type: "file",
  data,
  ...time(1_500_000_000, 123_456_789),
  ...more,
});
/** With its file's metadata, as GNU tar writes it: podman sets what a link's header says, umoci does not. */
const hardLink = (name: string, linkname: string): Member => ({
  ...file(name, "", { uid: 65534, gid: 65534 }),
  type: "hardlink",
  linkname,
});

/** Everything that a layer may rightly hold and that unpackers get wrong. */
const NASTY: Member[] = [
  dir("./", { mode: 0o751 }),
  dir("./nasty", { mode: 0o2775, uid: 10, gid: 20, ...time(1_234_567_890, 987_654_321) }),
  file("nasty/setuid", "x", { mode: 0o4755, uid: 1, gid: 2 }),
  file("nasty/setgid", "x", { mode: 0o2711 }),
  dir("nasty/sticky", { mode: 0o1777 }),
  dir("nasty/closed", { mode: 0 }),
  file("nasty/closed/inside", "unreachable", { mode: 0 }),
  file("nasty/capable", "x", { mode: 0o755, uid: 7, xattrs: new Map([["security.capability", cap]]) }),
  file("nasty/tagged", "x", {
    xattrs: new Map(
      [["user.binary", new Uint8Array([0, 255, 10, 61, 0])], ["user.é", new Uint8Array([1])]].map(
        ([name, value]) => [byteStringOf(name as string), value as Uint8Array<ArrayBuffer>],
      ),
    ),
  }),
  dir("nasty/tagged-folder", { xattrs: new Map([["user.folder", new Uint8Array([9])]]) }),
  file("nasty/linked", "one file, three names", { uid: 65534, gid: 65534 }),
  hardLink("nasty/linked-2", "nasty/linked"),
  hardLink("nasty/sticky/linked-3", "nasty/linked-2"),
  {
    name: "nasty/symlink",
    type: "symlink",
    linkname: "../etc/passwd",
    mode: 0o777,
    uid: 3,
    gid: 4,
    ...time(99, 1),
  },
  { name: "nasty/absolute", type: "symlink", linkname: "/etc/passwd", mode: 0o777, ...time(99, 1) },
  { name: "nasty/dangling", type: "symlink", linkname: "nowhere", mode: 0o777, ...time(99, 1) },
  { name: "nasty/linked-symlink", type: "hardlink", linkname: "nasty/dangling" },
  { name: "nasty/fifo", type: "fifo", mode: 0o620, uid: 5, gid: 6, ...time(77, 7) },
  { name: "nasty/char", type: "char", mode: 0o666, devmajor: 1, devminor: 3, ...time(78) },
  { name: "nasty/block", type: "block", mode: 0o660, gid: 6, devmajor: 259, devminor: 70_000, ...time(79) },
  {
    ...file("nasty/sparse", "headmiddle"),
    size: 10_000_000,
    sparse: [{ offset: 0, length: 4 }, { offset: 5_000_000, length: 6 }],
  },
  file(`nasty/${"long-".repeat(40)}`, "a long name"),
  ...Array.from({ length: 60 }, (_, depth) => dir(`nasty/${"deep/".repeat(depth + 1)}`)),
  file(`nasty/${"deep/".repeat(60)}bottom`, "deep"),
  file(byteStringOf("nasty/ünïcödé"), "text"),
  file("nasty/latin1-\xe9", "bytes that are no UTF-8"),
  file("nasty/new\nline", "x"),
  file("nasty/late", "2242", time(8_589_934_592, 1)),
  file("nasty/empty", ""),
  file("nasty/twice", "first"),
  file("nasty/twice", "second", { mode: 0o600 }),
  file("nasty/becomes-folder", "x"),
  dir("nasty/becomes-folder", { mode: 0o711 }),
  file("nasty/becomes-folder/child", "x"),
  dir("nasty/becomes-file"),
  file("nasty/becomes-file/child", "gone"),
  file("nasty/becomes-file", "x"),
];

/** Whiteouts, opaque folders, and changes of type against the layer below. */
const UPPER: Member[] = [
  dir("nasty", { mode: 0o700, ...time(1_700_000_000) }),
  file("nasty/.wh.setuid", ""),
  file("nasty/.wh.tagged-folder", ""),
  dir("nasty/sticky", { mode: 0o1777 }),
  file("nasty/sticky/.wh..wh..opq", ""),
  file("nasty/sticky/only", "this one"),
  { name: "nasty/empty", type: "symlink", linkname: "twice", mode: 0o777, ...time(5) },
  dir("nasty/late"),
  file("nasty/late/inside", "a folder in a file's place"),
  file("nasty/becomes-folder", "a file in a folder's place"),
  file("nasty/.wh.not-there", ""),
];

async function run(command: string, args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(command, { args }).output();
  if (code !== 0) throw new Error(`${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout).trim();
}

/** Unpacks with skiff as the host's user; gives the folder of the finished tree. */
async function unpackWithSkiff(host: Host, image: BuiltImage, layout: string): Promise<string> {
  const data = `${host.home}/data`;
  await Deno.mkdir(data, { mode: 0o700 });
  await Deno.writeTextFile(`${host.folder}/jobs.json`, JSON.stringify(layoutJobs(layout, image)));
  await host.own(data);
  const { code, stderr } = await host.program([
    Deno.execPath(),
    "run",
    "-A",
    V8,
    PROBE,
    data,
    `${host.folder}/jobs.json`,
  ]);
  assertEquals([code, stderr.replace(/^(Download|Check).*\n/gm, "")], [0, ""]);
  return `${data}/flat/rootfs`;
}

/** What umoci unpacks; it keeps no time of folders whose entries a later layer changed, so neither is asked for. */
async function unpackWithUmoci(host: Host, layout: string): Promise<string> {
  await run("umoci", ["unpack", "--image", `${layout}:latest`, `${host.folder}/umoci`]);
  return `${host.folder}/umoci/rootfs`;
}

const NASTY_IMAGE = () =>
  makeImage({ layers: [{ entries: busyboxEntries() }, { tar: archiveOf(...NASTY) }] });
const WHITEOUT_IMAGE = () =>
  makeImage({
    layers: [
      { tar: archiveOf(...NASTY) },
      { tar: archiveOf(...UPPER), compression: "none" },
    ],
  });

const IMAGES: Record<string, () => Promise<BuiltImage>> = {
  "a busybox image with a nasty layer": NASTY_IMAGE,
  "whiteouts over a nasty layer": WHITEOUT_IMAGE,
  "a Debian image": async () => {
    await makeBase();
    return await debianImage(`${BASE}/fixtures`, "debian");
  },
};

for (const [what, make] of Object.entries(IMAGES)) {
  const needs = what.includes("Debian") ? ["debootstrap" as const] : [];
  const asRoot = { needs: ["root", "umoci", ...needs] as const, timeoutMs: 300_000 };

  hostTest(
    `${what}: as root the tree is umoci's`,
    { ...asRoot, needs: [...asRoot.needs], asRoot: true },
    async (host) => {
      const image = await make();
      const layout = `${host.folder}/layout`;
      await writeLayout(layout, image);
      const ours = await unpackWithSkiff(host, image, layout);
      const theirs = await unpackWithUmoci(host, layout);
      assertEquals(differences(describeTree(ours), describeTree(theirs)), []);
    },
  );

  hostTest(`${what}: as an ordinary user the tree is umoci's without devices`, {
    ...asRoot,
    needs: [...asRoot.needs, "uidmap"],
  }, async (host) => {
    const image = await make();
    const layout = `${host.folder}/layout`;
    await writeLayout(layout, image);
    const ours = await unpackWithSkiff(host, image, layout);
    const theirs = await unpackWithUmoci(host, layout);
    const withoutDevices: TreeOptions = { skip: (kind) => kind === "char" || kind === "block" };
    const uid = (one: number) => one === host.ids.uid ? 0 : one - host.ids.subuid + 1;
    const gid = (one: number) => one === host.ids.gid ? 0 : one - firstSubordinateGid() + 1;
    // The kernel notes for whom a capability is valid, which getxattr from outside shows (version 3).
    const skipXattr = (name: string) => name === "security.capability";
    const [a, b] = [
      describeTree(ours, { ...withoutDevices, uid, gid, skipXattr }),
      describeTree(theirs, { ...withoutDevices, skipXattr }),
    ];
    assertEquals(differences(a, b), []);
  });
}

/** podman refuses archives that name an entry twice, and its vfs driver copies links to symlinks apart. */
const withoutTwice = (members: Member[]) =>
  members.filter(({ name }) => !/^nasty\/(becomes-.*|twice|linked-symlink)$/.test(name));

hostTest("whiteouts over a nasty layer: as root the tree is podman's", {
  needs: ["root", "podman"],
  asRoot: true,
  timeoutMs: 300_000,
}, async (host) => {
  const image = await makeImage({
    layers: [
      { entries: busyboxEntries() },
      { tar: archiveOf(...withoutTwice(NASTY)), compression: "zstd" },
      { tar: archiveOf(...withoutTwice(UPPER)) },
    ],
  });
  const layout = `${host.folder}/layout`;
  await writeLayout(layout, image);
  const ours = await unpackWithSkiff(host, image, layout);
  // vfs keeps the tree as a plain folder; a mount namespace of its own keeps podman's mounts off the machine.
  const { code, stdout, stderr } = await host.sh(
    `set -e
    podman() { /usr/bin/podman --root ${host.folder}/p --runroot ${host.folder}/r --storage-driver vfs "$@"; }
    podman image mount "$(podman pull -q oci:${layout}:latest | tail -1)"`,
    { timeoutMs: 120_000 },
  );
  assertEquals([code, code === 0 ? "" : stderr], [0, ""]);
  // podman keeps nothing of the root folder's own entry.
  const [a, b] = [describeTree(ours, { root: false }), describeTree(stdout.trim(), { root: false })];
  assertEquals(differences(a, b), []);
});

function firstSubordinateGid(): number {
  const line = Deno.readTextFileSync("/etc/subgid").split("\n").find((one) =>
    one.startsWith(`${TEST_USER}:`)
  );
  return Number(line?.split(":")[1]);
}
