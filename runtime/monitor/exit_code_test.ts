import { deepStrictEqual as assertEquals } from "node:assert";
import { EACCES, EINVAL, ENOENT, ENOTDIR } from "../../ffi/errno.ts";
import { setupExitCode } from "./exit_code.ts";

Deno.test("the exit code tells whether skiff, the program or who runs it is at fault", () => {
  const cases: [stage: string, errno: number, exitCode: number][] = [
    ["execute", ENOENT, 127],
    ["execute", ENOTDIR, 127],
    ["execute", EACCES, 126],
    ["find the user", 0, 126],
    ["prepare the working directory", 0, 126],
    ["enter the working directory", ENOENT, 127],
    ["enter the working directory", ENOTDIR, 126],
    ["give mounts to the user", EINVAL, 125],
    ["attach mounts", ENOENT, 125],
  ];
  const codes = cases.map(([stage, errno]) =>
    setupExitCode({ stage, errno, syscall: "", path: "", message: "" })
  );
  assertEquals(codes, cases.map(([, , exitCode]) => exitCode));
});
