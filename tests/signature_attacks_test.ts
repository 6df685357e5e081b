/**
 * What a hostile registry, lookaside or signature can try where a policy asks for signatures (ATTACKS 17–22 and 32).
 * Each is refused before a layer or config is asked for, with nothing left in the store; the same image with its honest
 * signature comes in.
 */
import { deepStrictEqual as assertEquals, ok, rejects } from "node:assert";
import { generateKeyPairSync, sign } from "node:crypto";
import { MEDIA_TYPE } from "../runtime/spec/image.ts";
import { type FakeImage, FakeRegistry, type Reply } from "./fake_registry.ts";
import { makeCerts, type TestCerts } from "./fake_layer.ts";
import { whatIsMissing } from "./harness.ts";
import { makePullRig, type PullRig } from "./pull_rig.ts";
import { signedPayload } from "./sigstore_attachment.ts";

const PAIR = generateKeyPairSync("ec", { namedCurve: "P-256" });
const PUBLIC = PAIR.publicKey.export({ type: "spki", format: "pem" }) as string;
const MEDIA = "application/vnd.dev.cosign.simplesigning.v1+json";
const LIMIT_BYTES = 4 << 20;
/** How long who says nothing is waited for; where an honest answer takes longer, the error is the same. */
const STALL_MS = 200;

let certs: Promise<TestCerts> | undefined;

interface Scene extends AsyncDisposable {
  registry: FakeRegistry;
  rig: PullRig;
  name: string;
  image: FakeImage;
  /** The attachments' manifest. */
  tag: string;
  /** The pull is refused like that, and nothing but manifests and signatures was asked for. */
  refused(expected: RegExp | { message: string }, idleTimeoutMs?: number): Promise<void>;
}

/** An honest registry with an image, whose policy is `requirement`. */
async function makeScene(requirement: object, registriesD: string): Promise<Scene> {
  const { ca, server } = await (certs ??= makeCerts());
  const registry = FakeRegistry.start(server);
  const rig = await makePullRig();
  await rig.write(`etc/containers/certs.d/${registry.host}/ca.crt`, ca);
  await rig.write(".config/containers/policy.json", JSON.stringify({ default: [requirement] }));
  await rig.write(".config/containers/registries.d/default.yaml", registriesD);
  const image = await registry.addImage("test/app:1");
  const name = `${registry.host}/test/app:1`;
  return {
    registry,
    rig,
    name,
    image,
    tag: image.manifest.digest.replace(":", "-") + ".sig",
    async refused(expected, idleTimeoutMs = 60_000) {
      registry.requests.splice(0);
      await rejects(
        rig.pull(name, { idleTimeoutMs, retry: { attempts: 1, pause: () => Promise.resolve() } }),
        expected,
      );
      assertEquals(await rig.leftovers(), []);
      for (const { digest } of [...image.layers, image.config]) assertEquals(registry.asked(digest), []);
    },
    async [Symbol.asyncDispose]() {
      await registry[Symbol.asyncDispose]();
      await rig[Symbol.asyncDispose]();
    },
  };
}

interface Layer {
  mediaType: string;
  digest: string;
  size: number;
  annotations?: Record<string, string>;
}

async function sigstoreScene(): Promise<
  Scene & { layer: Layer; attach(layers: Layer[], more?: object): Promise<void> }
> {
  const keyData = new TextEncoder().encode(PUBLIC).toBase64();
  const scene = await makeScene(
    { type: "sigstoreSigned", keyData },
    "default-docker: {use-sigstore-attachments: true}\n",
  );
  const { registry, name, image, tag } = scene;
  const payload = new TextEncoder().encode(signedPayload(name, image.manifest.digest));
  const signature = new Uint8Array(sign("sha256", payload, PAIR.privateKey)).toBase64();
  const layer: Layer = {
    ...await registry.addBlob(payload, MEDIA),
    annotations: { "dev.cosignproject.cosign/signature": signature },
  };
  const config = await registry.addBlob(new TextEncoder().encode("{}"), MEDIA_TYPE.ociConfig);
  const attach = async (layers: Layer[], more: object = {}) => {
    const manifest = { schemaVersion: 2, mediaType: MEDIA_TYPE.ociManifest, config, layers, ...more };
    const bytes = new TextEncoder().encode(JSON.stringify(manifest));
    await registry.addManifest(`test/app:${tag}`, bytes, MEDIA_TYPE.ociManifest);
  };
  await attach([layer]);
  return { ...scene, layer, attach, [Symbol.asyncDispose]: scene[Symbol.asyncDispose] };
}

