/**
 * What happened to containers, images and volumes, a line of JSON each, in Podman's words.
 *
 * Commands write their own (runtime/state/events.ts); what only a monitor sees it writes itself, with nothing
 * but the path of the log.
 *
 * @see podman-events(1)
 */

import { appendToLog } from "../../ffi/append_file.ts";
import { timestamp } from "./timestamp.ts";

export type EventType = "container" | "image" | "network" | "pod" | "secret" | "system" | "volume";

export interface EngineEvent {
  /** RFC 3339 in UTC, with nanoseconds. */
  time: string;
  type: EventType;
  /** `create`, `died`, `pull`. */
  action: string;
  /** Whole: of the container or image; of a volume its name. */
  id: string;
  name: string;
  /** Of a container: the name of its image. */
  image?: string;
  /** Of `died` and `exec_died`. */
  exitCode?: number;
  /** Of `health_status`: healthy, unhealthy, starting. */
  health?: string;
  /** Labels of the container, and what else there is to know. */
  attributes?: Record<string, string>;
}

export type NewEvent = Omit<EngineEvent, "time">;

/** The log before this one is kept, so twice as much is there at most. */
const LIMIT_BYTES = 4 << 20;

/** Appends to the log at `path`. An event that cannot be written is lost: what happened has happened. */
export function appendEvents(path: string, ...events: NewEvent[]): void {
  const lines = events.map((event) => `${JSON.stringify({ time: timestamp(), ...event })}\n`);
  try {
    appendToLog(path, lines.join(""), LIMIT_BYTES);
  } catch {
    // a full disk, a read-only home
  }
}
