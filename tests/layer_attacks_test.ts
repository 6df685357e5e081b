/**
 * Attacks by layers (ATTACKS 13: names, links, modes, marks; 23: bombs; and content that is not what it is
 * called). Each escape has a control: the same archive, unpacked trustingly, reaches the canary.
 */
import { byteStringOf } from "../runtime/archive/byte_string.ts";
import { archiveOf, join, type Member, rawHeader } from "../runtime/archive/tar/testing.ts";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { lgetxattr } from "../ffi/xattr.ts";
import { assert, assertEquals, assertIncludes } from "./assertions.ts";
import { sha256 } from "./images.ts";
import { type LayerRig, layerTest } from "./layer_rig.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const file = (name: string, data = "overwritten", more: Partial<Member> = {}): Member => ({
  name,
  type: "file",
  mode: 0o644,
  data,
  ...more,
});
const folder = (name: string, more: Partial<Member> = {}): Member => ({
  name,
  type: "directory",
  mode: 0o755,
  ...more,
});
const symlink = (name: string, linkname: string, more: Partial<Member> = {}): Member => ({
  name,
  type: "symlink",
  linkname,
  mode: 0o777,
  ...more,
});
const hardlink = (name: string, linkname: string): Member => ({
  name,
  type: "hardlink",
  linkname,
  mode: 0o666,
});

/** Archives that write where they must not, and what skiff says. `null`: it is unpacked, but within the root. */
interface Escape {
  members: (rig: LayerRig) => Member[];
  says: string | null;
  /** Where tar itself is careful: a shell command, in the trusting unpacker's root, that does what others did. */
  control?: (rig: LayerRig) => string;
}

const ESCAPES: Record<string, Escape> = {
  "a name that climbs": {
    members: () => [file("../outside/canary")],
    says: 'VerificationError: unpack layer entry "../outside/canary": its name contains ..',
  },
  "a name that climbs behind a folder": {
    members: () => [folder("a"), file("a/../../outside/canary")],
    says: 'VerificationError: unpack layer entry "a/../../outside/canary": its name contains ..',
  },
  "an absolute name among others": {
    members: (rig) => [folder("a"), file(rig.canary)],
    says: "an absolute name among relative ones",
  },
  "nothing but absolute names": {
    members: (rig) => [file(rig.canary)],
    says: null,
  },
  "a parent that is an absolute link": {
    members: (rig) => [symlink("out", `${rig.dir}/outside`), file("out/canary")],
    says: 'VerificationError: unpack layer entry "out": it is no folder, but entries lie below it',
  },
  "a parent that is an absolute link, its target made in the layer": {
    members: (rig) => [
      ...rig.dir.slice(1).split("/").map((_, index, parts) => folder(parts.slice(0, index + 1).join("/"))),
      folder(`${rig.dir.slice(1)}/outside`),
      symlink("out", `${rig.dir}/outside`),
      file("out/canary"),
    ],
    says: null,
  },
  "a parent that is a climbing link": {
    members: () => [symlink("out", "../outside"), file("out/canary")],
    says: 'VerificationError: unpack layer entry "out": its target ../outside climbs out of the root',
  },
  "a link in a file's place": {
    members: (rig) => [symlink("victim", rig.canary), file("victim")],
    says: null,
    control: (rig) => `ln -sf ${rig.canary} victim; echo overwritten >victim`,
  },
  "a folder that becomes a link between its entries": {
    members: (rig) => [
      folder("d", { mode: 0o700, mtime: 7 }),
      folder("d/folder", { mode: 0o700, mtime: 7 }),
      symlink("d", `${rig.dir}/outside`),
      file("d/canary"),
    ],
    says: 'VerificationError: unpack layer entry "d": it is no folder, but entries lie below it',
    // Metadata of folders is set at the end: by path it would go through the link.
    control: (rig) => `rm -rf d; ln -s ${rig.dir}/outside d; chmod 700 d/folder`,
  },
  "a hard link out by name, then written": {
    members: () => [hardlink("h", "../outside/canary"), file("h")],
    says: 'VerificationError: unpack layer entry "../outside/canary": its name contains ..',
  },
  "a hard link out by an absolute name": {
    members: (rig) => [hardlink("h", rig.canary), file("h", "x", { mode: 0o600 })],
    says: "is not in the layer",
  },
  "a hard link out through a link": {
    members: (rig) => [symlink("out", `${rig.dir}/outside`), hardlink("h", "out/canary"), file("h")],
    says: "it is no folder, but entries lie below it",
  },
};

