import { assertEquals, assertIncludes } from "../../tests/assertions.ts";
import { editsOf, readCdiDevices } from "./cdi_specs.ts";

const spec = (names: string, more = "") =>
  `cdiVersion: "0.6.0"\nkind: v.com/c\n${more}devices:\n` +
  names.split(" ").map((name) =>
    `  - {name: "${name.split(":")[0]}", containerEdits: {env: ["${name.replace(":", "=")}"]}}\n`
  )
    .join("");

Deno.test("of two folders the later counts, of one folder neither, and a bad file is told", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const [low, high] = [`${folder}/low`, `${folder}/high`];
    for (const path of [low, high]) await Deno.mkdir(path);
    await Deno.writeTextFile(`${low}/a.yaml`, spec("one:low two:low three:low"));
    await Deno.writeTextFile(`${low}/b.yaml`, spec("two:again three:again"));
    await Deno.writeTextFile(
      `${high}/c.yaml`,
      spec("one:high three:high", 'containerEdits: {env: ["G=1"]}\n'),
    );
    await Deno.writeTextFile(`${high}/d.json`, "{");
    await Deno.writeTextFile(`${high}/e.txt`, "not read");
    new Deno.Command("mkfifo", { args: [`${high}/f.yaml`] }).outputSync();
    await Deno.writeTextFile(`${high}/g.json`, "");
    await Deno.truncate(`${high}/g.json`, 1 << 30);
    const devices = await readCdiDevices([low, `${folder}/none`, high]);
    assertEquals([...devices.byName.keys()].sort(), ["v.com/c=one", "v.com/c=three"]);
    assertIncludes(
      devices.problems.join("\n"),
      `conflicting device "v.com/c=two" (specs "${low}/b.yaml", "${low}/a.yaml")`,
    );
    assertIncludes(devices.problems.join("\n"), `failed to load CDI Spec ${high}/d.json: `);
    assertIncludes(devices.problems.join("\n"), `failed to load CDI Spec ${high}/f.yaml: it is no file`);
    assertIncludes(devices.problems.join("\n"), `failed to load CDI Spec ${high}/g.json: it is larger than `);
    // those of the specification itself come once
    assertEquals(editsOf(devices, ["v.com/c=one", "v.com/c=three"]), {
      env: ["G=1", "one=high", "three=high"],
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
