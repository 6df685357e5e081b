/**
 * Turns bundles of modules into classic scripts, and all but those that every start loads into one file.
 *
 * Deno takes 9 ms to load 200 kB of modules and 5.5 to evaluate the same text as scripts, both from its code
 * cache: for a script there is no graph to build, no resolution and no turn of the event loop. And a header that
 * looks at two hundred files at every start takes 4 ms for it. So a chunk becomes
 *
 * ```
 *  (load=>{"use strict";const{a}=load("other"); … return{b,c}})
 *
 *  run-x.js     what every start of a variant loads (see build.ts), and
 *  run-main.js
 *  program      a line of JSON, [offset, length] by name, and then all other scripts; the line is searched, not parsed,
 *               which takes a tenth of the time for the few that a process loads
 *  main.js      a module: chooses the variant, defines load() and loads its main
 * ```
 *
 * load.later() is an import(), and can do at once what a forked child, which takes no turns of the event loop, cannot
 * wait for: `atOnce` opens the program's file, and gives what loads the chunk from it whenever that may be. It goes past
 * the code cache, whose database is the parent's. Otherwise the file is open while an import() takes what it needs, and
 * no longer: a child that is forked finds none open.
 *
 * A process that is kept for later starts (runtime/frozen/freeze.ts) loads all of the first variant ahead, whatever the
 * commands will be: what is there and not used costs nothing, and what is loaded later is compiled without the code cache.
 *
 * load() is Deno's `core.evalContext`, which node:vm stands on as well: a private API of the pinned runtime.
 */

/** No chunk has a name like it of its own. */
const LOAD = "$skiffLoad";

const CHUNK = String.raw`"\.\/([^"]+)\.js"`;
const NODE = String.raw`"(node:[a-z_/]+)"`;

/** Each form of import that esbuild writes, and what stands for it in a script. */
const FORMS: [RegExp, (...groups: string[]) => string][] = [
  [
    form(String.raw`import\s*\{([^}]*)\}\s*from\s*${CHUNK};?`),
    (list, name) => take(list, `${LOAD}("${name}")`),
  ],
  [form(String.raw`import\s*\{([^}]*)\}\s*from\s*${NODE};?`), (list, name) => take(list, builtin(name))],
  // what a built-in module exports as default is the module
  [
    form(String.raw`import\s*(?:\*\s*as\s+|\s)([\w$]+)\s+from\s*${NODE};?`),
    (own, name) => `const ${own}=${builtin(name)};`,
  ],
  [form(String.raw`import\s*${CHUNK};?`), (name) => `${LOAD}("${name}");`],
  [form(String.raw`import\(${CHUNK}\)`), (name) => `${LOAD}.later("${name}")`],
  [
    /\bexport\s*\{([^}]*)\};?\s*$/g,
    (list) => `return{${pairs(list).map(([own, name]) => `${name}:${own}`)}};`,
  ],
];

function form(source: string): RegExp {
  return new RegExp(String.raw`\b${source}`, "g");
}

function take(list: string, from: string): string {
  return list.trim() === ""
    ? `${from};`
    : `const{${pairs(list).map(([name, own]) => `${name}:${own}`)}}=${from};`;
}

function builtin(name: string): string {
  return `process.getBuiltinModule("${name}")`;
}

/** `a as b,c` as pairs of the words before and after. */
function pairs(list: string): [string, string][] {
  return list.split(",").filter((one) => one.trim() !== "").map((one) => {
    const [before, after] = one.trim().split(/\s+as\s+/);
    return [before!, after ?? before!];
  });
}

/** The program as one kind of command loads it, in a folder of its own. */
export interface Variant {
  name: string;
  /** The command's words that start it; the first variant is for all others. */
  verbs: readonly string[];
  folder: string;
  /** Its modules, `main.js` among them. */
  names: readonly string[];
  /** Those that its every start loads. */
  hot: readonly string[];
}

