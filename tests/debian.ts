/** Debian images by debootstrap, made once and kept below the fixtures folder. */
import { type BuiltImage, machine, sha256 } from "./images.ts";

/** name → packages beside the minimal system. */
const VARIANTS = {
  debian: [],
  /** What the pull is measured with: 100 MB and more as it comes. */
  tools: ["python3", "git", "curl", "vim"],
  /** Real servers: nginx and PostgreSQL. */
  servers: ["nginx-light", "postgresql", "procps"],
} as const;

export type DebianVariant = keyof typeof VARIANTS;

async function run(command: string, args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args,
    stdout: "piped",
    stderr: "piped",
    env: { LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" },
  }).output();
  if (!success) {
    throw new Error(`${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr).slice(-2000)}`);
  }
  return new TextDecoder().decode(stdout);
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/** The system's own suite, so that its mirror is the one that debootstrap and apt can reach. */
async function suite(): Promise<string> {
  return (await Deno.readTextFile("/etc/os-release")).match(/^VERSION_CODENAME=(.*)$/m)?.[1] ?? "stable";
}

/** Makes `folder/NAME.tar` and `.tar.gz` once; several test files may ask at the same time. */
async function makeTree(folder: string, variant: DebianVariant): Promise<string> {
  const finished = `${folder}/${variant}.tar`;
  if (await exists(`${finished}.gz`)) return finished;
  const lock = await Deno.open(`${folder}/${variant}.lock`, { create: true, write: true });
  try {
    await lock.lock(true);
    if (await exists(`${finished}.gz`)) return finished;
    const tree = await Deno.makeTempDir({ dir: folder, prefix: `${variant}-` });
    await Deno.chmod(tree, 0o755);
    try {
      await Deno.mkdir(`${folder}/debs`, { recursive: true });
      const packages = VARIANTS[variant].join(",");
      await run("/usr/sbin/debootstrap", [
        "--variant=minbase",
        `--cache-dir=${folder}/debs`,
        ...(packages === "" ? [] : [`--include=${packages}`]),
        await suite(),
        tree,
      ]);
      await run("chroot", [tree, "apt-get", "clean"]);
      await run("tar", [
        "--numeric-owner",
        "--sort=name",
        "--xattrs",
        "-C",
        tree,
        "-cf",
        `${finished}.new`,
        ".",
      ]);
      await run("sh", [
        "-c",
        'gzip -1nc <"$1.new" >"$1.gz.new" && mv "$1.new" "$1" && mv "$1.gz.new" "$1.gz"',
        "sh",
        finished,
      ]);
    } finally {
      await Deno.remove(tree, { recursive: true });
    }
    return finished;
  } finally {
    lock.close();
  }
}

/** The image of a variant: one layer with the whole tree. */
export async function debianImage(folder: string, variant: DebianVariant): Promise<BuiltImage> {
  const tarFile = await makeTree(folder, variant);
  const bytes = await Deno.readFile(`${tarFile}.gz`);
  const [digest, diffIdLine] = await Promise.all([sha256(bytes), run("sha256sum", [tarFile])]);
  const diffId = `sha256:${diffIdLine.slice(0, 64)}`;
  const config = new TextEncoder().encode(JSON.stringify({
    architecture: machine(),
    os: "linux",
    config: { Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], Cmd: ["bash"] },
    rootfs: { type: "layers", diff_ids: [diffId] },
  }));
  const configDigest = await sha256(config);
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType,
    config: {
      mediaType: "application/vnd.oci.image.config.v1+json",
      digest: configDigest,
      size: config.length,
    },
    layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest, size: bytes.length }],
  });
  return {
    blobs: new Map([[digest, bytes], [configDigest, config]]),
    manifest,
    mediaType,
    digest: await sha256(new TextEncoder().encode(manifest)),
    configDigest,
    diffIds: [diffId],
  };
}
