/**
 * `build`: makes an image of a Dockerfile and its context, names it, and puts it where it was asked for.
 *
 * The lock `images` is held shared from the first step to the last name, so that nobody takes away layers that no
 * image has yet. A build that fails or is given up leaves steps in the cache, and nothing that looks like an image.
 */

import { isMultiPlatform } from "../build/builtin_args.ts";
import type { BuildEvent } from "../build/events.ts";
import type { BuildOptions, BuildOutput, BuildResult } from "../build/options.ts";
import type { SshAgents } from "../build/run/ssh_sources.ts";
import type { BuildServices } from "../build/services.ts";
import { stripConfig } from "../build/overrides.ts";
import type { BuiltImage } from "../build/solve.ts";
import { hostPlatform, platformFits } from "../image/platform.ts";
import { parseReference } from "../image/reference.ts";
import { imagesLockPath, recordNamedImage } from "../image/store.ts";
import { digestHex } from "../spec/digest.ts";
import type { Descriptor } from "../spec/image.ts";
import { recordEvent } from "../state/events.ts";
import { listNamesWithLayer, putRepoDigest } from "../state/images.ts";
import { takeLock } from "../state/locks.ts";
import { indexOver, writeDocuments, type WrittenImage } from "./build_documents.ts";
import { checkRunnable } from "./build_platform.ts";
import { asVertex, type VertexWork } from "./build_vertex.ts";
import { layerForm } from "../storage/layers.ts";
import type { Engine } from "./engine.ts";

export type { BuildEvent } from "../build/events.ts";
export type { BuildOptions, BuildResult } from "../build/options.ts";

export interface BuildHooks {
  signal?: AbortSignal;
  /** Is told of every step, its output and its end. */
  emit?: (event: BuildEvent) => void;
}

/** @throws {BuildError} where a step fails or the Dockerfile has a mistake; with the place in it */
export async function build(
  engine: Engine,
  options: BuildOptions,
  hooks: BuildHooks = {},
): Promise<BuildResult> {
  const result = await buildHeld(engine, options, hooks);
  // the lock is let go of by now
  const { limitBuildCache } = await import("./build_cache_limit.ts");
  await limitBuildCache(engine, options.cacheLimitBytes);
  return result;
}

async function buildHeld(
  engine: Engine,
  options: BuildOptions,
  { signal = new AbortController().signal, emit = () => {} }: BuildHooks,
): Promise<BuildResult> {
  const [{ build: solve }, { settleArchives }] = await Promise.all([
    import("../build/solve.ts"),
    import("../storage/capture.ts"),
  ]);
  if (asksOfSteps(options)) (await import("./build_check_options.ts")).checkStepOptions(options);
  using _lock = (await takeLock(imagesLockPath(engine.folders), { shared: true, signal }))!;
  // before there is anything to record in it
  if (options.manifest !== undefined) {
    await (await import("./build_list.ts")).findList(engine, options.manifest);
  }
  const services = await buildServices(engine, options, await agentsOf(options));
  const built = (await solve(services, options, emit, signal).finally(settleArchives)).map((image) => ({
    ...image,
    config: stripConfig(image.config, options),
  }));
  if (options.checkOnly) return { names: [], metadata: {} };
  const outputs: BuildOutput[] = options.outputs.length > 0
    ? options.outputs
    : [{ type: "image", names: options.tags, push: false }];
  const context = { engine, options, emit, signal };
  const images = options.squash === undefined ? built : await squashAll(context, built, options.squash);
  const result: BuildResult = { names: [], metadata: { "buildx.build.ref": buildReference() } };
  let written: WrittenImage[] | undefined;
  /** Of what first went elsewhere than into the store. */
  let exported: Exported | undefined;
  const documents = async () => written ??= await writeAll(engine, images, options);
  for (const output of outputs) {
    signal.throwIfAborted();
    switch (output.type) {
      case "image":
        exported = await recordImages(context, await documents(), output, result) ?? exported;
        break;
      case "oci":
      case "docker": {
        const [{ writeArchive }, { provideBlob }] = await Promise.all([
          import("./build_outputs.ts"),
          import("../build/layer_blob.ts"),
        ]);
        for (const layer of images.flatMap(({ layers }) => layers)) await provideBlob(engine, layer, signal);
        const descriptor = await writeArchive(context, await documents(), output);
        const names = output.names ?? options.tags;
        exported ??= { descriptor, names };
        result.imageId ??= digestHex(namedOf(await documents()).saved.configDigest);
        break;
      }
      case "local": {
        const { writeLocal } = await import("./build_outputs.ts");
        await writeLocal(context, images, output);
        break;
      }
      case "tar": {
        const { writeFilesTar } = await import("./build_outputs.ts");
        await writeFilesTar(context, images, output);
      }
    }
  }
  if (written !== undefined) await describe(written, options, exported, result);
  return result;
}

