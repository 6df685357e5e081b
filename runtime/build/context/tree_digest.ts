/**
 * The digest of what a step reads of a tree: names, types, modes, owners, link targets, attributes and bytes; no
 * times. Equal content gives an equal digest, wherever and whenever it was made. Synchronous, for forked children.
 *
 * @see BuildKit, cache/contenthash
 */

import { bytesOf, byteString, displayName } from "../../archive/byte_string.ts";
import { readXattrs, sparseRuns } from "../../archive/file_facts.ts";
import { HostError } from "../../errors.ts";
import { descend } from "../../rootfs/copy_tree.ts";
import type { Owner } from "../../storage/capture_changes.ts";
import type { ArchiveHash } from "../../storage/layer_hash.ts";
import { recordedOwner } from "../../storage/recorded_owners.ts";
import { close, Fd, fstat, openat, pread, readdir, readlinkat, type Stat, statx } from "../../../ffi/file.ts";
import { errnoText, SyscallError } from "../../../ffi/errno.ts";
import { forkChild } from "../../../ffi/fork.ts";
import { mapShared } from "../../../ffi/memory.ts";
import { getpid, getppid, prctl, waitpidBlocking } from "../../../ffi/process.ts";
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
} from "../../../ffi/constants/fcntl.ts";
import { PR_SET_PDEATHSIG } from "../../../ffi/constants/prctl.ts";
import { SIGKILL } from "../../../ffi/constants/signal.ts";
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from "../../../ffi/constants/stat.ts";
import type { SelectedSource, SourceSelection } from "./selection.ts";
import type { OpenedTree } from "./source_tree.ts";
import type { StatCache } from "./stat_cache.ts";

const OPEN_FOLDER = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
const OPEN_FILE = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
const BUFFER_BYTES = 1 << 18;
/** Less than this is read before another process is there to help. */
const HELP_FROM_BYTES = 8 << 20, HELP_FROM_FILES = 1000;
const HASH = 32;

export interface DigestRules {
  /** Files of a context are root's, whoever owns them on this machine. */
  owners: boolean;
  /** The layers, the topmost first, where owners are written down beside them. */
  recorded?: readonly string[];
  cache?: StatCache;
  /** Processes that may read at once. */
  processes: number;
  newHash(): ArchiveHash;
  /** Of what is to be hashed. */
  limitBytes: number;
}

/** A file whose bytes have to be read. */
interface Pending {
  source: number;
  /** Below its source, byte strings; empty for the source itself. */
  path: string[];
  /** Its line in the digest's text. */
  line: number;
  size: number;
}

/** Hex, of all that the patterns name; undefined where that is more than the limit. @throws {NotFoundError} */
export function digestTree(
  tree: OpenedTree,
  selection: SourceSelection,
  rules: DigestRules,
): string | undefined {
  using opened = new DisposableStack();
  const walk = new DigestWalk(rules);
  for (const pattern of selection.patterns) {
    for (const source of tree.select(pattern, selection)) walk.add(opened.use(source));
  }
  return walk.finish();
}

class DigestWalk {
  readonly #rules: DigestRules;
  readonly #sources: SelectedSource[] = [];
  readonly #lines: string[] = [];
  readonly #pending: Pending[] = [];

  constructor(rules: DigestRules) {
    this.#rules = rules;
  }

  add(source: SelectedSource): void {
    const index = this.#sources.push(source) - 1;
    const { found, base } = source;
    this.#lines.push(`source ${JSON.stringify(base)}`);
    if (!found.isFolder) return this.#file(index, [], found.stat, () => readlinkat(found.fd, ""));
    using folder = new Fd(explained(source, [], () => reopen(source, OPEN_FOLDER & ~O_NOFOLLOW)));
    this.#line(index, [], found.stat, attributes(folder.number));
    this.#contents(index, folder.number, []);
  }

