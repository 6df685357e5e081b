/**
 * Who a container runs as: `USER` and `--user` looked up in the image's own passwd and group files.
 *
 * Both files come from the image, so they are somebody else's: every line is bounded, a malformed one is
 * skipped, and an id that does not fit is never folded into one that does (CVE-2024-40635).
 *
 * @see passwd(5), group(5), OCI image-spec config.md, User
 */

import { InvalidArgumentError } from "../errors.ts";

/** Who reads /etc/passwd or /etc/group of a root stops after this many bytes and fails. */
export const ACCOUNT_FILE_LIMIT_BYTES = 4 * 1024 * 1024;
/** A longer line is skipped; group lines of large sites reach a few KiB. */
const LINE_LIMIT = 64 * 1024;
/** As docker and podman: an id_t that is a positive int, so that neither -1 nor 2^32 can become one. */
const MAX_ID = 0x7fffffff;
/** @see NGROUPS_MAX in limits.h */
const MAX_GROUPS = 65536;

export interface ResolvedUser {
  uid: number;
  gid: number;
  additionalGids: number[];
  /** Of the passwd entry, else `/`. */
  home: string;
  /** Of the passwd entry, else the uid in digits. */
  name: string;
  /** There is a passwd entry. */
  isListed: boolean;
}

interface PasswdEntry {
  name: string;
  uid: number;
  gid: number;
  home: string;
}

interface GroupEntry {
  name: string;
  gid: number;
  members: string;
}

/**
 * Resolves `user`, `uid`, `user:group`, `uid:gid`, `:group` and the empty text (uid 0). Digits are always an id,
 * even where the image names an account `1000`. Without a group the primary one of the passwd entry counts, or 0,
 * and the groups that list the user as a member are added; with one they are not.
 * `groupAdd` holds names or ids of further groups (`--group-add`).
 */
export function resolveUser(
  userText: string,
  passwdText: string | null,
  groupText: string | null,
  groupAdd: readonly string[],
): ResolvedUser {
  checkSize(passwdText, "/etc/passwd");
  checkSize(groupText, "/etc/group");
  const colon = userText.indexOf(":");
  const userWord = colon < 0 ? userText : userText.slice(0, colon);
  const groupWord = colon < 0 ? "" : userText.slice(colon + 1);

  const id = userWord === "" ? 0 : parseId(userWord);
  const entry = findEntry(
    passwdText,
    parsePasswdLine,
    (candidate) => id === undefined ? candidate.name === userWord : candidate.uid === id,
  );
  if (entry === undefined && id === undefined) {
    throw new InvalidArgumentError(`unable to find user ${userWord}: no matching entries in passwd file`);
  }

  const uid = entry?.uid ?? id!;
  const gid = groupWord === "" ? entry?.gid ?? 0 : findGroup(groupWord, groupText);
  const gids = new Set<number>();
  if (groupWord === "" && entry !== undefined) {
    for (const group of entries(groupText, parseGroupLine)) {
      if (gids.size >= MAX_GROUPS) break;
      if (isMember(group, entry.name)) gids.add(group.gid);
    }
  }
  for (const word of groupAdd) gids.add(findGroup(word, groupText));
  return {
    uid,
    gid,
    additionalGids: [...gids],
    home: entry?.home || "/",
    name: entry?.name ?? String(uid),
    isListed: entry !== undefined,
  };
}

/** Whether the text of a passwd file has this name. */
export function hasUser(passwdText: string | null, name: string): boolean {
  return findEntry(passwdText, parsePasswdLine, (entry) => entry.name === name) !== undefined;
}

/** Whether the text of a group file has this id. */
export function hasGroup(groupText: string | null, gid: number): boolean {
  return findEntry(groupText, parseGroupLine, (entry) => entry.gid === gid) !== undefined;
}

function findGroup(word: string, groupText: string | null): number {
  const id = parseId(word);
  if (id !== undefined) return id;
  const entry = findEntry(groupText, parseGroupLine, (candidate) => candidate.name === word);
  if (entry === undefined) {
    throw new InvalidArgumentError(`unable to find group ${word}: no matching entries in group file`);
  }
  return entry.gid;
}

/** The number of a word of digits, undefined for a name. A number out of range is an error, never a name. */
function parseId(word: string): number | undefined {
  if (!/^-?\d+$/.test(word)) return undefined;
  const id = Number(word);
  if (id < 0 || Object.is(id, -0) || id > MAX_ID) {
    throw new InvalidArgumentError(`uids and gids must be in range 0-${MAX_ID}`);
  }
  return id;
}

/** `name:password:uid:gid:comment:home:shell` */
function parsePasswdLine(line: string): PasswdEntry | undefined {
  const [name, , uid, gid, , home] = line.split(":", 7);
  const ids = [idField(uid), idField(gid)];
  if (!name || ids[0] === undefined || ids[1] === undefined) return undefined;
  return { name, uid: ids[0], gid: ids[1], home: home?.startsWith("/") ? home : "" };
}

/** `name:password:gid:member,member` */
function parseGroupLine(line: string): GroupEntry | undefined {
  const [name, , gid, members] = line.split(":", 4);
  const id = idField(gid);
  return name && id !== undefined ? { name, gid: id, members: members ?? "" } : undefined;
}

/** An entry whose id is not plain digits in range is no entry: `-1` or `4294967296` must not turn into root. */
function idField(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  const id = Number(text);
  return id <= MAX_ID ? id : undefined;
}

function isMember(group: GroupEntry, name: string): boolean {
  return group.members !== "" && group.members.split(",").some((member) => member.trim() === name);
}

function findEntry<T>(
  text: string | null,
  parse: (line: string) => T | undefined,
  matches: (entry: T) => boolean,
): T | undefined {
  for (const entry of entries(text, parse)) if (matches(entry)) return entry;
  return undefined;
}

/** The parsed lines, one at a time, so that a large file is never held twice. */
function* entries<T>(text: string | null, parse: (line: string) => T | undefined): Generator<T> {
  if (text === null) return;
  for (let start = 0; start < text.length;) {
    let end = text.indexOf("\n", start);
    if (end < 0) end = text.length;
    if (end - start <= LINE_LIMIT) {
      const line = text.slice(start, end).trim();
      const entry = line === "" || line.startsWith("#") ? undefined : parse(line);
      if (entry !== undefined) yield entry;
    }
    start = end + 1;
  }
}

function checkSize(text: string | null, path: string) {
  if (text !== null && text.length > ACCOUNT_FILE_LIMIT_BYTES) {
    throw new InvalidArgumentError(`read ${path}: larger than ${ACCOUNT_FILE_LIMIT_BYTES} bytes`);
  }
}
