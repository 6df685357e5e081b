/** The columns of `ps --ns`. @see podman-ps(1), namespaces(7) */

import type { ContainerListEntry } from "../../runtime/engine/ps.ts";
import type { Field } from "./list.ts";

export const NAMESPACE_COLUMNS = [
  "ID",
  "Names",
  "Pid",
  "CGROUPNS",
  "IPC",
  "MNT",
  "NET",
  "PIDNS",
  "USERNS",
  "UTS",
];

const FILES = {
  CGROUPNS: "cgroup",
  IPC: "ipc",
  MNT: "mnt",
  NET: "net",
  PIDNS: "pid",
  USERNS: "user",
  UTS: "uts",
};

export function namespaceFields(): Record<string, Field<ContainerListEntry>> {
  const fields = Object.entries(FILES).map(([heading, file]) =>
    [heading, { heading, value: ({ Pid }: ContainerListEntry) => namespaceOf(Pid, file) }] as const
  );
  return Object.fromEntries(fields);
}

/** `4026531835`; empty where it does not run. */
function namespaceOf(pid: number, file: string): string {
  if (pid === 0) return "";
  try {
    return /\[(\d+)\]/.exec(Deno.readLinkSync(`/proc/${pid}/ns/${file}`))?.[1] ?? "";
  } catch {
    return "";
  }
}
