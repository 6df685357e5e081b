/** What a container sees of an image's layers through each storage driver. */
import { archiveOf } from "../runtime/archive/tar/testing.ts";
import { assert, assertEquals, driverTest } from "./harness.ts";
import { type BuiltImage, busyboxEntries, makeImage } from "./images.ts";
import { NASTY, UPPER } from "./nasty_image.ts";
import { writeLayout } from "./oci_layout.ts";

/**
 * One line an entry: mode, owner, size of files, links, times, type, name with the link's target, then digests.
 * The name with a newline goes first: no list of lines can hold it. umoci keeps no time of folders whose entries a later layer changed, and rootless nobody makes devices.
 */
const LISTING = `cd /nasty
rm -f new*
find . ! -type b ! -type c | LC_ALL=C sort | while IFS= read -r path; do
  if [ -d "$path" ]; then stat -c "%A %u %g %F %N" "$path"
  else stat -c "%A %u %g %s %Y %F %N" "$path"; fi
done
find . -type f | LC_ALL=C sort | while IFS= read -r path; do sha256sum "$path"; done`;

const LAYERED_IMAGE = () =>
  makeImage({
    layers: [{ entries: busyboxEntries() }, { tar: archiveOf(...NASTY) }, { tar: archiveOf(...UPPER) }],
  });

/** What the same script prints in the tree that umoci makes. */
async function expected(folder: string, image: BuiltImage): Promise<string> {
  const layout = `${folder}/layout`;
  await writeLayout(layout, image);
  const run = async (command: string, args: string[]) => {
    const { code, stdout, stderr } = await new Deno.Command(command, { args }).output();
    assertEquals([code, code === 0 ? "" : new TextDecoder().decode(stderr)], [0, ""], command);
    return new TextDecoder().decode(stdout);
  };
  await run("umoci", ["unpack", "--image", `${layout}:latest`, `${folder}/umoci`]);
  return await run("chroot", [`${folder}/umoci/rootfs`, "/bin/sh", "-c", LISTING]);
}

driverTest("a container's tree is umoci's, whiteouts and all", {
  needs: ["registry", "busybox", "umoci", "root", "uidmap"],
}, async (host) => {
  const image = await LAYERED_IMAGE();
  const reference = await host.makeImage(image);
  const { code, stdout, stderr } = await host.run("--rm", reference, "sh", "-c", LISTING);
  assertEquals(code, 0, stderr);
  const want = await expected(host.folder, image);
  assert(want.split("\n").length > 100, "the control lists the tree");
  assertEquals(stdout.split("\n"), want.split("\n"));
});

driverTest("what a container removes, replaces and adds leaves the image and other containers alone", {
  needs: ["registry", "busybox", "uidmap"],
}, async (host) => {
  const reference = await host.makeImage(await LAYERED_IMAGE());
  const list = async (
    ...more: string[]
  ) => (await host.ok(
    "run",
    "--rm",
    "--network",
    "none",
    reference,
    "sh",
    "-c",
    [...more, LISTING].join("\n"),
  ));
  const before = await list();
  const change = `cd /nasty
    rm -r sticky deep && mkdir deep && echo new > deep/file
    mv symlink moved && ln linked linked-again && chmod 4711 capable && chown 77:88 sparse
    rm -f absolute && mkdir absolute && echo more >> sparse`;
  const id = await host.ok("run", "-d", "--network", "none", reference, "sh", "-c", `${change}; echo done`);
  assertEquals(await host.ok("wait", id), "0");
  assertEquals(await host.ok("logs", id), "done");
  assert(await list(change, "cd /") !== before, "the control sees a change");
  assertEquals(await list(), before);
});