Deno.test("20, 21, 22: attachments that lie are refused", async () => {
  await using scene = await sigstoreScene();
  const { registry, rig, name, image, layer, attach, tag, refused } = scene;
  // digests that are paths, of the wrong length, of an unknown algorithm
  for (const digest of ["sha256:../../x", "sha256:ab", layer.digest.toUpperCase(), `md5:${"a".repeat(32)}`]) {
    await attach([{ ...layer, digest }]);
    await refused(/digest/);
  }
  // both kinds of document, another content type, no JSON
  await attach([layer], { manifests: [] });
  await refused(/it has both manifests and layers/);
  await attach([layer]);
  const key = `test/app/${tag}`;
  const honest = registry.manifests.get(key)!;
  registry.manifests.set(key, { ...honest, mediaType: MEDIA_TYPE.ociIndex });
  await refused(/was sent as .* but says it is/);
  registry.manifests.set(key, { ...honest, bytes: new TextEncoder().encode("{") });
  await refused(/signatures of/);
  const index = JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests: [] });
  registry.manifests.set(key, { bytes: new TextEncoder().encode(index), mediaType: MEDIA_TYPE.ociIndex });
  await refused(/they are no OCI manifest/);
  // other bytes than the digest promises, and another length
  registry.manifests.set(key, honest);
  const payload = registry.blobs.get(layer.digest)!;
  const other = new Uint8Array(payload);
  other[5]! ^= 1;
  registry.blobs.set(layer.digest, other);
  await refused(/verify signature of .*: its digest is/);
  registry.blobs.set(layer.digest, new Uint8Array([...payload, 32]));
  await refused(/signature of/);
  registry.blobs.set(layer.digest, payload);
  // a genuine signature of another image, put beside this one
  const foreign = await registry.addImage("test/other:1", [{ other: "x" }]);
  const stolen = new TextEncoder().encode(signedPayload(name, foreign.manifest.digest));
  const signature = new Uint8Array(sign("sha256", stolen, PAIR.privateKey)).toBase64();
  const annotations = { "dev.cosignproject.cosign/signature": signature };
  await attach([{ ...await registry.addBlob(stolen, MEDIA), annotations }]);
  await refused({
    message: `Source image rejected: Signature for digest ${foreign.manifest.digest} does not match`,
  });
  // this image with that image behind the tag: its signatures are asked for, not the tag's
  await attach([layer]);
  registry.manifests.set("test/app/1", registry.manifests.get("test/other/1")!);
  await refused({ message: "Source image rejected: A signature was required, but no signature exists" });
  await registry.addManifest("test/app:1", image.manifest.bytes, MEDIA_TYPE.ociManifest);
  await rig.pull(name); // the control
});

Deno.test("signatures are bounded in number, size and time", async () => {
  await using scene = await sigstoreScene();
  const { registry, rig, name, layer, attach, tag, refused } = scene;
  await attach([{ ...layer, size: LIMIT_BYTES + 1 }]);
  await refused(/it is larger than 4194304 bytes/);
  assertEquals(registry.asked(layer.digest), []);
  await attach(Array.from({ length: 129 }, () => layer));
  await refused(/there are more than can be signatures of one image/);
  await attach(Array.from({ length: 5 }, () => ({ ...layer, size: LIMIT_BYTES })));
  await refused(/signature of/);
  await attach([layer]);
  // a registry that stalls, breaks off, or fails: no signature is not no demand
  const answers: [string, Reply, RegExp][] = [
    [tag, { status: 200, body: "{}", after: new Promise(() => {}) }, /nothing came for/],
    [layer.digest, { status: 200, body: "{}", after: new Promise(() => {}) }, /nothing came for/],
    [layer.digest, { status: 200, body: "x".repeat(layer.size), breakAfter: 3 }, /signature|broke|ended/],
    [tag, { status: 500, body: "{}" }, /status 500/],
    [tag, { status: 403, body: "{}" }, /status 403/],
    [layer.digest, { status: 404 }, /the registry does not have it/],
    [tag, { status: 404 }, /A signature was required, but no signature exists/],
  ];
  for (const [part, answer, expected] of answers) {
    registry.hook = ({ path }) => path.includes(part) ? answer : undefined;
    await refused(expected, "after" in answer ? STALL_MS : undefined);
  }
  registry.hook = () => undefined;
  await rig.pull(name); // the control
});

