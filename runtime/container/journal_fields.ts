/** What entries of the journal tell of the container that they are of. @see conmon(8), journald; Docker's journald driver */

import { isFieldName, type JournalField } from "../spec/journal.ts";
import type { JournalPlan } from "../monitor/plan.ts";
import type { ContainerConfig } from "./config.ts";

/** What no label or variable may pass for. */
const OWN = /^(MESSAGE|PRIORITY|SYSLOG_IDENTIFIER|CONTAINER_(ID|ID_FULL|NAME|TAG|PARTIAL_MESSAGE)|SKIFF_.*)$/;

/** `tag` is the template of `--log-opt tag`, filled in. */
export function planJournal(
  { id, name, logAttributes = {} }: Pick<ContainerConfig, "id" | "name" | "logAttributes">,
  tag: string | undefined,
  containerDir: string,
): JournalPlan {
  const event = (action: string): JournalField[] => [
    ["PRIORITY", action === "exited" ? "6" : "4"],
    ["SYSLOG_IDENTIFIER", "skiff"],
    ["SKIFF_EVENT", action],
    ["SKIFF_TYPE", "container"],
    ["SKIFF_ID", id],
    ["SKIFF_NAME", name],
  ];
  return {
    fields: [
      ["CONTAINER_ID_FULL", id],
      ["CONTAINER_ID", id.slice(0, 12)],
      ["CONTAINER_NAME", name],
      ...(tag ? [["CONTAINER_TAG", tag] as JournalField] : []),
      ["SYSLOG_IDENTIFIER", tag || name],
      ...Object.entries(logAttributes).map(([key, value]): JournalField => [fieldName(key), value])
        .filter(([key]) => isFieldName(key) && !OWN.test(key)),
    ],
    end: [...event("exited"), ["MESSAGE", `container exited ${id} (name=${name})`]],
    lost: event("lost"),
    containerDir,
  };
}

/** As Docker writes it: `app.name` is APP_NAME. */
function fieldName(key: string): string {
  return key.toUpperCase().replace(/[^A-Z0-9]/g, "_").replace(/^_+/, "");
}