const reaches = (rig: LayerRig, before: string[]) => JSON.stringify(rig.outside()) !== JSON.stringify(before);

for (const [what, { members, says, control }] of Object.entries(ESCAPES)) {
  layerTest(`no escape by ${what}`, async (rig) => {
    const archive = archiveOf(...members(rig));
    const before = rig.outside();
    if (says === null) await rig.unpack(archive);
    else assertIncludes(await rig.refusal(archive), says);
    assertEquals(rig.outside(), before);
    const cwd = await rig.unpackTrustingly(archive);
    if (control !== undefined) await new Deno.Command("sh", { args: ["-c", control(rig)], cwd }).output();
    assert(reaches(rig, before), "the control does not reach the canary: the attack is not live");
  });
}

layerTest("names and targets of pax records are checked like those of headers", async (rig) => {
  const before = rig.outside();
  // Longer than 100 bytes: the writer has to put them into pax records, behind a harmless short name.
  const long = `${"a/".repeat(60)}../`.repeat(1) + "../".repeat(60) + "outside/canary";
  const archive = archiveOf(folder("a"), file(long));
  assertIncludes(await rig.refusal(archive), "its name contains ..");
  const target = "./".repeat(60) + "../outside";
  assertIncludes(
    await rig.refusal(archiveOf(symlink("out", target), file("out/canary"))),
    "climbs out of the root",
  );
  await rig.unpackTrustingly(archiveOf(symlink("out", target), file("out/canary")));
  assert(reaches(rig, before), "the control does not reach the canary");
});

layerTest("modes, owners, times and attributes are never set through a link", async (rig) => {
  const before = rig.outside();
  const more = { mode: 0o4777, uid: 1234, gid: 1234, mtime: 99 };
  const xattrs = new Map([["trusted.mark", new Uint8Array([1])]]);
  const root = await rig.unpack(archiveOf(
    symlink("link", rig.canary, { ...more, xattrs }),
    hardlink("linked-link", "link"),
  ));
  assertEquals(rig.outside(), before);
  const info = Deno.lstatSync(`${root}/link`);
  assertEquals([info.isSymlink, info.uid, info.mtime!.getTime()], [true, 1234, 99_000]);
  // The control: what follows the link does reach the canary.
  Deno.chmodSync(`${root}/link`, 0o777);
  assert(reaches(rig, before), "the link does not lead to the canary");
});

layerTest("whiteouts and opaque marks do not reach through links", async (rig) => {
  const before = rig.outside();
  for (const name of ["out/.wh.canary", "out/.wh..wh..opq"]) {
    const archive = archiveOf(symlink("out", `${rig.dir}/outside`), file(name, ""));
    assertIncludes(await rig.refusal(archive), "it is no folder, but entries lie below it");
    assertEquals(rig.outside(), before);
    await rig.unpackTrustingly(archive);
    assert(reaches(rig, before), "the control does not reach the folder");
    for (const left of [".wh.canary", ".wh..wh..opq"]) {
      await Deno.remove(`${rig.dir}/outside/${left}`).catch(() => {});
    }
    before.splice(0, before.length, ...rig.outside());
  }
});

layerTest("odd whiteout names are refused, and hide nothing", async (rig) => {
  for (const name of [".wh.", ".wh..", ".wh...", "a/.wh..", ".wh.a/b"]) {
    assertIncludes(await rig.refusal(archiveOf(file(name, ""))), "unpack layer entry");
  }
  assertIncludes(await rig.refusal(archiveOf(folder(".wh.folder"))), "a whiteout that is a folder");
  const root = await rig.unpack(
    archiveOf(file(".wh..wh.plnk", ""), file(".wh..wh.aufs/x", ""), file("kept")),
  );
  assertEquals([...Deno.readDirSync(root)].map(({ name }) => name), ["kept"]);
});

layerTest("a layer cannot bring marks that steer the overlay", async (rig) => {
  for (
    const name of [
      "trusted.overlay.redirect",
      "user.overlay.redirect",
      "trusted.overlay.opaque",
      "user.fuseoverlayfs.opaque",
    ]
  ) {
    const value = new TextEncoder().encode("/etc");
    const archive = archiveOf(folder("d", { xattrs: new Map([[byteStringOf(name), value]]) }));
    assertIncludes(
      await rig.refusal(archive),
      `its extended attribute ${name} steers the overlay file system`,
    );
    const control = await rig.unpackTrustingly(archive);
    assertEquals(lgetxattr(`${control}/d`, name), value);
  }
});

