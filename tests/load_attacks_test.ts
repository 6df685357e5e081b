/** Hostile archives and folders for `load` (CVE-2023-0778 and its family): each beside a control that loads. */
import { busyboxEntries, type Entry, makeImage, makeTar, sha256 } from "./images.ts";
import { assertEquals, assertIncludes, assertMatch, type Host, hostTest } from "./harness.ts";
import { writeLayout } from "./oci_layout.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const hex = (digest: string) => digest.slice("sha256:".length);

/** Nothing of a refused archive stays: no row, blob, layer or file that was spooled. */
async function assertEmptyStore(host: Host, what: string): Promise<void> {
  assertEquals(await host.ok("images", "-q"), "", what);
  for (const folder of ["blobs/sha256", "blobs/sha512", "blobs/partial", "layers"]) {
    const left = [...Deno.readDirSync(`${host.data}/${folder}`)].map(({ name }) => name);
    assertEquals(left, [], `${what} left something in ${folder}`);
  }
}

interface Archive {
  entries: Entry[];
  layer: Uint8Array<ArrayBuffer>;
  config: Uint8Array<ArrayBuffer>;
}

/** A docker-archive that loads, to be changed in one place. */
async function goodArchive(): Promise<Archive> {
  const layer = makeTar([{ path: "etc/", mode: 0o755 }, { path: "etc/motd", content: "hello\n" }]);
  const config = encode(JSON.stringify({
    architecture: Deno.build.arch === "x86_64" ? "amd64" : "arm64",
    os: "linux",
    config: {},
    rootfs: { type: "layers", diff_ids: [await sha256(layer)] },
  }));
  return {
    layer,
    config,
    entries: [
      { path: "layer.tar", content: layer },
      { path: "config.json", content: config },
      { path: "manifest.json", content: JSON.stringify([manifestOf({})]) },
    ],
  };
}

function manifestOf(changes: Record<string, unknown>): Record<string, unknown> {
  return { Config: "config.json", RepoTags: ["evil:1"], Layers: ["layer.tar"], ...changes };
}

/** The archive with another manifest.json. */
function withManifest({ entries }: Archive, manifest: unknown): Uint8Array<ArrayBuffer> {
  return makeTar([...entries.slice(0, 2), {
    path: "manifest.json",
    content: typeof manifest === "string" ? manifest : JSON.stringify(manifest),
  }]);
}

hostTest("no name or link in an archive leads out of it", {}, async (host) => {
  const good = await goodArchive();
  const canary = `${host.home}/canary`;
  await Deno.writeFile(canary, good.layer);
  await host.own(canary);
  const load = async (bytes: Uint8Array, input: "file" | "stdin" = "file") => {
    await Deno.writeFile(`${host.home}/a.tar`, bytes);
    return input === "file"
      ? await host.skiff(["load", "-q", "-i", "a.tar"])
      : await host.sh("cat a.tar | $SKIFF load -q");
  };
  // control: the canary is a layer that fits, readable for us, and the archive loads when it is inside
  assertEquals((await load(makeTar(good.entries))).stdout, "Loaded image: docker.io/library/evil:1\n");
  await host.ok("rmi", "-a");

  const names = [canary, `../${"../".repeat(10)}${canary.slice(1)}`, "../canary", "/proc/self/cwd/canary"];
  for (const input of ["file", "stdin"] as const) {
    for (const name of names) {
      const { code, stdout, stderr } = await load(
        withManifest(good, [manifestOf({ Layers: [name] })]),
        input,
      );
      assertEquals([code, stdout], [125, ""], `${name} as a layer: ${stderr}`);
      assertIncludes(stderr, "is not in it");
      const config = await load(withManifest(good, [manifestOf({ Config: name })]), input);
      assertEquals([config.code, config.stdout], [125, ""], `${name} as the config: ${config.stderr}`);

      // a member that is a link there, and one of that very name
      for (const type of ["symlink", "hardlink"] as const) {
        const linked = await load(
          makeTar([{ path: "layer.tar", type, link: name }, ...good.entries.slice(1)]),
          input,
        );
        assertEquals([linked.code, linked.stdout], [125, ""], `${type} to ${name}: ${linked.stderr}`);
      }
      const named = makeTar([...good.entries, { path: name, content: "overwritten" }]);
      assertEquals((await load(named, input)).code, 0);
      await host.ok("rmi", "-a");
    }
    await assertEmptyStore(host, input);
    assertEquals(await sha256(await Deno.readFile(canary)), await sha256(good.layer));
  }
  // control: links within the archive are followed
  for (const type of ["symlink", "hardlink"] as const) {
    const linked = makeTar([
      { path: "x/real", content: good.layer },
      { path: "y/link", type, link: type === "symlink" ? "../x/./real" : "x/real" },
      { path: "layer.tar", link: "y/link" },
      ...good.entries.slice(1),
    ]);
    assertEquals((await load(linked)).code, 0, type);
    await host.ok("rmi", "-a");
  }
  const loop = await load(
    makeTar([{ path: "layer.tar", link: "b" }, { path: "b", link: "layer.tar" }, ...good.entries.slice(1)]),
  );
  assertEquals(loop.code, 125);
  assertIncludes(loop.stderr, "layer.tar is not in it");
});

