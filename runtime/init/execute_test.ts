import { assertEquals, messageOf } from "../../tests/assertions.ts";
import { EACCES, ENOENT } from "../../ffi/errno.ts";
import { ExecuteError, findProgram } from "./execute.ts";

function withFolder(test: (folder: string) => void | Promise<void>): () => Promise<void> {
  return async () => {
    const folder = Deno.makeTempDirSync({ prefix: "skiff-path-" });
    try {
      for (const name of ["one", "two"]) Deno.mkdirSync(`${folder}/${name}`);
      await test(folder);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  };
}

function put(path: string, mode: number): void {
  Deno.writeTextFileSync(path, "#!/bin/sh\n");
  Deno.chmodSync(path, mode);
}

function failureOf(find: () => string): [errno: number, message: string] {
  try {
    find();
  } catch (error) {
    if (error instanceof ExecuteError) return [error.failure.errno, error.message];
    throw error;
  }
  throw new Error("nothing was thrown");
}

Deno.test(
  "the first executable file on PATH is taken",
  withFolder((folder) => {
    const env = ["A=b", `PATH=${folder}/none:${folder}/one:${folder}/two`];
    put(`${folder}/two/program`, 0o755);
    assertEquals(findProgram("program", env), `${folder}/two/program`);
    put(`${folder}/one/program`, 0o755);
    assertEquals(findProgram("program", env), `${folder}/one/program`);
  }),
);

Deno.test(
  "what cannot be executed is passed over, and named if nothing else is found",
  withFolder((folder) => {
    const env = [`PATH=${folder}/one:${folder}/two`];
    put(`${folder}/one/program`, 0o644);
    assertEquals(failureOf(() => findProgram("program", env)), [EACCES, "program: Permission denied"]);
    put(`${folder}/two/program`, 0o755);
    assertEquals(findProgram("program", env), `${folder}/two/program`);
    Deno.mkdirSync(`${folder}/one/folder`);
    assertEquals(failureOf(() => findProgram("folder", env)), [EACCES, "folder: Permission denied"]);
  }),
);

Deno.test("the last PATH counts, and the usual one where there is none", () => {
  assertEquals(findProgram("sh", ["PATH=/none", "PATH=/bin"]), "/bin/sh");
  assertEquals(["/usr/bin/sh", "/bin/sh"].includes(findProgram("sh", [])), true);
  assertEquals(failureOf(() => findProgram("sh", ["PATH=/none"]))[0], ENOENT);
});

Deno.test(
  "a name with a slash is no name for PATH",
  withFolder((folder) => {
    put(`${folder}/one/program`, 0o755);
    assertEquals(findProgram(`${folder}/one/program`, []), `${folder}/one/program`);
    assertEquals(failureOf(() => findProgram("one/program", [`PATH=${folder}`])), [
      ENOENT,
      "one/program: No such file or directory",
    ]);
    assertEquals(failureOf(() => findProgram(folder, [])), [EACCES, `${folder}: Permission denied`]);
  }),
);

Deno.test("what is not found is said in podman's words", async () => {
  const words = "No such file or directory";
  assertEquals(
    await messageOf(() => findProgram("no-such-program", ["PATH=/bin"])),
    `executable file \`no-such-program\` not found in $PATH: ${words}`,
  );
  assertEquals(
    await messageOf(() => findProgram("", ["PATH=/bin"])),
    `executable file \`\` not found in $PATH: ${words}`,
  );
});
