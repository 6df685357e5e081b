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

export interface NewResult {
  key: string;
  kind: string;
  description: string;
  parent: string;
  layer: BuiltLayer | null;
}

export class BuildCache {
  readonly #services: BuildServices;
  readonly #used = new Set<string>();

  constructor(services: BuildServices) {
    this.#services = services;
  }

  async find(key: string): Promise<StepResult | undefined> {
    const record = this.#usable(findCached(await this.#services.database(), key));
    if (record === undefined) return undefined;
    this.#used.add(key);
    return toResult(record);
  }

  /**
   * Keeps a result. Where another build was faster its result is taken, so that both come to the same image; with
   * `replace` (`--no-cache`) ours goes in its place.
   */
  async publish({ layer, ...rest }: NewResult, { replace }: { replace: boolean }): Promise<StepResult> {
    const db = await this.#services.database();
    const now = new Date().toISOString();
    return await db.transaction(() => {
      const known = replace ? undefined : this.#usable(findCached(db, rest.key));
      if (known !== undefined) return toResult(known);
      putCached(db, { ...rest, layer, createdAt: now, usedAt: now, uses: 1 });
      return { layer, createdAt: now };
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
