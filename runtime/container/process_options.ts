/** `--sysctl`, `--umask`, `--annotation`, and what is done to the environment, as data. @see podman-run(1) */

import { InvalidArgumentError } from "../errors.ts";
import type { PersonalitySpec } from "../spec/runtime.ts";
import type { ConfigExtras, EnvExtras } from "./extras.ts";
import type { CreateOptions } from "./options.ts";

/** Parameters that belong to the ipc namespace. */
const IPC_SYSCTLS = new Set([
  "kernel.msgmax",
  "kernel.msgmnb",
  "kernel.msgmni",
  "kernel.sem",
  "kernel.shmall",
  "kernel.shmmax",
  "kernel.shmmni",
  "kernel.shm_rmid_forced",
]);

/** Only what belongs to a namespace of the container's own: anything else would change the machine. */
export function parseSysctls(
  words: readonly string[],
  namespaces: ConfigExtras["namespaces"],
  network: string | undefined,
): Record<string, string> {
  const sysctls: Record<string, string> = {};
  for (const word of words) {
    const at = word.indexOf("=");
    if (at <= 0) {
      throw new InvalidArgumentError(`${word} is invalid, sysctl values must be in the form of KEY=VALUE`);
    }
    const name = word.slice(0, at);
    const dotted = name.includes("/") ? name.replaceAll(/[./]/g, (sign) => sign === "/" ? "." : "/") : name;
    const isIpc = IPC_SYSCTLS.has(dotted) || dotted.startsWith("fs.mqueue.");
    const isNet = dotted.startsWith("net.");
    const hasOwnPath = /^[A-Za-z0-9_./-]+$/.test(name) && !name.split(/[./]/).includes("");
    if ((!isIpc && !isNet) || !hasOwnPath) throw new InvalidArgumentError(`sysctl '${name}' is not allowed`);
    const ipc = namespaces?.ipc?.mode;
    const foreign = isNet
      ? network === "host" || /^(container|ns):/.test(network ?? "") ? ["Network", network] : undefined
      : ipc === "host" || ipc === "container" || ipc === "path"
      ? ["IPC", ipc]
      : undefined;
    if (foreign) {
      throw new InvalidArgumentError(
        `sysctl ${word} can't be set since ${foreign[0]} Namespace set to ${foreign[1]}: invalid argument`,
      );
    }
    sysctls[name] = word.slice(at + 1);
  }
  return sysctls;
}

export function parseUmask(text: string): number {
  if (!/^[0-7]{1,4}$/.test(text)) {
    throw new InvalidArgumentError(`invalid umask string ${text}: invalid argument`);
  }
  return parseInt(text, 8) & 0o777;
}

/** @see OCI runtime-spec config-linux.md, personality */
export function parsePersonality(text: string): PersonalitySpec | undefined {
  if (text === "") return undefined;
  if (text === "LINUX" || text === "LINUX32") return { domain: text };
  throw new InvalidArgumentError(`unknown persona specified \`${text}\`: it is LINUX or LINUX32`);
}

/** @see proc_pid_oom_score_adj(5) */
export function checkOomScore(value: number): number {
  if (value >= -1000 && value <= 1000) return value;
  throw new InvalidArgumentError(`set oom score ${value}: it must be between -1000 and 1000`);
}

export function parseAnnotations(words: readonly string[]): Record<string, string> {
  const annotations: Record<string, string> = Object.create(null);
  for (const word of words) {
    const at = word.indexOf("=");
    if (at <= 0) throw new InvalidArgumentError("annotations must be formatted KEY=VALUE");
    annotations[word.slice(0, at)] = word.slice(at + 1);
  }
  return { ...annotations };
}

const PROXY_VARIABLES = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy"];

/** The caller's proxies, as podman passes them on by default. */
export function proxyVariables(caller: Record<string, string>): string[] {
  return [...PROXY_VARIABLES, ...PROXY_VARIABLES.map((name) => name.toUpperCase())]
    .filter((name) => caller[name] !== undefined).map((name) => `${name}=${caller[name]}`);
}

/** What goes beneath the image's variables, and what is taken from or made of them. */
export function resolveEnvExtras(options: CreateOptions, caller: Record<string, string>): EnvExtras {
  const { unsetEnv = [], unsetEnvAll = false, envMerge = [] } = options;
  const merges = envMerge.map((word) => {
    const at = word.indexOf("=");
    if (at <= 0) throw new InvalidArgumentError(`set environment: invalid variable "${word}"`);
    return [word.slice(0, at), word.slice(at + 1)] as const;
  });
  const words = Object.entries(caller).map(([key, value]) => `${key}=${value}`);
  return {
    host: [...options.defaultEnv ?? [], ...(options.envHost ? words : [])],
    edit(env) {
      const before = new Map(env);
      if (unsetEnvAll) env.clear();
      for (const name of unsetEnv) env.delete(name);
      for (const [name, text] of merges) {
        env.set(
          name,
          text.replace(/\$(?:\{(\w+)\}|(\w+))/g, (_, braced, bare) => before.get(braced ?? bare) ?? ""),
        );
      }
    },
  };
}
