/**
 * What a step's result is known by: all that it does and all that it reads, by content; no times, no names of stages,
 * no contents of secrets. Equal keys mean equal results, in another stage, project or on another machine as well.
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { formatPlatform } from "../image/platform.ts";
import type { CopyStep, LayerTimes, MkdirStep, RunMount, RunStep, Snapshot } from "./step.ts";

/** Changed where equal steps begin to give other results. */
const KEY_VERSION = 1;

/** The key of files: of the layers they come to, or "" for none. */
export function snapshotKey({ layers }: Snapshot): string {
  return layers.length === 0 ? "" : hash(layers.map(({ diffId }) => diffId));
}

/**
 * The key of a step.
 *
 * @param base key of what it stands on; undefined where that is of no account (`COPY --link`)
 * @param reads for each source of a COPY, each mount of a RUN: the digest of what is read there; "" for nothing
 */
export function stepKey(
  step: RunStep | CopyStep | MkdirStep,
  base: string | undefined,
  reads: readonly string[],
  times?: LayerTimes,
): string {
  return hash([KEY_VERSION, step.kind, base ?? null, times ?? null, describe(step), reads]);
}

function describe(step: RunStep | CopyStep | MkdirStep): unknown {
  switch (step.kind) {
    case "run": {
      const { argv, env, workdir, user, mounts, network, security, scripts, platform, hostname, devices } =
        step;
      return {
        argv,
        env,
        workdir,
        user,
        mounts: mounts.map(describeMount),
        network,
        security,
        scripts,
        platform: formatPlatform(platform),
        hostname,
        // absent in those without: their keys stay what they were
        devices,
      };
    }
    case "copy": {
      const { add, sources, destination, chown, chmod, link, parents, exclude, unpack } = step;
      // of a context, a stage or an image the content counts, not which it is
      const patterns = sources.map(({ from, pattern }) => [kindOf(from.kind), pattern]);
      return { add, patterns, destination, chown, chmod, link, parents, exclude, unpack };
    }
    case "mkdir":
      return { path: step.path, user: step.user };
  }
}

function describeMount(mount: RunMount): unknown {
  if (mount.type !== "bind" && mount.type !== "cache") return mount;
  const { from: _content, ...rest } = mount;
  return rest;
}

/** Sources that are trees of files are alike, whatever they are called. */
function kindOf(kind: string): string {
  return kind === "http" || kind === "git" || kind === "heredoc" ? kind : "files";
}

/** SHA-256, hexadecimal, of plain data. In JavaScript: for so little, loading node:crypto takes longer. */
export function hash(value: unknown): string {
  return sha256(new TextEncoder().encode(JSON.stringify(value))).toHex();
}