layerTest("ids that mean something else to the kernel are refused", async (rig) => {
  assertIncludes(await rig.refusal(archiveOf(file("a", "x", { uid: 0xffffffff }))), "is no valid id");
  assertIncludes(await rig.refusal(archiveOf(file("a", "x", { gid: 2 ** 32 }))), "is no valid id");
});

layerTest("unknown types, nameless entries and names too long are refused", async (rig) => {
  const end = new Uint8Array(1024);
  assertIncludes(await rig.refusal(join([rawHeader({ 0: "a", 156: "Z" }), end])), 'unknown type "Z"');
  assertIncludes(await rig.refusal(join([rawHeader({ 156: "0" }), end])), "it has no name");
  assertIncludes(await rig.refusal(archiveOf(file("n".repeat(256)))), "longer than 255 bytes");
  assertIncludes(await rig.refusal(archiveOf(file("n/".repeat(2100) + "x"))), "longer than 4095 bytes");
});

layerTest("control characters of a name do not reach the terminal", async (rig) => {
  const message = await rig.refusal(archiveOf(file("\x1b]0;title\x07/../x")));
  assertIncludes(message, '"\\x1b]0;title\\x07/../x"');
});

// Content that is not what it is called.

const HELLO = archiveOf(file("hello", "hello"));
const gzip = (bytes: Bytes) => new Uint8Array(gzipSync(bytes)) as Bytes;
const zstd = (bytes: Bytes) => new Uint8Array(zstdCompressSync(bytes)) as Bytes;
const ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd";
const PLAIN = "application/vnd.oci.image.layer.v1.tar";

layerTest("wrong digests, sizes and diff ids are refused, whatever the packing", async (rig) => {
  const other = await sha256(new Uint8Array(1)) as never;
  for (const [mediaType, blob] of [[PLAIN, HELLO], [ZSTD, zstd(HELLO)], [undefined, gzip(HELLO)]] as const) {
    const job = { blob, ...(mediaType === undefined ? {} : { mediaType }) };
    await rig.unpack(HELLO, job);
    await rig.clear();
    assertIncludes(await rig.refusal(HELLO, { ...job, digest: other }), "its digest is sha256:");
    assertIncludes(await rig.refusal(HELLO, { ...job, diffId: other }), "its content has diff id sha256:");
    for (const size of [blob.length - 1, blob.length + 1]) {
      const message = await rig.refusal(HELLO, { ...job, size });
      assertIncludes(message, `it has ${blob.length} bytes instead of ${size}`);
    }
  }
});

layerTest("truncated blobs are refused, even with digests to match", async (rig) => {
  const says = { gzip: "truncated gzip stream", zstd: "truncated zstd stream", plain: "truncated archive" };
  assertIncludes(await rig.refusal(HELLO, { blob: gzip(HELLO).slice(0, -9) }), says.gzip);
  assertIncludes(await rig.refusal(HELLO, { blob: zstd(HELLO).slice(0, -2), mediaType: ZSTD }), says.zstd);
  const cut = HELLO.slice(0, 515);
  assertIncludes(await rig.refusal(cut, { blob: cut, mediaType: PLAIN }), says.plain);
});

layerTest("data behind the end is refused, even with digests to match", async (rig) => {
  const extra = new TextEncoder().encode("extra");
  assertIncludes(
    await rig.refusal(HELLO, { blob: join([gzip(HELLO), extra]) }),
    "data after the end of the gzip stream",
  );
  assertIncludes(
    await rig.refusal(HELLO, { blob: join([zstd(HELLO), extra]), mediaType: ZSTD }),
    "data after the end of the zstd stream",
  );
  assertIncludes(await rig.refusal(join([HELLO, extra])), "data after the end of the archive");
});

layerTest("a blob in another packing than its media type says is refused", async (rig) => {
  assertIncludes(await rig.refusal(HELLO, { blob: HELLO }), "not a gzip stream");
  assertIncludes(await rig.refusal(HELLO, { blob: gzip(HELLO), mediaType: ZSTD }), "not a zstd stream");
  assertIncludes(await rig.refusal(HELLO, { blob: gzip(HELLO), mediaType: PLAIN }), "VerificationError");
  assertIncludes(await rig.refusal(HELLO, { mediaType: "text/plain" }), "unknown media type text/plain");
});

// Bombs: memory, disk and time stay bounded.

