/**
 * The image's document when its steps are done: layers, and the times of its history.
 *
 * @see BuildKit exporter/containerimage/writer.go, normalizeLayersAndHistory
 */

import type { HistoryEntry, ImageConfig } from "../spec/image.ts";
import type { StepResult } from "./cache.ts";
import type { BuildGraph, LayerTimes, Snapshot, StepId } from "./step.ts";

export function completeConfig(
  graph: Pick<BuildGraph, "config" | "historySteps">,
  snapshot: Snapshot,
  results: (step: StepId) => StepResult,
  times: LayerTimes | undefined,
): ImageConfig {
  const config = structuredClone(graph.config);
  const fixed = times && formatTime(times.seconds);
  const history = (config.history ?? []).map((entry, index): HistoryEntry => {
    const step = graph.historySteps[index];
    if (step === null || step === undefined) {
      // what a base image has done keeps its time
      return fixed !== undefined && entry.created === undefined ? { ...entry, created: fixed } : entry;
    }
    const { layer, createdAt } = results(step);
    const created = fixed ?? createdAt;
    return { ...entry, created, ...(layer === null && { empty_layer: true }) };
  });
  fillTimes(history);
  if (history.length > 0) config.history = history;
  else delete config.history;
  const created = fixed ?? history.at(-1)?.created;
  if (created !== undefined) config.created = created;
  config.rootfs = { type: "layers", diff_ids: snapshot.layers.map(({ diffId }) => diffId) };
  return ordered(config);
}

/** Entries without a layer have the time of the layer before, or of the first new one. */
function fillTimes(history: HistoryEntry[]): void {
  let created: string | undefined;
  let isMissing = false;
  for (const entry of history) {
    if (entry.created === undefined) isMissing = true;
    else {
      created = entry.created;
      if (isMissing) break;
    }
  }
  isMissing = false;
  for (const entry of history) {
    if (entry.created !== undefined) {
      if (isMissing) created = entry.created;
    } else {
      isMissing = true;
      if (created !== undefined) entry.created = created;
    }
  }
}

/** Always in one order, so that equal documents have equal digests. */
function ordered(config: ImageConfig): ImageConfig {
  const { created, author, architecture, variant, os, config: run, rootfs, history, ...rest } = config;
  return {
    ...(created !== undefined && { created }),
    ...(author !== undefined && { author }),
    architecture,
    ...(variant !== undefined && { variant }),
    os,
    ...rest,
    ...(run !== undefined && { config: run }),
    rootfs,
    ...(history !== undefined && { history }),
  };
}

/** RFC 3339 without a fraction that says nothing. */
export function formatTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
}
