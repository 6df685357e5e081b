/** Pushes to Debian's docker-registry: what is sent, what is not, and what a broken connection costs. */
import { deepStrictEqual as assertEquals, ok, rejects } from "node:assert";
import { UnauthorizedError } from "../runtime/errors.ts";
import type { SavedImage } from "../runtime/image/archive/saved_files.ts";
import { GrowingBlob } from "../runtime/registry/growing_blob.ts";
import { pushImages, type PushOptions, type PushProgress } from "../runtime/registry/push.ts";
import { type Digest, digestOf } from "../runtime/spec/digest.ts";
import { type Manifest, MEDIA_TYPE } from "../runtime/spec/image.ts";
import { LocalRegistry } from "./local_registry.ts";
import { makeCertificate } from "./tls_registry.ts";
import { whatIsMissing } from "./needs.ts";
import { makePullRig, type PullRig } from "./pull_rig.ts";

/** `htpasswd -Bbn me secret` */
const HTPASSWD = "me:$2y$05$dz6PkK8d72/nzbVoUl6PIOk4BZZhbaMkizSDQB/a0LyOkhkAphvDa\n";

const missing = whatIsMissing(["registry"]);

function registryTest(
  name: string,
  fn: (registry: LocalRegistry, rig: PullRig) => Promise<void>,
  options: { htpasswd?: string; isTls?: boolean } = {},
): void {
  Deno.test({
    name: missing === null ? name : `${name} [needs ${missing}]`,
    ignore: missing !== null && Deno.env.get("SKIFF_TEST_MUST_RUN") !== "1",
    async fn() {
      const storage = await Deno.makeTempDir({ prefix: "skiff-registry-" });
      try {
        const htpasswdFile = options.htpasswd && `${storage}/htpasswd`;
        if (htpasswdFile) await Deno.writeTextFile(htpasswdFile, options.htpasswd!);
        const tls = options.isTls ? await makeCertificate(storage) : undefined;
        await using registry = await LocalRegistry.start({ storage, htpasswdFile, tls });
        await using rig = await makePullRig();
        if (tls !== undefined) {
          const trusted = `${rig.sources.systemDir}/containers/certs.d/${registry.address}`;
          await Deno.mkdir(trusted, { recursive: true });
          await Deno.copyFile(tls.certificate, `${trusted}/ca.crt`);
        }
        await fn(registry, rig);
      } finally {
        await Deno.remove(storage, { recursive: true });
      }
    },
  });
}

/** An image whose blobs are files; the layer's content does not matter to a registry. */
async function savedImage(rig: PullRig, layerBytes: Uint8Array, text = "{}"): Promise<SavedImage> {
  const put = async (name: string, bytes: Uint8Array) => {
    const path = `${rig.folders.blobs}/partial/${name}-${crypto.randomUUID()}`;
    await Deno.writeFile(path, bytes);
    return { digest: await digestOf(bytes), size: bytes.length, path };
  };
  const layer = await put("layer", layerBytes);
  const config = await put("config", new TextEncoder().encode(text));
  await Deno.rename(config.path, `${rig.folders.blobs}/sha256/${config.digest.slice(7)}`);
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.ociManifest,
    config: { mediaType: MEDIA_TYPE.ociConfig, digest: config.digest, size: config.size },
    layers: [{ mediaType: MEDIA_TYPE.ociLayerGzip, digest: layer.digest, size: layer.size }],
  };
  return {
    names: [],
    configDigest: config.digest,
    configSize: config.size,
    manifest,
    manifestBytes: new TextEncoder().encode(JSON.stringify(manifest)),
    manifestType: MEDIA_TYPE.ociManifest,
    layers: [{ ...layer, mediaType: MEDIA_TYPE.ociLayerGzip, diffId: layer.digest }],
  };
}

function push(
  rig: PullRig,
  name: string,
  image: SavedImage,
  options: PushOptions = {},
): Promise<{ digest: Digest; events: PushProgress[] }> {
  const events: PushProgress[] = [];
  return pushImages(rig.folders, name, { images: [image] }, {
    tlsVerify: false,
    sources: rig.sources,
    progress: (event) => void events.push(event),
    ...options,
  }).then(({ digest }) => ({ digest, events }));
}

