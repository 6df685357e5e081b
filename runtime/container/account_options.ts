/** Who of this machine the container's passwd file knows. @see podman-run(1), --passwd, --hostuser */

import { InvalidArgumentError } from "../errors.ts";
import { ACCOUNT_FILE_LIMIT_BYTES } from "../spec/passwd.ts";
import type { AccountsChoice, HostUser } from "./extras.ts";
import type { CreateOptions } from "./options.ts";

/** `keptUser` is who keep-id keeps, with the ids inside. */
export function resolveAccounts(
  options: CreateOptions,
  keptUser: { hostUid: number; uid: number; gid: number } | undefined,
): AccountsChoice | undefined {
  const users = (options.hostUsers ?? []).map(findHostUser);
  const kept = keptUser && findById(keptUser.hostUid);
  if (kept && keptUser) {
    users.unshift({ ...kept, uid: keptUser.uid, gid: keptUser.gid, groupName: kept.name });
  }
  const { passwd = true, passwdEntry, groupEntry } = options;
  for (const entry of [passwdEntry, groupEntry]) {
    if (entry?.includes("\n")) throw new InvalidArgumentError("set passwd entry: it must be one line");
  }
  if (passwd && users.length === 0 && !passwdEntry && !groupEntry) return undefined;
  return {
    isListed: passwd,
    hostUsers: users,
    passwdFormat: passwdEntry || undefined,
    groupFormat: groupEntry || undefined,
  };
}

/** A name or a number. */
function findHostUser(text: string): HostUser {
  const found = entries().find(({ name, uid }) => name === text || String(uid) === text);
  if (!found) throw new InvalidArgumentError(`add host user "${text}": unknown user ${text}`);
  return found;
}

function findById(uid: number): HostUser | undefined {
  return entries().find((entry) => entry.uid === uid);
}

function entries(): HostUser[] {
  const text = Deno.readTextFileSync("/etc/passwd").slice(0, ACCOUNT_FILE_LIMIT_BYTES);
  return text.split("\n").flatMap((line) => {
    const [name, , uid, gid, gecos = ""] = line.split(":");
    if (!name || !/^\d+$/.test(uid ?? "") || !/^\d+$/.test(gid ?? "")) return [];
    return [{ name, uid: Number(uid), gid: Number(gid), gecos: gecos.split(",")[0]!, groupName: "" }];
  });
}