Deno.test("17, 18, 19: fetches of signatures give no login away", async () => {
  await using scene = await sigstoreScene();
  const { registry, rig, name, layer } = scene;
  const { ca, server } = await certs!;
  await using thief = FakeRegistry.start(server);
  await rig.write(`etc/containers/certs.d/${thief.host}/ca.crt`, ca);
  const auths = Object.fromEntries([registry, thief].map(({ host }) => [host, { auth: btoa("me:secret") }]));
  await rig.write(".config/containers/auth.json", JSON.stringify({ auths }));
  const basic = `Basic ${btoa("me:secret")}`;
  const asked: Reply = { status: 401, headers: { "WWW-Authenticate": 'Basic realm="r"' } };
  const sendAway = (url: string): FakeRegistry["hook"] => ({ path, headers }) => {
    if (headers.authorization !== basic) return asked;
    return path.includes(layer.digest) ? { status: 307, headers: { Location: url } } : undefined;
  };
  // the storage host is asked without the login, and what it sends counts by its digest
  registry.hook = sendAway(`${thief.url}/v2/x/blobs/${layer.digest}`);
  thief.blobs.set(layer.digest, registry.blobs.get(layer.digest)!);
  await rig.pull(name);
  ok(thief.requests.length > 0 && thief.requests.every(({ headers }) => headers.authorization === undefined));
  await using plain = FakeRegistry.start();
  await using again = await sigstoreScene();
  await again.rig.write(
    ".config/containers/auth.json",
    JSON.stringify({ auths: { [again.registry.host]: { auth: btoa("me:secret") } } }),
  );
  again.registry.hook = ({ path, headers }) => {
    if (headers.authorization !== basic) return asked;
    if (path.includes(again.layer.digest)) return { status: 307, headers: { Location: `${plain.url}/x` } };
  };
  await again.refused(/it is plain http/);
  again.registry.hook = ({ path }) =>
    path.includes(again.tag)
      ? { status: 401, headers: { "WWW-Authenticate": `Bearer realm="${plain.url}/token",service="s"` } }
      : undefined;
  await again.refused(/it is plain http/);
  assertEquals(plain.requests, []);
  again.registry.hook = () => undefined;
  await again.rig.pull(again.name); // the control
});

