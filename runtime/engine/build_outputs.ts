/** Where the result of a build goes besides the store: a folder, a tar of its files, an archive of its image. */

import { isMultiPlatform } from "../build/builtin_args.ts";
import type { BuildEvent } from "../build/events.ts";
import type { BuildOptions, BuildOutput } from "../build/options.ts";
import type { BuiltImage } from "../build/solve.ts";
import type { Packing } from "../archive/packing.ts";
import { hostReason, InvalidArgumentError } from "../errors.ts";
import { ociListFiles } from "../image/archive/list_files.ts";
import { dockerArchiveFiles, ociLayoutFiles, type SavedFile } from "../image/archive/saved_files.ts";
import { formatPlatform } from "../image/platform.ts";
import type { Descriptor, Index, Platform } from "../spec/image.ts";
import { printable } from "../spec/printable.ts";
import { chooseDriver } from "../storage/drivers/choose.ts";
import { close, open } from "../../ffi/file.ts";
import { O_CLOEXEC, O_CREAT, O_TRUNC, O_WRONLY } from "../../ffi/constants/fcntl.ts";
import { indexOver, type WrittenImage } from "./build_documents.ts";
import { asVertex } from "./build_vertex.ts";
import type { Engine } from "./engine.ts";
import { discard, emptyTrash } from "./garbage.ts";
import { prepareFolder, saveArchive, saveFolder } from "./save.ts";

const STDOUT = 1;

interface OutputContext {
  engine: Engine;
  options: BuildOptions;
  emit: (event: BuildEvent) => void;
  signal?: AbortSignal;
}

/**
 * The files of the result, as the caller's: in `dest`, which is made; several platforms each in a folder below it.
 * Who makes an image decides what is in it, but not what others of this machine may do as the caller: set-id bits and
 * capabilities stay behind, as with cp(1).
 */
export async function writeLocal(
  context: OutputContext,
  images: readonly BuiltImage[],
  { dest, merge }: BuildOutput & { type: "local" },
): Promise<void> {
  const { engine, options, emit, signal } = context;
  const [{ performCopy }, { runFileTask }] = await Promise.all([
    import("../files/cp_task.ts"),
    import("../files/task.ts"),
  ]);
  await asVertex(emit, "exporting to client directory", async (work) => {
    for (const image of images) {
      const folder = merge || !isMultiPlatform(options) ? dest : `${dest}/${folderName(image.platform)}`;
      makeFolder(folder);
      await work.part("copying files", () =>
        withRoot(engine, image, (view) => {
          const plan = {
            from: { container: { name: "of the build", view, workdir: "/", user: "" }, path: "/." },
            to: { path: folder },
            chown: false,
            overwrite: true,
            omitPrivileges: true,
            isRootless: engine.namespaces.isRootless,
            isSingleId: engine.namespaces.maps.isSingle,
          };
          return runFileTask(engine.namespaces, () => void performCopy(plan), signal);
        }));
    }
  });
}

/** The files of the result as one tar, with their owners. */
export async function writeFilesTar(
  context: OutputContext,
  images: readonly BuiltImage[],
  { dest }: BuildOutput & { type: "tar" },
): Promise<void> {
  const { engine, emit, signal } = context;
  const [image] = images;
  if (image === undefined || isMultiPlatform(context.options)) {
    throw new InvalidArgumentError("write tar: a tar of files holds those of one platform");
  }
  const [{ exportRoot }, { runFileTask }] = await Promise.all([
    import("../files/export_task.ts"),
    import("../files/task.ts"),
  ]);
  await asVertex(
    emit,
    "exporting to client tarball",
    (work) =>
      work.part("sending tarball", () =>
        withRoot(engine, image, async (view) => {
          const fd = dest === "-" ? STDOUT : openTar(dest);
          try {
            const inherit = fd === STDOUT ? [] : [fd];
            await runFileTask(engine.namespaces, () => exportRoot(view, undefined, fd), signal, inherit);
          } finally {
            if (fd !== STDOUT) close(fd);
          }
        })),
  );
}

function makeFolder(path: string): void {
  try {
    Deno.mkdirSync(path, { recursive: true });
  } catch (cause) {
    throw new InvalidArgumentError(`write "${printable(path)}": ${hostReason(cause)}`, { cause });
  }
}

function openTar(path: string): number {
  try {
    return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644);
  } catch (cause) {
    const { message } = cause as Error;
    const reason = message.slice(message.lastIndexOf(": ") + 2).toLowerCase();
    throw new InvalidArgumentError(`write "${printable(path)}": ${reason}`, { cause });
  }
}

