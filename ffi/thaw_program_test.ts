import { assertEquals, assertIncludes, messageOf } from "../tests/assertions.ts";
import { PAGES_OFFSET, SLOT, THAW_ADDRESS, ThawProgram } from "./thaw_program.ts";

const SYS_WRITE = 1, SYS_MMAP = 9, SYS_GETPPID = 110, SYS_DUP = 32, SYS_EXIT_GROUP = 231;
const isX86 = Deno.build.arch === "x86_64";

/** Runs the program with the words that start something else where it fails. */
async function run(program: ThawProgram): Promise<{ code: number; stdout: string }> {
  const path = await Deno.makeTempFile({ prefix: "thaw-" });
  try {
    await Deno.writeFile(path, program.emit(0n, 0n));
    await Deno.chmod(path, 0o700);
    const { code, stdout } = await new Deno.Command(path, {
      args: ["/bin/sh", "-c", 'echo "$0 $MARK"', "cold"],
      env: { MARK: "mark" },
    }).output();
    return { code, stdout: new TextDecoder().decode(stdout) };
  } finally {
    await Deno.remove(path);
  }
}

const text = (program: ThawProgram, words: string) => program.put(new TextEncoder().encode(words));

Deno.test({
  name: "the calls are made in their order, with what earlier ones gave",
  ignore: !isX86,
  fn: async () => {
    const program = new ThawProgram();
    program.call(SYS_DUP, [1], { storeAt: SLOT.made });
    program.call(SYS_WRITE, [0, text(program, "one "), 4], { firstFrom: SLOT.made, expect: 4 });
    program.call(SYS_WRITE, [99, SLOT.made, 4], { expect: "anything" });
    program.call(SYS_MMAP, [0x7_0000_0000n, 4096, 3, 0x100022, 0xffff_ffff, 0], { expect: 0x7_0000_0000n });
    program.call(SYS_WRITE, [1, text(program, "two\n"), 4]);
    program.call(SYS_EXIT_GROUP, [7]);
    assertEquals(await run(program), { code: 7, stdout: "one two\n" });
  },
});

Deno.test({
  name: "a call that fails, or gives another result than it must, leads to what argv names",
  ignore: !isX86,
  fn: async () => {
    for (const expect of [undefined, 0]) {
      const program = new ThawProgram();
      if (expect === undefined) program.call(SYS_WRITE, [99, SLOT.made, 4]);
      else program.call(SYS_GETPPID, [], { expect });
      program.call(SYS_EXIT_GROUP, [7]);
      assertEquals(await run(program), { code: 0, stdout: "cold mark\n" });
    }
  },
});

Deno.test("what does not fit is an error", async () => {
  const program = new ThawProgram();
  assertEquals(
    await messageOf(() => program.put(new Uint8Array(0x2000))),
    "the data of the thawing program is full",
  );
  for (let at = 0; at < 1300; at++) program.call(SYS_GETPPID, []);
  assertIncludes(await messageOf(() => program.emit(0n, 0n)), "1300 calls are more");
});

Deno.test("pages begin where a page of the file does, after the program", () => {
  assertEquals([PAGES_OFFSET % 4096, THAW_ADDRESS % 0x10000n], [0, 0n]);
  assertEquals(new ThawProgram().emit(0n, 0n).length, PAGES_OFFSET);
});
