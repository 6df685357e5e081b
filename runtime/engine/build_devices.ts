/**
 * `RUN --device`: which devices of this machine a step gets. A Dockerfile may be a stranger's, so that the build has to
 * allow them (`--allow device`, `--allow device=NAME`), or their specification does.
 *
 * @see BuildKit solver/llbsolver/cdidevices/manager.go
 */

import { readCdiDevices } from "../config/cdi_specs.ts";
import type { CdiDevices } from "../config/cdi_specs.ts";
import type { BuildOptions } from "../build/options.ts";
import type { RunStep } from "../build/step.ts";
import { BuildError } from "../errors.ts";
import { cdiFolders } from "./cdi.ts";

const CLASS = "org.mobyproject.buildkit.device.class";
const AUTOALLOW = "org.mobyproject.buildkit.device.autoallow";

/** Their qualified names; `tell` is told of those that are left out. @throws {BuildError} */
export async function findStepDevices(
  { devices = [] }: RunStep,
  { allow }: Pick<BuildOptions, "allow">,
  tell: (line: string) => void,
): Promise<string[]> {
  const known = await readCdiDevices(await cdiFolders());
  const names = new Set<string>();
  for (const { name, isRequired } of devices) {
    const found = matching(known, name);
    if (found.length === 0) {
      if (isRequired) throw new BuildError(`required device "${name}" is not registered`);
      tell(`it goes on without device "${name}", which is not registered\n`);
    }
    for (const one of found) {
      if (!isAllowed(known, one, allow)) {
        throw new BuildError(`device ${one} is requested by the build but not allowed`, {
          hint: `use --allow device=${one}`,
        });
      }
      names.add(one);
    }
  }
  return [...names];
}

/** `VENDOR/CLASS` is the first of them, `=*` all; a name may be that of a group. */
function matching(known: CdiDevices, text: string): string[] {
  const [kind, name = ""] = [text.split("=", 1)[0]!, text.slice(text.indexOf("=") + 1 || text.length)];
  const all = [...known.byName.keys()].filter((one) => one.startsWith(`${kind}=`)).sort();
  if (name === "") return all.slice(0, 1);
  if (name === "*") return all;
  if (known.byName.has(text)) return [text];
  return all.filter((one) => annotationsOf(known, one)[CLASS] === name);
}

function isAllowed(known: CdiDevices, name: string, allow: readonly string[]): boolean {
  const kind = name.split("=", 1)[0];
  return ["device", `device=${name}`, `device=${kind}`].some((word) => allow.includes(word)) ||
    /^(1|t|true)$/i.test(annotationsOf(known, name)[AUTOALLOW] ?? "");
}

function annotationsOf({ byName }: CdiDevices, name: string): Record<string, string> {
  const { document } = byName.get(name)!;
  const device = document.devices.find((one) => name === `${document.kind}=${one.name}`);
  return { ...document.annotations, ...device?.annotations };
}