hostTest("a layout's files are its own", { needs: ["busybox"] }, async (host) => {
  const image = await makeImage({ layers: [{ entries: busyboxEntries() }] });
  const layout = `${host.home}/layout`;
  await writeLayout(layout, image);
  const [layerDigest] = [...image.blobs.keys()];
  const blob = `${layout}/blobs/sha256/${hex(layerDigest!)}`;
  const outside = `${host.home}/outside`;
  await Deno.rename(blob, outside);
  const load = () => host.skiff(["load", "-q", "-i", layout]);

  for (const target of [outside, "../../../outside"]) {
    await Deno.symlink(target, blob);
    const { code, stderr } = await load();
    assertEquals(code, 125);
    assertMatch(stderr, /: blobs\/sha256\/[0-9a-f]{64} is a link that leads out of it\n/);
    await Deno.remove(blob);
  }
  // control: the same file, linked within
  await Deno.copyFile(outside, `${layout}/blobs/inside`);
  await Deno.symlink("../inside", blob);
  assertEquals((await load()).code, 0);
  await host.ok("rmi", "-a");
  await Deno.remove(blob);

  // neither a pipe that nobody writes to nor a device holds us up
  await new Deno.Command("mkfifo", { args: [blob] }).output();
  const pipe = await host.skiff(["load", "-q", "-i", layout], { timeoutMs: 120_000 });
  assertEquals(pipe.code, 125);
  assertIncludes(pipe.stderr, "is no plain file");
  await Deno.remove(blob);
  await Deno.rename(outside, blob);
  await Deno.rename(`${layout}/index.json`, outside);
  await Deno.symlink("/dev/zero", `${layout}/index.json`);
  assertEquals((await load()).code, 125);
  await assertEmptyStore(host, "a layout");
});

hostTest(
  "load takes nothing whose digest or size is another",
  { needs: ["busybox", "zstd"] },
  async (host) => {
    const image = await makeImage({
      layers: [{ entries: busyboxEntries() }],
      config: { Labels: { a: "b" } },
    });
    const layout = `${host.home}/layout`;
    await writeLayout(layout, image);
    const blobs = `${layout}/blobs/sha256`;
    const flip = async (path: string, at: number) => {
      const bytes = await Deno.readFile(path);
      bytes[at < 0 ? bytes.length + at : at]! ^= 1;
      await Deno.writeFile(path, bytes);
    };
    const { layers } = JSON.parse(image.manifest);
    const files = {
      layer: `${blobs}/${hex(layers[0].digest)}`,
      config: `${blobs}/${hex(image.configDigest)}`,
      manifest: `${blobs}/${hex(image.digest)}`,
    };
    for (const [what, path] of Object.entries(files)) {
      for (const as of ["folder", "archive", "stream"]) {
        await flip(path, -20);
        const script = {
          folder: "$SKIFF load -q -i layout",
          archive: "tar -C layout -cf l.tar . && $SKIFF load -q -i l.tar",
          stream: "tar -C layout -cf - . | zstd -qc | $SKIFF load -q",
        }[as]!;
        const { code, stderr } = await host.sh(script);
        assertEquals(code, 125, `${what} in a ${as}`);
        assertMatch(stderr, /its digest is sha256:|it is no JSON|unpack layer/);
        await assertEmptyStore(host, `a flipped bit of the ${what} in a ${as}`);
        await flip(path, -20);
        // control: the same without the flipped bit
        assertEquals((await host.sh(script)).code, 0, `${what} in a ${as}`);
        await host.ok("rmi", "-a");
      }
      await Deno.writeFile(path, encode("x"), { append: true });
      const longer = await host.skiff(["load", "-q", "-i", layout]);
      assertEquals(longer.code, 125);
      assertMatch(longer.stderr, /blob sha256:[0-9a-f]{64} has \d+ bytes instead of \d+\n/);
      await Deno.truncate(path, (await Deno.stat(path)).size - 1);
      await Deno.rename(path, `${path}.away`);
      const missing = await host.skiff(["load", "-q", "-i", layout]);
      assertMatch(missing.stderr, /blob sha256:[0-9a-f]{64} is not in it\n/);
      await Deno.rename(`${path}.away`, path);
    }
    await assertEmptyStore(host, "sizes");

    // digests that are paths
    const index = await Deno.readTextFile(`${layout}/index.json`);
    for (
      const digest of ["sha256:../../../../etc/passwd", `sha256:${"A".repeat(64)}`, "md5:00", "sha256:00"]
    ) {
      await Deno.writeTextFile(`${layout}/index.json`, index.replaceAll(image.digest, digest));
      const { code, stderr } = await host.skiff(["load", "-q", "-i", layout]);
      assertEquals(code, 125);
      assertIncludes(stderr, "manifests.0.digest: malformed digest");
    }
    await Deno.writeTextFile(`${layout}/index.json`, index);
    assertEquals((await host.skiff(["load", "-q", "-i", layout])).code, 0);
    await host.ok("rmi", "-a");

    // a docker-archive's layer is held against the config alone
    const good = await goodArchive();
    const other = makeTar([{ path: "etc/", mode: 0o755 }, { path: "etc/motd", content: "hullo\n" }]);
    await Deno.writeFile(
      `${host.home}/a.tar`,
      makeTar([{ path: "layer.tar", content: other }, ...good.entries.slice(1)]),
    );
    const substituted = await host.skiff(["load", "-q", "-i", "a.tar"]);
    assertEquals(substituted.code, 125);
    assertIncludes(substituted.stderr, `its digest is ${await sha256(other)}`);
    await assertEmptyStore(host, "another layer");
  },
);

