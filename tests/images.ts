/** Images made on the spot: tar entries or folders become OCI layers, config and manifest. */
import type { LocalRegistry } from "./local_registry.ts";

const encoder = new TextEncoder();

export interface Entry {
  path: string;
  /** Default: a file, or what `link` or a final slash of the path says. */
  type?: "file" | "directory" | "symlink" | "hardlink" | "char" | "block" | "fifo";
  mode?: number;
  uid?: number;
  gid?: number;
  content?: string | Uint8Array;
  link?: string;
  device?: [major: number, minor: number];
  /** Records of a pax header before the entry: `SCHILY.xattr.user.x` and the like. */
  pax?: Record<string, string>;
  /** Seconds. */
  mtime?: number;
}

export type Compression = "gzip" | "zstd" | "none";

export interface LayerSpec {
  entries?: Entry[];
  /** A finished tar, instead of entries. */
  tar?: Uint8Array<ArrayBuffer>;
  compression?: Compression;
}

export interface ImageSpec {
  layers: LayerSpec[];
  /** The `config` object of the image configuration: Cmd, Env, User … */
  config?: Record<string, unknown>;
  architecture?: string;
  /** Members of the image configuration beside `config`, in place of what is made of the layers. */
  more?: Record<string, unknown>;
}

export interface BuiltImage {
  /** Digest → content: layers and the configuration. */
  blobs: Map<string, Uint8Array<ArrayBuffer>>;
  manifest: string;
  mediaType: string;
  /** Of the manifest. */
  digest: string;
  configDigest: string;
  diffIds: string[];
}

export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return `sha256:${new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex()}`;
}

const TYPE_FLAGS = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  char: "3",
  block: "4",
  directory: "5",
  fifo: "6",
};

function typeOf(entry: Entry): keyof typeof TYPE_FLAGS {
  return entry.type ??
    (entry.path.endsWith("/") ? "directory" : entry.link !== undefined ? "symlink" : "file");
}

/** A ustar member; names must fit into 100 bytes unless pax says otherwise. */
function member(entry: Entry, flag: string, content: Uint8Array): Uint8Array<ArrayBuffer> {
  const block = new Uint8Array(512 + Math.ceil(content.length / 512) * 512);
  const put = (offset: number, text: string) => block.set(encoder.encode(text), offset);
  const octal = (value: number, width: number) => value.toString(8).padStart(width - 1, "0") + "\0";
  put(0, entry.path.slice(0, 100));
  put(100, octal(entry.mode ?? 0o644, 8));
  put(108, octal(entry.uid ?? 0, 8) + octal(entry.gid ?? 0, 8));
  put(124, octal(content.length, 12) + octal(entry.mtime ?? 0, 12));
  put(148, "        " + flag);
  put(157, (entry.link ?? "").slice(0, 100));
  put(257, "ustar\x0000");
  if (entry.device) put(329, octal(entry.device[0], 8) + octal(entry.device[1], 8));
  const sum = block.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  put(148, sum.toString(8).padStart(6, "0") + "\0 ");
  block.set(content, 512);
  return block;
}

/** `LENGTH KEY=VALUE\n`, where LENGTH counts itself. */
function paxRecord(key: string, value: string): string {
  const rest = encoder.encode(` ${key}=${value}\n`).length;
  let length = rest + String(rest).length;
  if (String(length).length !== String(rest).length) length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
}

export function makeTar(entries: Entry[]): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (const entry of entries) {
    if (entry.pax) {
      const records = Object.entries(entry.pax).map(([key, value]) => paxRecord(key, value)).join("");
      parts.push(member({ path: "pax", mode: 0o644 }, "x", encoder.encode(records)));
    }
    const type = typeOf(entry);
    const content = typeof entry.content === "string" ? encoder.encode(entry.content) : entry.content;
    const mode = entry.mode ?? (type === "directory" ? 0o755 : type === "symlink" ? 0o777 : 0o644);
    parts.push(member({ ...entry, mode }, TYPE_FLAGS[type], content ?? new Uint8Array()));
  }
  parts.push(new Uint8Array(1024));
  return concat(parts);
}

