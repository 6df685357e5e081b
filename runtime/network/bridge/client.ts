/**
 * A command's request to the holder of the bridges: one line of JSON each way over its Unix socket.
 *
 * ```
 *  command ── {"version":1,"change":{"kind":"connect",…}}\n ──▶ holder
 *          ◀── {"ok":true,"isKnown":true}\n  or  {"ok":false,"error":"…"}\n ──
 * ```
 */

import { SkiffError } from "../../errors.ts";
import type { BridgeChange } from "../plan.ts";

export const BRIDGE_PROTOCOL = 1;

/**
 * Where the holder listens, in the runtime folder. Networks are those of a data folder, of which a user may have more
 * than one.
 */
export function bridgeSocketPath({ run, data }: { run: string; data: string }): string {
  return `${run}/n-${shortHash(data)}`;
}

/** FNV-1a: enough to tell apart the few data folders that a user ever has. */
export function shortHash(text: string): string {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, "0");
}

/** What a request says. */
export interface BridgeRequest {
  version: number;
  change: BridgeChange;
}

/** `isKnown`: somebody is concerned, such as the container that is named. */
export type BridgeAnswer = { ok: true; isKnown: boolean } | { ok: false; error: string };

/** Longer is no answer. */
const ANSWER_LIMIT_BYTES = 64 * 1024;

/** How long a holder that was killed may take to be made again, and to hear of its containers. */
const PATIENCE_MS = 30_000;

/**
 * Returns when the change is made; what says so may be repeated. With `isNeeded` somebody is concerned for certain, as
 * the container runs: a holder that is just made again is waited for. Without it nobody need be there.
 *
 * @throws {SkiffError} with the holder's reason
 */
export async function requestBridgeChange(
  folders: { run: string; data: string },
  change: BridgeChange,
  isNeeded: () => Promise<boolean>,
): Promise<void> {
  for (const end = Date.now() + PATIENCE_MS;;) {
    if (await isMade(folders, change) || !await isNeeded()) return;
    if (Date.now() > end) throw new SkiffError("change network: nobody holds the bridges of the container");
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

/** False where nobody holds bridges, or nobody there is concerned. */
async function isMade(folders: { run: string; data: string }, change: BridgeChange): Promise<boolean> {
  let connection: Deno.UnixConn;
  try {
    connection = await Deno.connect({ transport: "unix", path: bridgeSocketPath(folders) });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.ConnectionRefused) {
      return false;
    }
    throw error;
  }
  using _connection = connection;
  const request: BridgeRequest = { version: BRIDGE_PROTOCOL, change };
  let line: string | undefined;
  try {
    await writeAll(connection, new TextEncoder().encode(`${JSON.stringify(request)}\n`));
    line = await readLine(connection);
  } catch (error) {
    // killed amidst
    if (!(error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset)) {
      throw error;
    }
  }
  if (line === undefined) return false;
  const answer = parseAnswer(line);
  if (answer.ok) return answer.isKnown;
  throw new SkiffError(`change network: ${answer.error}`);
}

async function writeAll(connection: Deno.UnixConn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}

/** undefined where the other end is gone before. */
async function readLine(connection: Deno.UnixConn): Promise<string | undefined> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(4096);
  for (let text = "";;) {
    const count = await connection.read(buffer);
    if (count === null) return undefined;
    text += decoder.decode(buffer.subarray(0, count), { stream: true });
    if (text.includes("\n")) return text.slice(0, text.indexOf("\n"));
    if (text.length > ANSWER_LIMIT_BYTES) throw new SkiffError("change network: the answer is too long");
  }
}

function parseAnswer(line: string): BridgeAnswer {
  try {
    const answer = JSON.parse(line);
    if (answer?.ok === true) return { ok: true, isKnown: answer.isKnown === true };
    return { ok: false, error: String(answer?.error ?? "no reason was given") };
  } catch {
    return { ok: false, error: "the answer is no JSON" };
  }
}
