/**
 * Signal names and numbers, as x86-64 and aarch64 number them.
 *
 * @see signal(7), asm-generic/signal.h
 */

import { InvalidArgumentError } from "../errors.ts";

/** Without `SIG`; the number is the index. 32 and 33 belong to the C library. */
const NAMES: readonly string[] = [
  ...["", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE"],
  ...["ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ"],
  ...["VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS"],
];

const ALIASES: Record<string, number> = { IOT: 6, CLD: 17, POLL: 29, UNUSED: 31 };
const RTMIN = 34;
const RTMAX = 64;

/**
 * The number of `SIGTERM`, `term`, `15`, `SIGRTMIN+3` or `RTMAX-1`. 0, which kill(2) takes as a question, is
 * refused.
 */
export function parseSignal(text: string): number {
  const number = /^\d{1,3}$/.test(text) ? Number(text) : signalByName(text.toUpperCase().replace(/^SIG/, ""));
  if (number === undefined || number < 1 || number > RTMAX) {
    throw new InvalidArgumentError(`invalid signal: ${text}`);
  }
  return number;
}

/** `SIGTERM` for 15, `SIGRTMIN+3` for 37; a number without a name is given as it is. */
export function signalName(number: number): string {
  const name = NAMES[number];
  if (name) return `SIG${name}`;
  if (number === RTMIN) return "SIGRTMIN";
  if (number === RTMAX) return "SIGRTMAX";
  if (number > RTMIN && number < RTMAX) {
    return number - RTMIN <= 15 ? `SIGRTMIN+${number - RTMIN}` : `SIGRTMAX-${RTMAX - number}`;
  }
  return String(number);
}

function signalByName(name: string): number | undefined {
  const realTime = /^RT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name);
  if (realTime) {
    const [, base, sign, digits] = realTime;
    const offset = Number(digits ?? 0);
    if (base === "MIN" && sign !== "-" && RTMIN + offset <= RTMAX) return RTMIN + offset;
    if (base === "MAX" && sign !== "+" && RTMAX - offset >= RTMIN) return RTMAX - offset;
    return undefined;
  }
  const number = NAMES.indexOf(name);
  return number > 0 ? number : ALIASES[name];
}
