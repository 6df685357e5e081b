import { deepStrictEqual as assertEquals, rejects } from "node:assert";
import { SIGNATURE_LIMITS } from "./image_signature.ts";
import { addSignatureFile } from "./signature_files.ts";

Deno.test("signatures are added one behind the other, up to as many as are read", async () => {
  const root = await Deno.makeTempDir();
  try {
    const folder = `${root}/app@sha256=00`, bytes = new Uint8Array([0x90]);
    for (let number = 1; number <= SIGNATURE_LIMITS.count; number++) {
      assertEquals(await addSignatureFile(folder, bytes), `${folder}/signature-${number}`);
    }
    await rejects(addSignatureFile(folder, bytes), /: it has 128 already$/);
    assertEquals(Array.from(Deno.readDirSync(folder)).length, SIGNATURE_LIMITS.count);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
