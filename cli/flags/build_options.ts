/** The words of `build` as the engine wants them. */

import {
  type BuildOptions,
  type BuildOutput,
  type DockerfileSource,
  fullTag,
} from "../../runtime/engine/build_options.ts";
import type { PullPolicy } from "../../runtime/engine/options.ts";
import { hostReason, InvalidArgumentError, UnsupportedError } from "../../runtime/errors.ts";
import { parseGoDuration } from "../../runtime/spec/duration.ts";
import { parseSize } from "../../runtime/spec/size.ts";
import type { Values } from "../command.ts";
import { type BUILD_FLAGS, FIXED } from "./build.ts";
import { buildOutput, outputAnnotations, outputFormat } from "./build_outputs.ts";
import { cacheTarget, contextSource, namedContext, secretSource, sshSource } from "./build_sources.ts";
import { type CallerFacts, parseLabels } from "./create.ts";
import { resolveEnv } from "./env.ts";
import { pairs } from "./pairs.ts";
import { platformFrom } from "./platform.ts";
import { retriesFrom } from "./retry.ts";

export type BuildValues = Values<typeof BUILD_FLAGS>;

/** What is there on the host, besides the caller's facts. */
export interface BuildFacts extends CallerFacts {
  isFile(path: string): boolean;
}

const STDIN = 0;

/** @throws {InvalidArgumentError}, {UnsupportedError} */
export function toBuildOptions(
  options: BuildValues,
  given: ReadonlySet<string>,
  args: readonly string[],
  facts: BuildFacts,
): BuildOptions {
  checkFixed(options, given);
  const context = contextSource(args[0] ?? ".");
  const folder = context.kind === "folder" ? context.path : undefined;
  const files = options.file.filter((file) => file !== "").map((file) => dockerfileOf(file, folder, facts));
  const [dockerfile, ...moreDockerfiles] = files;
  const fromStdin = files.filter(({ kind }) => kind === "stdin").length;
  if (fromStdin > 1) throw new InvalidArgumentError("only one Dockerfile can be read from standard input");
  if (context.kind === "stdin" && fromStdin > 0) {
    throw new InvalidArgumentError("invalid argument: can't use stdin for both build context and dockerfile");
  }
  const tags = options.tag.map(fullTag);
  const buildArgs = buildArgsOf(options, facts);
  const outputs = outputsOf(options, tags);
  const squash = options["squash-all"] ? "all" : options.squash || !options.layers ? "new" : undefined;
  const epoch = options["source-date-epoch"] ??
    epochOf(buildArgs.SOURCE_DATE_EPOCH ?? facts.env.SOURCE_DATE_EPOCH);
  return {
    context,
    dockerfile,
    moreDockerfiles,
    tags,
    manifest: options.manifest || undefined,
    target: options.target || undefined,
    buildArgs,
    contexts: Object.fromEntries(options["build-context"].map(namedContext)),
    secrets: options.secret.map((text) => secretSource(text, facts.env)),
    ssh: options.ssh.map(sshSource),
    labels: parseLabels(options.label, [], facts.readFile),
    annotations: { ...Object.fromEntries(outputAnnotations(options.output)), ...pairs(options.annotation) },
    platforms: platformsOf(options),
    pull: pullPolicy(options.pull),
    noCache: options["no-cache"] || !options.layers,
    cacheTtlMs: cacheTtl(options["cache-ttl"]),
    noCacheFilter: options["no-cache-filter"],
    cacheFrom: options["cache-from"].map((text) => cacheTarget("cache-from", text)),
    cacheTo: options["cache-to"].map((text) => cacheTarget("cache-to", text)),
    squash,
    outputs,
    network: options.network || undefined,
    addHosts: options["add-host"],
    noHosts: options["no-hosts"],
    noHostname: options["no-hostname"],
    dns: options.dns,
    dnsSearch: options["dns-search"],
    dnsOptions: options["dns-option"],
    ulimits: options.ulimit,
    shmSize: shmSize(options["shm-size"]),
    capAdd: options["cap-add"],
    capDrop: options["cap-drop"],
    securityOpt: options["security-opt"],
    devices: options.device,
    groupAdd: options["group-add"],
    ...namespacesOf(options),
    volumes: options.volume,
    allow: rightsOf(options.allow),
    timestamp: options.timestamp,
    sourceDateEpoch: epoch,
    from: options.from || undefined,
    env: resolveEnv(options.env, facts.env),
    unsetEnv: options.unsetenv,
    unsetLabel: options.unsetlabel,
    omitHistory: options["omit-history"],
    format: (options.format ?? outputFormat(options.output) ?? "oci") as "oci" | "docker",
    tlsVerify: given.has("tls-verify") ? options["tls-verify"] : undefined,
    authFile: options.authfile,
    certDir: options["cert-dir"],
    decryptionKeys: options["decryption-key"],
    ...retriesFrom(options),
    checkOnly: options.check || callOf(options.call).isCheck,
    cacheLimitBytes: cacheLimit(facts.env.SKIFF_BUILD_CACHE),
    jobs: options.jobs || undefined,
    ignoreFile: options.ignorefile,
  };
}