const ends = (events: PushProgress[]) =>
  events.filter(({ status }) => status !== "uploading").map(({ status }) => status).sort();

async function fetchBytes(url: string, accept = "*/*"): Promise<Uint8Array> {
  const response = await fetch(url, { headers: { accept } });
  const bytes = new Uint8Array(await response.arrayBuffer());
  assertEquals(response.status, 200, url);
  return bytes;
}

function noise(bytes: number): Uint8Array<ArrayBuffer> {
  const content = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += 65536) crypto.getRandomValues(content.subarray(at, at + 65536));
  return content;
}

registryTest(
  "what a registry has is not sent again, nor what another repository has",
  async (registry, rig) => {
    const layer = noise(3 << 20);
    const image = await savedImage(rig, layer);
    const name = `${registry.address}/one/app:1`;
    const first = await push(rig, name, image);
    assertEquals(ends(first.events), ["done", "done"]);
    assertEquals(first.digest, await digestOf(image.manifestBytes));
    const base = `http://${registry.address}/v2/one/app`;
    assertEquals(await fetchBytes(`${base}/manifests/1`, MEDIA_TYPE.ociManifest), image.manifestBytes);
    assertEquals(await fetchBytes(`${base}/blobs/${image.layers[0]!.digest}`), layer);
    assertEquals(ends((await push(rig, name, image)).events), ["exists", "exists"]);
    const mountFrom = () => ["nobody/none", "one/app"];
    const other = await push(rig, `${registry.address}/two/app:1`, image, { mountFrom });
    assertEquals(ends(other.events), ["mounted", "mounted"]);
  },
);

registryTest("an upload goes on where its connection broke", async (registry, rig) => {
  const layer = noise(8 << 20);
  const image = await savedImage(rig, layer);
  const [hostname, port] = registry.address.split(":") as [string, string];
  await using proxy = cuttingProxy({ hostname, port: Number(port) }, 4 << 20);
  const pauses: number[] = [];
  const name = `127.0.0.1:${proxy.port}/cut/app:1`;
  await push(rig, name, image, {
    retry: { pause: (ms) => (pauses.push(ms), Promise.resolve()), attempts: 8 },
  });
  ok(proxy.cuts > 0, "no connection was cut");
  ok(pauses.length >= proxy.cuts);
  const base = `http://${registry.address}/v2/cut/app`;
  assertEquals(await fetchBytes(`${base}/blobs/${image.layers[0]!.digest}`), layer);
});

registryTest(
  "a blob is sent while its file grows, also over a connection that breaks",
  async (registry, rig) => {
    const step = 1 << 20;
    const layer = noise(8 * step);
    const image = await savedImage(rig, layer);
    const { digest } = image.layers[0]!;
    const [hostname, port] = registry.address.split(":") as [string, string];
    await using proxy = cuttingProxy({ hostname, port: Number(port) }, 4 * step);
    /** What is there is sent before more is; `end` comes when so many bytes are sent. */
    const pushGrowing = (name: string, endsAt: number, end: (blob: GrowingBlob) => void) => {
      const blob = new GrowingBlob(`${rig.folders.blobs}/partial/${crypto.randomUUID()}`);
      let there = 0;
      const grow = () => {
        Deno.writeFileSync(blob.path, layer.subarray(there, there + step), { append: true });
        blob.grow(there += step);
      };
      const pauses: number[] = [];
      const pushed = push(rig, `127.0.0.1:${proxy.port}/${name}/app:1`, image, {
        fileOf: (asked) => asked === digest ? () => (grow(), Promise.resolve(blob)) : undefined,
        retry: { pause: (ms) => (pauses.push(ms), Promise.resolve()), attempts: 8 },
        progress: (event) => {
          if (event.digest !== digest || event.status !== "uploading" || event.current < there) return;
          if (there === endsAt) end(blob);
          else grow();
        },
      });
      return { pushed, pauses };
    };
    const failing = pushGrowing("failing", 2 * step, (blob) => blob.end(new Error("the content is gone")));
    await rejects(failing.pushed, { message: "the content is gone" });
    assertEquals([failing.pauses, proxy.cuts], [[], 0]);
    await pushGrowing("grown", layer.length, (blob) => blob.end()).pushed;
    ok(proxy.cuts > 0, "no connection was cut");
    assertEquals(await fetchBytes(`http://${registry.address}/v2/grown/app/blobs/${digest}`), layer);
  },
);

