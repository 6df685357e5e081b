/** The log of events: `events/log` in the data folder, and `events/log.1`, which was full. */

import { appendEvents, type NewEvent } from "../spec/event.ts";
import type { Folders } from "./folders.ts";

export type { EngineEvent, EventType, NewEvent } from "../spec/event.ts";

export function eventsPath(folders: Pick<Folders, "data">): string {
  return `${folders.data}/events/log`;
}

/** Writes down what was just done; costs some 50 µs and never fails. */
export function recordEvent(folders: Pick<Folders, "data">, event: NewEvent): void {
  appendEvents(eventsPath(folders), event);
}

/** The event of a container, with its name, image and labels. */
export function recordContainerEvent(
  folders: Pick<Folders, "data">,
  row: { id: string; name: string; imageName: string; labels: Record<string, string> },
  action: string,
  attributes: Record<string, string> = {},
  exitCode?: number,
): void {
  const { id, name, imageName: image, labels } = row;
  recordEvent(folders, {
    type: "container",
    action,
    id,
    name,
    image,
    exitCode,
    attributes: { ...labels, ...attributes },
  });
}
