/** @see podman-push(1) */

import { push, type PushOptions } from "../../runtime/engine/push.ts";
import { InvalidArgumentError, UnsupportedError } from "../../runtime/errors.ts";
import { printable } from "../../runtime/spec/printable.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { credentialsFrom } from "../flags/registry_login.ts";
import { parseDuration } from "../output/time_argument.ts";
import { PullWatch } from "../terminal/pull_watch.ts";

const DIALECTS: Record<string, PushOptions["format"]> = { oci: "oci", v2s2: "docker", docker: "docker" };
const LEVELS = { gzip: 9, zstd: 20 };

/** The words are podman's where it has some. */
function dialectFrom(format: string | undefined): PushOptions["format"] {
  if (format === undefined || format === "") return undefined;
  if (format === "v2s1") {
    throw new UnsupportedError("--format v2s1: manifests of schema 1 are not made, registries refuse them", {
      hint: "use --format v2s2",
    });
  }
  if (!Object.hasOwn(DIALECTS, format)) {
    throw new InvalidArgumentError(
      `unknown format ${
        JSON.stringify(printable(format))
      }. Choose on of the supported formats: 'oci', 'v2s1', or 'v2s2'`,
    );
  }
  return DIALECTS[format];
}

function packingFrom(format: string | undefined, level: number | undefined): PushOptions["packing"] {
  if (format === "zstd:chunked") {
    throw new UnsupportedError(
      "--compression-format zstd:chunked: layers with a table of chunks are not made",
      {
        hint: "use --compression-format zstd",
      },
    );
  }
  if (format === undefined || format === "") {
    if (level === undefined) return undefined;
    throw new InvalidArgumentError("--compression-level needs --compression-format");
  }
  if (format !== "gzip" && format !== "zstd") {
    throw new InvalidArgumentError(`cannot find compressor for ${JSON.stringify(printable(format))}`);
  }
  if (level !== undefined && (level < 1 || level > LEVELS[format])) {
    throw new InvalidArgumentError(`--compression-level of ${format} is 1 to ${LEVELS[format]}`);
  }
  return { format, level };
}

export const command = defineCommand({
  usage: "[options] IMAGE [DESTINATION]",
  description:
    "DESTINATION is a name at a registry (the default is IMAGE; without a registry it is Docker\n" +
    "Hub's), or dir:PATH, oci:PATH[:NAME], oci-archive:FILE[:NAME], docker-archive:FILE[:NAME].\n" +
    "What the registry has is not sent, and an upload that breaks goes on where it was. An image\n" +
    "that was pulled keeps its digest.",
  examples: [
    "skiff push registry.example.com/team/app:1",
    "skiff push --digestfile digest app docker://registry.example.com/team/app:1",
    "skiff push app oci-archive:app.tar:app",
  ],
  flags: {
    all: { kind: "bool", short: "a", help: "Push every platform of the index that the image is of" },
    authfile: { kind: "string", value: "FILE", help: "Read logins from FILE" },
    "cert-dir": { kind: "string", value: "DIR", help: "Certificates of the registry are in DIR" },
    compress: { kind: "bool", help: "To dir: pack layers that are not packed" },
    "compression-format": {
      kind: "string",
      value: "FORMAT",
      help: "Pack layers with gzip or zstd (default: those that are packed stay, others gzip)",
    },
    "compression-level": { kind: "uint", value: "LEVEL", help: "gzip 1 to 9, zstd 1 to 20" },
    creds: {
      kind: "string",
      value: "NAME[:PASSWORD]",
      help: "Log in as NAME; other users may see the password in the list of processes",
    },
    digestfile: { kind: "string", value: "FILE", help: "Write the digest of the pushed image to FILE" },
    "disable-content-trust": { kind: "bool", help: "Of Docker, without effect", hidden: true },
    "force-compression": {
      kind: "bool",
      help: "Of podman: layers in another form are never reused, here always",
    },
    format: { kind: "string", short: "f", value: "FORMAT", help: "Kind of manifest: oci or v2s2 (docker)" },
    quiet: { kind: "bool", short: "q", help: "Show no progress" },
    "remove-signatures": { kind: "bool", help: "Of podman: signatures are not kept, so none is pushed" },
    retry: { kind: "uint", value: "COUNT", help: "Attempts after one that failed (default 4)" },
    "retry-delay": {
      kind: "string",
      value: "DURATION",
      help: "Wait between attempts (default: longer each time)",
    },
    "tls-verify": {
      kind: "bool",
      default: true,
      help: "Require HTTPS and verify certificates of registries",
    },
  },
  arity: { min: 1, max: 2 },
  async run({ options, given, args, global }) {
    const [source, destination] = args as [string, string?];
    const digestFile = options.digestfile || undefined;
    const how: PushOptions = {
      all: options.all,
      format: dialectFrom(options.format),
      packing: packingFrom(options["compression-format"], options["compression-level"]),
      compress: options.compress,
      tlsVerify: given.has("tls-verify") ? options["tls-verify"] : undefined,
      authFile: options.authfile,
      certDir: options["cert-dir"],
      credentials: options.creds === undefined ? undefined : await credentialsFrom(options.creds),
      retries: options.retry,
      retryDelayMs: options["retry-delay"] === undefined ? undefined : parseDuration(options["retry-delay"]),
    };
    if (digestFile !== undefined && (destination ?? source).startsWith("docker-archive:")) {
      throw new InvalidArgumentError("--digestfile: a docker-archive has no manifest, and so no digest");
    }
    const watch = new PullWatch(options.quiet);
    const { digest } = await watch.during(() =>
      push(engineFor(global), source, destination, {
        ...how,
        signal: watch.signal,
        progress: watch.progress,
      })
    );
    if (digestFile !== undefined) await Deno.writeTextFile(digestFile, digest!);
  },
});