registryTest("an index names its images, which have no tag of their own", async (registry, rig) => {
  const images = [await savedImage(rig, noise(100), "{}"), await savedImage(rig, noise(100), "{ }")];
  const manifests = await Promise.all(images.map(async ({ manifestBytes }, at) => ({
    mediaType: MEDIA_TYPE.ociManifest,
    digest: await digestOf(manifestBytes),
    size: manifestBytes.length,
    platform: { os: "linux", architecture: at === 0 ? "amd64" : "arm64" },
  })));
  const index = { schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests };
  const bytes = new TextEncoder().encode(JSON.stringify(index));
  const name = `${registry.address}/many/app:1`;
  const { digest } = await pushImages(rig.folders, name, {
    images,
    index: { bytes, mediaType: MEDIA_TYPE.ociIndex },
  }, { tlsVerify: false, sources: rig.sources });
  assertEquals(digest, await digestOf(bytes));
  assertEquals(
    await fetchBytes(`http://${registry.address}/v2/many/app/manifests/1`, MEDIA_TYPE.ociIndex),
    bytes,
  );
});

registryTest("without a login nothing is sent", async (registry, rig) => {
  const image = await savedImage(rig, noise(100));
  const name = `${registry.address}/mine/app:1`;
  await rejects(
    push(rig, name, image),
    (error: Error) => error instanceof UnauthorizedError && error.message.startsWith(`push ${name}: `),
  );
  const { events } = await push(rig, name, image, { credentials: { username: "me", password: "secret" } });
  assertEquals(ends(events), ["done", "done"]);
}, { htpasswd: HTPASSWD });

registryTest("with TLS, too, the name is asked for while the image is found out", async (registry, rig) => {
  const image = await savedImage(rig, noise(100));
  const name = `${registry.address}/tls/app:1`;
  assertEquals(ends((await push(rig, name, image, { tlsVerify: true })).events), ["done", "done"]);
  const asked = () =>
    registry.log.filter((line) => line.includes("method=HEAD") && line.includes("/v2/tls/app/manifests/1"))
      .length;
  const before = asked();
  let wasAsked = 0;
  const { digest } = await pushImages(rig.folders, name, async () => {
    for (let waited = 0; wasAsked === 0 && waited < 500; waited++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      wasAsked = asked() - before;
    }
    return { images: [image], wasPushed: true };
  }, { tlsVerify: true, sources: rig.sources });
  assertEquals(digest, await digestOf(image.manifestBytes));
  ok(wasAsked > 0);
  // once, and not again for the answer
  assertEquals(asked() - before, wasAsked);
}, { isTls: true });

/** Between client and registry; the first connection that sends more than `limit` bytes is closed then, and only it. */
function cuttingProxy(target: { hostname: string; port: number }, limit: number) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.Conn>();
  const state = { cuts: 0 };
  const serve = async (client: Deno.Conn) => {
    const server = await Deno.connect(target);
    open.add(client).add(server);
    const close = () => [client, server].forEach((conn) => open.delete(conn) && conn.close());
    const copy = async (from: Deno.Conn, to: Deno.Conn, isUpload: boolean) => {
      const buffer = new Uint8Array(65536);
      let total = 0;
      for (let count = await from.read(buffer); count !== null; count = await from.read(buffer)) {
        for (let at = 0; at < count;) at += await to.write(buffer.subarray(at, count));
        total += count;
        if (isUpload && total > limit && state.cuts === 0) {
          state.cuts++;
          return;
        }
      }
    };
    await Promise.race([copy(client, server, true), copy(server, client, false)]).catch(() => {});
    close();
  };
  const accepted = (async () => {
    for await (const conn of listener) void serve(conn).catch(() => {});
  })().catch(() => {});
  return {
    port: listener.addr.port,
    get cuts() {
      return state.cuts;
    },
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const conn of open) conn.close();
      open.clear();
      await accepted;
    },
  };
}
