/**
 * Where the volume plugins are: sockets and spec files in the folders of Docker's plugins, and containers.conf.
 *
 * ```
 *  containers.conf [engine.volume_plugins] NAME = "/path.sock"
 *  NAME.sock, NAME/NAME.sock                    in the folders of sockets
 *  NAME.spec, NAME.json (and NAME/NAME.…)       in the folders of specs: an address, or JSON with one
 * ```
 * @see Docker plugin API, plugin discovery; containers.conf(5), volume_plugins
 */

import { parse as parseToml } from "smol-toml";
import * as v from "valibot";
import { findContainersConf } from "../../config/containers_conf_files.ts";
import { HostError, InvalidArgumentError, NotFoundError } from "../../errors.ts";
import { readableNamesIn } from "../../state/listing.ts";

/** Enough to reach a plugin again, by whoever unmounts later. */
export interface PluginAddress {
  name: string;
  /** `unix:///path` or `tcp://host:port`. */
  url: string;
  tls?: { insecure: boolean; ca?: string; cert?: string; key?: string };
  timeoutMs: number;
}

/** What podman gives a plugin. @see containers.conf(5), volume_plugin_timeout */
const TIMEOUT_MS = 5_000;
const MOST_BYTES = 1 << 16;

const SPEC = v.object({
  Name: v.optional(v.string()),
  Addr: v.string(),
  TLSConfig: v.nullish(v.object({
    InsecureSkipVerify: v.optional(v.boolean()),
    CAFile: v.optional(v.string()),
    CertFile: v.optional(v.string()),
    KeyFile: v.optional(v.string()),
  })),
});

/** @throws {NotFoundError} where no plugin of that name is to be found */
export function findPlugin(name: string): PluginAddress {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/.test(name)) {
    throw new InvalidArgumentError(
      `volume driver ${JSON.stringify(name)}: names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*`,
    );
  }
  const { plugins, timeoutMs } = readConf();
  if (Object.hasOwn(plugins, name)) return { name, url: `unix://${plugins[name]}`, timeoutMs };
  const { sockets, specs } = pluginFolders();
  for (const path of sockets.flatMap((folder) => candidates(folder, name, ["sock"]))) {
    if (isTrusted(path, "socket")) return { name, url: `unix://${path}`, timeoutMs };
  }
  for (const path of specs.flatMap((folder) => candidates(folder, name, ["spec", "json"]))) {
    if (isTrusted(path, "file")) return { name, timeoutMs, ...readSpec(path) };
  }
  throw new NotFoundError("volume", name, {
    message: `no volume plugin with name "${name}" found: required plugin missing`,
    hint: `looked in ${[...sockets, ...specs].join(", ")} and containers.conf`,
  });
}

/** The names of all that are declared; whether they answer is another matter. */
export function listPlugins(): string[] {
  const { sockets, specs } = pluginFolders();
  const names = new Set(Object.keys(readConf().plugins));
  const kinds = [[sockets, /^(.+)\.sock$/], [specs, /^(.+)\.(?:spec|json)$/]] as const;
  for (const [folders, pattern] of kinds) {
    for (const folder of folders) {
      for (const entry of readableNamesIn(folder)) {
        const files = [entry, ...readableNamesIn(`${folder}/${entry}`)];
        for (const file of files) {
          const name = pattern.exec(file)?.[1];
          if (name !== undefined && (file === entry || name === entry)) names.add(name);
        }
      }
    }
  }
  return [...names];
}

/** The user's own folders come first; root has only those of the machine. */
export function pluginFolders(): { sockets: string[]; specs: string[] } {
  const sockets = ["/run/docker/plugins"], specs = ["/etc/docker/plugins", "/usr/lib/docker/plugins"];
  if (Deno.uid() === 0) return { sockets, specs };
  const home = Deno.env.get("HOME");
  const folder = (variable: string, fallback?: string) => {
    const value = Deno.env.get(variable);
    return value?.startsWith("/") ? value : fallback;
  };
  const run = folder("XDG_RUNTIME_DIR"), config = folder("XDG_CONFIG_HOME", home && `${home}/.config`);
  return {
    sockets: [...(run ? [`${run}/docker/plugins`] : []), ...sockets],
    specs: [
      ...(config ? [`${config}/docker/plugins`] : []),
      ...(home ? [`${home}/.local/lib/docker/plugins`] : []),
      ...specs,
    ],
  };
}

