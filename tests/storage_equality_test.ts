/**
 * The unpacked tree beside what umoci and podman make of the same image: mode, owner, times, links, devices,
 * extended attributes and content of every entry.
 */
import { archiveOf, type Member } from "../runtime/archive/tar/testing.ts";
import { debianImage } from "./debian.ts";
import { BASE, makeBase } from "./fixtures.ts";
import { assertEquals, type Host, hostTest } from "./harness.ts";
import { type BuiltImage, busyboxEntries, makeImage } from "./images.ts";
import { NASTY, NASTY_IMAGE, UPPER, WHITEOUT_IMAGE } from "./nasty_image.ts";
import { TEST_USER } from "./needs.ts";
import { layoutJobs, writeLayout } from "./oci_layout.ts";
import { describeTree, differences, type TreeOptions } from "./tree.ts";

const PROBE = new URL("unpack_probe.ts", import.meta.url).pathname;
const V8 = "--v8-flags=--single-threaded";

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
