/** `commit`: makes an image of what a container has changed. */

import { argvOf } from "../container/argv.ts";
import type { ContainerConfig } from "../container/config.ts";
import { mountPoints } from "../container/mount_points.ts";
import { NotFoundError, UnsupportedError } from "../errors.ts";
import type { Dialect } from "../image/convert_manifest.ts";
import type { ImageLayer } from "../image/manifest.ts";
import { formatReference, parseName, qualify, withDefaultTag } from "../image/reference.ts";
import { imagesLockPath, recordNamedImage } from "../image/store.ts";
import { writeImage } from "../image/write_image.ts";
import type { StateRecord } from "../monitor/plan.ts";
import { readState } from "../monitor/records.ts";
import type { PortMapping } from "../network/ports.ts";
import type { ImageConfig, ImageRunConfig } from "../spec/image.ts";
import { signalName } from "../spec/signal.ts";
import { recordContainerEvent } from "../state/events.ts";
import { findImage, listLayers } from "../state/images.ts";
import { takeLock } from "../state/locks.ts";
import { type CapturedLayer, captureUpper, ensureBlob } from "../storage/capture.ts";
import { layerBytes, layerForm } from "../storage/layers.ts";
import { prepareRoot } from "./container_root.ts";
import { type ReachedContainer, withContainers } from "./container_view.ts";
import { observe } from "./containers.ts";
import type { Engine } from "./engine.ts";

export interface CommitOptions {
  /** A name for the image; without one it has only its id. */
  reference?: string;
  author?: string;
  /** Kept as the comment in the image's history. */
  message?: string;
  /** `CMD /bin/sh`, `ENV A=b` … */
  changes?: readonly string[];
  /** Hold a running container still meanwhile. */
  pause?: boolean;
  /** One layer, of the image's files and the container's together. */
  squash?: boolean;
  /** Folders of the container's volumes and bind mounts become volumes of the image. */
  includeVolumes?: boolean;
  /** Words of the manifest: OCI's, or Docker's. */
  format?: Dialect;
  signal?: AbortSignal;
}

/**
 * The container may run: what it writes meanwhile may be in the image or not, unless it is paused.
 *
 * @returns the image's id, 64 hex digits
 */
export async function commit(engine: Engine, text: string, options: CommitOptions = {}): Promise<string> {
  // what cannot be is said before anything is read
  await withChanges({}, options);
  const names = options.reference === undefined
    ? []
    : [formatReference(withDefaultTag(qualify(parseName(options.reference), "localhost")))];
  const { signal } = options;
  using _lock = (await takeLock(imagesLockPath(engine.folders), { shared: true, signal }))!;
  return await withContainers(
    engine,
    [text],
    async ([container]) => {
      const { row, config } = container!;
      const { root } = config;
      if (root.kind !== "image") {
        const what = root.kind === "host" ? "this machine's own folders" : "a folder of its own";
        throw new UnsupportedError(`commit container "${text}": its root is ${what}, not an image`);
      }
      const db = await engine.database();
      const image = findImage(db, root.id);
      if (!image) throw new NotFoundError("image", root.id);
      const base: ImageConfig = JSON.parse(image.config);
      const below = listLayers(db, image.id) as ImageLayer[];
      const changed = await captureContainer(engine, container!, below, options);
      const { config: imageConfig, layers } = await imageOf(
        engine,
        { config, base, below, changed },
        options,
      );
      const written = await writeImage(engine.folders, imageConfig, layers, options.format);
      // its archive went to the disk beside the documents
      if (changed !== null && !options.squash) await ensureBlob(engine, changed, signal);
      const form = layerForm(engine.namespaces);
      const id = await recordNamedImage(db, {
        names,
        digest: written.digest,
        imageId: written.configDigest,
        config: imageConfig,
        layers: written.layers,
        size: layers.reduce(
          (sum, { diffId, size }) => sum + (layerBytes(engine.folders, diffId, form) ?? size),
          0,
        ),
      });
      recordContainerEvent(engine.folders, row, "commit");
      return id;
    },
    signal,
    false,
  );
}

async function withChanges(config: ImageRunConfig, { changes = [] }: CommitOptions): Promise<ImageRunConfig> {
  if (changes.length === 0) return config;
  const { applyChanges } = await import("../build/changes.ts");
  return applyChanges(config, changes);
}

