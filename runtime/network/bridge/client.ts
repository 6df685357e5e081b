/**
 * A command's request to the holder of the bridges: one line of JSON each way over its Unix socket.
 *
 * ```
 *  command ── {"version":1,"change":{"kind":"connect",…}}\n ──▶ holder
 *          ◀── {"ok":true}\n  or  {"ok":false,"error":"…"}\n ──
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
function shortHash(text: string): string {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, "0");
}

/** What a request says. */
export interface BridgeRequest {
  version: number;
  change: BridgeChange;
}

export type BridgeAnswer = { ok: true } | { ok: false; error: string };

/** Longer is no answer. */
const ANSWER_LIMIT_BYTES = 64 * 1024;

/**
 * Returns when the change is made, and at once where nobody holds bridges, as no container that runs is on one.
 *
 * @throws {SkiffError} with the holder's reason
 */
export async function requestBridgeChange(
  folders: { run: string; data: string },
  change: BridgeChange,
): Promise<void> {
  let connection: Deno.UnixConn;
  try {
    connection = await Deno.connect({ transport: "unix", path: bridgeSocketPath(folders) });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.ConnectionRefused) return;
    throw error;
  }
  using _connection = connection;
  const request: BridgeRequest = { version: BRIDGE_PROTOCOL, change };
  await writeAll(connection, new TextEncoder().encode(`${JSON.stringify(request)}\n`));
  const answer = parseAnswer(await readLine(connection));
  if (!answer.ok) throw new SkiffError(`change network: ${answer.error}`);
}

async function writeAll(connection: Deno.UnixConn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}

async function readLine(connection: Deno.UnixConn): Promise<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(4096);
  for (let text = "";;) {
    const count = await connection.read(buffer);
    if (count === null) throw new SkiffError("change network: the holder of the bridges gave no answer");
    text += decoder.decode(buffer.subarray(0, count), { stream: true });
    if (text.includes("\n")) return text.slice(0, text.indexOf("\n"));
    if (text.length > ANSWER_LIMIT_BYTES) throw new SkiffError("change network: the answer is too long");
  }
}

function parseAnswer(line: string): BridgeAnswer {
  try {
    const answer = JSON.parse(line);
    if (answer?.ok === true) return { ok: true };
    return { ok: false, error: String(answer?.error ?? "no reason was given") };
  } catch {
    return { ok: false, error: "the answer is no JSON" };
  }
}
