import { close, open } from "../../../ffi/file.ts";
import { O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../../ffi/constants/fcntl.ts";
import { NO_ATTRIBUTES } from "../reply.ts";
import { Calls } from "./calls.ts";
import { Facts } from "./facts.ts";
import { type FileNode, NodeTable } from "./nodes.ts";
import type { OwnerRule } from "./owners.ts";
import { LONG_MS, Watches } from "./watches.ts";
import { assertEquals } from "../../../tests/assertions.ts";

const SHORT = { entryMs: 1000, attrMs: 1000 };
const SAME: OwnerRule = { kind: "swap", disk: 0, shown: 0, root: 0 };
/** Where every change is told. */
const LOCAL_FOLDER = "/dev/shm";
const isMissing = !isFolder(LOCAL_FOLDER);

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

/** A watched folder, and what its kernel was told since `told` was called last. */
class Fixture implements Disposable {
  readonly folder = Deno.makeTempDirSync({ dir: LOCAL_FOLDER });
  readonly fd = open(this.folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
  readonly calls = new Calls();
  readonly facts = new Facts(this.calls, SAME, SAME);
  readonly nodes = new NodeTable(this.calls, this.facts, this.fd, 100);
  readonly names = new Map([[1, "/"]]);
  #told: string[] = [];
  readonly watches = new Watches(this.fd, this.nodes.root.device, {
    attributesChanged: (id) => this.#told.push(this.names.get(id)!),
    nameChanged: (id, name) => this.#told.push(`${id} ${new TextDecoder().decode(name)}`),
  });

  /** Looks at an entry as a LOOKUP does; `change` is what was read of it instead. */
  look(name: string, change: Partial<typeof NO_ATTRIBUTES> = {}) {
    const bytes = new TextEncoder().encode(`${name}\0`);
    const { root } = this.nodes;
    this.watches.watch(root, this.fd);
    if (!this.facts.ofEntry(this.fd, bytes)) throw new Error(`no ${name}`);
    const node = this.nodes.remember(root, name);
    this.names.set(node.id, name);
    const now = { ...this.facts.attributes, ctime: 1000, ...change };
    return { node, validity: { ...this.watches.entryValidity(root, name, node, now, SHORT) } };
  }

  forget(node: FileNode): void {
    this.watches.forgot(this.nodes.forget(node.id, node.lookups)!);
  }

  /** Each but once, in no order of theirs: events may be merged, and file systems differ in what they tell first. */
  told(): string[] {
    this.watches.take();
    const told = [...new Set(this.#told)].sort();
    this.#told = [];
    return told;
  }

  write(name: string, text: string): void {
    Deno.writeTextFileSync(`${this.folder}/${name}`, text);
  }

  [Symbol.dispose](): void {
    if (this.watches.fd !== undefined) close(this.watches.fd);
    close(this.fd);
    Deno.removeSync(this.folder, { recursive: true });
  }
}

function watchTest(name: string, fn: (fixture: Fixture) => void): void {
  Deno.test({
    name: isMissing ? `${name} [needs ${LOCAL_FOLDER}]` : name,
    ignore: isMissing,
    fn() {
      using fixture = new Fixture();
      fn(fixture);
    },
  });
}

const LONG = { entryMs: LONG_MS, attrMs: LONG_MS };

watchTest("an entry of a watched folder is believed for long, until it changes", (tree) => {
  tree.write("file", "one");
  assertEquals(tree.look("file").validity, LONG);
  assertEquals(tree.told(), []);
  tree.write("file", "other");
  assertEquals(tree.told(), ["file"]);
  Deno.chmodSync(`${tree.folder}/file`, 0o600);
  assertEquals(tree.told(), ["file"]);
  Deno.removeSync(`${tree.folder}/file`);
  assertEquals(tree.told(), ["/", "1 file", "file"]);
  // nobody believes anything of it any more
  tree.write("file", "new");
  assertEquals(tree.told(), ["/"]);
});

watchTest("what takes a name and what loses it are told", (tree) => {
  tree.write("one", "");
  tree.write("two", "");
  tree.look("one");
  tree.look("two");
  Deno.renameSync(`${tree.folder}/one`, `${tree.folder}/two`);
  assertEquals(tree.told(), ["/", "1 one", "1 two", "one", "two"]);
  // what the container itself takes away it knows
  tree.look("two");
  tree.watches.removed(tree.nodes.root, "two");
  Deno.removeSync(`${tree.folder}/two`);
  assertEquals(tree.told(), ["/"]);
});

watchTest("who is seen by another name is no longer believed by the one before", (tree) => {
  tree.write("one", "");
  tree.look("one");
  Deno.linkSync(`${tree.folder}/one`, `${tree.folder}/link`);
  assertEquals(tree.told(), ["/"]);
  assertEquals(tree.look("link").validity, SHORT);
  // of what is told only the name: the answer has the attributes
  assertEquals(tree.told(), ["1 one"]);
  // the look comes before the event is taken
  tree.write("two", "");
  tree.look("two");
  tree.told();
  Deno.renameSync(`${tree.folder}/two`, `${tree.folder}/three`);
  assertEquals(tree.look("three").validity, LONG);
  assertEquals(tree.told(), ["/", "1 three", "1 two", "three"]);
});

watchTest("a name that another has taken does not tell of who had it", (tree) => {
  tree.write("file", "");
  tree.write("other", "");
  const { node } = tree.look("file");
  Deno.renameSync(`${tree.folder}/file`, `${tree.folder}/away`);
  Deno.renameSync(`${tree.folder}/other`, `${tree.folder}/file`);
  tree.names.set(node.id, "who had it");
  assertEquals(tree.look("file").validity, LONG);
  assertEquals(tree.told(), ["/", "1 file", "file", "who had it"]);
  assertEquals(tree.watches.validity(node, { ...tree.facts.attributes, ctime: 1000 }, SHORT), SHORT);
});

watchTest("what the container renames is not believed by its new name for long", (tree) => {
  const { root } = tree.nodes;
  const rename = (from: string, to: string, isExchange = false) => {
    tree.watches.renamed(root, from, root, to, isExchange);
  };
  for (const name of ["one", "two", "three"]) {
    tree.write(name, "");
    tree.look(name);
  }
  tree.told();
  rename("one", "new");
  assertEquals(tree.told(), ["1 new", "one"]);
  rename("two", "three", true);
  assertEquals(tree.told(), ["1 three", "1 two", "three", "two"]);
  tree.look("two");
  tree.look("three");
  rename("two", "three");
  assertEquals(tree.told(), ["1 three", "two"]);
  // nobody believes anything of it any more
  rename("three", "four");
  assertEquals(tree.told(), []);
});

watchTest("what may change without a word is believed for a short time", (tree) => {
  tree.write("file", "one");
  // changed just now, as by who has it mapped
  const now = Math.floor(Date.now() / 1000) + 3600;
  assertEquals(tree.look("file", { ctime: now }).validity, { ...LONG, attrMs: SHORT.attrMs });
  Deno.linkSync(`${tree.folder}/file`, `${tree.folder}/second`);
  assertEquals(tree.look("file").validity, SHORT);
  // a folder's own attributes, as long as it is not watched itself
  Deno.mkdirSync(`${tree.folder}/folder`);
  assertEquals(tree.look("folder").validity, { ...LONG, attrMs: SHORT.attrMs });
  const { nodes, watches, facts } = tree;
  facts.ofDescriptor(tree.fd);
  const root = { ...facts.attributes, ctime: 1000 };
  assertEquals(watches.validity(nodes.root, root, SHORT), LONG);
});

watchTest("what the kernel forgets is remembered nowhere", (tree) => {
  Deno.mkdirSync(`${tree.folder}/folder`);
  tree.write("folder/file", "");
  const { node: folder } = tree.look("folder");
  const fd = tree.nodes.pathOf(folder);
  tree.watches.watch(folder, fd);
  const name = new TextEncoder().encode("file\0");
  tree.facts.ofEntry(fd, name);
  const file = tree.nodes.remember(folder, "file");
  tree.names.set(file.id, "folder/file");
  tree.watches.entryValidity(folder, "file", file, tree.facts.attributes, SHORT);
  tree.write("folder/file", "x");
  assertEquals(tree.told(), ["folder/file"]);
  tree.forget(file);
  tree.write("folder/file", "y");
  assertEquals(tree.told(), []);
  tree.forget(folder);
  assertEquals(folder.watch, undefined);
  tree.told();
  tree.write("folder/new", "z");
  // the root is watched, its entry's content is not
  assertEquals(tree.told(), []);
});

watchTest("when nobody can be told any more, nothing is believed for long", (tree) => {
  tree.write("file", "one");
  tree.look("file");
  tree.watches.stop();
  assertEquals(tree.told(), ["/", "1 file", "file"]);
  assertEquals(tree.look("file").validity, SHORT);
});