/** An archive of images with their names, or a folder with the same files, as `save` writes it; tells what is in it. */
export async function writeArchive(
  context: OutputContext,
  written: readonly WrittenImage[],
  output: BuildOutput & { type: "oci" | "docker" },
): Promise<Descriptor> {
  const { engine, options, emit, signal } = context;
  const { type, dest, names = options.tags } = output;
  if (type === "docker" && written.length > 1) {
    throw new InvalidArgumentError("write docker archive: it holds an image of one platform", {
      hint: "use --output type=oci",
    });
  }
  if (type === "docker" && output.compression !== undefined && output.compression !== "uncompressed") {
    throw new InvalidArgumentError("write docker archive: its layers are not packed", {
      hint: "use --output type=oci",
    });
  }
  return await asVertex(emit, `exporting to ${type} image format`, async (work) => {
    const { compression = type === "oci" ? "gzip" : "uncompressed" } = output;
    const images = compression !== "uncompressed" && type === "oci"
      ? await work.part(
        "compressing layers",
        () => packAll(engine, written, signal, { format: compression, level: output.level }),
      )
      : { list: written, async [Symbol.asyncDispose]() {} };
    await using packed = images;
    const files = type === "docker"
      ? dockerArchiveFiles(packed.list.map(({ saved }) => ({ ...saved, names: [...names] })))
      : await ociFiles(
        packed.list,
        names,
        options,
        output.asFolder ? await prepareFolder(dest, "oci-dir") : [],
      );
    if (output.asFolder) {
      if (type === "docker") makeFolder(dest);
      await work.part("copying files", () => saveFolder(engine, files, dest, { output: dest, signal }));
    } else {
      await work.part(
        "sending tarball",
        () => saveArchive(engine, files, { output: dest === "-" ? { fd: STDOUT } : dest, signal }),
      );
    }
    return type === "docker" ? written[0]!.descriptor : lastOfIndex(files);
  });
}

/** What was added to a layout. */
function lastOfIndex(files: readonly SavedFile[]): Descriptor {
  const index = files.find(({ name }) => name === "index.json") as SavedFile & { kind: "bytes" };
  const { manifests }: Index = JSON.parse(new TextDecoder().decode(index.bytes));
  return manifests.at(-1)!;
}

/** The same images with packed layers, until disposed of. */
export async function packAll(
  engine: Engine,
  written: readonly WrittenImage[],
  signal?: AbortSignal,
  packing?: Packing,
): Promise<{ list: WrittenImage[] } & AsyncDisposable> {
  const { packLayers } = await import("../image/archive/pack_layers.ts");
  const { digestOf } = await import("../spec/digest.ts");
  const stack = new AsyncDisposableStack();
  const list: WrittenImage[] = [];
  try {
    for (const image of written) {
      const { image: saved } = stack.use(await packLayers(engine.folders, image.saved, signal, packing));
      const digest = await digestOf(saved.manifestBytes);
      list.push({
        ...image,
        saved,
        descriptor: { ...image.descriptor, digest, size: saved.manifestBytes.length },
      });
    }
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
  return { list, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Several platforms are below one index, and the names are its. */
async function ociFiles(
  written: readonly WrittenImage[],
  names: readonly string[],
  options: BuildOptions,
  before: readonly Descriptor[],
): Promise<SavedFile[]> {
  if (!isMultiPlatform(options)) {
    const { saved, descriptor: { annotations } } = written[0]!;
    return await ociLayoutFiles([{ ...saved, names: [...names], annotations }], before);
  }
  const { bytes, descriptor: { mediaType, annotations } } = await indexOver(written, {
    ...options,
    format: "oci",
  });
  return await ociListFiles(
    written.map(({ saved }) => saved),
    { bytes, mediaType, annotations },
    names,
    before,
  );
}

/** A root of the image's layers for as long as `action` takes. */
async function withRoot<T>(
  engine: Engine,
  { layers }: BuiltImage,
  action: (
    view: { kind: "stopped"; rootfs: import("../monitor/plan.ts").RootfsPlan; mounts: [] },
  ) => Promise<T>,
): Promise<T> {
  const folder = `${engine.folders.tmp}/build-output-${crypto.randomUUID()}`;
  Deno.mkdirSync(folder, { mode: 0o700 });
  try {
    const driver = await chooseDriver(engine, engine.storageDriver);
    const rootfs = await driver.prepare(engine, {
      containerDir: folder,
      layers: layers.map(({ diffId }) => diffId).toReversed(),
      nested: undefined,
      volatile: true,
    });
    return await action({ kind: "stopped", rootfs, mounts: [] });
  } finally {
    discard(engine, folder);
    await emptyTrash(engine);
  }
}

/** `linux_arm64`, as BuildKit names it. */
function folderName(platform: Platform): string {
  return formatPlatform(platform).replaceAll("/", "_");
}
