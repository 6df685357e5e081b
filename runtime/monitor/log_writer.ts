/** What the monitor writes a container's output to. One file a format. */

import type { LogPlan } from "./plan.ts";
import { K8sLogWriter } from "./k8s_log.ts";
import { JsonLogWriter } from "./json_log.ts";
import { openJournalLog } from "./lazy_code.ts";
import type { EventLoop } from "./loop.ts";

export type OutputStream = "stdout" | "stderr";

/** What a log that may have to wait needs of the session that writes it. */
export interface LogFlow {
  loop: Pick<EventLoop, "watch" | "unwatch" | "after" | "cancel">;
  /** Whether the container's output is to be left unread. */
  hold(held: boolean): void;
}

export interface LogWriter {
  /** Called before the first `write`. */
  follow?(flow: LogFlow): void;
  /** Logs output as it was read, in order. `bytes` is free again when this returns. Never throws. */
  write(stream: OutputStream, bytes: Uint8Array<ArrayBuffer>): void;
  /** Writes what is held back and closes the file. */
  close(): void;
}

/** Opens the container's log; undefined where nothing is kept. Throws a SyscallError. */
export function openLogWriter(plan: LogPlan): LogWriter | undefined {
  switch (plan.driver) {
    case "k8s-file":
      return new K8sLogWriter(plan.path, plan.maxSize);
    case "json-file":
      return new JsonLogWriter(plan.path, plan.maxSize, plan.attributes);
    case "journald":
      return new (openJournalLog()().JournalLogWriter)(plan.journal!);
    case "none":
    case "passthrough":
      return undefined;
  }
}
