/**
 * `RUN --mount=type=ssh`: the agent of the user, reached by a socket of the step's own, which exists as long as the
 * step runs. Keys stay with the agent.
 *
 * @see Dockerfile reference, RUN --mount=type=ssh
 */

import { BuildError, UnsupportedError } from "../../errors.ts";
import { runInNamespace } from "../../storage/namespace_task.ts";
import { fchmodat, fchownat } from "../../../ffi/file.ts";
import { AT_FDCWD } from "../../../ffi/constants/fcntl.ts";
import type { SshSource } from "../options.ts";
import type { BuildServices, SolvedMount } from "../services.ts";

export type SshMount = SolvedMount & { type: "ssh" };

export interface OpenedAgent extends Disposable {
  /** The socket to bind. */
  path: string;
}

/** Null where the step can do without. @throws {BuildError} where it cannot */
export async function openAgent(
  services: Pick<BuildServices, "folders" | "namespaces">,
  { id, required, mode, uid, gid }: SshMount,
  sources: readonly SshSource[],
): Promise<OpenedAgent | null> {
  const source = sources.find((one) => one.id === id);
  const agent = source && (source.paths[0] ?? Deno.env.get("SSH_AUTH_SOCK"));
  if (!agent) {
    if (required) throw new BuildError(`ssh agent ${id}: not found`, { hint: `give it by --ssh ${id}` });
    return null;
  }
  if (!statAgent(id, agent).isSocket) {
    throw new UnsupportedError(`use ssh key "${agent}": only sockets of agents are supported`, {
      hint: `ssh-add "${agent}", and --ssh ${id}`,
    });
  }
  // where sockets that nobody serves any more are removed
  const folder = `${services.folders.run}/x`;
  Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = `${folder}/ssh-${crypto.randomUUID().slice(0, 13)}`;
  const listener = Deno.listen({ transport: "unix", path });
  const opened = {
    path,
    [Symbol.dispose]() {
      listener.close();
      Deno.removeSync(path);
    },
  };
  try {
    await runInNamespace(services, "make ssh socket", () => {
      fchmodat(AT_FDCWD, path, mode);
      fchownat(AT_FDCWD, path, uid, gid);
    });
  } catch (error) {
    opened[Symbol.dispose]();
    throw error;
  }
  // where none can be taken any more the step finds no agent
  serve(listener, agent).catch(() => {});
  return opened;
}

function statAgent(id: string, path: string): Deno.FileInfo {
  try {
    return Deno.statSync(path);
  } catch (cause) {
    throw new BuildError(`ssh agent ${id}: there is nothing at "${path}"`, { cause });
  }
}

/** So many clients at once; a step that opens more takes no descriptors from the build. */
const MAX_CLIENTS = 64;

async function serve(listener: Deno.UnixListener, agent: string): Promise<void> {
  let clients = 0;
  for await (const client of listener) {
    if (clients === MAX_CLIENTS) {
      client.close();
      continue;
    }
    clients++;
    void connect(client, agent).catch(() => {}).finally(() => clients--);
  }
}

async function connect(client: Deno.UnixConn, agent: string): Promise<void> {
  let server: Deno.UnixConn;
  try {
    server = await Deno.connect({ transport: "unix", path: agent });
  } catch (error) {
    client.close();
    throw error;
  }
  await Promise.all([client.readable.pipeTo(server.writable), server.readable.pipeTo(client.writable)]);
}
