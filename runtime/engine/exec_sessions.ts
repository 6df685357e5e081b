/** The folders of a container's exec sessions. */

import { processStartTime, readExit, readState } from "../monitor/records.ts";
import { inspectLock } from "../state/locks.ts";

/** The ids of sessions whose program has not ended. */
export function listExecSessions(containerDir: string): string[] {
  try {
    return Array.from(Deno.readDirSync(`${containerDir}/exec`), ({ name }) => name)
      .filter((id) => !hasEnded(`${containerDir}/exec/${id}`));
  } catch {
    return [];
  }
}

/** Process ids of the programs of sessions that have not ended. */
export function execPrograms(containerDir: string): number[] {
  return listExecSessions(containerDir)
    .flatMap((id) => readState(`${containerDir}/exec/${id}`)?.initPid ?? []);
}

/** Records of ended sessions are only of use to who waits for them now. */
const KEEP_ENDED = 16;

export function removeEndedSessions(containerDir: string): void {
  const folder = `${containerDir}/exec`;
  const sessions = Array.from(Deno.readDirSync(folder), ({ name }) => `${folder}/${name}`);
  if (sessions.length <= KEEP_ENDED) return;
  for (const path of sessions) {
    if (!hasEnded(path)) continue;
    try {
      Deno.removeSync(path, { recursive: true });
    } catch {
      // another exec removes it just now
    }
  }
}

/** A program that has not begun after this long never will: nobody waits so long for who is to attach. */
const BEGIN_WITHIN_MS = 60_000;

/**
 * A session's monitor may have been killed before it wrote its exit record, or before it wrote anything. One that could
 * write nothing (the disk was full) still holds its folder.
 */
function hasEnded(sessionDir: string): boolean {
  if (readExit(sessionDir)) return true;
  const state = readState(sessionDir);
  if (state) return processStartTime(state.initPid) !== state.initStartTime;
  try {
    const ageMs = Date.now() - (Deno.statSync(sessionDir).mtime?.getTime() ?? 0);
    return ageMs > BEGIN_WITHIN_MS && !isHeld(sessionDir);
  } catch {
    return true; // another exec has removed it just now
  }
}

function isHeld(sessionDir: string): boolean {
  const asked = inspectLock(sessionDir);
  if (asked.state === "free") asked.lock[Symbol.dispose]();
  return asked.state === "held";
}
