/** `--security-opt` as data. @see podman-run(1), --security-opt; docker run, security configuration */

import { hostReason, InvalidArgumentError, UnsupportedError } from "../errors.ts";

export interface SecurityOptions {
  /** `seccomp=`: nothing given, `unconfined`, or the text of a profile in Docker's JSON format. */
  seccomp: { kind: "default" } | { kind: "unconfined" } | { kind: "profile"; path: string; json: string };
  noNewPrivileges: boolean;
  /** `apparmor=`: a loaded profile's name, or `unconfined`. */
  apparmor?: string;
  mask: string[];
  unmask: string[];
}

/** `readFile` gives the text of a profile; it is kept with the container, which later edits do not change. */
export function parseSecurityOptions(words: string[], readFile: (path: string) => string): SecurityOptions {
  const options: SecurityOptions = {
    seccomp: { kind: "default" },
    noNewPrivileges: false,
    mask: [],
    unmask: [],
  };
  for (const word of words) {
    // "seccomp:unconfined" is an old spelling that docker still takes
    const [, key, value] = /^([a-z-]+)(?:[=:](.*))?$/s.exec(word) ?? [];
    switch (key) {
      case "seccomp":
        options.seccomp = readSeccomp(word, value ?? "", readFile);
        break;
      case "no-new-privileges":
        if (value !== undefined && value !== "true" && value !== "false") throw invalid(word);
        options.noNewPrivileges = value !== "false";
        break;
      case "mask":
        options.mask.push(...paths(word, value));
        break;
      case "unmask":
        options.unmask.push(...(value?.toUpperCase() === "ALL" ? ["ALL"] : paths(word, value)));
        break;
      case "systempaths":
        if (value !== "unconfined") throw invalid(word);
        options.unmask.push("ALL");
        break;
      case "label":
        checkLabel(word, value ?? "", readFile);
        break;
      case "apparmor":
        if (!value) throw invalid(word);
        if (value !== "unconfined") checkApparmor(word, value, readFile);
        options.apparmor = value;
        break;
      default:
        throw invalid(word);
    }
  }
  return options;
}

/** Whether the profile is loaded is told by the start: its list is root's alone. */
function checkApparmor(word: string, profile: string, readFile: (path: string) => string): void {
  // what AppArmor takes as one name; a blank or a line's end would end the order that is written to the kernel
  if (!/^[^\s\0]+$/.test(profile)) throw invalid(word);
  if (!isApparmorEnabled(readFile)) {
    throw new UnsupportedError(
      `apparmor profile "${profile}" specified, but Apparmor is not enabled on this system`,
    );
  }
}

export function isApparmorEnabled(readFile: (path: string) => string): boolean {
  try {
    return readFile("/sys/module/apparmor/parameters/enabled").startsWith("Y");
  } catch {
    return false; // the kernel was built without, or hides it
  }
}

/** For a process's spec; without a profile it keeps the caller's. */
export function apparmorOf({ apparmor }: SecurityOptions): { apparmorProfile?: string } {
  return apparmor === undefined || apparmor === "unconfined" ? {} : { apparmorProfile: apparmor };
}

/** Where SELinux is off, a label says nothing, as with podman; where it is on, skiff sets none. */
function checkLabel(word: string, value: string, readFile: (path: string) => string): void {
  if (!/^(disable|nested|(user|role|type|level|filetype):.+)$/.test(value)) throw invalid(word);
  if (value === "disable") return;
  try {
    readFile("/sys/fs/selinux/enforce");
  } catch {
    return;
  }
  throw new UnsupportedError(`set security option "${word}": SELinux labels are not supported`);
}

function readSeccomp(
  word: string,
  value: string,
  readFile: (path: string) => string,
): SecurityOptions["seccomp"] {
  if (value === "unconfined") return { kind: "unconfined" };
  if (value === "" || value === "builtin" || value === "default") {
    if (value === "") throw invalid(word);
    return { kind: "default" };
  }
  try {
    return { kind: "profile", path: value, json: readFile(value) };
  } catch (cause) {
    throw new InvalidArgumentError(`read seccomp profile "${value}": ${hostReason(cause)}`, { cause });
  }
}

function paths(word: string, value: string | undefined): string[] {
  const list = value?.split(":") ?? [];
  if (list.length === 0 || list.some((path) => !path.startsWith("/"))) throw invalid(word);
  return list;
}

function invalid(word: string): InvalidArgumentError {
  return new InvalidArgumentError(`set security option "${word}": invalid --security-opt`);
}
