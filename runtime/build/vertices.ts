/** Tells what a build does: each step and each source as a vertex, with its output, progress and end. */

import type { BuildEvent, Vertex } from "./events.ts";
import { hash } from "./cache_key.ts";

export interface LiveVertex {
  readonly digest: string;
  begin(): void;
  /** Bytes as the program wrote them. */
  log(stream: 1 | 2, data: Uint8Array): void;
  /** How far something within it is: a layer, a transfer. */
  progress(id: string, current: number, total?: number, isDone?: boolean): void;
  done(how?: { cached?: boolean }): void;
  fail(error: unknown): void;
}

export class Vertices {
  readonly #emit: (event: BuildEvent) => void;
  #count = 0;

  constructor(emit: (event: BuildEvent) => void) {
    this.#emit = emit;
  }

  /** Announces a vertex; it begins later. */
  add(name: string, inputs: readonly string[] = []): LiveVertex {
    const emit = this.#emit;
    const digest = `sha256:${hash([name, this.#count++])}`;
    let vertex: Vertex = { digest, name, inputs: [...inputs] };
    const started = new Map<string, string>();
    const tell = (change: Partial<Vertex>) =>
      emit({ kind: "vertex", vertex: vertex = { ...vertex, ...change } });
    tell({});
    return {
      digest,
      begin: () => tell({ started: now() }),
      log: (stream, data) => emit({ kind: "log", log: { vertex: digest, stream, data, timestamp: now() } }),
      progress(id, current, total, isDone = false) {
        const timestamp = now();
        if (!started.has(id)) started.set(id, timestamp);
        const times = { timestamp, started: started.get(id), ...(isDone && { completed: timestamp }) };
        emit({ kind: "status", status: { id, vertex: digest, name: id, total, current, ...times } });
      },
      done({ cached = false } = {}) {
        const completed = now();
        tell({ started: vertex.started ?? completed, completed, ...(cached && { cached }) });
      },
      fail(error) {
        const completed = now();
        const text = error instanceof Error ? error.message : String(error);
        tell({ started: vertex.started ?? completed, completed, error: text });
      },
    };
  }

  /** Does something as a vertex of its own. */
  async run<T>(name: string, action: (vertex: LiveVertex) => T | Promise<T>): Promise<T> {
    const vertex = this.add(name);
    vertex.begin();
    try {
      const result = await action(vertex);
      vertex.done();
      return result;
    } catch (error) {
      vertex.fail(error);
      throw error;
    }
  }

  warn(text: string): void {
    this.#emit({ kind: "warning", text });
  }
}

function now(): string {
  return new Date().toISOString();
}
