/** `system check`: what was changed in an unpacked layer or a blob is found, and mended where the blob is whole. */
import { archiveOf } from "../runtime/archive/tar/testing.ts";
import {
  assert,
  assertEquals,
  assertIncludes,
  assertMatch,
  type Host,
  hostTest,
  type Need,
} from "./harness.ts";
import { busyboxEntries, makeImage } from "./images.ts";
import { NASTY, UPPER } from "./nasty_image.ts";

const NEEDS: Need[] = ["root", "registry", "busybox", "uidmap"];

async function pulled(host: Host): Promise<{ image: string; diffIds: string[]; blobs: string[] }> {
  const built = await makeImage({
    layers: [{ entries: busyboxEntries() }, { tar: archiveOf(...NASTY) }, { tar: archiveOf(...UPPER) }, {
      entries: [
        { path: "etc/changed", content: "as it was\n" },
        { path: "etc/mode", content: "x", mode: 0o4755, uid: 7, gid: 8 },
        { path: "etc/owner", content: "x" },
        { path: "etc/gone", content: "x" },
        { path: "etc/kind", content: "x" },
        { path: "etc/shorter", content: "longer" },
        { path: "etc/link", link: "changed" },
        { path: "etc/folder/", mode: 0o750 },
      ],
    }],
  });
  const image = await host.makeImage(built);
  await host.ok("pull", "-q", image);
  const layers = JSON.parse(built.manifest).layers as { digest: string }[];
  return {
    image,
    diffIds: built.diffIds.map((id) => id.slice(7)),
    blobs: layers.map(({ digest }) => `${host.data}/blobs/sha256/${digest.slice(7)}`),
  };
}

/** Where a file of the topmost layer lies. */
function inTopLayer(host: Host, diffIds: readonly string[], path: string): string {
  return `${host.data}/layers/${diffIds.at(-1)}/full/${path}`;
}

/** One of everything that can be wrong, without a new time of change where that can be. */
async function damage(host: Host, diffIds: readonly string[]): Promise<void> {
  const at = (path: string) => inTopLayer(host, diffIds, `etc/${path}`);
  await Deno.writeTextFile(at("changed"), "is it now\n");
  await Deno.chmod(at("mode"), 0o755);
  await Deno.chown(at("owner"), host.ids.subuid + 41, host.ids.subuid + 41);
  await Deno.remove(at("gone"));
  await Deno.remove(at("kind"));
  await Deno.mkdir(at("kind"));
  await Deno.writeTextFile(at("shorter"), "long");
  await Deno.remove(at("link"));
  await Deno.symlink("/etc/shadow", at("link"));
  await Deno.writeTextFile(at("folder/added"), "");
}

const PROBLEMS = [
  "/etc/changed: its content was changed",
  "/etc/folder/added: it was added",
  "/etc/gone: it is missing",
  "/etc/kind: it is of another kind",
  "/etc/link: it points at /etc/shadow",
  "/etc/link: its owner is 65534:65534, not 0:0",
  "/etc/mode: its mode is 0755, not 04755",
  "/etc/owner: its owner is 42:42, not 0:0",
  "/etc/shorter: it has 4 bytes instead of 6",
];

