/**
 * `--chmod`: a mode in octal, or changes of the mode that a file has: `u=rwX,go-w`.
 *
 * @see chmod(1), "Setting permission bits"; POSIX chmod, EXTENDED DESCRIPTION
 */

import { InvalidArgumentError } from "../../errors.ts";

/** Gives the new mode of what has this one. */
export type ModeChange = (mode: number, isFolder: boolean) => number;

interface Clause {
  /** Bits of user, group and others that it touches: 0o7777 for all. */
  who: number;
  actions: { operator: string; permissions: string }[];
}

const WHO: Record<string, number> = { u: 0o4700, g: 0o2070, o: 0o1007, a: 0o7777 };
const BITS: Record<string, number> = { r: 0o444, w: 0o222, x: 0o111, s: 0o6000, t: 0o1000 };

/** @throws {InvalidArgumentError} */
export function parseModeChange(text: string): ModeChange {
  if (/^[0-7]{1,5}$/.test(text) && parseInt(text, 8) <= 0o7777) {
    const mode = parseInt(text, 8);
    return () => mode;
  }
  const clauses = text.split(",").map((clause) => parseClause(clause, text));
  return (mode, isFolder) => clauses.reduce((now, clause) => apply(clause, now, isFolder), mode & 0o7777);
}

function parseClause(clause: string, whole: string): Clause {
  const match = /^([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)$/.exec(clause);
  if (match === null) {
    throw new InvalidArgumentError(
      `invalid chmod parameter: '${whole}'. it should be octal string and between 0 and 07777`,
    );
  }
  const who = [...match[1]!].reduce((bits, letter) => bits | WHO[letter]!, 0) || 0o7777;
  const actions = [...match[2]!.matchAll(/([-+=])([rwxXstugo]*)/g)];
  return {
    who,
    actions: actions.map(([, operator, permissions]) => ({ operator: operator!, permissions: permissions! })),
  };
}

function apply({ who, actions }: Clause, mode: number, isFolder: boolean): number {
  for (const { operator, permissions } of actions) {
    const bits = bitsOf(permissions, mode, isFolder) & who;
    if (operator === "+") mode |= bits;
    else if (operator === "-") mode &= ~bits;
    // as GNU chmod: a folder keeps what is not spelled out of its set-id bits
    else mode = (mode & ~(who & (isFolder ? 0o1777 : 0o7777))) | bits;
  }
  return mode;
}

function bitsOf(permissions: string, mode: number, isFolder: boolean): number {
  const copied = /^[ugo]$/.test(permissions) ? "ugo".indexOf(permissions) : -1;
  if (copied !== -1) return (mode >> (6 - 3 * copied) & 7) * 0o111;
  let bits = 0;
  for (const letter of permissions) {
    if (letter !== "X") bits |= BITS[letter]!;
    else if (isFolder || (mode & 0o111) !== 0) bits |= 0o111;
  }
  return bits;
}
