/** A piece of work after the steps, told like one of them: `exporting to image`. */

import type { BuildEvent } from "../build/events.ts";

type Emit = (event: BuildEvent) => void;

export interface VertexWork {
  /** Something within it: `writing image sha256:…`. */
  part<T>(id: string, action: () => Promise<T>): Promise<T>;
  /** How far a part is. */
  report(id: string, current: number, total?: number): void;
}

/** Tells the beginning and the end of `action`, whichever it has. */
export async function asVertex<T>(
  emit: Emit,
  name: string,
  action: (work: VertexWork) => Promise<T>,
): Promise<T> {
  const vertex = { digest: `export:${crypto.randomUUID()}`, name, inputs: [], started: now() };
  emit({ kind: "vertex", vertex });
  const startedParts = new Map<string, string>();
  const tell = (id: string, current: number, total: number | undefined, completed?: string) =>
    emit({
      kind: "status",
      status: {
        id,
        vertex: vertex.digest,
        name: id,
        current,
        total,
        timestamp: now(),
        started: startedParts.get(id),
        completed,
      },
    });
  const begin = (id: string) => startedParts.has(id) || startedParts.set(id, now());
  try {
    const result = await action({
      async part(id, inner) {
        begin(id);
        const result = await inner();
        tell(id, 0, undefined, now());
        return result;
      },
      report(id, current, total) {
        begin(id);
        tell(id, current, total, current === total ? now() : undefined);
      },
    });
    emit({ kind: "vertex", vertex: { ...vertex, completed: now() } });
    return result;
  } catch (error) {
    emit({ kind: "vertex", vertex: { ...vertex, completed: now(), error: (error as Error).message } });
    throw error;
  }
}

function now(): string {
  return new Date().toISOString();
}
