/**
 * Opens what a build reads its files from. A folder is used where it is; an archive, an address and a repository come
 * into a folder of the build's own, which goes with it; an image is its layers.
 *
 * @see docker-buildx-build(1), "Build context"; podman-build(1), CONTEXT
 */

import { BuildError } from "../../errors.ts";
import { hostPlatform } from "../../image/platform.ts";
import type { Platform } from "../../spec/image.ts";
import { printable } from "../../spec/printable.ts";
import { openInRoot, tryOpenInRoot } from "../../rootfs/in_root.ts";
import { Fd, fstat, open, readAll } from "../../../ffi/file.ts";
import {
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOCTTY,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
} from "../../../ffi/constants/fcntl.ts";
import { S_IFMT, S_IFREG } from "../../../ffi/constants/stat.ts";
import { EACCES, ENOENT, ENOTDIR, errnoText, isErrno, SyscallError } from "../../../ffi/errno.ts";
import { parseIgnore } from "../ignore.ts";
import type { ContextSource, SecretSource } from "../options.ts";
import type { BuildServices } from "../services.ts";
import type { SourceTree } from "../step.ts";

export interface OpenContextOptions {
  /** `--ignorefile`: a path of this machine, in place of .dockerignore. */
  ignoreFile?: string;
  /** Where the Dockerfile is: of a folder a path of this machine, else one in the context. Its own ignore file goes first. */
  dockerfileName?: string;
  /** Of a repository: `.git` stays. */
  keepGitDir?: boolean;
  /** Of a repository or an address: may have a login for it. */
  secrets?: readonly SecretSource[];
  /** Of an image. */
  platform?: Platform;
  signal?: AbortSignal;
  progress?: (current: number, total?: number) => void;
}

export interface OpenedContext extends AsyncDisposable {
  tree: SourceTree;
  /** A file of it, ignored or not; undefined where there is none. Links lead nowhere else. */
  readFile(path: string): Promise<Uint8Array | undefined>;
}

/** Far above any Dockerfile or list of patterns. */
const MAX_BYTES = 16 << 20;
/** What podman calls it goes before docker's name. @see podman-build(1), .containerignore */
const IGNORE_FILES = [".containerignore", ".dockerignore"];

/** @throws {BuildError} where it cannot be had */
export async function openContext(
  services: BuildServices,
  source: ContextSource,
  options: OpenContextOptions = {},
): Promise<OpenedContext> {
  options.signal?.throwIfAborted();
  switch (source.kind) {
    case "folder":
      checkFolder(source.path);
      return inFolder(source.path, hostIgnore(source.path, options));
    case "stdin": {
      const { openStream } = await import("./archive.ts");
      return opened(await openStream(services, source.fd, options), options);
    }
    case "url": {
      const { openAddress } = await import("./archive.ts");
      return opened(await openAddress(services, source.url, options), options);
    }
    case "git": {
      const { cloneContext } = await import("./git.ts");
      return opened(await cloneContext(services, source.url, options), options);
    }
    case "image":
    case "oci-layout": {
      const how = {
        platform: options.platform ?? hostPlatform(),
        policy: "missing" as const,
        signal: options.signal,
      };
      const { snapshot } = source.kind === "image"
        ? await services.resolveImage(source.name, how)
        : await services.loadLayout(source, how);
      return {
        tree: { kind: "snapshot", snapshot },
        readFile: () => Promise.resolve(undefined),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      };
    }
  }
}

/** What came from elsewhere: a folder of ours, or a Dockerfile alone with an empty folder. */
export interface FetchedContext extends AsyncDisposable {
  /** A real path. */
  path: string;
  /** The context was a Dockerfile. */
  dockerfile?: Uint8Array;
}

function opened(fetched: FetchedContext, options: OpenContextOptions): OpenedContext {
  const { path, dockerfile } = fetched;
  const context = inFolder(path, remoteIgnore(path, options));
  return {
    tree: context.tree,
    readFile: (name) => dockerfile === undefined ? context.readFile(name) : Promise.resolve(dockerfile),
    [Symbol.asyncDispose]: () => Promise.resolve(fetched[Symbol.asyncDispose]()),
  };
}

