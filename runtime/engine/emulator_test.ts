import { assertEquals, assertIncludes, assertMatch } from "../../tests/assertions.ts";
import { findEmulator, platformWarning } from "./emulator.ts";

const AMD64 = { os: "linux", architecture: "amd64" };
const ARM64 = { os: "linux", architecture: "arm64", variant: "v8" };

/** As Debian's qemu-user-static registers it. */
const AARCH64 = [
  "enabled",
  "interpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P",
  "flags: POCF",
  "offset 0",
  "magic 7f454c460201010000000000000000000200b700",
  "mask ffffffffffffff00fffffffffffffffffeffffff",
  "",
].join("\n");

async function withHandlers<T>(handlers: Record<string, string>, action: (folder: string) => T): Promise<T> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries({ status: "enabled\n", register: "", ...handlers })) {
      await Deno.writeTextFile(`${folder}/${name}`, text);
    }
    return action(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("an emulator is found by what it is registered for, whatever its name", async () => {
  await withHandlers({
    anything: AARCH64,
    python: "enabled\ninterpreter /p\nflags:\noffset 0\nextension .py\n",
  }, (folder) => {
    assertEquals(findEmulator(ARM64, folder), {
      interpreter: "/usr/libexec/qemu-binfmt/aarch64-binfmt-P",
      isFixed: true,
    });
    for (const architecture of ["arm", "riscv64", "s390x", "386", "z80"]) {
      assertEquals(findEmulator({ os: "linux", architecture }, folder), undefined);
    }
  });
});

Deno.test("one that is switched off, or a kernel without, is none", async () => {
  const off = await withHandlers(
    { x: AARCH64.replace("enabled", "disabled") },
    (folder) => findEmulator(ARM64, folder),
  );
  assertEquals(off, undefined);
  assertEquals(
    await withHandlers({ x: AARCH64, status: "disabled\n" }, (f) => findEmulator(ARM64, f)),
    undefined,
  );
  assertEquals(findEmulator(ARM64, "/nowhere"), undefined);
});

Deno.test("an image of another platform is warned of, and told what it lacks", async () => {
  await withHandlers({ x: AARCH64 }, (folder) => {
    assertEquals(
      platformWarning(ARM64, undefined, AMD64, folder),
      "image platform (linux/arm64/v8) does not match the expected platform (linux/amd64)",
    );
    assertEquals(platformWarning(ARM64, "linux/arm64", AMD64, folder), undefined);
    assertEquals(platformWarning(AMD64, undefined, AMD64, folder), undefined);
    assertEquals(platformWarning({ os: "linux", architecture: "386" }, undefined, AMD64, folder), undefined);
  });
  const without = platformWarning(ARM64, "linux/arm64", AMD64, "/nowhere")!;
  assertMatch(
    without,
    /^the image is linux\/arm64\/v8, this machine linux\/amd64 and no emulator is registered: /,
  );
  assertIncludes(without, "qemu-aarch64 (Debian: packages qemu-user-static and binfmt-support)");
  const unfixed = await withHandlers(
    { x: AARCH64.replace("POCF", "OC") },
    (f) => platformWarning(ARM64, "linux/arm64", AMD64, f),
  );
  assertMatch(unfixed!, /^\/usr\/libexec\/qemu-binfmt\/aarch64-binfmt-P has to be in the image/);
});