/** `--call check,format=json` */
export function callOf(
  text: string | undefined,
): { isCheck: boolean; isJson: boolean; describe?: "targets" | "outline" } {
  const [method = "build", ...more] = (text ?? "build").split(",");
  const isJson = more.includes("format=json");
  const strange = more.find((word) => !/^format=(json|text)$/.test(word));
  if (strange !== undefined) throw new InvalidArgumentError(`call "${text}": unknown key "${strange}"`);
  if (method === "check" || method === "lint") return { isCheck: true, isJson };
  if (method === "build" || method === "") return { isCheck: false, isJson };
  if (method === "targets" || method === "outline") return { isCheck: false, isJson, describe: method };
  throw new UnsupportedError(`call "${text}": only build, check, outline and targets can be asked for`);
}

function checkFixed(options: BuildValues, given: ReadonlySet<string>): void {
  const { provenance = "false", sbom = "false", attest } = options;
  const asked = [
    ...[["provenance", provenance], ["sbom", sbom]].filter(([, value]) => value !== "false" && value !== "")
      .map(
        ([name, value]) => `--${name}=${value}`,
      ),
    ...attest.filter((text) => !/(^|,)disabled=(true|1)(,|$)/.test(text)).map((text) => `--attest=${text}`),
  ];
  if (asked[0] !== undefined) {
    throw new UnsupportedError(
      `${
        asked[0]
      } cannot be had: an attestation says who built an image of what, and nobody vouches for this builder`,
      {
        hint:
          "sign the image when it is pushed, or attach what another program says of it by skiff artifact push",
      },
    );
  }
  for (const [name, { always, reason }] of Object.entries(FIXED)) {
    if (!given.has(name) || options[name as keyof BuildValues] === always) continue;
    throw new UnsupportedError(`--${name}=${!always} cannot be had: ${reason}`);
  }
  if (!options["http-proxy"]) {
    throw new UnsupportedError("--http-proxy=false cannot be had: RUN knows the caller's proxies", {
      hint: "call skiff without these variables",
    });
  }
}

/** A name that is no file here may be one of the context, as for podman. */
function dockerfileOf(file: string, folder: string | undefined, facts: BuildFacts): DockerfileSource {
  if (file === "-" || file === "/dev/stdin") return { kind: "stdin", fd: STDIN };
  if (/^https?:\/\//.test(file)) {
    if (URL.parse(file) === null) {
      throw new InvalidArgumentError(`read Dockerfile "${file}": it is no address`);
    }
    return { kind: "url", url: file };
  }
  if (/^git:\/\//.test(file)) {
    throw new UnsupportedError(`read Dockerfile "${file}": it must be a file`, {
      hint: "give the address as the context",
    });
  }
  const inContext = folder === undefined ? undefined : `${folder.replace(/\/$/, "")}/${file}`;
  const path = inContext !== undefined && !facts.isFile(file) && facts.isFile(inContext) ? inContext : file;
  return { kind: "path", path };
}

/** `SKIFF_BUILD_CACHE=20g` */
function cacheLimit(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  const bytes = parseSize(text);
  if (bytes !== undefined) return bytes;
  throw new InvalidArgumentError(`SKIFF_BUILD_CACHE="${text}": it is no size`, {
    hint: "such as 20g; 0 is no limit",
  });
}

