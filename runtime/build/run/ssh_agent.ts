/**
 * `RUN --mount=type=ssh`: the user's agent or keys, reached by a socket of the step's own, which exists as long as the
 * step runs. No key ever is in the step. git has such a one for repositories that it fetches.
 *
 * @see Dockerfile reference, RUN --mount=type=ssh
 */

import { BuildError } from "../../errors.ts";
import { runInNamespace } from "../../storage/namespace_task.ts";
import { fchmodat, fchownat } from "../../../ffi/file.ts";
import { AT_FDCWD } from "../../../ffi/constants/fcntl.ts";
import type { Folders } from "../../state/folders.ts";
import type { BuildServices, SolvedMount } from "../services.ts";
import { type Agent, serveClient } from "./ssh_answers.ts";
import type { SshAgents } from "./ssh_sources.ts";

export type SshMount = SolvedMount & { type: "ssh" };

export interface OpenedAgent extends Disposable {
  /** The socket to bind. */
  path: string;
}

/** Null where the step can do without. @throws {BuildError} where it cannot */
export async function openAgent(
  services: Pick<BuildServices, "folders" | "namespaces">,
  { id, required, mode, uid, gid }: SshMount,
  agents: SshAgents,
): Promise<OpenedAgent | null> {
  const connect = agents.get(id);
  if (connect === undefined) {
    if (required) throw new BuildError(`ssh agent ${id}: not found`, { hint: `give it by --ssh ${id}` });
    return null;
  }
  const opened = serveAgent(services.folders, connect);
  try {
    await runInNamespace(services, "make ssh socket", () => {
      fchmodat(AT_FDCWD, opened.path, mode);
      fchownat(AT_FDCWD, opened.path, uid, gid);
    });
  } catch (error) {
    opened[Symbol.dispose]();
    throw error;
  }
  return opened;
}

/** A socket in a folder that only its user reaches. */
export function serveAgent(
  { run }: Pick<Folders, "run">,
  connect: () => Promise<Agent> | Agent,
): OpenedAgent {
  // where sockets that nobody serves any more are removed
  const folder = `${run}/x`;
  Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = `${folder}/ssh-${crypto.randomUUID().slice(0, 13)}`;
  const listener = Deno.listen({ transport: "unix", path });
  // where none can be taken any more its clients find no agent
  serve(listener, connect).catch(() => {});
  return {
    path,
    [Symbol.dispose]() {
      listener.close();
      Deno.removeSync(path);
    },
  };
}

/** So many clients at once; a step that opens more takes no descriptors from the build. */
const MAX_CLIENTS = 64;

async function serve(listener: Deno.UnixListener, connect: () => Promise<Agent> | Agent): Promise<void> {
  let clients = 0;
  for await (const client of listener) {
    if (clients === MAX_CLIENTS) {
      client.close();
      continue;
    }
    clients++;
    void serveClient(client, connect).catch(() => {}).finally(() => clients--);
  }
}