  finish(): string | undefined {
    const lines = this.#lines.reduce((sum, { length }) => sum + length, 0);
    if (this.#pending.reduce((sum, { size }) => sum + size, lines) > this.#rules.limitBytes) return undefined;
    this.#read();
    const hash = this.#rules.newHash();
    for (const line of this.#lines) hash.update(bytesOf(`${line}\n`));
    return hash.finish();
  }

  #contents(source: number, fd: number, path: string[]): void {
    const { filter } = this.#sources[source]!;
    for (const name of readdir(fd).map(({ name }) => byteString(name)).sort()) {
      const inner = [...path, name];
      const raw = bytesOf(name);
      const stat = statx(fd, raw, AT_SYMLINK_NOFOLLOW);
      const isFolder = (stat.mode & S_IFMT) === S_IFDIR;
      const decision = filter(inner.join("/"), isFolder);
      if (decision === "leave") continue;
      if (!isFolder) {
        this.#file(source, inner, stat, () => readlinkat(fd, raw));
        continue;
      }
      using folder = new Fd(explained(this.#sources[source]!, inner, () => openat(fd, raw, OPEN_FOLDER)));
      const before = this.#lines.length;
      this.#line(source, inner, stat, attributes(folder.number));
      this.#contents(source, folder.number, inner);
      // nothing in it was wanted after all
      if (decision === "look" && this.#lines.length === before + 1) this.#lines.pop();
    }
  }

  #file(source: number, path: string[], stat: Stat, target: () => Uint8Array): void {
    const type = stat.mode & S_IFMT;
    if (type === S_IFSOCK) return; // is not copied either
    if (type === S_IFLNK) return this.#line(source, path, stat, JSON.stringify(byteString(target())));
    if (type !== S_IFREG) return this.#line(source, path, stat, `${stat.rdevMajor}:${stat.rdevMinor}`);
    const known = this.#rules.cache?.find(stat);
    const line = this.#lines.length;
    this.#line(source, path, stat, known === undefined ? "" : hex(known));
    if (known === undefined) this.#pending.push({ source, path, line, size: stat.size });
  }

  #line(source: number, path: string[], stat: Stat, content: string): void {
    const { uid, gid } = this.#ownerOf(source, path) ?? stat;
    const owner = this.#rules.owners ? ` ${uid}:${gid}` : "";
    // the bits of a link mean nothing, and differ between file systems
    const mode = (stat.mode & S_IFMT) === S_IFLNK ? S_IFLNK : stat.mode;
    this.#lines.push(`${JSON.stringify(path.join("/"))} ${mode.toString(8)}${owner} ${content}`);
  }

  /** What is written down of it. */
  #ownerOf(source: number, path: string[]): Owner | undefined {
    const { recorded } = this.#rules;
    if (recorded === undefined) return undefined;
    return recordedOwner(
      recorded,
      [this.#sources[source]!.path, ...path].filter((part) => part !== "").join("/"),
    );
  }

  /** Reads what no cache knows, shared out among processes where it is much. */
  #read(): void {
    const pending = this.#pending;
    const bytes = pending.reduce((sum, { size }) => sum + size, 0);
    const isMuch = bytes >= HELP_FROM_BYTES || pending.length >= HELP_FROM_FILES;
    const processes = isMuch ? Math.max(1, this.#rules.processes) : 1;
    if (pending.length === 0) return;
    const readAtMs = Date.now();
    const results = processes === 1
      ? new Uint8Array(pending.length * HASH)
      : mapShared(pending.length * HASH);
    // large and small files in turn, so that all end at about the same time
    const order = pending.map((_, at) => at);
    if (processes > 1) order.sort((a, b) => pending[b]!.size - pending[a]!.size);
    const share = (own: number) => {
      const reader = new FileReader(this.#sources, this.#rules.newHash);
      for (let at = own; at < order.length; at += processes) {
        const index = order[at]!;
        results.set(reader.digest(pending[index]!), index * HASH);
      }
    };
    const parent = getpid();
    const help = (own: number) => {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() === parent) share(own);
      return 0;
    };
    const helpers: [pid: number, own: number][] = [];
    for (let own = 1; own < processes; own++) helpers.push([forkChild(() => help(own)), own]);
    share(0);
    for (const [pid, own] of helpers) {
      // what stopped it is met again, and told
      if (waitpidBlocking(pid).status !== 0) share(own);
    }
    pending.forEach((file, index) => {
      const hash = results.slice(index * HASH, (index + 1) * HASH);
      this.#lines[file.line] += hex(hash);
      this.#remember(file, hash, readAtMs);
    });
    this.#rules.cache?.save();
  }

  #remember({ source, path }: Pending, hash: Uint8Array, readAtMs: number): void {
    if (this.#rules.cache === undefined) return;
    try {
      const { found } = this.#sources[source]!;
      if (path.length === 0) return this.#rules.cache.add(fstat(found.fd), hash, readAtMs);
      using folder = new Fd(openFolder(this.#sources[source]!, path.slice(0, -1)));
      const stat = statx(folder.number, bytesOf(path.at(-1)!), AT_SYMLINK_NOFOLLOW);
      this.#rules.cache.add(stat, hash, readAtMs);
    } catch {
      // it was removed meanwhile
    }
  }
}

/** Reads files of the sources; one folder stays open between neighbours. */
class FileReader {
  readonly #sources: readonly SelectedSource[];
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #folder: { key: string; fd: number } | undefined;

  constructor(sources: readonly SelectedSource[], private readonly newHash: () => ArchiveHash) {
    this.#sources = sources;
  }

  digest({ source, path }: Pending): Uint8Array {
    using file = new Fd(explained(this.#sources[source]!, path, () => this.#open(source, path)));
    const hash = this.newHash();
    // of holes it is enough to know where they are: a sparse file may be larger than anybody can read
    const runs = sparseRuns(file.number, fstat(file.number));
    for (const { offset, length } of runs ?? [{ offset: 0, length: Infinity }]) {
      this.#bytes(file.number, hash, offset, length);
    }
    // the change time of a file changes with its attributes, so that the cache may hold all as one
    const rest = attributes(file.number) + (runs === undefined ? "" : JSON.stringify(runs));
    const both = this.newHash();
    both.update(Uint8Array.fromHex(hash.finish()));
    both.update(bytesOf(rest));
    return Uint8Array.fromHex(both.finish());
  }

  #bytes(fd: number, hash: ArchiveHash, offset: number, length: number): void {
    for (let done = 0; done < length;) {
      const room = length - done < BUFFER_BYTES ? this.#buffer.subarray(0, length - done) : this.#buffer;
      const count = pread(fd, room, offset + done);
      if (count === 0) return;
      hash.update(room.subarray(0, count));
      done += count;
    }
  }

  #open(index: number, path: readonly string[]): number {
    const source = this.#sources[index]!;
    if (path.length === 0) return reopen(source, OPEN_FILE);
    const key = `${index}/${path.slice(0, -1).join("/")}`;
    if (this.#folder?.key !== key) {
      if (this.#folder !== undefined) close(this.#folder.fd);
      this.#folder = undefined;
      this.#folder = { key, fd: openFolder(source, path.slice(0, -1)) };
    }
    return openat(this.#folder.fd, bytesOf(path.at(-1)!), OPEN_FILE | O_NOFOLLOW);
  }
}

function openFolder(source: SelectedSource, path: readonly string[]): number {
  using top = new Fd(reopen(source, OPEN_FOLDER & ~O_NOFOLLOW));
  return descend(top.number, path.map(bytesOf));
}

/** Through /proc it is the opened file itself, whatever its name leads to by now. */
function reopen(source: SelectedSource, flags: number): number {
  return openat(AT_FDCWD, `/proc/self/fd/${source.found.fd}`, flags);
}

/** What cannot be opened is told with its whole path. */
function explained<T>(source: SelectedSource, path: readonly string[], open: () => T): T {
  try {
    return open();
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    const name = displayName(`/${[source.path, ...path].filter((part) => part !== "").join("/")}`);
    throw new HostError(`failed to read "${name}": ${errnoText(error.errno).toLowerCase()}`, {
      cause: error,
    });
  }
}

/** Extended attributes as text; "" for none. */
function attributes(fd: number): string {
  const found = readXattrs(fd);
  if (found === undefined) return "";
  return JSON.stringify([...found].map(([name, value]) => [name, byteString(value)]).sort());
}

function hex(bytes: Uint8Array): string {
  return bytes.toHex();
}
