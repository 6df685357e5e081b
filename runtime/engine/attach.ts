/** `attach`: connects the caller's streams to a running container. */

import { setupError } from "../container/setup_error.ts";
import { Attachment, type AttachOptions, type AttachOutcome } from "../monitor/attachment.ts";
import { sendSignal, StartError } from "../monitor/client.ts";
import type { WindowSize } from "../monitor/protocol.ts";
import { recordContainerEvent } from "../state/events.ts";
import { monitorSocketPath } from "../state/folders.ts";
import { observeRunning } from "./containers.ts";
import type { Engine } from "./engine.ts";

export type { AttachOptions, AttachOutcome, OutputSink } from "../monitor/attachment.ts";
export { parseDetachKeys } from "../monitor/detach_keys.ts";
export type { WindowSize } from "../monitor/protocol.ts";

/** A program that the caller is attached to. */
export interface Attached {
  /** Rejects with CommandNotFoundError or CannotInvokeError where the program never ran. */
  outcome: Promise<AttachOutcome>;
  resize(size: WindowSize): Promise<void>;
  sendSignal(signal: number): Promise<void>;
  /** Leaves the program alone. */
  detach(): Promise<void>;
}

/** Attaches to a running container. */
export async function attach(engine: Engine, text: string, options: AttachOptions): Promise<Attached> {
  const { row } = await observeRunning(engine, text, "attach to");
  recordContainerEvent(engine.folders, row, "attach");
  return await attachTo(monitorSocketPath(engine.folders, row.id), options);
}

/** Attaches to what listens there: a container or exec session that was just started in the foreground. */
export async function attachTo(socketPath: string, options: AttachOptions): Promise<Attached> {
  const attachment = await Attachment.open(socketPath, options);
  const outcome = attachment.outcome.catch((error) => {
    throw error instanceof StartError ? setupError(error.failure) : error;
  });
  outcome.catch(() => {}); // whoever awaits it later still gets it
  return {
    outcome,
    resize: (size) => attachment.resize(size),
    sendSignal: (signal) => attachment.sendSignal(signal),
    detach: () => attachment.detach(),
  };
}

/** Sends a signal to what listens there, attached or not. */
export async function signalSession(socketPath: string, signal: number): Promise<void> {
  await sendSignal(socketPath, signal);
}
