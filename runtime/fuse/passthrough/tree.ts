/** What the operations of a passthrough share: the nodes, open files, and how owners are shown. */

import { EOVERFLOW, errno, ESTALE } from "../../../ffi/errno.ts";
import { AT_FDCWD } from "../../../ffi/constants/fcntl.ts";
import { S_ISGID, S_ISUID } from "../../../ffi/constants/stat.ts";
import type { Attributes, Reply, Validity } from "../reply.ts";
import type { Request } from "../request.ts";
import { Calls, descriptorPath, type Name, rare } from "./calls.ts";
import { Facts } from "./facts.ts";
import { Identity } from "./identity.ts";
import { nameOf, textOf } from "./names.ts";
import { type FileNode, NodeTable } from "./nodes.ts";
import { diskOwner, type OwnerRule } from "./owners.ts";
import { type Listener, Watches } from "./watches.ts";

export interface TreeOptions {
  /** O_PATH: the folder (or the file) that is shown; the tree's from here on. */
  rootFd: number;
  uids: OwnerRule;
  gids: OwnerRule;
  /** How long the kernel believes what it was told: so late may a change by others be seen. */
  validity: Validity;
  /** Descriptors that may be open. */
  maxDescriptors: number;
  /** The process may do what no user may (CAP_FSETID of the host), so that the kernel strips no set-user-ID for it. */
  isPrivileged: boolean;
  /** Called after the process had other ids for a moment, which undoes PR_SET_PDEATHSIG. */
  onIdsChanged(): void;
}

export class Tree {
  readonly calls = new Calls();
  readonly facts: Facts;
  readonly nodes: NodeTable;
  readonly uids: OwnerRule;
  readonly gids: OwnerRule;
  readonly validity: Validity;
  readonly isPrivileged: boolean;
  readonly rootFd: number;
  readonly watches: Watches;
  readonly #identity: Identity;
  /** Open files by descriptor, which is their handle. */
  readonly files = new Map<number, FileNode>();

  /** `listener` has the kernel forget what was changed by others. */
  constructor(options: TreeOptions, listener: Listener) {
    const { rootFd, uids, gids, validity, maxDescriptors, isPrivileged, onIdsChanged } = options;
    this.facts = new Facts(this.calls, uids, gids);
    // the others are for open files
    this.nodes = new NodeTable(this.calls, this.facts, rootFd, Math.floor(maxDescriptors / 2));
    this.watches = new Watches(rootFd, this.nodes.root.device, listener);
    this.uids = uids;
    this.gids = gids;
    this.validity = validity;
    this.isPrivileged = isPrivileged;
    this.rootFd = rootFd;
    this.#identity = new Identity(onIdsChanged);
  }

  /** The attributes last taken, with an inode number that no other device of the tree has. */
  get attributes(): Attributes {
    const { attributes, device } = this.facts;
    if (device !== this.nodes.root.device) attributes.ino += (device % 2048 + 1) * 2 ** 41;
    return attributes;
  }

  /** A descriptor that stands for the folder `id`; -errno. */
  folder(id: number): number {
    const node = this.nodes.get(id);
    return node === undefined ? -ESTALE : this.nodes.pathOf(node);
  }

  /** Takes the facts of a node: by an open file of it, or by its name. 0 or an errno. */
  look(node: FileNode): number {
    const { facts, nodes } = this;
    const open = node.pathFd !== -1 ? node.pathFd : node.handles?.[0] ?? -1;
    if (open !== -1) return facts.ofDescriptor(open) ? 0 : errno();
    const { parent, name } = node;
    if (parent === undefined || name === undefined) return ESTALE;
    const folder = nodes.pathOf(parent);
    if (folder < 0) return -folder;
    return facts.ofEntry(folder, nameOf(name)) && nodes.isFactOf(node) ? 0 : ESTALE;
  }

  /** Looks at an entry that was just made and answers with it. */
  answerEntry(parentId: number, folder: number, name: Name, reply: Reply): number {
    if (!this.facts.ofEntry(folder, name)) return errno();
    this.tellEntry(this.nodes.get(parentId), textOf(name), reply);
    return 0;
  }

  /** Answers with the entry that was just looked at. */
  tellEntry(parent: FileNode | undefined, name: string, reply: Reply): FileNode {
    const node = this.nodes.remember(parent, name);
    reply.entry(node.id, 0, this.attributes, this.entryValidity(parent, name, node));
    return node;
  }

  /** How long what was just looked at may be believed: an entry, or a node's attributes. */
  entryValidity(parent: FileNode | undefined, name: string, node: FileNode): Validity {
    return this.watches.entryValidity(parent, name, node, this.facts.attributes, this.validity);
  }

  attributesValidity(node: FileNode): Validity {
    return this.watches.validity(node, this.facts.attributes, this.validity);
  }

  /** A descriptor of the folder whose entries are looked at next; -errno. */
  watchedFolder(id: number): number {
    const node = this.nodes.get(id);
    if (node === undefined) return -ESTALE;
    const fd = this.nodes.pathOf(node);
    if (fd >= 0) this.watches.watch(node, fd);
    return fd;
  }

  /** The owners on disk of what the asker makes; undefined where it has none there. */
  ownersOf(request: Request): { uid: number; gid: number } | undefined {
    const uid = diskOwner(this.uids, request.uid);
    const gid = diskOwner(this.gids, request.gid);
    return uid === undefined || gid === undefined ? undefined : { uid, gid };
  }

  /** What the kernel does for whoever has no CAP_FSETID. `fd` may be one that only stands for the file. */
  dropSetId(fd: number): void {
    const { facts } = this;
    if (!facts.ofDescriptor(fd) || (facts.mode & (S_ISUID | S_ISGID)) === 0) return;
    rare.fchmodat(AT_FDCWD, descriptorPath(fd), facts.mode & 0o7777 & ~(S_ISUID | S_ISGID), 0);
  }

  /** Makes a new entry by `make` as the asker's, which gives -1 where it fails. What it gives, or -errno. */
  asAsker(request: Request, make: () => number): number {
    const owners = this.ownersOf(request);
    return owners === undefined ? -EOVERFLOW : this.#identity.as(owners, make);
  }
}

/** (uid_t) -1 of chown(2): as it is. */
export const KEEP = 0xffffffff;
