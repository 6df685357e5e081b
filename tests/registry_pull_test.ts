/** Pulls from Debian's docker-registry, which skopeo filled: a second opinion on every format. */
import { deepStrictEqual as assertEquals, ok, rejects } from "node:assert";
import { zstdCompressSync } from "node:zlib";
import { UnauthorizedError } from "../runtime/errors.ts";
import { MEDIA_TYPE } from "../runtime/spec/image.ts";
import { layerPath } from "../runtime/storage/layers.ts";
import { encode, FakeRegistry } from "./fake_registry.ts";
import { makeCerts, tarOf } from "./fake_layer.ts";
import { LocalRegistry } from "./local_registry.ts";
import { whatIsMissing } from "./needs.ts";
import { makePullRig } from "./pull_rig.ts";

/** `htpasswd -Bbn me secret` */
const HTPASSWD = "me:$2y$05$dz6PkK8d72/nzbVoUl6PIOk4BZZhbaMkizSDQB/a0LyOkhkAphvDa\n";

const missing = whatIsMissing(["registry", "skopeo", "openssl"]);
const needs = missing === null ? "" : ` [needs ${missing}]`;

async function skopeoCopy(from: string, to: string, ...options: string[]): Promise<void> {
  const args = ["copy", "--quiet", "--insecure-policy", "--src-tls-verify=false", "--dest-tls-verify=false"];
  const command = new Deno.Command("/usr/bin/skopeo", {
    args: [...args, ...options, `docker://${from}`, `docker://${to}`],
    stdout: "null",
    stderr: "piped",
  });
  const { success, stderr } = await command.output();
  if (!success) throw new Error(`skopeo copy: ${new TextDecoder().decode(stderr)}`);
}

Deno.test({
  name: `OCI, Docker schema 2, zstd and an index come from docker-registry as skopeo left them${needs}`,
  ignore: missing !== null,
  async fn() {
    const storage = await Deno.makeTempDir({ prefix: "skiff-registry-" });
    await using source = FakeRegistry.start();
    await using registry = await LocalRegistry.start({ storage });
    try {
      const image = await source.addImage("test/app:1", [{ "etc/": "", "etc/a": "one" }, { "b": "two" }]);
      const { bytes, digest } = image.manifest;
      const platform = { os: "linux", architecture: Deno.build.arch === "aarch64" ? "arm64" : "amd64" };
      const entry = { mediaType: MEDIA_TYPE.ociManifest, digest, size: bytes.length, platform };
      const index = encode({ schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests: [entry] });
      await source.addManifest("test/app:multi", index, MEDIA_TYPE.ociIndex);

      const at = (tag: string) => `${registry.address}/test/app:${tag}`;
      await skopeoCopy(`${source.host}/test/app:1`, at("oci"), "--format", "oci");
      await skopeoCopy(`${source.host}/test/app:1`, at("docker"), "--format", "v2s2");
      const tars = [tarOf({ "etc/": "", "etc/a": "one" }), tarOf({ "b": "two" })];
      const layers = await Promise.all(
        tars.map((tar) => source.addBlob(new Uint8Array(zstdCompressSync(tar)), MEDIA_TYPE.ociLayerZstd)),
      );
      const diffIds = image.layers.map((layer) => layer.diffId);
      await source.addImage("test/app:zstd", undefined, { manifest: { layers }, diffIds });
      await skopeoCopy(`${source.host}/test/app:zstd`, at("zstd"));
      await skopeoCopy(`${source.host}/test/app:multi`, at("multi"), "--all");

      const types: Record<string, string> = {
        oci: MEDIA_TYPE.ociLayerGzip,
        docker: MEDIA_TYPE.dockerLayerGzip,
        zstd: MEDIA_TYPE.ociLayerZstd,
        multi: MEDIA_TYPE.ociLayerGzip,
      };
      for (const [tag, mediaType] of Object.entries(types)) {
        await using fresh = await makePullRig();
        const pulled = await fresh.pull(at(tag), { tlsVerify: false });
        assertEquals(
          pulled.layers.map((layer) => layer.diffId),
          image.layers.map((layer) => layer.diffId),
          tag,
        );
        assertEquals(pulled.layers[0]!.mediaType, mediaType);
        assertEquals(pulled.indexDigest !== undefined, tag === "multi");
        const path = layerPath(fresh.folders, image.layers[0]!.diffId, fresh.context.form);
        assertEquals(await Deno.readTextFile(`${path}/etc/a`), "one");
      }
    } finally {
      await Deno.remove(storage, { recursive: true });
    }
  },
});

Deno.test({
  name: `docker-registry with TLS and a login is used with both, and refused without${needs}`,
  ignore: missing !== null,
  async fn() {
    const storage = await Deno.makeTempDir({ prefix: "skiff-registry-" });
    const { ca, server } = await makeCerts();
    await Deno.writeTextFile(`${storage}/cert`, server.cert);
    await Deno.writeTextFile(`${storage}/key`, server.key);
    await Deno.writeTextFile(`${storage}/htpasswd`, HTPASSWD);
    await using source = FakeRegistry.start();
    await using registry = await LocalRegistry.start({
      storage,
      htpasswdFile: `${storage}/htpasswd`,
      tls: { certificate: `${storage}/cert`, key: `${storage}/key` },
    });
    await using rig = await makePullRig();
    try {
      const content = new Uint8Array(300_000).map((_, i) => (i * 7919) >> 3);
      const image = await source.addImage("test/app:1", [{ "a": content }]);
      const name = `${registry.address}/test/app:1`;
      await skopeoCopy(`${source.host}/test/app:1`, name, "--dest-creds", "me:secret");
      await rejects(rig.pull(name), /does not trust$/);
      await rig.write(`etc/containers/certs.d/${registry.address}/ca.crt`, ca);
      await rejects(rig.pull(name), UnauthorizedError);
      const auths = { [registry.address]: { auth: btoa("me:secret") } };
      await rig.write(".config/containers/auth.json", JSON.stringify({ auths }));
      const pulled = await rig.pull(name);
      assertEquals(pulled.layers[0]!.diffId, image.layers[0]!.diffId);
      ok(!JSON.stringify(rig.events).includes("secret"));
    } finally {
      await Deno.remove(storage, { recursive: true });
    }
  },
});
