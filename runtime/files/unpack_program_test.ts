import { prepareFork } from "../../ffi/fork.ts";
import { Fd, open } from "../../ffi/file.ts";
import { O_CLOEXEC, O_RDONLY } from "../../ffi/constants/fcntl.ts";
import { assertEquals } from "../../tests/assertions.ts";
import { whatIsMissing } from "../../tests/needs.ts";
import { openWithProgram } from "./unpack_program.ts";

const missing = whatIsMissing(["xz"]);

Deno.test({
  name: "two programs read one file beside each other",
  ignore: missing !== null && Deno.env.get("SKIFF_TEST_MUST_RUN") !== "1",
  fn: async () => {
    // more than programs and pipes hold back
    const data = new Uint8Array(4 << 20);
    for (let at = 0; at < data.length; at += 1 << 16) {
      crypto.getRandomValues(data.subarray(at, at + (1 << 16)));
    }
    const folder = await Deno.makeTempDir();
    try {
      await Deno.writeFile(`${folder}/data`, data);
      await new Deno.Command("xz", { args: ["-0", `${folder}/data`] }).output();
      prepareFork();
      using file = new Fd(open(`${folder}/data.xz`, O_RDONLY | O_CLOEXEC));
      const sources = [openWithProgram("xz", file.number), openWithProgram("xz", file.number)];
      const read = sources.map(() => new Uint8Array(data.length));
      const done = [0, 0];
      for (let at = 0; done.some((count) => count < data.length); at = 1 - at) {
        const count = sources[at]!.read(read[at]!.subarray(done[at], done[at]! + (1 << 16)));
        if (count === 0 && done[at]! < data.length) break;
        done[at]! += count;
      }
      assertEquals(done, [data.length, data.length]);
      assertEquals(read.map((bytes) => bytes.every((byte, at) => byte === data[at])), [true, true]);
      for (const source of sources) assertEquals(source.read(new Uint8Array(1)), 0);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
