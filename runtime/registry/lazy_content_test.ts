import { deepStrictEqual as assertEquals, ok as assert, rejects } from "node:assert";
import { estargzLayer, type LayerMember, type TocLayer } from "../../tests/toc_layers.ts";
import type { LayerToc } from "../archive/toc/model.ts";
import { RegistryError, VerificationError } from "../errors.ts";
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
    toc: LayerToc,
  ) => Promise<void>,
  from?: StreamRange,
) {
  openFamilies("file");
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
    using content = new LazyLayerContent(folders, key, record, toc, from ?? remote, () => {});
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
    await fn(content, read, () => asked, toc);
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

Deno.test("who reads a file in its order asks seldom, and finds in each place what belongs there", async () => {
  const data = crypto.getRandomValues(new Uint8Array(60_000));
  const whole = new Uint8Array(100 * data.length);
  for (let at = 0; at < whole.length; at += data.length) whole.set(data.map((byte) => byte ^ at), at);
  const layer = estargzLayer([{ name: "large", type: "file", data: whole }], { chunkSize: data.length });
  await withContent(layer, async (content, _, asked, toc) => {
    const { chunks } = toc.entries.find(({ name }) => name === "large")!;
    let waited = 0;
    for (let at = 0; at < whole.length; at += 20_000) {
      const bytes = new Uint8Array(20_000);
      const wanted = content.chunksOf(chunks, at, bytes.length);
      if (!content.readHere(wanted, at, bytes)) {
        waited++;
        await content.fetch(wanted);
        assert(content.readHere(wanted, at, bytes));
      }
      assertEquals(bytes, whole.subarray(at, at + bytes.length));
      // what is read ahead arrives meanwhile
      await new Promise((resolve) => setTimeout(resolve));
    }
    assert(asked() <= 6, `asked ${asked()} times`);
    assert(waited < 40, `waited ${waited} times`);
  });
});

Deno.test("a stream that breaks fails those who wait for what it has not brought, and no others", async () => {
  const layer = estargzLayer(MEMBERS, { minMemberSize: 0 });
  const { blob } = layer;
  const broken = new RegistryError("the connection broke", 0);
  let brings = 3_000;
  const stream: StreamRange = async ({ start, end }, onBytes) => {
    await onBytes(blob.slice(start, Math.min(end, start + brings)));
    if (start + brings < end) throw broken;
  };
  await withContent(layer, async (content, read, _, toc) => {
    const fetch = (name: string) => {
      const { chunks, size } = toc.entries.find((entry) => entry.name === name)!;
      return content.fetch(content.chunksOf(chunks, 0, size));
    };
    const outcomes = await Promise.allSettled([fetch("file-0"), fetch("file-1"), fetch("file-39")]);
    assertEquals(outcomes.map(({ status }) => status), ["fulfilled", "fulfilled", "rejected"]);
    assertEquals((outcomes[2] as PromiseRejectedResult).reason, broken);
    // it is not asked for a while
    brings = Infinity;
    await rejects(() => fetch("file-39"), RegistryError);
    assertEquals(await read("file-1"), MEMBERS[1]!.data);
  }, stream);
});
