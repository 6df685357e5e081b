/** What a build begins with: the Dockerfile, the context, and what the checks say of them. */

import { readAsync } from "../../ffi/file.ts";
import { BuildError, hostReason, NotFoundError, SkiffError } from "../errors.ts";
import { printable } from "../spec/printable.ts";
import { keepsGitDir } from "./builtin_args.ts";
import { openContext, type OpenedContext } from "./context/open.ts";
import type { Dockerfile } from "./dockerfile/ast.ts";
import { parseDockerfile } from "./dockerfile/parse.ts";
import type { BuildOptions, DockerfileSource } from "./options.ts";
import { overrideDockerfile } from "./overrides.ts";
import type { BuildServices } from "./services.ts";
import type { Vertices } from "./vertices.ts";

export interface Definition extends AsyncDisposable {
  /** With what the options change of it. */
  dockerfile: Dockerfile;
  main: OpenedContext;
}

/** Names that are looked for in a context, the first that is there. */
const DEFAULT_NAMES = ["Dockerfile", "dockerfile", "Containerfile"];
/** Far above any real one. */
const MAX_BYTES = 16 << 20;

export async function loadDefinition(
  services: BuildServices,
  options: BuildOptions,
  vertices: Vertices,
  signal: AbortSignal,
): Promise<Definition> {
  const { dockerfile: given, context } = options;
  const onHost = given?.kind === "stdin" ? "-" : given === undefined ? "Dockerfile" : placeOf(given);
  const shown = onHost === "-" ? "Dockerfile" : baseName(onHost);
  const main = await openContext(services, context, {
    ignoreFile: options.ignoreFile,
    dockerfileName: onHost === "-" || given?.kind === "url" ? undefined : onHost,
    keepGitDir: keepsGitDir(options),
    secrets: options.secrets,
    signal,
  });
  try {
    const dockerfile = await vertices.run(
      `[internal] load build definition from ${shown}`,
      async (vertex): Promise<Dockerfile> => {
        const { name, bytes } = await readDefinitions(options, main, signal);
        vertex.progress("transferring dockerfile:", bytes.length, undefined, true);
        return overrideDockerfile(parseDockerfile(bytes, name), options);
      },
    );
    return { dockerfile, main, [Symbol.asyncDispose]: () => main[Symbol.asyncDispose]() };
  } catch (error) {
    await main[Symbol.asyncDispose]();
    throw error;
  }
}

/** Several are one below the other, as podman puts them together. */
async function readDefinitions(
  options: BuildOptions,
  main: OpenedContext,
  signal: AbortSignal,
): Promise<{ name: string; bytes: Uint8Array }> {
  const first = await readDefinition(options, main, signal);
  const { moreDockerfiles = [] } = options;
  if (moreDockerfiles.length === 0) return first;
  const parts = [first.bytes];
  for (const dockerfile of moreDockerfiles) {
    parts.push((await readDefinition({ ...options, dockerfile }, main, signal)).bytes);
  }
  const lines = new TextEncoder().encode("\n");
  const bytes = new Uint8Array(
    await new Blob(parts.flatMap((part) => [part as BlobPart, lines])).arrayBuffer(),
  );
  return { name: first.name, bytes };
}

function placeOf(source: Exclude<DockerfileSource, { kind: "stdin" }>): string {
  return source.kind === "url" ? new URL(source.url).pathname : source.path;
}

async function readUrl(url: string, signal: AbortSignal): Promise<Uint8Array> {
  const { fetchUrl } = await import("../registry/fetch_url.ts");
  const path = await Deno.makeTempFile({ prefix: "skiff-dockerfile-" });
  try {
    using file = await Deno.open(path, { write: true });
    await fetchUrl(url, file, { signal, limitBytes: MAX_BYTES });
    return await Deno.readFile(path);
  } finally {
    await Deno.remove(path);
  }
}

async function readDefinition(
  { dockerfile, context }: Pick<BuildOptions, "dockerfile" | "context">,
  main: OpenedContext,
  signal: AbortSignal,
): Promise<{ name: string; bytes: Uint8Array }> {
  if (dockerfile?.kind === "url") {
    return { name: baseName(placeOf(dockerfile)), bytes: await readUrl(dockerfile.url, signal) };
  }
  if (dockerfile?.kind === "stdin") return { name: "Dockerfile", bytes: await readAll(dockerfile.fd) };
  if (dockerfile !== undefined) {
    const { path } = dockerfile;
    // of a folder the path is the host's, which may lie outside; of all else it is the context's
    if (context.kind === "folder") return { name: baseName(path), bytes: await readHostFile(path) };
    const bytes = await main.readFile(path);
    if (bytes === undefined) throw notFound(path);
    return { name: baseName(path), bytes };
  }
  for (const name of DEFAULT_NAMES) {
    const bytes = await main.readFile(name);
    if (bytes !== undefined) return { name, bytes };
    if (context.kind === "folder" && isLink(`${context.path}/${name}`)) {
      const hint = `it is a link that leads out of the context; -f ${context.path}/${name} follows it`;
      throw notFound(name, hint);
    }
  }
  throw notFound("Dockerfile");
}

function isLink(path: string): boolean {
  try {
    return Deno.lstatSync(path).isSymlink;
  } catch {
    return false;
  }
}

async function readHostFile(path: string): Promise<Uint8Array> {
  try {
    const { size, isFile } = await Deno.stat(path);
    if (isFile && size > MAX_BYTES) {
      throw new BuildError(`read "${path}": it is larger than ${MAX_BYTES} bytes`);
    }
    return await Deno.readFile(path);
  } catch (error) {
    if (error instanceof SkiffError) throw error;
    if (error instanceof Deno.errors.NotFound) throw notFound(path);
    throw new BuildError(`failed to read dockerfile: read ${printable(path)}: ${hostReason(error)}`, {
      cause: error,
    });
  }
}

async function readAll(fd: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const buffer = new Uint8Array(1 << 16);
  for (let n = await readAsync(fd, buffer); n > 0; n = await readAsync(fd, buffer)) {
    chunks.push(buffer.slice(0, n));
    length += n;
    if (length > MAX_BYTES) {
      throw new BuildError(`read Dockerfile from standard input: it is larger than ${MAX_BYTES} bytes`);
    }
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

function notFound(path: string, hint?: string): NotFoundError {
  return new NotFoundError("file", path, {
    hint,
    message: `failed to read dockerfile: open ${printable(path)}: no such file or directory`,
  });
}

function baseName(path: string): string {
  return path.replace(/\/+$/, "").split("/").at(-1) || "Dockerfile";
}
