/** The log driver `journald`: whether it can be used, and what its entries bear. */

import { close } from "../../ffi/file.ts";
import { planJournal } from "../container/journal_fields.ts";
import type { ContainerConfig } from "../container/config.ts";
import { readLastCapability } from "../container/host_facts.ts";
import { InvalidArgumentError, UnsupportedError } from "../errors.ts";
import { connectJournal, JOURNAL_SOCKET } from "../monitor/journal_log.ts";
import type { JournalPlan } from "../monitor/plan.ts";
import { containerDocument } from "./container_document.ts";
import type { Engine } from "./engine.ts";

/** For a new container. @throws {UnsupportedError} where nothing takes entries, and for a tag that cannot be filled in */
export function checkJournal(engine: Engine, config: ContainerConfig): void {
  journalPlanOf(engine, config);
  const error = findJournalObstacle();
  if (error === undefined) return;
  throw new UnsupportedError(`use log driver "journald": ${error}`, {
    hint: "--log-driver k8s-file writes a file instead",
  });
}

/** Why there is no journal to write to; undefined where there is one. */
export function findJournalObstacle(): string | undefined {
  try {
    close(connectJournal());
  } catch (error) {
    return `no journal takes entries at ${JOURNAL_SOCKET}: ${(error as Error).message}`;
  }
}

export function journalPlanOf(engine: Engine, config: ContainerConfig): JournalPlan {
  const containerDir = engine.containerDir(config.id);
  return planJournal(config, fillTag(config, containerDir), containerDir);
}

const FIELD = /\{\{\s*((?:\.\w+)+)\s*\}\}/g;

/**
 * `--log-opt tag` with the keys of inspect. Of a template only fields are known.
 *
 * @throws {InvalidArgumentError} for a key that inspect does not have
 */
export function fillTag(config: ContainerConfig, containerDir: string): string | undefined {
  const { tag } = config.log;
  if (!tag?.includes("{{")) return tag;
  if (tag.replace(FIELD, "").includes("{{")) {
    throw new UnsupportedError(
      `set log option "tag=${tag}": only fields of inspect such as {{.Name}} or {{.Config.Hostname}} are known`,
    );
  }
  const document = containerDocument(config, {
    status: {
      status: "created",
      pid: 0,
      monitorPid: 0,
      exitCode: 0,
      error: "",
      startedAt: "",
      finishedAt: "",
      oomKilled: false,
    },
    containerDir,
    volumePath: (name) => name,
    execIds: [],
    lastCapability: readLastCapability(),
    driverData: {},
  });
  return tag.replace(FIELD, (_, path: string) => valueAt(document, path, tag));
}

function valueAt(document: unknown, path: string, tag: string): string {
  let value = document;
  for (const name of path.slice(1).split(".")) {
    const fields = typeof value === "object" && value !== null && !Array.isArray(value)
      ? value as Record<string, unknown>
      : {};
    // inspect has Id where its Go type has ID
    const key = Object.hasOwn(fields, name)
      ? name
      : Object.keys(fields).find((one) => one.toLowerCase() === name.toLowerCase());
    if (key === undefined) {
      throw new InvalidArgumentError(`set log option "tag=${tag}": can't evaluate field ${name}`);
    }
    value = fields[key];
  }
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
    return String(value);
  }
  throw new InvalidArgumentError(`set log option "tag=${tag}": ${path} is not one word`);
}