hostTest(
  "system check finds every kind of change in a layer, and mends it",
  { needs: NEEDS },
  async (host) => {
    const { image, diffIds } = await pulled(host);
    const whole = await host.skiff(["system", "check"]);
    assertEquals([whole.code, whole.stdout, whole.stderr], [0, "", ""]);
    await damage(host, diffIds);
    const quick = await host.skiff(["system", "check", "--quick"]);
    assertEquals([quick.code, quick.stdout], [0, ""], "the control: what is there and how large cannot tell");

    const found = await host.skiff(["system", "check"]);
    assertEquals([found.code, found.stderr], [
      125,
      "Error: damage detected in local storage\nuse --repair to mend or remove it\n",
    ]);
    const [title, ...problems] = found.stdout.trimEnd().split("\n").map((line) => line.trim());
    assertEquals(title, `Damaged layer ${diffIds.at(-1)!.slice(0, 12)}:`);
    assertEquals(problems.sort(), PROBLEMS);

    // a container that runs with it is left alone, one that does not is not touched
    const id = await host.ok("run", "-d", "--network", "none", image, "sleep", "600");
    const left = await host.skiff(["system", "check", "--repair"]);
    assertEquals([left.code, left.stderr], [
      125,
      "Error: damage detected in local storage\nuse --force for what containers use\n",
    ]);
    await host.ok("stop", "-t", "0", id);
    const mended = await host.skiff(["system", "check", "--repair"]);
    assertEquals([mended.code, mended.stderr], [0, ""]);
    assertMatch(mended.stdout, / {2}unpacked again\n$/);
    assertEquals((await host.skiff(["system", "check"])).stdout, "");
    const read = await host.run(
      "--rm",
      image,
      "sh",
      "-c",
      "cat /etc/changed; stat -c %a:%u:%g /etc/mode; readlink /etc/link",
    );
    assertEquals(read.stdout, "as it was\n4755:7:8\nchanged\n");
    await host.ok("start", id);
    assertEquals(await host.ok("exec", id, "cat", "/etc/changed"), "as it was");
  },
);

hostTest("system check removes an image whose blob is damaged, with --force its containers", {
  needs: NEEDS,
}, async (host) => {
  const { image, blobs } = await pulled(host);
  const id = await host.ok("create", "--network", "none", image, "true");
  const file = blobs[0]!;
  const bytes = await Deno.readFile(file);
  bytes[bytes.length >> 1]! ^= 0x40;
  await Deno.writeFile(file, bytes);
  const found = await host.skiff(["system", "check", "-r"]);
  assertEquals(found.code, 125);
  assertMatch(
    found.stdout,
    /^Damaged image [0-9a-f]{12} \(.*\):\n {2}layer sha256:[0-9a-f]{64}: its content was changed\n$/,
  );
  assertEquals(await host.ok("ps", "-aq", "--no-trunc"), id);
  const removed = await host.skiff(["system", "check", "-r", "-f"]);
  assertEquals([removed.code, removed.stderr], [0, ""], removed.stdout);
  assertIncludes(removed.stdout, "  removed, pull it again\n");
  assertEquals([await host.ok("ps", "-aq"), await host.ok("images", "-q")], ["", ""]);
  assertEquals((await host.skiff(["system", "check"])).code, 0);
  await host.ok("pull", "-q", image);
  assertEquals((await host.run("--rm", image, "true")).code, 0);
});

hostTest("system check finds what is missing at a glance, and content that no image has", {
  needs: NEEDS,
}, async (host) => {
  const { diffIds, blobs } = await pulled(host);
  await Deno.remove(`${host.data}/layers/${diffIds[0]}`, { recursive: true });
  await Deno.truncate(blobs.at(-1)!, 10);
  const stray = `${host.data}/blobs/sha256/${"0".repeat(64)}`;
  await Deno.writeTextFile(stray, "stray");
  await host.own(stray);
  const { code, stdout } = await host.skiff(["system", "check", "-q"]);
  assertEquals(code, 125);
  assertIncludes(stdout, `Damaged layer ${diffIds[0]!.slice(0, 12)}:\n  it is not unpacked\n`);
  assertIncludes(stdout, "is missing or has another size");
  assert(!stdout.includes(stray), "it may be of a pull on its way");
  const all = await host.skiff(["system", "check", "-q", "-m", "0s", "-r"]);
  assertIncludes(all.stdout, `Damaged content ${stray}:\n  no image refers to it\n  removed\n`);
  assertEquals(await Deno.stat(stray).catch(() => "gone"), "gone");
  const invalid = await host.skiff(["system", "check", "-m", "soon"]);
  assertEquals([invalid.code, invalid.stderr], [
    125,
    'Error: invalid argument "soon" for "-m, --max" flag: time: invalid duration "soon"\n',
  ]);
});