/** Writes the files of the program to `folder` and gives their names. */
export async function writeClassicScripts(folder: string, variants: readonly Variant[]): Promise<string[]> {
  const index: Record<string, [offset: number, length: number]> = {};
  const files: Record<string, string> = {};
  const cold: string[] = [];
  let offset = 0;
  for (const variant of variants) {
    for (const chunk of variant.names) {
      const name = `${variant.name}/${chunk.replace(/\.js$/, "")}`;
      const script = toScript(await Deno.readTextFile(`${variant.folder}/${chunk}`), name);
      if (variant.hot.includes(chunk)) {
        files[name] = `${name.replace("/", "-")}.js`;
        await Deno.writeTextFile(`${folder}/${files[name]}`, script);
      } else {
        const length = new TextEncoder().encode(script).length;
        index[name] = [offset, length];
        offset += length;
        cold.push(script);
      }
    }
  }
  const line = JSON.stringify(index) + "\n";
  await Deno.writeTextFile(`${folder}/program`, line + cold.join(""));
  const verbs = Object.fromEntries(variants.flatMap(({ name, verbs }) => verbs.map((verb) => [verb, name])));
  const main = MAIN.replace("HOT", JSON.stringify(files)).replaceAll("LINE_BYTES", String(line.length))
    .replace("VERBS", JSON.stringify(verbs)).replaceAll("FIRST", JSON.stringify(variants[0]!.name));
  await Deno.writeTextFile(`${folder}/main.js`, main);
  return ["main.js", "program", ...Object.values(files)];
}

/** The text of a module as an expression: a function of load() that gives the exports. */
function toScript(module: string, name: string): string {
  let body = module;
  for (const [pattern, replace] of FORMS) {
    body = body.replace(pattern, (_, ...groups: string[]) => replace(...groups));
  }
  const script = `(${LOAD}=>{"use strict";${body}})`;
  try {
    new Function(`return ${script}`);
  } catch (error) {
    // a top-level await, or a form of import or export that is not above
    throw new Error(`${name}.js has no form as a script: ${(error as Error).message}`);
  }
  return script;
}

const MAIN =
  `const{core}=Deno[Deno.internal],at=import.meta.url.slice(0,-7),folder=decodeURIComponent(at.slice(7)),
hot=HOT,loaded=new Map;
let index,kept,main,lent=null,evaluate=(text,name)=>{
const[script,error]=core.evalContext(text,at+name+".js");
if(error)throw error.thrown;
return script
};
const slice=(offset,length)=>{
const file=kept??(lent??=Deno.openSync(folder+"program"));
file.seekSync(offset,0);
const bytes=new Uint8Array(length);
for(let at=0;at<length;){
const count=file.readSync(bytes.subarray(at));
if(count===null)throw new Error("read "+folder+"program: it is cut off");
at+=count
}
return new TextDecoder().decode(bytes)
},
cold=name=>{
index??=slice(0,LINE_BYTES);
const key='"'+name+'":[',at=index.indexOf(key);
if(at<0)throw new Error("load "+name+": it is not in "+folder+"program");
const[offset,length]=index.slice(at+key.length,index.indexOf("]",at)).split(",").map(Number);
return slice(LINE_BYTES+offset,length)
},
script=name=>{
const file=hot[name];
return name===FIRST+"/main"&&main||evaluate(file?Deno.readTextFileSync(folder+file):cold(name),name)
},
open=variant=>{
const load=chunk=>{
const name=variant+"/"+chunk;
let exports=loaded.get(name);
if(exports===void 0)loaded.set(name,exports=script(name)(load));
return exports
},
begin=chunk=>{
try{
return load(chunk)
}finally{
lent?.close();
lent=null
}
};
load.later=chunk=>Object.assign(Promise.resolve(chunk).then(begin),{atOnce(){
const known=loaded.get(variant+"/"+chunk);
if(known)return()=>known;
kept??=Deno.openSync(folder+"program");
return()=>{
evaluate=globalThis.eval;
return begin(chunk)
}}});
return begin
};
let words=Deno.args,begin;
if(words[0]?.startsWith("__freeze")){
begin=open(FIRST);
words=await begin("freeze").freeze(words,()=>{
for(const name of[...Object.keys(hot),...Object.keys(JSON.parse(slice(0,LINE_BYTES)))]){
if(!name.startsWith(FIRST+"/"))continue;
const chunk=name.slice(FIRST.length+1);
if(chunk==="main")main=script(name);
else begin(chunk)
}
},folder=>begin("rehearse").rehearse(folder));
Object.defineProperty(Deno,"args",{value:words})
}
begin??=open(VERBS[words[0]==="container"?words[1]:words[0]]??FIRST);
begin("main");
`;
