import { ok } from "node:assert";
import { manPages } from "./man.ts";

Deno.test("every page is named by its title and its text is plain", async () => {
  for (const { file, roff } of await manPages("1.2.3")) {
    const [, name, volume] = /^([\w-]+)\.([17])$/.exec(file)!;
    ok(roff.startsWith(`.TH "${name!.toUpperCase().replaceAll("-", "\\-")}" ${volume} `), file);
    ok(/^[\n -~]*$/.test(roff), `${file} is ASCII`);
    ok(!/^['.](?![A-Z\\]+)/m.test(roff), `no line of ${file} is taken for a request`);
    for (const title of ["NAME", "SEE ALSO"]) ok(roff.includes(`\n.SH "${title}"\n`), `${file} has ${title}`);
  }
});

Deno.test("what the command line knows is all there", async () => {
  const pages = new Map((await manPages("1.2.3")).map(({ file, roff }) => [file, roff]));
  ok(pages.get("skiff.1")!.includes(".BR skiff\\-run (1)"));
  ok(pages.get("skiff-run.1")!.includes("\\fB\\-d\\fR, \\fB\\-\\-detach\\fR\n"));
  ok(pages.get("skiff-image-list.1")!.includes("skiff image ls"));
  ok(pages.get("skiff-exit-codes.7")!.includes('.B "125"'));
});
