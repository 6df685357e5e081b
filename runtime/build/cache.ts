/**
 * What steps have made before, of this build and all others. A record is written in one short transaction after its
 * layer is in place; one whose layer is gone counts as none.
 */

import type { Digest } from "../spec/digest.ts";
import { type CacheRecord, findCached, putCached, touchCached } from "../state/build_cache.ts";
import type { Database } from "../state/db.ts";
import { hasLayer, layerForm } from "../storage/layers.ts";
import type { BuildServices } from "./services.ts";
import type { BuiltLayer } from "./step.ts";

/** What a step came to. */
export interface StepResult {
  /** Null: it changed nothing. */
  layer: BuiltLayer | null;
  /** When it was made first, RFC 3339. */
  createdAt: string;
}

/** A result with what it is the result of. */
export interface StepRecord extends StepResult {
  key: string;
  kind: string;
  description: string;
  parent: string;
}

/** A cache of another place: `--cache-from`. */
export interface CacheSource {
  find(key: string): StepRecord | undefined;
  /** Brings a layer into the store; false where that fails, which is a miss. */
  fetch(layer: BuiltLayer): Promise<boolean>;
}

export class BuildCache {
  readonly #services: BuildServices;
  readonly #sources: readonly CacheSource[];
  readonly #used = new Set<string>();

  /** @param sources are asked for what is not here, the first one first */
  constructor(services: BuildServices, sources: readonly CacheSource[] = []) {
    this.#services = services;
    this.#sources = sources;
  }

  async find(key: string): Promise<StepResult | undefined> {
    const record = this.#usable(findCached(await this.#services.database(), key));
    if (record === undefined) return await this.#findElsewhere(key);
    this.#used.add(key);
    return toResult(record);
  }

  async #findElsewhere(key: string): Promise<StepResult | undefined> {
    for (const source of this.#sources) {
      const record = source.find(key);
      if (record === undefined || (record.layer !== null && !await source.fetch(record.layer))) continue;
      return await this.publish(record, { replace: false });
    }
    return undefined;
  }

  /**
   * Keeps a result. Where another build was faster its result is taken, so that both come to the same image; with
   * `replace` (`--no-cache`) ours goes in its place.
   */
  async publish(
    { key, kind, description, parent, layer, createdAt }: Omit<StepRecord, "createdAt"> & {
      createdAt?: string;
    },
    { replace }: { replace: boolean },
  ): Promise<StepResult> {
    const db = await this.#services.database();
    const now = new Date().toISOString();
    const record = {
      key,
      kind,
      description,
      parent,
      layer,
      createdAt: createdAt ?? now,
      usedAt: now,
      uses: 1,
    };
    return await db.transaction(() => {
      const known = replace ? undefined : this.#usable(findCached(db, key));
      if (known !== undefined) return toResult(known);
      putCached(db, record);
      return { layer, createdAt: record.createdAt };
    });
  }

  /** Notes which records were of use, all at once. */
  async touch(): Promise<void> {
    if (this.#used.size === 0) return;
    const db: Database = await this.#services.database();
    await db.transaction(() => touchCached(db, this.#used, new Date().toISOString()));
    this.#used.clear();
  }

  #usable(record: CacheRecord | undefined): CacheRecord | undefined {
    if (record === undefined || record.layer === null) return record;
    const { folders, namespaces } = this.#services;
    return hasLayer(folders, record.layer.diffId as Digest, layerForm(namespaces)) ? record : undefined;
  }
}

function toResult({ layer, createdAt }: CacheRecord): StepResult {
  return {
    layer: layer && { ...layer, diffId: layer.diffId as Digest, digest: layer.digest as Digest },
    createdAt,
  };
}
