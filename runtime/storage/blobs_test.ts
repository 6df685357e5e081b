import { deepStrictEqual as assertEquals, rejects } from "node:assert";
import { VerificationError } from "../errors.ts";
import { digestHex, digestOf } from "../spec/digest.ts";
import { openFolders } from "../state/folders.ts";
import { blobPath, commitPartial, hasBlob, partialPath, readBlob, removeBlob, writeBlob } from "./blobs.ts";

const BYTES = new TextEncoder().encode("content");

async function scratch() {
  const data = await Deno.makeTempDir();
  await Deno.chmod(data, 0o700);
  const folders = openFolders({ data, run: data });
  return { folders, [Symbol.asyncDispose]: () => Deno.remove(data, { recursive: true }) };
}

Deno.test("a blob that was written is found and read by its digest", async () => {
  await using dir = await scratch();
  const digest = await writeBlob(dir.folders, BYTES);
  assertEquals(blobPath(dir.folders, digest), `${dir.folders.blobs}/sha256/${digestHex(digest)}`);
  assertEquals(await readBlob(dir.folders, digest), BYTES);
  assertEquals([hasBlob(dir.folders, digest), hasBlob(dir.folders, digest, 7)], [true, true]);
  assertEquals(hasBlob(dir.folders, digest, 8), false);
});

Deno.test("bytes that are not what they are called are not written, and leave nothing", async () => {
  await using dir = await scratch();
  const other = await digestOf(new Uint8Array(3));
  await rejects(writeBlob(dir.folders, BYTES, other), VerificationError);
  assertEquals([...Deno.readDirSync(`${dir.folders.blobs}/partial`)], []);
});

Deno.test("a blob that was changed on disk is not read", async () => {
  await using dir = await scratch();
  const digest = await writeBlob(dir.folders, BYTES);
  await Deno.writeTextFile(blobPath(dir.folders, digest), "changed");
  await rejects(readBlob(dir.folders, digest), VerificationError);
});

Deno.test("a finished download becomes the blob", async () => {
  await using dir = await scratch();
  const digest = await digestOf(BYTES);
  await Deno.writeFile(partialPath(dir.folders, digest), BYTES);
  assertEquals(hasBlob(dir.folders, digest), false);
  await commitPartial(dir.folders, digest);
  assertEquals(await readBlob(dir.folders, digest), BYTES);
  await removeBlob(dir.folders, digest);
  assertEquals(hasBlob(dir.folders, digest), false);
});
