import { deepStrictEqual as assertEquals, ok as assert, rejects } from "node:assert";
import { estargzLayer, type LayerMember, type TocLayer } from "../../tests/toc_layers.ts";
import { VerificationError } from "../errors.ts";
import { openFamilies } from "../../ffi/libc.ts";
import { type Folders, openFolders } from "../state/folders.ts";
import { lazyFolder, lazyKey, type LazyRecord } from "../storage/lazy/records.ts";
import { LazyLayerContent } from "./lazy_content.ts";
import { type ReadRange, readToc, type StreamRange } from "./layer_toc.ts";

/** Members begin and end within what comes at once. */
const PIECE_BYTES = 333;

const MEMBERS = Array.from({ length: 40 }, (_, at): LayerMember => ({
  name: `file-${at}`,
  type: "file",
  data: crypto.getRandomValues(new Uint8Array(500 + at)),
}));

async function withContent(
  { blob, descriptor, diffId }: TocLayer,
  fn: (
    content: LazyLayerContent,
    read: (name: string) => Promise<Uint8Array>,
    asked: () => number,
  ) => Promise<void>,
) {
  openFamilies("errno", "file");
  const data = await Deno.makeTempDir();
  try {
    const folders: Folders = openFolders({ data, run: data });
    const layer = { ...descriptor, diffId };
    const key = lazyKey(layer)!;
    await Deno.mkdir(lazyFolder(folders, key), { recursive: true });
    let asked = 0;
    const whole: ReadRange = ({ start, end }) => Promise.resolve(blob.slice(start, end));
    const remote: StreamRange = async ({ start, end }, onBytes) => {
      asked++;
      for (let at = start; at < end; at += PIECE_BYTES) {
        await onBytes(blob.slice(at, Math.min(end, at + PIECE_BYTES)));
      }
    };
    const toc = (await readToc(layer, 1 << 30, whole))!;
    const record: LazyRecord = { version: 1, layer, from: "registry.example/it" };
    using content = new LazyLayerContent(folders, key, record, toc, remote, () => {});
    const read = async (name: string) => {
      const { chunks, size } = toc.entries.find((entry) => entry.name === name)!;
      const wanted = content.chunksOf(chunks, 0, size);
      const bytes = new Uint8Array(size);
      if (!content.readHere(wanted, 0, bytes)) {
        await content.fetch(wanted);
        assert(content.readHere(wanted, 0, bytes));
      }
      return bytes;
    };
    await fn(content, read, () => asked);
  } finally {
    await Deno.remove(data, { recursive: true });
  }
}

Deno.test("files that share a gzip member are all here once one of them was read", async () => {
  await withContent(estargzLayer(MEMBERS, { minMemberSize: 10_000 }), async (_, read, asked) => {
    for (const { name, data } of MEMBERS.toReversed()) assertEquals(await read(name), data);
    assert(asked() < MEMBERS.length / 4, `${asked()}`);
  });
});

Deno.test("a piece that is not what the table says harms none beside it", async () => {
  const falsify = (entries: { name: string }[]) =>
    entries.map((entry) =>
      entry.name === "file-7" ? { ...entry, chunkDigest: `sha256:${"0".repeat(64)}` } : entry
    );
  const layer = estargzLayer(MEMBERS, { minMemberSize: 10_000, falsify: falsify as never });
  await withContent(layer, async (_, read, asked) => {
    await rejects(() => read("file-7"), VerificationError);
    assertEquals(asked(), 1);
    for (const at of [6, 8]) assertEquals(await read(`file-${at}`), MEMBERS[at]!.data);
    assertEquals(asked(), 1);
  });
});
