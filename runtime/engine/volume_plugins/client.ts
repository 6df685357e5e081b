/**
 * Docker's volume plugin protocol: each request is a POST of JSON, each answer JSON with `Err` where it failed.
 *
 * A plugin is a stranger: how long it may take, how much it may say and what its answers must look like is decided here.
 *
 * @see Docker, volume plugin protocol
 */

import * as v from "valibot";
import { loadSystemCerts } from "../../config/certs.ts";
import { configSources } from "../../config/sources.ts";
import { HostError, SkiffError } from "../../errors.ts";
import { type ByteStream, dial } from "../../registry/dial.ts";
import { HttpConnection } from "../../registry/http1.ts";
import { printable } from "../../spec/printable.ts";
import type { PluginAddress } from "./discovery.ts";

/** More no answer has, a list of a thousand volumes included. */
const MOST_BYTES = 1 << 20;
const MEDIA_TYPE = "application/vnd.docker.plugins.v1.1+json";

/** The plugin said no. */
export class PluginRefusal extends SkiffError {
  override name = "PluginRefusal";
}

const VOLUME = v.object({
  Name: v.string(),
  Mountpoint: v.optional(v.string()),
  CreatedAt: v.optional(v.string()),
  Status: v.nullish(v.record(v.string(), v.unknown())),
});

const ANSWERS = {
  "Plugin.Activate": v.object({ Implements: v.nullish(v.array(v.string())) }),
  "VolumeDriver.Create": v.object({}),
  "VolumeDriver.Remove": v.object({}),
  "VolumeDriver.Mount": v.object({ Mountpoint: v.string() }),
  "VolumeDriver.Path": v.object({ Mountpoint: v.optional(v.string()) }),
  "VolumeDriver.Unmount": v.object({}),
  "VolumeDriver.Get": v.object({ Volume: VOLUME }),
  "VolumeDriver.List": v.object({ Volumes: v.nullish(v.array(VOLUME)) }),
  "VolumeDriver.Capabilities": v.object({
    Capabilities: v.nullish(v.object({ Scope: v.optional(v.string()) })),
  }),
} as const;

type Method = keyof typeof ANSWERS;
export type PluginVolume = v.InferOutput<typeof VOLUME>;

/** Names and options of a volume, as the protocol has them. */
export interface PluginRequest {
  Name?: string;
  Opts?: Record<string, string>;
  /** Who mounts: the container's id. */
  ID?: string;
}

/** @throws {PluginRefusal} where it says no; {HostError} where it cannot be asked, or answers nonsense */
export async function askPlugin<M extends Method>(
  address: PluginAddress,
  method: M,
  request: PluginRequest = {},
): Promise<v.InferOutput<(typeof ANSWERS)[M]>> {
  const { status, text } = await exchange(address, method, JSON.stringify(request));
  const fail = (cause: string) => new HostError(`volume plugin "${address.name}": ${method}: ${cause}`);
  let document: unknown;
  try {
    document = JSON.parse(text === "" ? "{}" : text);
  } catch {
    throw status === 200 ? fail("its answer is no JSON") : fail(`it answers with status ${status}`);
  }
  const refusal = (document as { Err?: unknown } | null)?.Err;
  if (typeof refusal === "string" && refusal !== "") {
    throw new PluginRefusal(`volume plugin "${address.name}": ${printable(refusal.slice(0, 1000))}`);
  }
  if (status !== 200) throw fail(`it answers with status ${status}`);
  const parsed = v.safeParse(ANSWERS[method], document);
  if (parsed.success) return parsed.output as v.InferOutput<(typeof ANSWERS)[M]>;
  const [issue] = parsed.issues;
  throw fail(`its answer is malformed: ${v.getDotPath(issue!) ?? "it"} ${issue!.message}`);
}

/** @throws {HostError} where it is no plugin for volumes */
export async function activate(address: PluginAddress): Promise<void> {
  const { Implements } = await askPlugin(address, "Plugin.Activate");
  if (Implements?.includes("VolumeDriver")) return;
  throw new HostError(
    `volume plugin "${address.name}": it implements ${
      printable(Implements?.join(", ") || "nothing")
    }, not VolumeDriver`,
  );
}

async function exchange(
  address: PluginAddress,
  method: Method,
  body: string,
): Promise<{ status: number; text: string }> {
  const what = `volume plugin "${address.name}": ${method}`;
  let stream: ByteStream | undefined;
  let isLate = false;
  const late = Promise.withResolvers<never>();
  late.promise.catch(() => {});
  const timer = setTimeout(() => {
    isLate = true;
    late.reject(new HostError(`${what}: it did not answer within ${address.timeoutMs / 1000} s`));
    stream?.close();
  }, address.timeoutMs);
  const talk = async () => {
    const opened = await connect(address);
    if (isLate) opened.close();
    stream = opened;
    const connection = new HttpConnection(opened);
    const headers = { Accept: MEDIA_TYPE, "Content-Type": MEDIA_TYPE, Connection: "close" };
    await connection.send({
      method: "POST",
      target: `/${method}`,
      host: "plugin",
      headers,
      body: new TextEncoder().encode(body),
    });
    const { status } = await connection.readHead("POST");
    return { status, text: await readBody(connection) };
  };
  try {
    return await Promise.race([talk(), late.promise]);
  } catch (error) {
    if (error instanceof HostError) throw error;
    const { message, hint } = error as SkiffError;
    // what the transport says is of registries
    const trust = hint && "name its authority in its specification: TLSConfig, CAFile";
    throw new HostError(`${what}: ${message}`, { cause: error, hint: trust });
  } finally {
    clearTimeout(timer);
    if (!isLate) stream?.close();
  }
}

async function readBody(connection: HttpConnection): Promise<string> {
  const bytes = new Uint8Array(MOST_BYTES);
  for (let filled = 0;;) {
    if (filled === bytes.length) throw new Error(`its answer has more than ${MOST_BYTES} bytes`);
    const count = await connection.readBody(bytes.subarray(filled));
    if (count === null) return new TextDecoder().decode(bytes.subarray(0, filled));
    filled += count;
  }
}

async function connect({ url, tls }: PluginAddress): Promise<ByteStream> {
  if (url.startsWith("unix://")) {
    const conn = await Deno.connect({ transport: "unix", path: url.slice("unix://".length) });
    return {
      read: (into) => conn.read(into),
      write: (bytes) => conn.write(bytes),
      close: () => conn.close(),
      peer: "",
    };
  }
  const { hostname, port, protocol } = new URL(url.replace(/^tcp:/, "http:"));
  const isTls = tls !== undefined || protocol === "https:";
  const read = (path: string) => Deno.readTextFileSync(path);
  return await dial({
    isTls,
    hostname,
    port: Number(port || (isTls ? 443 : 80)),
    proxy: null,
    insecure: tls?.insecure ?? false,
    certs: {
      ca: tls?.ca ? [read(tls.ca)] : [],
      ...(tls?.cert && tls.key && { client: { cert: read(tls.cert), key: read(tls.key) } }),
    },
    // as Docker: a CAFile adds to what the machine trusts
    systemCerts: isTls ? await loadSystemCerts(configSources()) : [],
  });
}
