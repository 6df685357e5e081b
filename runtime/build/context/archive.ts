/** Contexts that come as one stream: a tar, packed or not, or a Dockerfile alone; from a descriptor or an address. */

import { BuildError } from "../../errors.ts";
import { isArchive, unpackTar } from "../../files/tar_in.ts";
import { runFileTask } from "../../files/task.ts";
import { openWithProgram } from "../../files/unpack_program.ts";
import { fetchUrl } from "../../registry/fetch_url.ts";
import { printable } from "../../spec/printable.ts";
import { withoutCredentials } from "../../spec/url_credentials.ts";
import { copyStream } from "../../storage/copy_stream.ts";
import { warmUp } from "../../storage/extract_task.ts";
import { DEFAULT_LAYER_LIMIT_BYTES } from "../../storage/layers.ts";
import { runWorker } from "../../storage/worker.ts";
import { close, Fd, lseek, open } from "../../../ffi/file.ts";
import {
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_RDWR,
} from "../../../ffi/constants/fcntl.ts";
import { httpAuthorization } from "./authorization.ts";
import { makeScratch, type Scratch } from "../scratch.ts";
import type { BuildServices } from "../services.ts";
import type { FetchedContext, OpenContextOptions } from "./open.ts";

/** A Dockerfile is not larger; what is, and no archive, is a mistake. */
const MAX_DOCKERFILE_BYTES = 16 << 20;

type How = Pick<OpenContextOptions, "signal" | "progress" | "secrets">;

/** Reads `fd` to its end; it stays the caller's. */
export async function openStream(services: BuildServices, fd: number, how: How): Promise<FetchedContext> {
  return await receive(services, "standard input", how, (file) => {
    return runWorker("read build context", [fd, file], () => copyStream(fd, file, "read build context"), {
      signal: how.signal,
    });
  });
}

/** Downloads it. */
export async function openAddress(services: BuildServices, url: string, how: How): Promise<FetchedContext> {
  return await receive(services, `"${printable(withoutCredentials(url))}"`, how, async (_fd, path) => {
    using file = await Deno.open(path, { write: true });
    await fetchUrl(url, file, {
      signal: how.signal,
      authorization: await httpAuthorization(how.secrets ?? [], url),
      limitBytes: DEFAULT_LAYER_LIMIT_BYTES,
      onProgress: how.progress,
    });
  });
}

async function receive(
  services: BuildServices,
  what: string,
  { signal }: How,
  fill: (fd: number, path: string) => Promise<void>,
): Promise<FetchedContext> {
  const scratch = await makeScratch(services);
  try {
    const path = `${scratch.path}/stream`;
    const fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600);
    try {
      await fill(fd, path);
      return await unpackContext(services, scratch, fd, what, signal);
    } finally {
      close(fd);
      Deno.removeSync(path);
    }
  } catch (error) {
    await scratch[Symbol.asyncDispose]();
    throw error;
  }
}

async function unpackContext(
  services: BuildServices,
  scratch: Scratch,
  fd: number,
  what: string,
  signal?: AbortSignal,
): Promise<FetchedContext> {
  const path = `${scratch.path}/context`;
  Deno.mkdirSync(path, { mode: 0o755 });
  Deno.chmodSync(path, 0o755);
  warmUp();
  const wasArchive = await runFileTask(
    services.namespaces,
    () => {
      lseek(fd, 0, 0);
      if (!isArchive(fd, openWithProgram)) return false;
      lseek(fd, 0, 0);
      using folder = new Fd(open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      unpackTar(fd, folder.number, "/", {
        overwrite: true,
        // what a context holds is root's in the image, whoever packed it
        owner: () => ({ uid: 0, gid: 0 }),
        makeDevices: !services.namespaces.isRootless,
        openPacked: openWithProgram,
        limitBytes: DEFAULT_LAYER_LIMIT_BYTES,
      });
      return true;
    },
    signal,
    [fd],
  );
  const context = { path, [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose]() };
  if (wasArchive) return context;
  const size = lseek(fd, 0, 2);
  if (size === 0) throw new BuildError(`the build context from ${what} is empty`);
  if (size > MAX_DOCKERFILE_BYTES) {
    throw new BuildError(`the build context from ${what} is neither a tar archive nor a Dockerfile`);
  }
  return { ...context, dockerfile: Deno.readFileSync(`${scratch.path}/stream`) };
}
