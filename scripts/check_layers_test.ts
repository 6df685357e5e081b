import { deepEqual } from "node:assert/strict";
import { checkLayers, importsOf } from "./check_layers.ts";

function check(files: Record<string, string>): string[] {
  return checkLayers(new Map(Object.entries(files)));
}

Deno.test("the picture's own directions pass", () => {
  deepEqual(
    check({
      "cli/main.ts": 'import { run } from "../runtime/engine/run.ts";',
      "runtime/engine/run.ts": 'import { pull } from "../registry/pull.ts";\nimport "../monitor/monitor.ts";',
      "runtime/registry/pull.ts": 'import { blob } from "../storage/blobs.ts";',
      "runtime/storage/blobs.ts": 'import { open } from "../../ffi/file.ts";',
      "runtime/monitor/monitor.ts": 'import { init } from "../init/init.ts";',
      "runtime/init/init.ts": 'import { SkiffError } from "../errors.ts";',
      "runtime/errors.ts": "",
      "ffi/file.ts": 'import { libc } from "./libc.ts";',
      "ffi/libc.ts": "Deno.dlopen(name, symbols);",
    }),
    [],
  );
});

Deno.test("ffi imports nothing of ours", () => {
  deepEqual(check({ "ffi/a.ts": 'import { x } from "../runtime/errors.ts";' }), [
    "ffi/a.ts: ffi may not import runtime/errors.ts",
  ]);
});

Deno.test("storage may not import the engine, not even a type of it", () => {
  deepEqual(check({ "runtime/storage/a.ts": 'import type { X } from "../engine/options.ts";' }), [
    "runtime/storage/a.ts: storage may not import runtime/engine/options.ts",
  ]);
});

Deno.test("the command line reaches the registry through the engine only", () => {
  deepEqual(check({ "cli/a.ts": 'const x = await import("../runtime/registry/pull.ts");' }), [
    "cli/a.ts: cli may not import runtime/registry/pull.ts",
  ]);
});

Deno.test("the monitor must not load the database through another module", () => {
  deepEqual(
    check({
      "runtime/monitor/a.ts": 'import "../namespaces/b.ts";',
      "runtime/namespaces/b.ts": 'import "../state/db.ts";',
      "runtime/state/db.ts": "",
    }),
    ["runtime/namespaces/b.ts: the monitor would load runtime/state/db.ts"],
  );
});

Deno.test("a node: module on the hot path is found through its importers, a lazy one is fine", () => {
  deepEqual(
    check({
      "cli/main.ts": 'import "../runtime/engine/a.ts";',
      "runtime/engine/a.ts": 'import { b } from "./b.ts";\nconst zlib = await import("node:zlib");',
      "runtime/engine/b.ts": 'import { createHash } from "node:crypto";',
    }),
    ["runtime/engine/b.ts: node:crypto is imported on the hot path; import it lazily"],
  );
});

Deno.test("node:sqlite is for the database alone", () => {
  deepEqual(
    check({
      "cli/main.ts": 'import "../runtime/state/db.ts";\nimport { DatabaseSync } from "node:sqlite";',
      "runtime/state/db.ts": 'import { DatabaseSync } from "node:sqlite";',
    }),
    ["cli/main.ts: node:sqlite is imported on the hot path; import it lazily"],
  );
});

Deno.test("reserved words are found in code and passed over in comments", () => {
  deepEqual(
    check({
      "runtime/engine/a.ts":
        '// console.log is not for us\n/** Deno.dlopen */\nconst url = "http://x";\nconsole.log(1);',
      "ffi/b.ts": "Deno.dlopen();",
      "cli/c.ts": "Deno.exit(1);",
    }),
    [
      "runtime/engine/a.ts: the engine prints nothing (console)",
      "ffi/b.ts: only ffi/libc.ts calls Deno.dlopen",
      "cli/c.ts: cli/main.ts is the only exit (Deno.exit)",
    ],
  );
});

Deno.test("a cycle is shown as its path; types make none", () => {
  deepEqual(
    check({
      "ffi/a.ts": 'import { b } from "./b.ts";',
      "ffi/b.ts": 'import { c } from "./c.ts";',
      "ffi/c.ts": 'import { a } from "./a.ts";\nimport type { b } from "./b.ts";',
    }),
    ["import cycle: ffi/a.ts → ffi/b.ts → ffi/c.ts → ffi/a.ts"],
  );
});

Deno.test("a file outside the drawn folders is refused", () => {
  deepEqual(check({ "runtime/helpers/x.ts": "" }), [
    "runtime/helpers/x.ts: lies in no area of the architecture",
  ]);
});

Deno.test("imports are read whatever their form", () => {
  const source = `import a from "./a.ts";
import {
  b,
  type c,
} from "./b.ts";
import type { D } from "npm-package";
export * from "./e.ts";
import "./f.ts";
const text = "import g from './g.ts'";
load(() => import("./h.ts"));`;
  deepEqual(importsOf("cli/x.ts", source).map(({ target, kind }) => `${target} ${kind}`), [
    "cli/a.ts static",
    "cli/b.ts static",
    "null type",
    "cli/e.ts static",
    "cli/f.ts static",
    "cli/h.ts dynamic",
  ]);
});
