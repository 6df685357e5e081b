import { assert, assertEquals, assertIncludes, messageOf } from "../tests/assertions.ts";
import { prelink } from "./prelink.ts";

const ELF_TYPE_AT = 16, ET_EXEC = 2, ET_DYN = 3;

/** What a start of it says: the kB that it has written of the pages it has from its own file. */
const PROGRAM = `
const own = Deno.execPath();
let isOwn = false, written = 0;
for (const line of Deno.readTextFileSync("/proc/self/smaps").split("\\n")) {
  if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) isOwn = line.endsWith(own);
  else if (isOwn && line.startsWith("Anonymous:")) written += Number(line.split(/ +/)[1]);
}
const { DatabaseSync } = await import("node:sqlite");
const row = new DatabaseSync(":memory:").prepare("SELECT 6 * 7 AS answer").get();
const strlen = Deno.dlopen("libc.so.6", { strlen: { parameters: ["buffer"], result: "usize" } }).symbols.strlen;
const text = new TextEncoder().encode("four\\0");
console.log(JSON.stringify([written, row.answer, Number(strlen(text)), (await new Blob(["x"]).text())]));`;

async function written(runtime: string, folder: string): Promise<number> {
  await Deno.writeTextFile(`${folder}/program.js`, PROGRAM);
  const { code, stdout, stderr } = await new Deno.Command(runtime, {
    args: ["run", "-A", "--no-config", `${folder}/program.js`],
    env: { DENO_NO_UPDATE_CHECK: "1" },
  }).output();
  assertEquals([code, new TextDecoder().decode(stderr)], [0, ""]);
  const [kilobytes, ...rest] = JSON.parse(new TextDecoder().decode(stdout));
  assertEquals(rest, [42, 4, "x"]);
  return kilobytes;
}

Deno.test({
  name: "a prelinked runtime works, and does not write to two megabytes of its own pages at its start",
  ignore: Deno.build.arch !== "x86_64",
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "skiff-prelink-" });
    try {
      const runtime = await Deno.readFile(Deno.execPath());
      assertEquals(runtime[ELF_TYPE_AT], ET_DYN);
      const prelinked = prelink(runtime);
      assertEquals([prelinked[ELF_TYPE_AT], prelinked.length], [ET_EXEC, runtime.length]);
      await Deno.writeFile(`${folder}/deno`, prelinked, { mode: 0o700 });
      const [before, after] = [
        await written(Deno.execPath(), folder),
        await written(`${folder}/deno`, folder),
      ];
      assert(before > 2000, `${before} kB before`);
      assert(after < 500, `${after} kB after`);
      assertEquals(prelink(prelinked), prelinked, "what has its place keeps it");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test({
  name: "a runtime with relocations of another kind is refused, not broken",
  ignore: Deno.build.arch !== "x86_64",
  async fn() {
    const runtime = await Deno.readFile(Deno.execPath());
    const view = new DataView(runtime.buffer);
    const PT_DYNAMIC = 2, PHDR_BYTES = 56, DT_RELACOUNT = 0x6ffffff9n, DT_RELR = 36n;
    let header = Number(view.getBigUint64(32, true));
    while (view.getUint32(header, true) !== PT_DYNAMIC) header += PHDR_BYTES;
    let entry = Number(view.getBigUint64(header + 8, true));
    while (view.getBigUint64(entry, true) !== DT_RELACOUNT) entry += 16;
    view.setBigUint64(entry, DT_RELR, true);
    assertIncludes(await messageOf(() => prelink(runtime)), "0x24 is not known here");
  },
});

Deno.test("what is no position-independent executable of this machine's kind stays as it is", () => {
  const script = new TextEncoder().encode("#!/bin/sh\n".repeat(20));
  assertEquals(prelink(script), script);
  const header = new Uint8Array(256);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.set([ET_DYN, 0, 183, 0], ELF_TYPE_AT); // EM_AARCH64
  assertEquals(prelink(header), header);
});
