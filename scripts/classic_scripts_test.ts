import { rejects } from "node:assert/strict";
import { assertEquals } from "../tests/assertions.ts";
import { writeClassicScripts } from "./classic_scripts.ts";

async function write(modules: Record<string, string>, hot: string[]) {
  const folder = await Deno.makeTempDir();
  const own = `${folder}/own`;
  await Deno.mkdir(own);
  for (const [name, text] of Object.entries(modules)) await Deno.writeTextFile(`${own}/${name}`, text);
  const variant = { name: "list", verbs: [], folder: own, names: Object.keys(modules), hot };
  try {
    const files = await writeClassicScripts(folder, [variant]);
    return Object.fromEntries(files.map((file) => [file, Deno.readTextFileSync(`${folder}/${file}`)]));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs the program of the written files as its loader does. */
async function run(files: Record<string, string>, tellsFolder = false): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "a folder with é" });
  try {
    for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(`${folder}/${name}`, text);
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-config",
        "--quiet",
        `${folder}/main.js`,
        ...(tellsFolder ? [`${folder}/`] : []),
      ],
    }).output();
    assertEquals([new TextDecoder().decode(stderr), success], ["", true]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("every form of import and export works in scripts, hot and cold, with text that is not ASCII", async () => {
  const files = await write({
    "main.js": `import{twice as t,default as d}from"./hot.js";import"./side.js";
      const{late}=await1();async function await1(){return await import("./late.js")};
      export{};`.replace("const{late}=await1();", "await1().then(({late})=>late(t,d));"),
    "hot.js": `var a=x=>x+x,b="é";export{a as twice,b as default};`,
    "side.js": `globalThis.side="import{x}from y";`,
    "late.js": `import*as n from"node:os";import p from"node:path";import{basename as q}from"node:path";
      import{twice}from"./hot.js";
      function late(t,d){if(t!==twice||d!=="\\u00e9"||q!==p.basename||!n.EOL||globalThis.side.length!==15)throw 1}
      export{late};`,
  }, ["main.js", "hot.js"]);
  assertEquals(Object.keys(files).sort(), ["list-hot.js", "list-main.js", "main.js", "program"]);
  await run(files);
});

Deno.test("a script can be loaded at once, even when the program's file is gone, with what it needs itself", async () => {
  const files = await write({
    "main.js":
      `const now=import("./late.js").atOnce();Deno.removeSync(new URL("program","file://"+Deno.args[0]));
      if(now().late!==3||now().late!==3)throw 1;export{};`,
    "late.js": `import{one}from"./cold.js";var late=one+2;export{late};`,
    "cold.js": `var one=1;export{one};`,
  }, ["main.js"]);
  await run(files, true);
});

Deno.test("what has no form as a script is an error of the build, not of a later start", async () => {
  await rejects(
    () => write({ "main.js": "await fetch();" }, []),
    {
      message:
        "list/main.js has no form as a script: await is only valid in async functions and the top level bodies of modules",
    },
  );
  await rejects(
    () => write({ "main.js": `console.log(import.meta.url);` }, []),
    { message: "list/main.js has no form as a script: Cannot use 'import.meta' outside a module" },
  );
});

Deno.test("a program that is cut off says so", async () => {
  const files = await write({ "main.js": `import("./late.js");`, "late.js": "var late=1;export{late};" }, []);
  files.program = files.program!.slice(0, -5);
  await rejects(() => run(files), /it is cut off/);
});
