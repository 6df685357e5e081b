/** What a test left on the machine: processes and mounts that have something to do with its folder. */

function read(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}

function link(path: string): string {
  try {
    return Deno.readLinkSync(path);
  } catch {
    return "";
  }
}

export interface LeftProcess {
  pid: number;
  command: string;
}

/**
 * Living processes that carry `mark` (the test's folder, which is also in the environment of all that it
 * starts) in environment, arguments, working directory, root or mounts. A container's own processes have none
 * of our variables, but their overlay names the folder.
 */
export function processesOf(mark: string): LeftProcess[] {
  const found: LeftProcess[] = [];
  const ownMounts = link("/proc/self/ns/mnt");
  for (const { name } of Deno.readDirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === Deno.pid) continue;
    const folder = `/proc/${pid}`;
    const facts = [
      read(`${folder}/environ`),
      read(`${folder}/cmdline`),
      link(`${folder}/cwd`),
      link(`${folder}/root`),
      // in our own mount namespace a left mount would make every process of the machine a suspect
      link(`${folder}/ns/mnt`) === ownMounts ? "" : read(`${folder}/mountinfo`),
    ];
    if (!facts.some((fact) => fact.includes(mark))) continue;
    if (/^State:\s+[ZX]/m.test(read(`${folder}/status`))) continue;
    const command = read(`${folder}/cmdline`).replaceAll("\0", " ").trim() || read(`${folder}/comm`).trim();
    found.push({ pid, command: command.slice(0, 200) });
  }
  return found;
}

/** Mount points of the host's own mount namespace that lie in the test's folder or come from it. */
export function mountsOf(mark: string): string[] {
  return read("/proc/self/mountinfo").split("\n").filter((line) => line.includes(mark));
}
