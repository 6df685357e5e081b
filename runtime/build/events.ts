/**
 * What a build tells while it works. The shape is that of BuildKit's SolveStatus, so that `--progress rawjson` is
 * these events as they are.
 *
 * @see BuildKit client/graph.go: SolveStatus, Vertex, VertexStatus, VertexLog, VertexWarning
 */

import type { CheckFinding } from "./dockerfile/ast.ts";

/** A step or a source: told again whenever something of it changes. */
export interface Vertex {
  /** Identifies it within the build. */
  digest: string;
  /** `[build 3/7] RUN make`, `[internal] load build context`. */
  name: string;
  /** Digests of what it waits for. */
  inputs: string[];
  /** RFC 3339. */
  started?: string;
  completed?: string;
  cached?: boolean;
  error?: string;
}

/** How far something within a vertex is: a download, a transfer. */
export interface VertexStatus {
  /** Unique within the vertex. */
  id: string;
  vertex: string;
  name: string;
  total?: number;
  current: number;
  timestamp: string;
  started?: string;
  completed?: string;
}

export interface VertexLog {
  vertex: string;
  stream: 1 | 2;
  data: Uint8Array;
  timestamp: string;
}

export type BuildEvent =
  | { kind: "vertex"; vertex: Vertex }
  | { kind: "status"; status: VertexStatus }
  | { kind: "log"; log: VertexLog }
  /** A finding of the checks. */
  | { kind: "finding"; finding: CheckFinding; fileName: string; lines: readonly string[] }
  | { kind: "warning"; text: string };
