import fc from "fast-check";
import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { VerificationError } from "../errors.ts";
import { cleanPath, climbsOut, LayerNames } from "./layer_names.ts";

const classify = (name: string, isDirectory = false) => {
  const { kind, parent, base } = new LayerNames().classify(name, isDirectory);
  return [kind, parent, base];
};
const refused = (message: string) => new VerificationError(`unpack layer entry ${message}`);

Deno.test("names are relative to the root, whatever slashes and dots they have", () => {
  assertEquals(classify("a"), ["entry", "", "a"]);
  assertEquals(classify("./a//b/./c/"), ["entry", "a/b", "c"]);
  assertEquals(classify("/a/b"), ["entry", "a", "b"]);
  for (const root of ["./", ".", "/", "//"]) assertEquals(classify(root, true), ["root", "", ""]);
});

Deno.test("a clean name has no part that leads anywhere else", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a./]{0,12}$/), (name) => {
      try {
        const parts = cleanPath(name).split("/");
        assertEquals(
          parts.length === 1 && parts[0] === "" || parts.every((part) => !["", ".", ".."].includes(part)),
          true,
        );
      } catch (error) {
        assertEquals([error instanceof VerificationError, name.split("/").includes("..")], [true, true]);
      }
    }),
  );
});

Deno.test("a name with .. is refused wherever it leads", () => {
  for (const name of ["..", "../x", "a/../b", "/../x", "a/.."]) {
    throws(() => classify(name), refused(`"${name}": its name contains ..`));
  }
});

Deno.test("archives are rooted at / or not, never both", () => {
  const names = new LayerNames();
  names.classify("/nix", true);
  names.classify("/", true);
  throws(() => names.classify("etc", false), refused('"etc": a relative name among absolute ones'));
  const relative = new LayerNames();
  relative.classify("./", true);
  relative.classify("etc", true);
  throws(() => relative.classify("/etc/x", false), refused('"/etc/x": an absolute name among relative ones'));
});

Deno.test("whiteouts and opaque marks are told from entries", () => {
  assertEquals(classify("a/.wh.b"), ["whiteout", "a", "b"]);
  assertEquals(classify(".wh..b"), ["whiteout", "", ".b"]);
  assertEquals(classify("a/.wh..wh..opq"), ["opaque", "a", ""]);
  assertEquals(classify(".wh..wh..opq"), ["opaque", "", ""]);
  assertEquals(classify("a.wh.b"), ["entry", "", "a.wh.b"]);
  assertEquals(classify("a/.wh"), ["entry", "a", ".wh"]);
});

Deno.test("aufs's own bookkeeping is passed over", () => {
  for (const name of [".wh..wh.plnk", ".wh..wh.plnk/12.34", ".wh..wh.aufs", "a/.wh..wh.orph/x"]) {
    assertEquals(classify(name)[0], "ignored");
  }
});

Deno.test("whiteouts of nothing, of folders and of the folder itself are refused", () => {
  throws(() => classify(".wh."), refused('".wh.": a whiteout of no file'));
  throws(() => classify("a/.wh.."), refused('"a/.wh..": a whiteout of no file'));
  throws(() => classify(".wh...", false), refused('".wh...": a whiteout of no file'));
  throws(() => classify(".wh.a", true), refused('".wh.a": a whiteout that is a folder'));
  throws(() => classify(".wh.a/b"), refused('".wh.a/b": its name lies below a whiteout'));
});

Deno.test("names that no file system holds are refused", () => {
  throws(() => classify(""), refused('"": it has no name'));
  throws(() => classify("a".repeat(256)), VerificationError);
  throws(() => classify("a/".repeat(2100)), VerificationError);
});

Deno.test("control characters in a name do not reach the terminal", () => {
  throws(() => classify("\x1b[2J/.."), refused('"\\x1b[2J/..": its name contains ..'));
});

Deno.test("a relative target may climb to the root and no further", () => {
  assertEquals(climbsOut("a/b", "../../c"), false);
  assertEquals(climbsOut("a/b", "../../../c"), true);
  assertEquals(climbsOut("", ".."), true);
  assertEquals(climbsOut("a", "b/../../../c"), true);
  assertEquals(climbsOut("a", "/../../etc"), false);
});