/** Without any of these there is nothing to check. */
function asksOfSteps(options: BuildOptions): boolean {
  const { addHosts, dns, dnsSearch, dnsOptions, ulimits, devices, volumes } = options;
  const { capAdd, capDrop, securityOpt, secrets, checkOnly } = options;
  const lists = [
    addHosts,
    dns,
    dnsSearch,
    dnsOptions,
    ulimits,
    devices,
    volumes,
    capAdd,
    capDrop,
    securityOpt,
  ];
  return !checkOnly && [...lists, secrets].some(({ length }) => length > 0);
}

interface Context {
  engine: Engine;
  options: BuildOptions;
  emit: (event: BuildEvent) => void;
  signal: AbortSignal;
}

/** Asked for by few builds. */
async function agentsOf({ ssh, checkOnly }: BuildOptions): Promise<SshAgents> {
  if (ssh.length === 0 || checkOnly) return new Map();
  return await (await import("../build/run/ssh_sources.ts")).findAgents(ssh);
}

export async function buildServices(
  engine: Engine,
  options: BuildOptions,
  agents: SshAgents = new Map(),
): Promise<BuildServices> {
  const { loadBuildLayout, resolveBuildImage } = await import("./build_images.ts");
  return {
    folders: engine.folders,
    namespaces: engine.namespaces,
    storageDriver: engine.storageDriver,
    database: () => engine.database(),
    resolveImage: (reference, how) => resolveBuildImage(engine, reference, how, options),
    loadLayout: (source, how) => loadBuildLayout(engine, source, how),
    async gitAgent() {
      const connect = agents.get("default");
      if (connect === undefined) return undefined;
      return (await import("../build/run/ssh_agent.ts")).serveAgent(engine.folders, connect);
    },
    async checkDevices(step) {
      await (await import("./build_devices.ts")).findStepDevices(step, options, () => {});
    },
    async runStep(step, base, mounts, context) {
      checkRunnable(step.platform);
      const { runBuildStep } = await import("./build_run.ts");
      return await runBuildStep(engine, options, agents, { step, base, mounts, context });
    },
  };
}

async function squashAll(
  { engine, options, signal, emit }: Context,
  built: readonly BuiltImage[],
  which: "new" | "all",
): Promise<BuiltImage[]> {
  const { squashImage } = await import("./build_squash.ts");
  return await asVertex(
    emit,
    "squashing layers",
    () => Promise.all(built.map((image) => squashImage(engine, image, which, options, signal))),
  );
}

async function writeAll(
  engine: Engine,
  images: readonly BuiltImage[],
  options: BuildOptions,
): Promise<WrittenImage[]> {
  const [{ ensureBlob }, { hasPartialMark }] = await Promise.all([
    import("../storage/capture.ts"),
    import("../storage/file_index.ts"),
  ]);
  const form = layerForm(engine.namespaces);
  for (const layer of images.flatMap(({ layers }) => layers)) {
    // of a base that was pulled in part: who writes or pushes the image has it fetched
    if (!hasPartialMark(engine.folders, layer.diffId, form, layer.digest)) await ensureBlob(engine, layer);
  }
  return await Promise.all(images.map((image) => writeDocuments(engine, image, options)));
}