/** The layer of what the container has changed; null where that is nothing. */
async function captureContainer(
  engine: Engine,
  { row, config, view, nested }: ReachedContainer,
  layers: readonly ImageLayer[],
  { pause, squash, signal }: CommitOptions,
): Promise<CapturedLayer | null> {
  const dir = engine.containerDir(row.id);
  const plan = view.kind === "stopped" ? view.rootfs : await prepareRoot(engine, config, dir, nested);
  const state = pause && view.kind === "running" ? readState(dir) : undefined;
  const isPaused = state !== undefined && (await observe(engine, row.id)).status.status === "paused";
  const held = state === undefined || isPaused ? undefined : await holdStill(engine, row.id, state);
  try {
    return await captureUpper(engine, { plan, layers, nested }, {
      omit: mountPoints(config),
      keepBlob: squash ? false : "later",
      keepTree: true,
      signal,
    });
  } finally {
    held?.[Symbol.dispose]();
  }
}

async function holdStill(engine: Engine, id: string, state: StateRecord): Promise<Disposable> {
  const [{ pauseProcesses }, { execPrograms }, { letRun }] = await Promise.all([
    import("../container/paused.ts"),
    import("./exec_sessions.ts"),
    import("./pause.ts"),
  ]);
  const dir = engine.containerDir(id);
  pauseProcesses(dir, id, state, execPrograms(dir));
  return { [Symbol.dispose]: () => letRun(engine, id) };
}

interface CommitFacts {
  config: ContainerConfig;
  base: ImageConfig;
  /** The image's own layers, the lowest first. */
  below: ImageLayer[];
  changed: CapturedLayer | null;
}

async function imageOf(
  engine: Engine,
  { config, base, below, changed }: CommitFacts,
  options: CommitOptions,
): Promise<{ config: ImageConfig; layers: ImageLayer[] }> {
  let layers = changed === null ? below : [...below, changed];
  let isEmpty = changed === null;
  if (options.squash) {
    const { squashLayers } = await import("../storage/squash.ts");
    const one = await squashLayers(engine, layers, { keepBlob: true, signal: options.signal });
    layers = one === null ? [] : [one];
    isEmpty = one === null;
  }
  const created = new Date().toISOString();
  const { author, message } = options;
  const entry = {
    created,
    created_by: argvOf(config).join(" "),
    ...(author === undefined ? {} : { author }),
    comment: message ?? `FROM ${config.imageName}`,
    ...(isEmpty ? { empty_layer: true } : {}),
  };
  const { architecture, os, variant } = base;
  const image: ImageConfig = {
    created,
    ...(author === undefined ? {} : { author }),
    architecture,
    os,
    ...(variant === undefined ? {} : { variant }),
    config: await withChanges(await runConfig(config, base.config ?? {}, options), options),
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
    history: [...options.squash ? [] : base.history ?? [], entry],
  };
  return { config: image, layers };
}

/** How the image is run: as the container was. */
async function runConfig(
  config: ContainerConfig,
  image: ImageRunConfig,
  { includeVolumes }: CommitOptions,
): Promise<ImageRunConfig> {
  const { OnBuild: _ofTheBase, ...inherited } = image;
  const volumes = config.mounts.filter((mount) =>
    mount.kind === "volume" && mount.anonymous || includeVolumes && mount.kind !== "tmpfs"
  ).map(({ destination }) => destination);
  const { ports = [], exposed: ofImage = [] } = config;
  const exposed = ports.length === 0 && ofImage.length === 0 ? [] : await exposedPorts(ports, ofImage);
  const stopSignal = signalName(config.stopSignal);
  const keys = (names: string[]) => Object.fromEntries(names.map((name) => [name, {}]));
  return {
    ...inherited,
    ...(config.user === "" ? {} : { User: config.user }),
    ...(exposed.length === 0 ? {} : { ExposedPorts: keys(exposed) }),
    Env: lastingEnv(config.env, image.Env ?? []),
    ...(config.entrypoint.length === 0 ? { Entrypoint: undefined } : { Entrypoint: config.entrypoint }),
    ...(config.cmd.length === 0 ? { Cmd: undefined } : { Cmd: config.cmd }),
    Volumes: volumes.length === 0 ? undefined : keys(volumes),
    WorkingDir: config.workdir,
    ...(Object.keys(config.labels).length === 0 ? {} : { Labels: config.labels }),
    ...(image.StopSignal === undefined && config.stopSignal === 15 ? {} : { StopSignal: stopSignal }),
  };
}

async function exposedPorts(ports: readonly PortMapping[], ofImage: readonly string[]): Promise<string[]> {
  const { exposedKeys, parseExposedKeys } = await import("../network/ports.ts");
  return exposedKeys(ports, parseExposedKeys(ofImage));
}

/** What the engine itself told this one container. */
const OF_THE_CONTAINER = new Set(["HOSTNAME", "container", "TERM", "HOME"]);

function lastingEnv(env: readonly string[], ofImage: readonly string[]): string[] {
  const key = (word: string) => word.slice(0, word.indexOf("="));
  const known = new Set(ofImage.map(key));
  return env.filter((word) => !OF_THE_CONTAINER.has(key(word)) || known.has(key(word)));
}