interface Gpg extends AsyncDisposable {
  run(args: string[], input?: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
}

/** A home of gpg for one test. */
async function makeGpg(): Promise<Gpg> {
  const home = await Deno.makeTempDir({ prefix: "skiff-gpg-test-" });
  const run = async (program: string, args: string[], input = new Uint8Array()) => {
    const env = { GNUPGHOME: home, HOME: home, PATH: "/usr/bin:/bin" };
    const child = new Deno.Command(program, {
      args,
      clearEnv: true,
      env,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    })
      .spawn();
    const writer = child.stdin.getWriter();
    await writer.write(input).then(() => writer.close()).catch(() => {});
    const { success, stdout, stderr } = await child.output();
    if (!success) throw new Error(`${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
    return stdout;
  };
  return {
    run: (args, input) =>
      run("gpg", ["--batch", "--yes", "--passphrase", "", "--pinentry-mode", "loopback", ...args], input),
    async [Symbol.asyncDispose]() {
      await run("gpgconf", ["--kill", "all"]);
      await Deno.remove(home, { recursive: true });
    },
  };
}

function claim(name: string, digest: string): Uint8Array<ArrayBuffer> {
  const critical = {
    identity: { "docker-reference": name },
    image: { "docker-manifest-digest": digest },
    type: "atomic container signature",
  };
  return new TextEncoder().encode(JSON.stringify({ critical, optional: {} }));
}

/** With blanks behind it, which JSON does not mind. */
function padded(text: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(length + text.length).fill(0x20);
  whole.set(text);
  return whole;
}

const NO_GPG = { ignore: whatIsMissing(["gpg"]) !== null && Deno.env.get("SKIFF_TEST_MUST_RUN") !== "1" };

Deno.test({
  name: "messages of gpg that are not one good signature are refused",
  ...NO_GPG,
  async fn() {
    await using gpg = await makeGpg();
    const past = ["--faked-system-time", "20200101T000000"];
    for (const name of ["good", "second", "revoked"]) {
      await gpg.run(["--quick-gen-key", `${name}@x`, "ed25519", "sign", "never"]);
    }
    await gpg.run([...past, "--quick-gen-key", "expired@x", "ed25519", "sign", "1d"]);
    await gpg.run([...past, "--quick-gen-key", "old@x", "ed25519", "sign", "never"]);
    await gpg.run(["--quick-gen-key", "stranger@x", "ed25519", "sign", "never"]);
    const { rig, registry, name, image, refused, ...scene } = await makeScene({}, "");
    await using _scene = scene as AsyncDisposable;
    const text = claim(name, image.manifest.digest);
    const signed = (who: string, ...more: string[]) => gpg.run([...more, "--sign", "-u", `${who}@x`], text);
    const bare = await signed("good", "--compress-algo", "none");
    const stored = await gpg.run(["--compress-algo", "none", "--store"], text);
    const good = await signed("good"), revoked = await signed("revoked");
    const cases: [string, Uint8Array<ArrayBuffer>, RegExp][] = [
      ["stranger", await signed("stranger"), /it was made by another key/],
      ["expired key", await signed("expired", ...past), /the key has expired/],
      ["expired signature", await signed("old", ...past, "--default-sig-expire", "1d"), /it has expired/],
      ["revoked key", revoked, /the key was revoked/],
      [
        "two signatures",
        await gpg.run(["--sign", "-u", "good@x", "-u", "second@x"], text),
        /no message with one signature/,
      ],
      ["detached", await gpg.run(["--detach-sign", "-u", "good@x"], text), /Invalid GPG signature/],
      [
        "nothing signed",
        await gpg.run(["--store"], text),
        /no message with one signature|no OpenPGP message/,
      ],
      [
        "encrypted",
        await gpg.run(["--passphrase", "x", "--symmetric"], good),
        /encrypted|no message with one signature/,
      ],
      ["cut off", good.slice(0, good.length - 9), /Invalid GPG signature/],
      ["garbage", crypto.getRandomValues(new Uint8Array(99)).fill(0xff, 0, 1), /Invalid GPG signature/],
      ["unsigned before", new Uint8Array([...stored, ...bare]), /Invalid GPG signature/],
      ["unsigned behind", new Uint8Array([...bare, ...stored]), /Invalid GPG signature/],
      [
        "a good one that comes to more than it has bytes",
        await gpg.run(["--sign", "-u", "good@x"], padded(text, LIMIT_BYTES)),
        /Invalid GPG signature/,
      ],
      ["armored", await gpg.run(["--armor", "--sign", "-u", "good@x"], text), /it is no signature/],
      ["clear", await gpg.run(["--clear-sign", "-u", "good@x"], text), /it is no signature/],
    ];
    const fingerprint = /^fpr:+([0-9A-F]+):/m.exec(
      new TextDecoder().decode(await gpg.run(["--with-colons", "--list-keys", "revoked@x"])),
    )![1]!;
    const home = new TextDecoder().decode(await gpg.run(["--version"])).match(/^Home: (.*)$/m)![1]!;
    const revocation = await Deno.readTextFile(`${home}/openpgp-revocs.d/${fingerprint}.rev`);
    await gpg.run(["--import"], new TextEncoder().encode(revocation.replace(/^:(-----BEGIN)/m, "$1")));
    const keys = await gpg.run([
      "--export",
      ...["good", "second", "revoked", "expired", "old"].map((who) => `${who}@x`),
    ]);
    const requirement = { type: "signedBy", keyType: "GPGKeys", keyData: keys.toBase64() };
    await rig.write(".config/containers/policy.json", JSON.stringify({ default: [requirement] }));
    await rig.write(
      ".config/containers/registries.d/default.yaml",
      `default-docker: {lookaside: "file://${rig.root}/sigs"}\n`,
    );
    const folder = `sigs/test/app@${image.manifest.digest.replace(":", "=")}`;
    const put = async (message: Uint8Array) => {
      await rig.write(`${folder}/signature-1`, "");
      await Deno.writeFile(`${rig.root}/${folder}/signature-1`, message);
    };
    for (const [what, message, expected] of cases) {
      await put(message);
      await refused(expected).catch((cause) => {
        throw new Error(`${what}: ${cause.message}`, { cause });
      });
    }
    await put(good);
    await rig.pull(name); // the control
    await put(await gpg.run(["--sign", "-u", "good@x"], padded(text, LIMIT_BYTES - 1024)));
    await rig.pull(name);
    await put(await signed("old", ...past));
    await rig.pull(name);
    assertEquals(registry.scheme, "https");
  },
});

Deno.test({
  name: "17, 19, 32: a lookaside gets no login, needs a real certificate, and is not followed for ever",
  ...NO_GPG,
  async fn() {
    await using gpg = await makeGpg();
    await gpg.run(["--quick-gen-key", "good@x", "ed25519", "sign", "never"]);
    const requirement = {
      type: "signedBy",
      keyType: "GPGKeys",
      keyData: (await gpg.run(["--export"])).toBase64(),
    };
    await using scene = await makeScene(requirement, "");
    const { rig, registry, name, image, refused } = scene;
    const { ca, server } = await certs!;
    await using lookaside = FakeRegistry.start(server);
    await using plain = FakeRegistry.start();
    await rig.write(
      ".config/containers/registries.d/default.yaml",
      `default-docker: {lookaside: "${lookaside.url}/sigs/"}\n`,
    );
    await rig.write(
      ".config/containers/auth.json",
      JSON.stringify({ auths: { [lookaside.host]: { auth: btoa("me:secret") } } }),
    );
    const good = await gpg.run(["--sign", "-u", "good@x"], claim(name, image.manifest.digest));
    const path = `/sigs/test/app@${image.manifest.digest.replace(":", "=")}/signature-`;
    const honest: FakeRegistry["hook"] = (request) =>
      request.path === `${path}1` ? { status: 200, body: good } : undefined;
    lookaside.hook = honest;
    await refused(/certificate/i);
    await refused(/certificate/i); // nor because the registry may do without
    assertEquals(lookaside.requests.length, 0);
    await rig.write(`etc/containers/certs.d/${lookaside.host}/ca.crt`, ca);
    const answers: [Reply, RegExp][] = [
      [{ status: 401, headers: { "WWW-Authenticate": 'Basic realm="give"' } }, /status 401/],
      [{ status: 302, headers: { Location: `${plain.url}/x` } }, /it is plain http/],
      [{ status: 500 }, /status 500/],
      [{ status: 200, body: new Uint8Array(LIMIT_BYTES + 1).fill(0x90) }, /it is larger than 4194304 bytes/],
      [{ status: 200, body: "<html>not here</html>" }, /it is no signature/],
      [{ status: 200, body: "" }, /it is no signature/],
      [{ status: 200, body: good, after: new Promise(() => {}) }, /nothing came for/],
      [{ status: 200, body: good, breakAfter: 9 }, /./],
    ];
    for (const [answer, expected] of answers) {
      lookaside.hook = (request) => request.path.startsWith(path) ? answer : undefined;
      await refused(expected, "after" in answer ? STALL_MS : undefined);
    }
    assertEquals(plain.requests.length, 0);
    ok(lookaside.requests.every((request) => request.headers.authorization === undefined));
    // one that never ends; without TLS, which a lookaside may say of itself
    plain.hook = () => ({ status: 200, body: good });
    const useLookaside = (url: string) =>
      rig.write(
        ".config/containers/registries.d/default.yaml",
        `default-docker: {lookaside: "${url}/sigs/"}\n`,
      );
    await useLookaside(plain.url);
    await refused(/there are more than can be signatures of one image/);
    assertEquals(plain.requests.length, 129);
    await useLookaside(lookaside.url);
    // the registry's own API comes first, and is believed as little
    const api = `/extensions/v2/test/app/signatures/${image.manifest.digest}`;
    const apiAnswers: [string, RegExp][] = [
      ["{", /no list of signatures/],
      ['{"signatures":{}}', /no list of signatures/],
      ['{"signatures":[{"schemaVersion":2,"type":"atomic","name":"n","content":"*"}]}', /is not base64/],
      ['{"signatures":[null,{"schemaVersion":1,"type":"atomic","content":"AAAA"}]}', /no signature exists/],
    ];
    const withApi = (body: string): FakeRegistry["hook"] => ({ path }) =>
      path === "/v2/"
        ? { status: 200, headers: { "X-Registry-Supports-Signatures": "1" }, body: "{}" }
        : path === api
        ? { status: 200, body }
        : undefined;
    for (const [body, expected] of apiAnswers) {
      registry.hook = withApi(body);
      await refused(expected);
    }
    const content = good.toBase64();
    registry.hook = withApi(
      JSON.stringify({ signatures: [{ schemaVersion: 2, type: "atomic", name: "n", content }] }),
    );
    await rig.pull(name); // the controls: by the API, and by the lookaside
    registry.hook = () => undefined;
    lookaside.hook = honest;
    await rig.pull(name);
  },
});
