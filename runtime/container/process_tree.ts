/**
 * The processes of a container, as the host sees them: all in the pid namespace that its init began, or, where it
 * shares somebody else's, what descends from its init. @see pid_namespaces(7), proc_pid_status(5)
 */

export interface HostProcess {
  pid: number;
  parent: number;
  /** R, S, D, T, t, Z … */
  state: string;
}

/** Everybody in the container whose init is `initPid`, init first. Programs of exec sessions are named by `extra`. */
export function listProcesses(initPid: number, extra: readonly number[] = []): HostProcess[] {
  const all = readAll();
  const namespace = ownsNamespace(initPid) ? namespaceOf(initPid) : undefined;
  const seeds = new Set([initPid, ...extra]);
  const belongs = new Map<number, boolean>();
  const isMember = (process: HostProcess): boolean => {
    const known = belongs.get(process.pid);
    if (known !== undefined) return known;
    belongs.set(process.pid, false); // a parent's number may have been used again meanwhile
    const parent = all.get(process.parent);
    const found = seeds.has(process.pid) ||
      (namespace !== undefined && namespaceOf(process.pid) === namespace) ||
      (parent !== undefined && isMember(parent));
    belongs.set(process.pid, found);
    return found;
  };
  return [...all.values()].filter(isMember).sort((a, b) =>
    Number(b.pid === initPid) - Number(a.pid === initPid) || a.pid - b.pid
  );
}

/** Whether init is number 1 of its pid namespace. */
function ownsNamespace(pid: number): boolean {
  try {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    const numbers = /^NSpid:\s*(.*)$/m.exec(status)?.[1]?.split(/\s+/) ?? [];
    return numbers.length > 1 && numbers.at(-1) === "1";
  } catch {
    return false;
  }
}

function namespaceOf(pid: number): string | undefined {
  try {
    return Deno.readLinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined; // gone, or not ours to ask
  }
}

function readAll(): Map<number, HostProcess> {
  const all = new Map<number, HostProcess>();
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = Deno.readTextFileSync(`/proc/${name}/stat`);
      // the second field is the command in parentheses and may hold anything
      const [state = "", parent = "0"] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      all.set(Number(name), { pid: Number(name), parent: Number(parent), state });
    } catch {
      // gone meanwhile
    }
  }
  return all;
}