/** Records each image; the names are its own, or of several platforms those of a list. */
async function recordImages(
  context: Context,
  written: readonly WrittenImage[],
  output: BuildOutput & { type: "image" },
  result: BuildResult,
): Promise<Exported | undefined> {
  const { engine, options, emit } = context;
  let pushed: Exported | undefined;
  await asVertex(emit, "exporting to image", async (work) => {
    const isList = isMultiPlatform(options);
    const db = await engine.database();
    for (const image of written) {
      const names = isList || output.byDigest ? [] : output.names;
      await work.part(`writing image ${image.saved.configDigest}`, () =>
        recordNamedImage(db, {
          names,
          digest: image.descriptor.digest,
          imageId: image.saved.configDigest,
          config: image.config,
          layers: image.saved.layers,
          size: image.size,
        }));
      const id = digestHex(image.saved.configDigest);
      recordEvent(engine.folders, { type: "image", action: "build", id, name: names[0] ?? "" });
      for (const name of names) {
        recordEvent(engine.folders, { type: "image", action: "tag", id, name });
        await work.part(`naming to ${name}`, () => Promise.resolve());
      }
    }
    const tags = isList && !output.byDigest ? output.names : [];
    if (options.manifest !== undefined || tags.length > 0) {
      const { recordBuiltList } = await import("./build_list.ts");
      const list = {
        manifest: options.manifest,
        tags,
        annotations: options.annotations,
      };
      await work.part("writing manifest list", async () => {
        await recordBuiltList(engine, written, list, context.signal);
      });
      for (const name of tags) await work.part(`naming to ${name}`, () => Promise.resolve());
    }
    if (output.push) pushed = await pushNames(context, written, output, work);
  });
  result.imageId = digestHex(namedOf(written).saved.configDigest);
  result.names = [...new Set([...result.names, ...output.names])];
  return pushed;
}

/** Of several the one for this machine. */
function namedOf(written: readonly WrittenImage[]): WrittenImage {
  const host = hostPlatform();
  return written.find(({ platform }) => platformFits(platform, host)) ?? written[0]!;
}

/** What a registry or an archive knows the image by: its layers are packed there. */
interface Exported {
  descriptor: Descriptor;
  names: readonly string[];
}

async function pushNames(
  { engine, options, signal }: Context,
  written: readonly WrittenImage[],
  { names, compression, level, byDigest, insecure }: BuildOutput & { type: "image" },
  work: VertexWork,
): Promise<Exported | undefined> {
  let pushed: Exported | undefined;
  const [{ pushImages }, { packAll }] = await Promise.all([
    import("../registry/push.ts"),
    import("./build_outputs.ts"),
  ]);
  await using packed = await work.part(
    "compressing layers",
    () => packAll(engine, written, signal, { format: compression === "zstd" ? "zstd" : "gzip", level }),
  );
  const { list } = packed;
  const index = isMultiPlatform(options) ? await indexOver(list, options) : undefined;
  const db = await engine.database();
  for (const name of names) {
    const { domain, path } = parseReference(name);
    const place = byDigest ? `${name}@${(index ?? list[0]!).descriptor.digest}` : name;
    const { digest } = await pushImages(engine.folders, place, {
      images: list.map(({ saved }) => saved),
      index: index && { bytes: index.bytes, mediaType: index.descriptor.mediaType },
    }, {
      tlsVerify: insecure ? false : options.tlsVerify,
      authFile: options.authFile,
      credentials: options.credentials,
      certDir: options.certDir,
      mountFrom: (layer) =>
        listNamesWithLayer(db, layer).map(parseReference)
          .filter((other) => other.domain === domain && other.path !== path).map((other) => other.path),
      signal,
      progress: ({ digest, current, total }) => work.report(`pushing ${digest}`, current, total),
    });
    // one image: the registry knows it by this digest, as layers are packed there
    const [only] = index === undefined ? written : [];
    await work.part(`pushing manifest for ${name}@${digest}`, () =>
      db.transaction(() => {
        if (only !== undefined) {
          putRepoDigest(db, `${domain}/${path}@${digest}`, digestHex(only.saved.configDigest));
        }
      }));
    pushed = { descriptor: { ...(index ?? list[0]!).descriptor, digest }, names };
  }
  return pushed;
}

/** What `--metadata-file` tells, as buildx does. */
async function describe(
  written: readonly WrittenImage[],
  options: BuildOptions,
  exported: Exported | undefined,
  result: BuildResult,
): Promise<void> {
  const [only] = written;
  const isList = isMultiPlatform(options);
  const { descriptor } = exported ?? (isList ? await indexOver(written, options) : only!);
  const names = result.names.length > 0 ? result.names : exported?.names ?? [];
  result.digest = descriptor.digest;
  Object.assign(
    result.metadata,
    !isList ? { "containerimage.config.digest": only!.saved.configDigest } : {},
    {
      "containerimage.descriptor": descriptor,
      "containerimage.digest": result.digest,
    },
    names.length > 0 ? { "image.name": names.join(",") } : {},
  );
}

/** `default/default/…`: builder, node and a name of this build. */
function buildReference(): string {
  const letters = "0123456789abcdefghijklmnopqrstuvwxyz";
  const bytes = crypto.getRandomValues(new Uint8Array(25));
  return `default/default/${Array.from(bytes, (byte) => letters[byte % letters.length]).join("")}`;
}
