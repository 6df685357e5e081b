/**
 * `--ssh ID=SOCKET|KEYFILE[,KEYFILE]`: what has the keys, found once, before the first step.
 *
 * @see BuildKit, session/sshforward/sshprovider, NewSSHAgentProvider
 */

import { BuildError, hostReason } from "../../errors.ts";
import type { SshSource } from "../options.ts";
import { type Agent, connectAgent, keysAgent } from "./ssh_answers.ts";
import type { SshKey } from "./ssh_key.ts";

/** By id: connects a client of a step. */
export type SshAgents = ReadonlyMap<string, () => Promise<Agent> | Agent>;

/** As BuildKit. */
const MAX_KEY_BYTES = 100 * 1024;

/** @throws {BuildError} where one cannot be used */
export async function findAgents(sources: readonly SshSource[]): Promise<SshAgents> {
  const agents = new Map<string, () => Promise<Agent> | Agent>();
  for (const source of sources) {
    if (agents.has(source.id)) throw fail(source.id, "it is given twice");
    agents.set(source.id, await findAgent(source));
  }
  return agents;
}

async function findAgent({ id, paths }: SshSource): Promise<() => Promise<Agent> | Agent> {
  const [first = Deno.env.get("SSH_AUTH_SOCK"), ...others] = paths;
  if (!first) throw fail(id, "make sure SSH_AUTH_SOCK is set");
  const keys: SshKey[] = [];
  let socket: string | undefined;
  for (const path of [first, ...others]) {
    if (!isSocket(id, path)) keys.push(await readKey(id, path));
    else if (socket !== undefined) throw fail(id, "only a single socket is allowed");
    else socket = path;
  }
  if (socket === undefined) return () => keysAgent(keys);
  if (keys.length > 0) throw fail(id, "invalid combination of keys and sockets");
  const path = socket;
  return () => connectAgent(path);
}

function isSocket(id: string, path: string): boolean {
  try {
    return Deno.statSync(path).isSocket === true;
  } catch (cause) {
    throw fail(id, `stat ${path}: ${hostReason(cause)}`, { cause });
  }
}

async function readKey(id: string, path: string): Promise<SshKey> {
  const { KeyFileError, readSshKey } = await import("./ssh_key.ts");
  try {
    return readSshKey(await readStart(path));
  } catch (cause) {
    if (!(cause instanceof KeyFileError)) throw fail(id, `read ${path}: ${hostReason(cause)}`, { cause });
    const hint = `give it to an agent by 'ssh-add ${path}', and use --ssh ${id}`;
    throw fail(id, `key ${path}: ${cause.message}`, { cause, hint });
  }
}

/** A pipe may be given as well. */
async function readStart(path: string): Promise<string> {
  using file = await Deno.open(path);
  const bytes = new Uint8Array(MAX_KEY_BYTES);
  let filled = 0;
  for (
    let count;
    filled < bytes.length && (count = await file.read(bytes.subarray(filled)));
    filled += count
  );
  return new TextDecoder().decode(bytes.subarray(0, filled));
}

function fail(id: string, why: string, options: { cause?: unknown; hint?: string } = {}): BuildError {
  return new BuildError(`ssh agent ${id}: ${why}`, options);
}
