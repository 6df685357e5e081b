import { assertEquals, assertIncludes, messageOf } from "../../../tests/assertions.ts";
import { openFolders } from "../../state/folders.ts";
import { digestHex, digestOf } from "../../spec/digest.ts";
import { type Descriptor, MEDIA_TYPE } from "../../spec/image.ts";
import { readOciLayout } from "./oci_layout.ts";
import { openImageSource } from "./source.ts";

Deno.test("lists that name the same lists many times are read once each", async () => {
  const dir = await Deno.makeTempDir({ prefix: "skiff-layout-" });
  await Deno.mkdir(`${dir}/data`, { mode: 0o700 });
  await Deno.mkdir(`${dir}/layout/blobs/sha256`, { recursive: true });
  const listOf = async (entry: Descriptor | undefined, count: number) => {
    const manifests = Array.from({ length: count }, () => entry);
    const bytes = new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, manifests }));
    const digest = await digestOf(bytes);
    await Deno.writeFile(`${dir}/layout/blobs/sha256/${digestHex(digest)}`, bytes);
    return { bytes, entry: { mediaType: MEDIA_TYPE.ociIndex, digest, size: bytes.length } };
  };
  let inner = await listOf(undefined, 0);
  for (let depth = 0; depth < 3; depth++) inner = await listOf(inner.entry, 1000);
  await Deno.writeFile(`${dir}/layout/index.json`, inner.bytes);
  await Deno.writeTextFile(`${dir}/layout/oci-layout`, '{"imageLayoutVersion":"1.0.0"}');
  const folders = openFolders({ data: `${dir}/data`, run: `${dir}/data/run` });
  using source = await openImageSource(folders, `${dir}/layout`);
  let reads = 0;
  const counted = { ...source, name: source.name, find: (name: string) => (reads++, source.find(name)) };
  const wanted = `sha256:${"0".repeat(64)}`;
  assertIncludes(await messageOf(() => readOciLayout(counted, undefined, wanted)), "no such image");
  // index.json, and the three lists below it
  assertEquals(reads, 4);
  await Deno.remove(dir, { recursive: true });
});
