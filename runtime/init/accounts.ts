/**
 * Lines for passwd and group of the root, so that who the container runs as has a name: shells and ssh fail without.
 *
 * @see podman-run(1), --passwd, --passwd-entry, --group-entry, --hostuser
 */

import { SyscallError } from "../../ffi/errno.ts";
import { Fd, fstat, openat2, writeAll } from "../../ffi/file.ts";
import {
  O_APPEND,
  O_CLOEXEC,
  O_NONBLOCK,
  O_WRONLY,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_XDEV,
} from "../../ffi/constants/fcntl.ts";
import { S_IFMT, S_IFREG } from "../../ffi/constants/stat.ts";
import type { AccountsPlan } from "../monitor/plan.ts";
import { hasGroup, hasUser, type ResolvedUser } from "../spec/passwd.ts";
import { readAccountFile } from "./user.ts";

/**
 * Adds what is missing and gives the user as it then is. `userText` is what was asked for, `home` the working folder.
 *
 * A file that a mount of the user's covers is not touched, nor one that cannot be written.
 */
export function listAccounts(
  root: number,
  plan: AccountsPlan,
  userText: string,
  user: ResolvedUser,
  home: string,
): ResolvedUser {
  if (userText === "" && plan.hostUsers.length === 0) return user;
  const passwd = readAccountFile(root, "etc/passwd");
  const group = readAccountFile(root, "etc/group");
  const users: string[] = [];
  const groups: string[] = [];
  const fill = (format: string, values: Record<string, string | number>) =>
    format.replace(/\$(USERNAME|UID|GID|NAME|HOME)\b/g, (_, key: string) => String(values[key])) + "\n";
  const addUser = (name: string, uid: number, gid: number, gecos: string) => {
    const values = { USERNAME: name, UID: uid, GID: gid, NAME: gecos, HOME: home };
    users.push(fill(plan.passwdFormat ?? "$USERNAME:*:$UID:$GID:$NAME:$HOME:/bin/sh", values));
  };
  const addGroup = (name: string, gid: number, members: string) => {
    if (plan.groupFormat) groups.push(fill(plan.groupFormat, { GID: gid }));
    else groups.push(`${name}:x:${gid}:${members}\n`);
  };
  for (const { name, uid, gid, gecos, groupName } of plan.hostUsers) {
    if (!hasUser(passwd, name)) addUser(name, uid, gid, gecos);
    if (groupName && !hasGroup(group, gid)) addGroup(groupName, gid, name);
  }
  const isHostUser = plan.hostUsers.some(({ uid }) => uid === user.uid);
  const wasUnlisted = !user.isListed;
  if (wasUnlisted && !isHostUser) addUser(String(user.uid), user.uid, user.gid, "container user");
  const [userWord, groupWord] = userText.split(":");
  const isGroupListed = hasGroup(group, user.gid) || groups.some((line) => hasGroup(line, user.gid));
  if (groupWord && !isGroupListed) addGroup(String(user.gid), user.gid, userWord ?? "");
  const isWritten = append(root, "etc/passwd", users);
  append(root, "etc/group", groups);
  return wasUnlisted && isWritten ? { ...user, home } : user;
}

function append(root: number, path: string, lines: readonly string[]): boolean {
  if (lines.length === 0) return false;
  try {
    // not across mounts: what lies there is a folder of the host's or a volume
    const resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
    using file = new Fd(openat2(root, path, O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC, resolve));
    if ((fstat(file.number).mode & S_IFMT) !== S_IFREG) return false;
    writeAll(file.number, new TextEncoder().encode(lines.join("")));
    return true;
  } catch (error) {
    // An image need not have the file; the program runs all the same, as a user without a name.
    if (error instanceof SyscallError) return false;
    throw error;
  }
}