export function concat(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

const COMPRESSORS: Record<Compression, { command: string[] | null; suffix: string }> = {
  gzip: { command: ["gzip", "-1nc"], suffix: "+gzip" },
  zstd: { command: ["zstd", "-1qc"], suffix: "+zstd" },
  none: { command: null, suffix: "" },
};

async function compress(
  tar: Uint8Array<ArrayBuffer>,
  compression: Compression,
): Promise<Uint8Array<ArrayBuffer>> {
  const { command } = COMPRESSORS[compression];
  if (command === null) return tar;
  const child = new Deno.Command(command[0]!, {
    args: command.slice(1),
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const [{ stdout }] = await Promise.all([child.output(), writer.write(tar).then(() => writer.close())]);
  return stdout;
}

export function machine(): string {
  return Deno.build.arch === "x86_64" ? "amd64" : "arm64";
}

export async function makeImage(spec: ImageSpec): Promise<BuiltImage> {
  const blobs = new Map<string, Uint8Array<ArrayBuffer>>();
  const layers = [];
  const diffIds: string[] = [];
  for (const layer of spec.layers) {
    const tar = layer.tar ?? makeTar(layer.entries ?? []);
    const compression = layer.compression ?? "gzip";
    const bytes = await compress(tar, compression);
    const digest = await sha256(bytes);
    blobs.set(digest, bytes);
    diffIds.push(await sha256(tar));
    const mediaType = `application/vnd.oci.image.layer.v1.tar${COMPRESSORS[compression].suffix}`;
    layers.push({ mediaType, digest, size: bytes.length });
  }
  const config = encoder.encode(JSON.stringify({
    architecture: spec.architecture ?? machine(),
    os: "linux",
    config: spec.config ?? {},
    rootfs: { type: "layers", diff_ids: diffIds },
    history: diffIds.map(() => ({ created_by: "test" })),
    ...spec.more,
  }));
  const configDigest = await sha256(config);
  blobs.set(configDigest, config);
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType,
    config: {
      mediaType: "application/vnd.oci.image.config.v1+json",
      digest: configDigest,
      size: config.length,
    },
    layers,
  });
  return {
    blobs,
    manifest,
    mediaType,
    digest: await sha256(encoder.encode(manifest)),
    configDigest,
    diffIds,
  };
}

/** Uploads the image as NAME:TAG and gives its reference. */
export async function pushImage(
  registry: LocalRegistry,
  name: string,
  tag: string,
  image: BuiltImage,
): Promise<string> {
  await Promise.all([...image.blobs].map(([digest, bytes]) => registry.pushBlob(name, bytes, digest)));
  await registry.pushManifest(name, tag, image.manifest, image.mediaType);
  return `${registry.address}/${name}:${tag}`;
}

const PASSWD =
  "root:x:0:0:root:/root:/bin/sh\nbin:x:2:2:bin:/bin:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n" +
  "nobody:x:65534:65534:nobody:/:/bin/false\n";
const GROUP = "root:x:0:\nbin:x:2:\nusers:x:100:alice\nalice:x:1000:\nnogroup:x:65534:\n";

/** What a busybox layer holds: the static program, a link for each applet, and the usual folders and files. */
export function busyboxEntries(): Entry[] {
  const list = new Deno.Command("/bin/busybox", { args: ["--list"] }).outputSync();
  const applets = new TextDecoder().decode(list.stdout).trim().split("\n").filter((name) =>
    name !== "busybox"
  );
  const folders = [
    "bin",
    "etc",
    "root",
    "home",
    "home/alice",
    "tmp",
    "usr",
    "usr/bin",
    "var",
    "proc",
    "sys",
    "dev",
    "run",
  ];
  return [
    ...folders.map((path): Entry => ({
      path: `${path}/`,
      mode: path === "tmp" ? 0o1777 : path === "root" ? 0o700 : 0o755,
      ...(path === "home/alice" ? { uid: 1000, gid: 1000 } : {}),
    })),
    { path: "bin/busybox", mode: 0o755, content: Deno.readFileSync("/bin/busybox") },
    ...applets.map((name): Entry => ({ path: `bin/${name}`, link: "busybox" })),
    { path: "etc/passwd", content: PASSWD },
    { path: "etc/group", content: GROUP },
  ];
}

export function busyboxImage(config: Record<string, unknown> = {}): Promise<BuiltImage> {
  return makeImage({
    layers: [{ entries: busyboxEntries() }],
    config: {
      Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
      Cmd: ["sh"],
      ...config,
    },
  });
}
