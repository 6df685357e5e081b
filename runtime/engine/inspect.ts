/** `inspect`: what is known of a container or image, as one document. */

import { readLastCapability } from "../container/host_facts.ts";
import { NotFoundError } from "../errors.ts";
import { getStoredImage } from "../image/store.ts";
import { readHealth } from "../monitor/health_record.ts";
import { readFaults } from "../monitor/faults.ts";
import { readExit, readState } from "../monitor/records.ts";
import type { Digest } from "../spec/digest.ts";
import { listNames, listRepoDigests } from "../state/images.ts";
import { readBlob } from "../storage/blobs.ts";
import { volumePath } from "../storage/volumes.ts";
import { type ContainerDocument, containerDocument } from "./container_document.ts";
import { loadConfig, observe } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { listExecSessions } from "./exec_sessions.ts";
import { type ImageDocument, imageDocument } from "./image_document.ts";

export type { ContainerDocument } from "./container_document.ts";
export type { ImageDocument } from "./image_document.ts";

export interface InspectOptions {
  /** Measure what the container has written. */
  size?: boolean;
}

export async function containerInspect(
  engine: Engine,
  text: string,
  options: InspectOptions = {},
): Promise<ContainerDocument> {
  const { row, status } = await observe(engine, text);
  const containerDir = engine.containerDir(row.id);
  const config = loadConfig(engine, row.id);
  const records = readExit(containerDir) ?? readState(containerDir);
  return containerDocument(config, {
    status,
    health: config.lifecycle?.health && readHealth(containerDir),
    restartCount: records?.restartCount,
    ports: config.ports || config.exposed ? (await import("./port_view.ts")).portDocument(config) : undefined,
    pod: row.pod === undefined
      ? undefined
      : (await import("./pods/of_container.ts")).podDocument(await engine.database(), row),
    faults: readFaults(containerDir),
    networks: row.network === "bridge"
      ? (await import("./network_endpoints.ts")).networkDocument(await engine.database(), row, status)
      : undefined,
    size: options.size ? await sizeOf(engine, row) : undefined,
    containerDir,
    volumePath: (name) => volumePath(engine.folders, name),
    execIds: listExecSessions(containerDir),
    lastCapability: readLastCapability(),
    driverData: {
      UpperDir: `${containerDir}/upper`,
      WorkDir: `${containerDir}/work`,
      MergedDir: `${containerDir}/merged`,
    },
  });
}

async function sizeOf(engine: Engine, row: { id: string; imageId: string | null }) {
  const { containerSizes } = await import("./container_size.ts");
  return (await containerSizes(engine, [{ Id: row.id, ImageID: row.imageId ?? "" }]))[0];
}

export async function imageInspect(engine: Engine, text: string): Promise<ImageDocument> {
  const db = await engine.database();
  let { image } = getStoredImage(db, text);
  if (image.list !== undefined) ({ image } = (await import("../image/list.ts")).getPlatformImage(db, text));
  const manifest = JSON.parse(
    new TextDecoder().decode(await readBlob(engine.folders, image.digest as Digest)),
  );
  return imageDocument(image, {
    names: listNames(db, image.id),
    repoDigests: listRepoDigests(db, image.id),
    manifestType: manifest.mediaType ?? "application/vnd.oci.image.manifest.v1+json",
    annotations: manifest.annotations ?? {},
  });
}

/** A container where there is one of that name, else an image, as docker and podman look it up. */
export async function inspect(
  engine: Engine,
  text: string,
  options: InspectOptions = {},
): Promise<
  { type: "container"; document: ContainerDocument } | { type: "image"; document: ImageDocument }
> {
  try {
    return { type: "container", document: await containerInspect(engine, text, options) };
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
  }
  try {
    return { type: "image", document: await imageInspect(engine, text) };
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
    throw new NotFoundError("container", text, { message: `no such object: "${text}"` });
  }
}