function buildArgsOf(options: BuildValues, facts: BuildFacts): Record<string, string> {
  const lines = options["build-arg-file"].flatMap((path) =>
    readLines(path, facts).filter((line) => line !== "" && !line.startsWith("#"))
  );
  const found: Record<string, string> = Object.create(null);
  for (const word of [...lines, ...options["build-arg"]]) {
    const at = word.indexOf("=");
    const key = at < 0 ? word : word.slice(0, at);
    if (key === "") throw new InvalidArgumentError(`build argument "${word}": it has no name`);
    const value = at < 0 ? facts.env[key] : word.slice(at + 1);
    if (value !== undefined) found[key] = value;
  }
  return { ...found };
}

function readLines(path: string, facts: BuildFacts): string[] {
  try {
    return facts.readFile(path).split("\n").map((line) => line.trim());
  } catch (cause) {
    throw new InvalidArgumentError(`read build arguments "${path}": ${hostReason(cause)}`, { cause });
  }
}

function outputsOf(options: BuildValues, tags: readonly string[]): BuildOutput[] {
  const outputs = options.output.map((text) => buildOutput(text, tags));
  if (outputs.filter((output) => "dest" in output && output.dest === "-").length > 1) {
    throw new InvalidArgumentError("only one output can be written to stdout");
  }
  const wantsImage = options.load || options.push;
  if (wantsImage && !outputs.some(({ type }) => type === "image")) {
    outputs.push({ type: "image", names: [...tags], push: false });
  }
  if (options.push) {
    for (const output of outputs) if (output.type === "image") output.push = true;
  }
  for (const output of outputs) {
    if (output.type === "image" && output.byDigest && !output.push) {
      throw new InvalidArgumentError("push-by-digest needs push=true");
    }
    if (output.type === "image" && output.push && output.names.length === 0) {
      throw new InvalidArgumentError("push image: it has no name", { hint: "name it with --tag" });
    }
  }
  return outputs;
}

function platformsOf(options: BuildValues): string[] {
  const { arch, os, variant } = options;
  if (options.platform.length > 0) {
    if (arch ?? os) {
      throw new InvalidArgumentError("--platform option can not be specified with --arch or --os");
    }
    return [...new Set(options.platform)];
  }
  const one = platformFrom({ platform: undefined, arch, os, variant });
  return one === undefined ? [] : [one];
}

function pullPolicy(text: string | undefined): PullPolicy {
  if (text === "true") return "always";
  if (text === "false" || text === undefined) return "missing";
  return (text === "ifnewer" ? "newer" : text) as PullPolicy;
}

const RIGHTS: readonly string[] = ["network.host", "security.insecure", "device"];

function rightsOf(words: readonly string[]): string[] {
  for (const word of words) {
    if (RIGHTS.includes(word) || /^device($|=)/.test(word)) continue;
    throw new InvalidArgumentError(`allow "${word}": only ${RIGHTS.join(", ")} can be allowed`);
  }
  return [...words];
}

/** `container` is what others call `private`; a path is one of a namespace. */
function namespacesOf(options: BuildValues): Pick<BuildOptions, "pid" | "ipc" | "uts" | "cgroupns"> {
  const mode = (text: string | undefined) =>
    text === undefined || ["", "private", "container"].includes(text)
      ? undefined
      : text.startsWith("/")
      ? `ns:${text}`
      : text;
  const { pid, ipc, uts, cgroupns } = options;
  return { pid: mode(pid), ipc: mode(ipc), uts: mode(uts), cgroupns: mode(cgroupns) };
}

function cacheTtl(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  const ms = parseGoDuration(text);
  if (ms === undefined || ms < 0) {
    throw new InvalidArgumentError(`invalid argument "${text}" for --cache-ttl`);
  }
  return ms;
}

function shmSize(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const bytes = parseSize(text);
  if (bytes === undefined) throw new InvalidArgumentError(`invalid argument "${text}" for --shm-size`);
  return bytes;
}

function epochOf(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  if (!/^\d{1,12}$/.test(text)) {
    throw new InvalidArgumentError(`SOURCE_DATE_EPOCH "${text}": it is no number of seconds`);
  }
  return Number(text);
}