function inFolder(path: string, ignore: readonly string[]): OpenedContext {
  return {
    tree: { kind: "folder", path, ignore },
    // deno-lint-ignore require-await -- what it throws shall come as a rejection
    readFile: async (name) => readBelow(path, name),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function checkFolder(path: string): void {
  try {
    if (Deno.statSync(path).isDirectory) return;
  } catch (cause) {
    const reason = cause instanceof Deno.errors.NotFound ? "not found" : (cause as Error).message;
    throw new BuildError(`unable to prepare context: path "${printable(path)}" ${reason}`, {
      cause,
    });
  }
  throw new BuildError(`unable to prepare context: path "${printable(path)}" is not a folder`);
}

/** The patterns of a folder of this machine: the file that is named, the Dockerfile's own, the context's. */
function hostIgnore(path: string, { ignoreFile, dockerfileName }: OpenContextOptions): string[] {
  if (ignoreFile !== undefined) return readIgnoreFile(ignoreFile);
  if (dockerfileName !== undefined) {
    // a bare name is one in the context
    const beside = `${
      dockerfileName.includes("/") ? dockerfileName : `${path}/${dockerfileName}`
    }.dockerignore`;
    const own = tryReadHostFile(beside);
    if (own !== undefined) return parse(own);
  }
  return contextIgnore(path);
}

function remoteIgnore(path: string, { ignoreFile, dockerfileName }: OpenContextOptions): string[] {
  if (ignoreFile !== undefined) return readIgnoreFile(ignoreFile);
  const own = dockerfileName === undefined ? undefined : readBelow(path, `${dockerfileName}.dockerignore`);
  return own === undefined ? contextIgnore(path) : parse(own);
}

function contextIgnore(path: string): string[] {
  for (const name of IGNORE_FILES) {
    const bytes = readBelow(path, name);
    if (bytes !== undefined) return parse(bytes);
  }
  return [];
}

function readIgnoreFile(path: string): string[] {
  try {
    // /dev/null is a way to say that nothing is ignored
    using file = new Fd(open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC));
    return parse(readBounded(file.number, path));
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    const reason = errnoText(error.errno).toLowerCase();
    throw new BuildError(`read ignore file "${printable(path)}": ${reason}`, { cause: error });
  }
}

function tryReadHostFile(path: string): Uint8Array | undefined {
  try {
    using file = new Fd(open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    return readRegular(file.number, path);
  } catch (error) {
    if (isErrno(error, ENOENT, ENOTDIR)) return undefined;
    throw error;
  }
}

function parse(bytes: Uint8Array): string[] {
  return parseIgnore(new TextDecoder().decode(bytes));
}

/** A regular file below a folder; no link leads out of it, and nothing but a file is read. */
function readBelow(folder: string, name: string): Uint8Array | undefined {
  using root = new Fd(open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC));
  const found = tryOpenInRoot(root.number, name, O_PATH);
  if (found === undefined) return undefined;
  using _found = new Fd(found);
  if ((fstat(found).mode & S_IFMT) !== S_IFREG) return undefined;
  try {
    using file = new Fd(openInRoot(root.number, name, O_RDONLY | O_NONBLOCK | O_NOCTTY));
    return readRegular(file.number, name);
  } catch (error) {
    if (!isErrno(error, EACCES)) throw error;
    throw new BuildError(`read "${printable(name)}" of the build context: permission denied`, {
      cause: error,
    });
  }
}

function readRegular(fd: number, name: string): Uint8Array | undefined {
  return (fstat(fd).mode & S_IFMT) === S_IFREG ? readBounded(fd, name) : undefined;
}

function readBounded(fd: number, name: string): Uint8Array {
  try {
    return readAll(fd, MAX_BYTES);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new BuildError(`read "${printable(name)}": it is larger than ${MAX_BYTES} bytes`, { cause });
  }
}