hostTest("load bounds what an archive makes it read", { needs: ["zstd"] }, async (host) => {
  const good = await goodArchive();
  const refused = async (bytes: Uint8Array, message: RegExp) => {
    await Deno.writeFile(`${host.home}/a.tar`, bytes);
    for (const script of ["$SKIFF load -q -i a.tar", "zstd -qc a.tar | $SKIFF load -q"]) {
      const { code, stdout, stderr } = await host.sh(script, { timeoutMs: 120_000 });
      assertEquals([code, stdout], [125, ""], stderr);
      assertMatch(stderr, message);
    }
    await assertEmptyStore(host, String(message));
  };
  const padded = (size: number) => JSON.stringify([manifestOf({})]).padEnd(size);
  await refused(
    withManifest(good, padded(5 << 20)),
    /^Error: read manifest.json of \S+: it is larger than 4194304 bytes\n/,
  );
  // control: as large as may be
  await Deno.writeFile(`${host.home}/a.tar`, withManifest(good, padded(4 << 20)));
  assertEquals((await host.skiff(["load", "-q", "-i", "a.tar"])).code, 0);
  await host.ok("rmi", "-a");

  await refused(
    makeTar([good.entries[0]!, { path: "config.json", content: " ".repeat(9 << 20) }, good.entries[2]!]),
    /config of \S+: it is larger than 8388608 bytes\n/,
  );
  await refused(withManifest(good, Array(5000).fill(manifestOf({}))), /: too many images\n/);
  await refused(
    withManifest(good, [manifestOf({ Layers: Array(2000).fill("layer.tar") })]),
    /: 0.Layers: too many layers\n/,
  );
  await refused(
    withManifest(good, [manifestOf({ Layers: ["layer.tar", "layer.tar"] })]),
    /it has 2 layers but its config names 1\n/,
  );
  await refused(withManifest(good, { Config: 1 }), /^Error: read manifest.json of /);
  await refused(withManifest(good, "[[["), /it is no JSON document\n/);
  for (const tag of ["../../x:1", "UPPER", "a b", "x\u001b[31m:1", "x".repeat(300)]) {
    await refused(
      withManifest(good, [manifestOf({ RepoTags: [tag] })]),
      /an image in it has the malformed name "[ -~…]*"\n/,
    );
  }
  // a size that no archive has, and more members than an image needs
  const huge = makeTar(good.entries);
  const size = encode("77777777777\0");
  huge.set(size, 124);
  huge.set(encode("        "), 148);
  const sum = huge.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  huge.set(encode(sum.toString(8).padStart(6, "0") + "\0 "), 148);
  await refused(huge, /truncated archive\n/);
  await refused(
    makeTar([...Array.from({ length: 50_001 }, (_, at) => ({ path: `m${at}` })), ...good.entries]),
    /it has more than 50000 members\n/,
  );
});