function candidates(folder: string, name: string, suffixes: string[]): string[] {
  return suffixes.flatMap((suffix) => [`${folder}/${name}.${suffix}`, `${folder}/${name}/${name}.${suffix}`]);
}

/** Whether it is there. @throws {HostError} where somebody else than root and the user could have put it there */
function isTrusted(path: string, kind: "socket" | "file"): boolean {
  let info: Deno.FileInfo;
  try {
    info = Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw new HostError(`find volume plugin: ${(error as Error).message}`, { cause: error });
  }
  if (kind === "socket" ? !info.isSocket : !info.isFile) return false;
  const folder = Deno.statSync(path.slice(0, path.lastIndexOf("/")));
  for (
    const { uid, mode, what } of [{ ...info, what: path }, { ...folder, what: path.replace(/\/[^/]*$/, "") }]
  ) {
    const isOthers = uid !== 0 && uid !== Deno.uid();
    // who may connect to a socket is the plugin's affair
    const isOpen = (kind === "file" || what !== path) && ((mode ?? 0) & 0o022) !== 0;
    if (!isOthers && !isOpen) continue;
    throw new HostError(`find volume plugin: "${what}" can be changed by other users`, {
      hint: "it must belong to root or to you, and be writable by nobody else",
    });
  }
  return true;
}

function readSpec(path: string): Pick<PluginAddress, "url" | "tls"> {
  const fail = (cause: string) => new InvalidArgumentError(`read volume plugin's spec ${path}: ${cause}`);
  if (Deno.statSync(path).size > MOST_BYTES) throw fail(`it has more than ${MOST_BYTES} bytes`);
  const text = Deno.readTextFileSync(path).trim();
  if (path.endsWith(".spec")) return { url: checkUrl(text, fail) };
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw fail("it is no JSON");
  }
  const parsed = v.safeParse(SPEC, document);
  if (!parsed.success) throw fail(parsed.issues[0]!.message);
  const { Addr, TLSConfig } = parsed.output;
  const url = checkUrl(Addr, fail);
  if (!TLSConfig) return { url };
  const { InsecureSkipVerify: insecure = false, CAFile: ca, CertFile: cert, KeyFile: key } = TLSConfig;
  return { url, tls: { insecure, ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) } };
}

/** Sockets by their path, others by host and port; what else an address might ask for is nothing that is used. */
function checkUrl(text: string, fail: (cause: string) => Error): string {
  if (/^unix:\/\/\/[^\0]+$/.test(text)) return text;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && ["tcp:", "http:", "https:"].includes(url.protocol)) {
    const address = /^\w+:\/\/(\[[0-9a-fA-F:]+\]|[^/:@]+)(:\d+)?\/?$/.exec(text);
    if (address) return text.replace(/\/$/, "");
  }
  throw fail(`want unix:///PATH or tcp://HOST:PORT, not "${text.slice(0, 200)}"`);
}

function readConf(): { plugins: Record<string, string>; timeoutMs: number } {
  const plugins: Record<string, string> = {};
  let timeoutMs = TIMEOUT_MS;
  for (const path of findContainersConf()) {
    const fail = (cause: string) => new InvalidArgumentError(`decode configuration ${path}: ${cause}`);
    let engine: Record<string, unknown>;
    try {
      engine = (parseToml(Deno.readTextFileSync(path)).engine ?? {}) as Record<string, unknown>;
    } catch (cause) {
      throw fail((cause as Error).message.split("\n")[0]!);
    }
    for (const [name, socket] of Object.entries(engine.volume_plugins ?? {})) {
      if (typeof socket !== "string" || !socket.startsWith("/")) {
        throw fail(`engine.volume_plugins.${name} must be the path of a socket`);
      }
      plugins[name] = socket;
    }
    const seconds = engine.volume_plugin_timeout;
    if (typeof seconds === "number" && seconds > 0) timeoutMs = seconds * 1000;
  }
  return { plugins, timeoutMs };
}
