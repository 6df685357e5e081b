/**
 * What an agent in a step answers: which keys there are, and signatures. Whatever else a step asks (to add, remove or
 * lock keys, to load a library of a token, extensions) is refused, and never reaches the user's agent.
 *
 * ```
 *  step ── length, type, content ──▶ skiff ── the same, of two types ──▶ agent, or keys read from files
 *       ◀── length, type, content ──       ◀──
 * ```
 * @see draft-miller-ssh-agent, 3 and 4; BuildKit, session/sshforward/sshprovider, readOnlyAgent
 */

import { writeAll } from "../../registry/dial.ts";
import type { SshKey } from "./ssh_key.ts";
import { concat } from "../../../ffi/concat.ts";
import { SshReader, sshString, uint32 } from "./ssh_wire.ts";

const SSH_AGENT_FAILURE = 5;
const SSH_AGENTC_REQUEST_IDENTITIES = 11, SSH_AGENT_IDENTITIES_ANSWER = 12;
const SSH_AGENTC_SIGN_REQUEST = 13, SSH_AGENT_SIGN_RESPONSE = 14;

/** As OpenSSH (AGENT_MAX_LEN). */
const MAX_MESSAGE_BYTES = 256 * 1024;

/** One connection of a step to what has the keys. */
export interface Agent extends Disposable {
  /** Both without their length. */
  answer(request: Uint8Array): Promise<Uint8Array> | Uint8Array;
}

/** Serves one client to its end. */
export async function serveClient(client: Deno.Conn, connect: () => Promise<Agent> | Agent): Promise<void> {
  try {
    using agent = await connect();
    for (;;) {
      const request = await readMessage(client);
      if (request === null) return;
      const isServed = request[0] === SSH_AGENTC_REQUEST_IDENTITIES || request[0] === SSH_AGENTC_SIGN_REQUEST;
      const answer = isServed ? await agent.answer(request) : failure();
      await writeAll(client, sshString(answer));
    }
  } finally {
    client.close();
  }
}

/** Asks the agent at this socket. */
export async function connectAgent(path: string): Promise<Agent> {
  const server = await Deno.connect({ transport: "unix", path });
  return {
    async answer(request) {
      await writeAll(server, sshString(request));
      const answer = await readMessage(server);
      if (answer === null) throw new Deno.errors.UnexpectedEof(`the agent at ${path} has hung up`);
      const isOne = answer[0] === SSH_AGENT_IDENTITIES_ANSWER || answer[0] === SSH_AGENT_SIGN_RESPONSE;
      return isOne ? answer : failure();
    },
    [Symbol.dispose]: () => server.close(),
  };
}

/** Answers with keys that were read. */
export function keysAgent(keys: readonly SshKey[]): Agent {
  return {
    answer(request) {
      if (request[0] === SSH_AGENTC_REQUEST_IDENTITIES) {
        const list = keys.flatMap(({ blob }) => [sshString(blob), sshString()]);
        return concat([new Uint8Array([SSH_AGENT_IDENTITIES_ANSWER]), uint32(keys.length), ...list]);
      }
      try {
        const asked = new SshReader(request.subarray(1));
        const [blob, data, flags] = [asked.string().toHex(), asked.string(), asked.uint32()];
        const key = keys.find((one) => one.blob.toHex() === blob);
        if (key === undefined) return failure();
        return concat([new Uint8Array([SSH_AGENT_SIGN_RESPONSE]), sshString(key.sign(data, flags))]);
      } catch {
        // a request that is shorter than it says
        return failure();
      }
    },
    [Symbol.dispose]: () => {},
  };
}

function failure(): Uint8Array {
  return new Uint8Array([SSH_AGENT_FAILURE]);
}

/** Null where the other end has hung up, or says what nobody may. */
async function readMessage(from: Deno.Conn): Promise<Uint8Array | null> {
  const length = await readExactly(from, 4);
  const bytes = length && new SshReader(length).uint32();
  if (bytes === null || bytes < 1 || bytes > MAX_MESSAGE_BYTES) return null;
  return await readExactly(from, bytes);
}

async function readExactly(from: Deno.Conn, length: number): Promise<Uint8Array | null> {
  const bytes = new Uint8Array(length);
  for (let filled = 0; filled < length;) {
    const count = await from.read(bytes.subarray(filled));
    if (count === null) return null;
    filled += count;
  }
  return bytes;
}
