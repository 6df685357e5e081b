/** The folders and files of lazy layers, as a FUSE server tells of them: built once, never changed. */

import { bytesOf, byteString } from "../../archive/byte_string.ts";
import type { LayerToc, TocEntry } from "../../archive/toc/model.ts";
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG } from "../../../ffi/constants/stat.ts";
import { type Attributes, NO_ATTRIBUTES } from "../../fuse/reply.ts";
import { checkXattrs, isHostXattr } from "../entry_metadata.ts";
import { LayerNames } from "../layer_names.ts";

export interface LazyNode {
  /** Its number for the kernel: its place in the list. */
  id: number;
  attributes: Attributes;
  /** Of a folder. */
  children?: Map<string, LazyNode>;
  parent: number;
  /** Of a symlink. */
  target?: Uint8Array<ArrayBuffer>;
  xattrs?: Map<string, Uint8Array<ArrayBuffer>>;
  /** Of a file with content: which layer, and which of its entries. */
  file?: { layer: number; entry: TocEntry };
}

export interface TreeForm {
  /** As in ExtractOptions. */
  overlayXattrs: "user." | "trusted.";
  /** Everything belongs to root: there is no other id. */
  isSingle: boolean;
  makeDevices: boolean;
}

const TYPE_BITS = {
  directory: S_IFDIR,
  file: S_IFREG,
  symlink: S_IFLNK,
  char: S_IFCHR,
  block: S_IFBLK,
  fifo: S_IFIFO,
  hardlink: 0,
  unknown: 0,
};

/** The root has a folder for each layer: `0`, `1`, …; node 0 is none, node 1 the root. */
export function buildTree(tocs: readonly LayerToc[], form: TreeForm): LazyNode[] {
  const nodes: LazyNode[] = [folderNode(0, 0), folderNode(1, 1)];
  tocs.forEach(({ entries }, layer) => {
    const root = addNode(nodes, nodes[1]!, String(layer), plainFolder());
    addLayer(nodes, root, layer, entries, form);
  });
  return nodes;
}

/** @throws {VerificationError} for what would not be unpacked either */
function addLayer(
  nodes: LazyNode[],
  root: LazyNode,
  layer: number,
  entries: readonly TocEntry[],
  form: TreeForm,
): void {
  const names = new LayerNames();
  const links: [entry: TocEntry, parent: LazyNode, base: string][] = [];
  const opaque: string[] = [];
  const whiteouts: string[] = [];
  for (const entry of entries) {
    const name = names.classify(entry.name === "" ? "./" : entry.name, entry.type === "directory");
    if (name.kind === "ignored") continue;
    if (name.kind === "opaque") {
      opaque.push(name.path);
      continue;
    }
    if (name.kind === "whiteout") {
      whiteouts.push(name.path);
      continue;
    }
    if (entry.xattrs !== undefined) checkXattrs(entry);
    if ((entry.type === "char" || entry.type === "block") && !form.makeDevices) continue;
    if (name.kind === "root") {
      describeKnown(root, entry, form);
      continue;
    }
    const parent = folderAt(nodes, root, name.parent);
    if (entry.type === "hardlink") {
      links.push([entry, parent, name.base]);
      continue;
    }
    const known = parent.children!.get(name.base);
    if (known !== undefined) {
      describeKnown(known, entry, form);
      continue;
    }
    const node = addNode(nodes, parent, name.base, describe(entry, form));
    if (entry.chunks.length > 0) node.file = { layer, entry };
  }
  for (const [entry, parent, base] of links) {
    const target = find(root, entry.linkname);
    if (target === undefined || target.children !== undefined) continue;
    target.attributes.nlink++;
    parent.children!.set(base, target);
  }
  for (const path of whiteouts) {
    const slash = path.lastIndexOf("/");
    const parent = folderAt(nodes, root, path.slice(0, Math.max(slash, 0)));
    const base = path.slice(slash + 1);
    const there = parent.children!.get(base);
    // it hides lower layers only: a folder of this one by being opaque, a file anyway
    if (there === undefined) addNode(nodes, parent, base, { attributes: attributesOf(S_IFCHR) });
    else if (there.children !== undefined) markOpaque(there, form);
  }
  for (const path of opaque) markOpaque(folderAt(nodes, root, path), form);
}

function markOpaque(node: LazyNode, form: TreeForm): void {
  node.xattrs = new Map(node.xattrs).set(`${form.overlayXattrs}overlay.opaque`, new Uint8Array([0x79]));
}

type Facts = Omit<LazyNode, "id" | "parent">;

function describe(entry: TocEntry, form: TreeForm): Facts {
  const attributes = attributesOf(TYPE_BITS[entry.type] | entry.mode);
  attributes.size = entry.type === "symlink" ? entry.linkname.length : entry.size;
  attributes.blocks = Math.ceil(attributes.size / 512);
  for (const key of ["atime", "mtime", "ctime"] as const) {
    attributes[key] = entry.mtime;
    attributes[`${key}nsec`] = entry.mtimeNs;
  }
  if (!form.isSingle) {
    attributes.uid = entry.uid;
    attributes.gid = entry.gid;
  }
  const { devmajor, devminor } = entry;
  attributes.rdev = (devminor & 0xff | devmajor << 8 | (devminor & ~0xff) << 12) >>> 0;
  const xattrs = entry.xattrs && new Map([...entry.xattrs].filter(([name]) => !isHostXattr(name)));
  return {
    attributes,
    ...(entry.type === "directory" ? { children: new Map() } : {}),
    ...(entry.type === "symlink" ? { target: bytesOf(entry.linkname) } : {}),
    ...(xattrs?.size ? { xattrs } : {}),
  };
}

/** A folder was made for what is in it, before its own entry came: that stays. */
function describeKnown(folder: LazyNode, entry: TocEntry, form: TreeForm): void {
  const { children } = folder;
  Object.assign(folder, describe(entry, form), { children });
  folder.attributes.ino = folder.id;
}

function plainFolder(): Facts {
  return { attributes: attributesOf(S_IFDIR | 0o755), children: new Map() };
}

function folderNode(id: number, parent: number): LazyNode {
  const node: LazyNode = { id, parent, ...plainFolder() };
  node.attributes.ino = id;
  return node;
}

function addNode(nodes: LazyNode[], parent: LazyNode, base: string, facts: Facts): LazyNode {
  const node: LazyNode = { id: nodes.length, parent: parent.id, ...facts };
  node.attributes.ino = node.id;
  nodes.push(node);
  parent.children!.set(base, node);
  return node;
}

/** Folders without an entry of their own are made, as they are unpacked. */
function folderAt(nodes: LazyNode[], root: LazyNode, path: string): LazyNode {
  let node = root;
  for (const part of path === "" ? [] : path.split("/")) {
    const next = node.children!.get(part);
    node = next?.children !== undefined ? next : addNode(nodes, node, part, plainFolder());
  }
  return node;
}

function find(root: LazyNode, path: string): LazyNode | undefined {
  let node: LazyNode | undefined = root;
  for (const part of path === "" ? [] : path.split("/")) node = node?.children?.get(part);
  return node;
}

function attributesOf(mode: number): Attributes {
  return { ...NO_ATTRIBUTES, mode, nlink: 1, blksize: 4096 };
}

/** The name in a request, without its NUL. */
export function nameOf(bytes: Uint8Array): string {
  return byteString(bytes, 0, bytes.length - 1);
}
