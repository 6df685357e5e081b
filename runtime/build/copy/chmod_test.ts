import { parseModeChange } from "./chmod.ts";
import { assertEquals, assertIncludes, messageOf } from "../../../tests/assertions.ts";

const CASES: [change: string, mode: number, isFolder: boolean, result: number][] = [
  ["755", 0o600, false, 0o755],
  ["0644", 0o4755, false, 0o644],
  ["4755", 0o600, false, 0o4755],
  ["u=rwX,go=rX", 0o600, false, 0o644],
  ["u=rwX,go=rX", 0o700, false, 0o755],
  ["u=rwX,go=rX", 0o600, true, 0o755],
  ["+x", 0o644, false, 0o755],
  ["a-w", 0o666, false, 0o444],
  ["go=", 0o777, false, 0o700],
  ["g=u", 0o640, false, 0o660],
  ["u+s,g+s", 0o755, false, 0o6755],
  ["+t", 0o777, true, 0o1777],
  ["u=rw,g=r,o=", 0o777, false, 0o640],
  ["ug+rw-x", 0o111, false, 0o661],
  ["=rx", 0o2777, true, 0o2555],
];

Deno.test("modes are set and changed as chmod(1) does", () => {
  for (const [change, mode, isFolder, result] of CASES) {
    assertEquals({ change, mode: parseModeChange(change)(mode, isFolder) }, { change, mode: result });
  }
});

Deno.test("what is no mode is refused", async () => {
  for (const text of ["", "8", "17777", "rwx", "u", "z+r", "u+q", "u=rg"]) {
    assertIncludes(await messageOf(() => parseModeChange(text)), "invalid chmod parameter");
  }
});
