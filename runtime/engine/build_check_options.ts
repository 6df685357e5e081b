/**
 * What steps are asked to run with, looked at before the first: a build whose steps are all cached starts no container
 * that would refuse it.
 */

import type { BuildOptions } from "../build/options.ts";
import { parseDevice } from "../container/device_options.ts";
import { parseVolume } from "../container/mount_options.ts";
import { resolveHosts, resolveResolver } from "../container/names_options.ts";
import { parseSecurityOptions } from "../container/security_options.ts";
import { hostReason, InvalidArgumentError } from "../errors.ts";
import { resolveCapabilities } from "../security/capabilities.ts";
import { splitQualifiedName } from "../spec/cdi_name.ts";
import { parseUlimit } from "../spec/ulimit.ts";
import { checkBindSources } from "./bind_sources.ts";
import { workingFolder } from "./root_source.ts";

/** @throws {InvalidArgumentError} in the words of `run` */
export function checkStepOptions(options: BuildOptions): void {
  const { addHosts, noHosts, network, dns, dnsSearch, dnsOptions } = options;
  const asked = { image: "", command: [], addHosts, noHosts, network, dns, dnsSearch, dnsOptions };
  resolveHosts(asked, Deno.readTextFileSync);
  resolveResolver(asked);
  for (const text of options.ulimits) if (text !== "host") parseUlimit(text);
  for (const text of options.devices) if (!splitQualifiedName(text)) parseDevice(text);
  for (const text of options.volumes) {
    checkBindSources([parseVolume(text, workingFolder())]);
  }
  resolveCapabilities({ add: options.capAdd, drop: options.capDrop });
  parseSecurityOptions(options.securityOpt, Deno.readTextFileSync);
  for (const { id, from } of options.secrets) {
    if (from.kind === "file") mustBeThere(from.path, `read secret ${id}: stat`);
  }
}

function mustBeThere(path: string, action: string): void {
  try {
    Deno.statSync(path);
  } catch (cause) {
    throw new InvalidArgumentError(`${action} ${path}: ${hostReason(cause)}`, { cause });
  }
}
