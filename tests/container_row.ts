/** A container's row of the database, for tests that need any. */
import type { ContainerRow } from "../runtime/state/containers.ts";

export function containerRow(change: Partial<ContainerRow> = {}): ContainerRow {
  return {
    id: "ab".repeat(32),
    name: "c",
    imageId: null,
    imageName: "host",
    command: ["true"],
    createdAt: "2026-01-01T00:00:00Z",
    state: "created",
    startedAt: "",
    finishedAt: "",
    exitCode: 0,
    error: "",
    oomKilled: false,
    autoRemove: false,
    tty: false,
    labels: {},
    mounts: [],
    network: "none",
    ...change,
  };
}