/** A tar whose one file is `size` zeros, as gzip or zstd makes it tiny. */
function zeros(size: number): Bytes {
  return archiveOf({ name: "zeros", type: "file", mode: 0o644, data: new Uint8Array(size) });
}

layerTest("what unpacks to more than the limit is stopped there and leaves nothing", async (rig) => {
  const bomb = zeros(300 << 20);
  for (const job of [{ blob: gzip(bomb) }, { blob: zstd(bomb), mediaType: ZSTD }]) {
    assert(job.blob.length < 1 << 20, "no bomb");
    const limitBytes = 32 << 20;
    const start = performance.now();
    const message = await rig.refusal(bomb, { ...job, limitBytes });
    assertIncludes(message, `it unpacks to more than the limit of ${limitBytes} bytes`);
    assert(performance.now() - start < 60_000, "it took longer than a minute");
    // The control: without the limit it does unpack to all of that.
    const root = await rig.unpack(bomb, job);
    assertEquals(Deno.statSync(`${root}/zeros`).size, 300 << 20);
    await rig.clear();
  }
});

layerTest("a zstd window of 2 TiB is refused before memory is taken", async (rig) => {
  const frame = new Uint8Array([0x28, 0xb5, 0x2f, 0xfd, 0, 0xf8, 1, 0, 0]);
  const message = await rig.refusal(HELLO, { blob: frame, mediaType: ZSTD });
  assertIncludes(message, "zstd window of 2199023255552 bytes is larger than 134217728");
});

layerTest(
  "a sparse file of a terabyte takes no disk, one past the file system's limit is refused",
  async (rig) => {
    const sparse = (size: number) =>
      archiveOf({
        name: "s",
        type: "file",
        mode: 0o644,
        size,
        sparse: [{ offset: 0, length: 1 }],
        data: "x",
      });
    const root = await rig.unpack(sparse(2 ** 40));
    const info = Deno.statSync(`${root}/s`);
    assertEquals([info.size, info.blocks! <= 16], [2 ** 40, true]);
    await rig.clear();
    assertIncludes(await rig.refusal(sparse(2 ** 52)), 'unpack layer entry "s": ftruncate: File too large');
  },
);

layerTest("giant extended headers are refused", async (rig) => {
  const archive = join([rawHeader({ 0: "x", 124: "00077777777\0", 156: "x" }), new Uint8Array(1024)]);
  assertIncludes(await rig.refusal(archive), "extended header of 16777215 bytes is too large");
});

layerTest("a large layer is unpacked in bounded memory", async (rig) => {
  const tar = zeros(400 << 20);
  const blob = zstd(tar);
  const blobFile = `${rig.dir}/blob`;
  await Deno.writeFile(blobFile, blob);
  const job = { digest: await sha256(blob), size: blob.length, mediaType: ZSTD, diffId: await sha256(tar) };
  await Deno.writeTextFile(
    `${rig.dir}/jobs.json`,
    JSON.stringify([{ ...job, blobFile, limitBytes: 2 ** 32 }]),
  );
  // In a process of its own: a child of this one would have all of this one's memory.
  const probe = new URL("unpack_probe.ts", import.meta.url).pathname;
  let peakKib = 0;
  // again where we slept all the while
  for (let round = 0; peakKib === 0 && round < 10; round++) {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--v8-flags=--single-threaded", probe],
        ...[`${rig.dir}/data${round}`, `${rig.dir}/jobs.json`],
      ],
      stdout: "null",
    }).spawn();
    const watch = setInterval(() => peakKib = Math.max(peakKib, privateMemoryOf(rig.dir)), 20);
    assertEquals((await child.status).code, 0);
    clearInterval(watch);
  }
  assert(peakKib > 0 && peakKib < 150 << 10, `the processes took ${peakKib} KiB`);
});

/** Private_Dirty of the largest process that names the folder, in KiB. */
function privateMemoryOf(dir: string): number {
  let largest = 0;
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^[0-9]+$/.test(name) || Number(name) === Deno.pid) continue;
    try {
      if (!Deno.readTextFileSync(`/proc/${name}/cmdline`).includes(dir)) continue;
      const rollup = Deno.readTextFileSync(`/proc/${name}/smaps_rollup`);
      largest = Math.max(largest, Number(/^Private_Dirty:\s+([0-9]+)/m.exec(rollup)?.[1] ?? 0));
    } catch {
      // It has ended.
    }
  }
  return largest;
}
