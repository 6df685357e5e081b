/** What /proc tells about one process of a container. @see proc_pid_stat(5), proc_pid_status(5) */

import type { IdMapping } from "../spec/runtime.ts";

export interface ProcessFacts {
  hostPid: number;
  /** As numbered in the container's pid namespace. */
  pid: number;
  parent: number;
  group: number;
  state: string;
  /** Real, effective; as the host numbers them. */
  hostUids: [number, number];
  hostGids: [number, number];
  supplementaryGids: number[];
  /** Masks in hexadecimal, by the names of /proc/PID/status. */
  capabilities: Record<"CapInh" | "CapPrm" | "CapEff" | "CapBnd" | "CapAmb", string>;
  /** 0 none, 1 strict, 2 filter. */
  seccomp: number;
  label: string;
  command: string;
  args: string;
  nice: number;
  tty: string;
  cpuSeconds: number;
  startedMs: number;
  elapsedSeconds: number;
  vszKiB: number;
  rssKiB: number;
}

/** Of sysconf(_SC_CLK_TCK), which is 100 on every machine that Linux runs on today. */
const TICKS_PER_SECOND = 100;

/** undefined where it has ended. `depth` is the number of pid namespaces above the container's. */
export function readProcess(hostPid: number, depth: number): ProcessFacts | undefined {
  try {
    const stat = Deno.readTextFileSync(`/proc/${hostPid}/stat`);
    const status = Deno.readTextFileSync(`/proc/${hostPid}/status`);
    return parseProcess(hostPid, depth, {
      stat,
      status,
      cmdline: Deno.readTextFileSync(`/proc/${hostPid}/cmdline`),
      label: readLabel(hostPid),
      uptimeSeconds: Number(Deno.readTextFileSync("/proc/uptime").split(" ")[0]),
    });
  } catch (error) {
    // ENOENT, or ESRCH in the middle of a read
    if (error instanceof Deno.errors.NotFound || /os error 3\b/.test(String(error))) return undefined;
    throw error;
  }
}

export interface ProcessTexts {
  stat: string;
  status: string;
  cmdline: string;
  label: string;
  uptimeSeconds: number;
}

/** Pure, for tests. */
export function parseProcess(hostPid: number, depth: number, texts: ProcessTexts): ProcessFacts {
  const { stat, status, cmdline, label, uptimeSeconds } = texts;
  const command = stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")"));
  // fields from the third on
  const rest = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const field = (number: number) => Number(rest[number - 3] ?? 0);
  const line = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)?.[1]?.trim() ?? "";
  const numbers = (name: string) => line(name).split(/\s+/).filter(Boolean).map(Number);
  const inside = (name: string, otherwise: number) => numbers(name)[depth] ?? otherwise;
  const [ruid = 0, euid = 0] = numbers("Uid");
  const [rgid = 0, egid = 0] = numbers("Gid");
  const elapsedSeconds = Math.max(0, uptimeSeconds - field(22) / TICKS_PER_SECOND);
  return {
    hostPid,
    pid: inside("NSpid", hostPid),
    parent: field(4),
    group: inside("NSpgid", field(5)),
    state: rest[0] ?? "?",
    hostUids: [ruid, euid],
    hostGids: [rgid, egid],
    supplementaryGids: numbers("Groups"),
    capabilities: {
      CapInh: line("CapInh"),
      CapPrm: line("CapPrm"),
      CapEff: line("CapEff"),
      CapBnd: line("CapBnd"),
      CapAmb: line("CapAmb"),
    },
    seccomp: Number(line("Seccomp") || 0),
    label,
    command,
    args: cmdline === "" ? `[${command}]` : cmdline.replace(/\0+$/, "").replaceAll("\0", " "),
    nice: field(19),
    tty: ttyName(field(7)),
    cpuSeconds: (field(14) + field(15)) / TICKS_PER_SECOND,
    startedMs: Date.now() - elapsedSeconds * 1000,
    elapsedSeconds,
    // kernel threads have neither
    vszKiB: parseInt(line("VmSize") || "0"),
    rssKiB: parseInt(line("VmRSS") || "0"),
  };
}

/** @see proc_pid_stat(5), tty_nr: bits 8 to 15 are the major number, the others the minor */
function ttyName(number: number): string {
  if (number === 0) return "?";
  const major = (number >> 8) & 0xff;
  const minor = (number & 0xff) | ((number >> 12) & 0xfff00);
  // Unix98 terminals; see Documentation/admin-guide/devices.txt
  if (major >= 136 && major <= 143) return `pts/${minor + (major - 136) * 256}`;
  return major === 4 ? `tty${minor}` : `${major},${minor}`;
}

function readLabel(pid: number): string {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/attr/current`).replace(/\0+$/, "").trim();
  } catch {
    return ""; // no security module tells
  }
}

/** Host id to the container's, by /proc/PID/uid_map or gid_map as this process reads it; undefined: not mapped. */
export function insideId(maps: readonly IdMapping[], hostId: number): number | undefined {
  const map = maps.find(({ hostID, size }) => hostId >= hostID && hostId < hostID + size);
  return map && hostId - map.hostID + map.containerID;
}
