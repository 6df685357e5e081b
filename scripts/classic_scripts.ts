/**
 * Turns the files that every start loads from modules into classic scripts.
 *
 * Deno takes 9 ms to load 200 kB of modules and 5.5 to evaluate the same text as a script, both from its code
 * cache: for a script there is no graph to build, no resolution and no turn of the event loop. So `x.js` becomes
 *
 * ```
 *  x.script.js   (load)=>{const{a}=load("y"); … return{b,c}}
 *  x.js          a module of the same exports, for whoever imports it as one
 *  main.js       defines load() and loads main.script.js
 * ```
 *
 * load() is Deno's `core.evalContext`, which node:vm stands on as well: a private API of the pinned runtime.
 */

/** Where main.js leaves load() for the modules. */
const LOAD = `globalThis[Symbol.for("skiff.load")]`;

const IMPORT = /\bimport\s*\{([^}]*)\}\s*from\s*"\.\/([^"]+)\.js";?/g;
const DYNAMIC_IMPORT = /\bimport\("\.\/([^"]+)\.js"\)\.then\(m=>m\.([\w$]+)\)/g;
const EXPORTS = /\bexport\s*\{([^}]*)\};?\s*$/;

/** Rewrites `names` (`main.js` among them) in place and gives the names of the files that are new. */
export async function makeClassicScripts(folder: string, names: readonly string[]): Promise<string[]> {
  const stems = new Set(names.map((name) => name.replace(/\.js$/, "")));
  const made: string[] = [];
  for (const stem of stems) {
    const module = await Deno.readTextFile(`${folder}/${stem}.js`);
    await Deno.writeTextFile(`${folder}/${stem}.script.js`, toScript(module, stem, stems));
    await Deno.writeTextFile(`${folder}/${stem}.js`, stem === "main" ? MAIN : toModule(module, stem));
    made.push(`${stem}.script.js`);
  }
  return made;
}

/** The text of a module as an expression: a function of load() that gives the exports. */
function toScript(module: string, stem: string, stems: Set<string>): string {
  const isKnown = (other: string) => stems.has(other) && other !== "main";
  const body = module
    .replace(IMPORT, (_, list: string, other: string) => {
      if (!isKnown(other)) throw new Error(`${stem}.js is loaded at every start, and imports ${other}.js`);
      return list.trim() === ""
        ? `$load("${other}");`
        : `const{${list.replace(/\s+as\s+/g, ":")}}=$load("${other}");`;
    })
    .replace(
      /\bimport\s*"\.\/([^"]+)\.js";?/g,
      (whole, other: string) => isKnown(other) ? `$load("${other}");` : whole,
    )
    .replace(
      DYNAMIC_IMPORT,
      (whole, other: string, name: string) =>
        isKnown(other) ? `Promise.resolve($load("${other}").${name})` : whole,
    )
    .replace(
      EXPORTS,
      (_, list: string) => `return{${exported(list).map(([own, name]) => `${name}:${own}`).join(",")}};`,
    );
  const left = /(?<!["\w$.])(?:import\s*[{*"]|export\s*\{|import\.meta)/.exec(body);
  if (left) {
    throw new Error(`${stem}.js: ${body.slice(left.index, left.index + 80)}: has no form in a script`);
  }
  // no name of the bundle: a source may well have a `load` of its own
  return `($load=>{${body}})`;
}

/** The same exports for modules. */
function toModule(module: string, stem: string): string {
  const [, list = ""] = EXPORTS.exec(module) ?? [];
  const names = exported(list).map(([, name]) => name);
  return `export const{${names.join(",")}}=${LOAD}("${stem}");`;
}

/** `a as b,c` as pairs of the name in the file and the exported one. */
function exported(list: string): [own: string, name: string][] {
  return list.split(",").filter((one) => one.trim() !== "").map((one) => {
    const [own, name] = one.trim().split(/\s+as\s+/);
    return [own!, name ?? own!];
  });
}

const MAIN = `const{core}=Deno[Deno.internal],at=import.meta.url.slice(0,-7),loaded=new Map,
load=name=>{
let exports=loaded.get(name);
if(exports===void 0){
const url=at+name+".script.js",[script,error]=core.evalContext(Deno.readTextFileSync(new URL(url)),url);
if(error)throw error.thrown;
loaded.set(name,exports=script(load))
}
return exports
};
${LOAD}=load;load("main");
`;
