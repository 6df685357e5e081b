/**
 * What a hostile registry, mirror, token server or image can try (ATTACKS 17–23 and 32). Every attack is refused
 * with nothing left in the store, and has a control: the same request without the hostile part passes, or a client
 * that does not defend itself falls for it.
 */
import { deepStrictEqual as assertEquals, ok, rejects } from "node:assert";
import { zstdCompressSync } from "node:zlib";
import {
  InvalidArgumentError,
  RegistryError,
  UnsupportedError,
  VerificationError,
} from "../runtime/errors.ts";
import { type Digest, digestOf } from "../runtime/spec/digest.ts";
import { MEDIA_TYPE } from "../runtime/spec/image.ts";
import { encode, FakeRegistry } from "./fake_registry.ts";
import { gzipped, makeCerts, tarHeader, tarOf, type TestCerts } from "./fake_layer.ts";
import { makePullRig, type PullRig } from "./pull_rig.ts";

const INSECURE = { tlsVerify: false };

interface Scene extends AsyncDisposable {
  /** Trusted by certs.d, so that nothing has to be declared insecure. */
  registry: FakeRegistry;
  rig: PullRig;
  name: string;
}

/** A non-loopback address of this machine, where it has one. */
const outerAddress = Deno.networkInterfaces()
  .find((one) =>
    one.family === "IPv4" && !one.address.startsWith("127.") && !one.address.startsWith("169.254.")
  )
  ?.address;

let certs: Promise<TestCerts> | undefined;
const testCerts = () => certs ??= makeCerts(outerAddress);

async function makeScene(address?: string): Promise<Scene> {
  const { ca, server } = await testCerts();
  const registry = FakeRegistry.start({ ...server, ...(address === undefined ? {} : { address }) });
  const rig = await makePullRig();
  await rig.write(`etc/containers/certs.d/${registry.host}/ca.crt`, ca);
  return {
    registry,
    rig,
    name: `${registry.host}/test/app:1`,
    async [Symbol.asyncDispose]() {
      await registry[Symbol.asyncDispose]();
      await rig[Symbol.asyncDispose]();
    },
  };
}

function login(host: string): string {
  return JSON.stringify({ auths: { [host]: { auth: btoa("me:secret") } } });
}

const BASIC = `Basic ${btoa("me:secret")}`;
const challengeOf = (realm: string) => ({ "WWW-Authenticate": `Bearer realm="${realm}",service="s"` });

async function assertNothingKept(rig: PullRig): Promise<void> {
  assertEquals(await rig.leftovers(), []);
}

Deno.test("17: a foreign layer url gets neither a request nor credentials", async () => {
  await using scene = await makeScene();
  const { registry, rig, name } = scene;
  await using thief = FakeRegistry.start();
  thief.hook = () => ({ status: 401, headers: { "WWW-Authenticate": 'Basic realm="give"' } });
  await rig.write(".config/containers/auth.json", login(registry.host));
  const honest = await registry.addImage("test/app:1");
  const layer = {
    mediaType: MEDIA_TYPE.ociLayerGzip,
    digest: honest.layers[0]!.digest,
    size: honest.layers[0]!.bytes.length,
  };
  const types = [
    MEDIA_TYPE.ociLayerGzip,
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
  ];
  for (const mediaType of types) {
    const layers = [{ ...layer, mediaType, urls: [`${thief.url}/layer`] }];
    await registry.addImage("test/app:1", undefined, { manifest: { layers } });
    await rejects(
      rig.pull(name),
      new VerificationError(`use ${name}: layer ${layer.digest} is foreign, to be had from other urls`),
    );
  }
  registry.blobs.delete(layer.digest);
  await registry.addImage("test/app:2", [{ "other": "" }], {
    manifest: { layers: [{ ...layer, mediaType: types[1]! }] },
  });
  await rejects(rig.pull(`${registry.host}/test/app:2`), UnsupportedError);
  await assertNothingKept(rig);
  assertEquals(thief.requests.length, 0);

  // Control: a client that follows the url and answers the challenge hands its login over.
  const first = await fetch(`${thief.url}/layer`);
  await first.body?.cancel();
  assertEquals(first.status, 401);
  await (await fetch(`${thief.url}/layer`, { headers: { authorization: BASIC } })).body?.cancel();
  assertEquals(thief.requests[1]!.headers.authorization, BASIC);
  // Control: the same layer without urls is pulled.
  await registry.addImage("test/app:1");
  await rig.pull(name);
});

Deno.test("18: a token realm in plain http, on the link, or with a login in it is refused", async () => {
  await using scene = await makeScene();
  const { registry, rig, name } = scene;
  await using canary = FakeRegistry.start();
  canary.hook = () => ({ status: 200, body: '{"token":"t"}' });
  await registry.addImage("test/app:1");
  await rig.write(".config/containers/auth.json", login(registry.host));
  let realm = "";
  registry.hook = (request) =>
    request.headers.authorization === "Bearer t" ? undefined : { status: 401, headers: challengeOf(realm) };
  const hint = `declare ${registry.host} insecure in registries.conf if this is meant`;
  const cases: [realm: string, shown: string, why: string, hint?: string][] = [
    [`${canary.url}/token`, `${canary.url}/token`, "it is plain http", hint],
    [
      "http://169.254.169.254/latest/meta-data",
      "http://169.254.169.254/latest/meta-data",
      "it is plain http",
      hint,
    ],
    ["https://169.254.169.254/x", "https://169.254.169.254/x", "it leads to a link-local address", hint],
    ["https://[fe80::1]/x", "https://[fe80::1]/x", "it leads to a link-local address", hint],
    [
      "https://[::ffff:169.254.169.254]/x",
      "https://[::ffff:a9fe:a9fe]/x",
      "it leads to a link-local address",
      hint,
    ],
    ["https://0.0.0.0/x", "https://0.0.0.0/x", "it leads to an address that is nobody's", hint],
    ["https://2852039166/x", "https://169.254.169.254/x", "it leads to a link-local address", hint],
    ["file:///etc/passwd", "file:///etc/passwd", "it is neither https nor http"],
    ["https://me:you@token.example/x", "https://token.example/x", "it carries a login"],
  ];
  for (const [text, shown, why, hintText] of cases) {
    realm = text;
    await rejects(
      rig.pull(name),
      new RegistryError(`follow token realm of ${registry.host} to ${shown}: ${why}`, 0, { hint: hintText }),
      text,
    );
  }
  await assertNothingKept(rig);
  assertEquals(canary.requests.length, 0);

  // Control: where the registry is declared insecure, the same realm is asked, and gets the login.
  realm = `${canary.url}/token`;
  await rig.write(
    ".config/containers/registries.conf",
    `[[registry]]\nlocation = "${registry.host}"\ninsecure = true`,
  );
  await rig.pull(name);
  assertEquals(canary.requests.map((request) => request.headers.authorization), [BASIC]);
});

Deno.test({
  name: "18: a token realm on loopback is refused, unless the registry is there itself",
  ignore: outerAddress === undefined,
  async fn() {
    const { server } = await testCerts();
    await using canary = FakeRegistry.start(server);
    canary.hook = () => ({ status: 200, body: '{"token":"t"}' });
    for (const [address, works] of [[outerAddress!, false], ["127.0.0.1", true]] as const) {
      await using scene = await makeScene(address);
      const { registry, rig, name } = scene;
      await rig.write(`etc/containers/certs.d/${canary.host}/ca.crt`, (await testCerts()).ca);
      await rig.write(`etc/containers/certs.d/localhost:${canary.port}/ca.crt`, (await testCerts()).ca);
      await registry.addImage("test/app:1");
      for (const realm of [`https://127.0.0.1:${canary.port}/t`, `https://localhost:${canary.port}/t`]) {
        registry.hook = (request) =>
          request.headers.authorization === "Bearer t"
            ? undefined
            : { status: 401, headers: challengeOf(realm) };
        const attempt = rig.pull(name);
        if (works) await attempt;
        else await rejects(attempt, /it leads to a loopback address$/);
      }
      if (!works) assertEquals(canary.requests.length, 0);
    }
    assertEquals(canary.requests.length > 0, true);
  },
});

Deno.test({
  name: "18: a name that only resolves to loopback is refused before a byte is sent",
  ignore: outerAddress === undefined || !(await resolvesToLoopback(Deno.hostname())),
  async fn() {
    await using scene = await makeScene(outerAddress);
    const { registry, rig, name } = scene;
    await using canary = FakeRegistry.start({ ...(await testCerts()).server, address: "0.0.0.0" });
    registry.hook = () => ({
      status: 401,
      headers: challengeOf(`https://${Deno.hostname()}:${canary.port}/t`),
    });
    await rejects(rig.pull(name, { retry: { attempts: 1 } }), RegistryError);
    assertEquals(canary.requests.length, 0);
  },
});

async function resolvesToLoopback(name: string): Promise<boolean> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  try {
    const conn = await Deno.connect({ hostname: name, port: (listener.addr as Deno.NetAddr).port });
    conn.close();
    return true;
  } catch {
    return false;
  } finally {
    listener.close();
  }
}

Deno.test("19: a redirect to another host, port or scheme loses the login", async () => {
  await using scene = await makeScene();
  const { registry, rig, name } = scene;
  const { ca, server } = await testCerts();
  await using storage = FakeRegistry.start(server);
  await using plain = FakeRegistry.start();
  await rig.write(`etc/containers/certs.d/${storage.host}/ca.crt`, ca);
  const image = await registry.addImage("test/app:1");
  await rig.write(".config/containers/auth.json", login(registry.host));
  const blob = image.layers[0]!;
  let target = "";
  registry.hook = (request) => {
    if (request.headers.authorization !== BASIC) {
      return { status: 401, headers: { "WWW-Authenticate": 'Basic realm="r"' } };
    }
    if (request.path.endsWith(blob.digest)) return { status: 307, headers: { Location: target } };
  };
  for (const other of [storage, plain]) other.hook = () => ({ status: 200, body: blob.bytes });

  target = `${plain.url}/blob`;
  await rejects(
    rig.pull(name),
    new RegistryError(`follow redirect of ${registry.host} to ${target}: it is plain http`, 0, {
      hint: `declare ${registry.host} insecure in registries.conf if this is meant`,
    }),
  );
  target = "https://169.254.169.254/latest";
  await rejects(rig.pull(name), /it leads to a link-local address$/);
  target = `https://me:secret@127.0.0.1:${storage.port}/blob`;
  await rejects(rig.pull(name), /it carries a login$/);
  assertEquals(plain.requests.length + storage.requests.length, 0);

  target = `${storage.url}/blob?signature=x`;
  await rig.pull(name);
  assertEquals(storage.requests.map((r) => [r.path, r.headers.authorization]), [[
    "/blob?signature=x",
    undefined,
  ]]);
  // Control: the login is there to be lost, and a redirect within the registry keeps it.
  ok(registry.requests.some((request) => request.headers.authorization === BASIC));
  const other = await registry.addImage("test/app:1", [{ "other": "" }]);
  registry.hook = (request) => {
    if (request.headers.authorization !== BASIC) {
      return { status: 401, headers: { "WWW-Authenticate": 'Basic realm="r"' } };
    }
    if (request.path.startsWith("/moved")) return { status: 200, body: other.layers[0]!.bytes };
    if (request.path.endsWith(other.layers[0]!.digest)) {
      return { status: 302, headers: { Location: "/moved?x=1" } };
    }
  };
  await rig.pull(name);
  assertEquals(registry.asked("/moved").map((request) => request.headers.authorization), [BASIC]);
});

Deno.test("19: a storage host that asks for a login gets none, and redirects end", async () => {
  await using scene = await makeScene();
  const { registry, rig, name } = scene;
  const { ca, server } = await testCerts();
  await using thief = FakeRegistry.start(server);
  await rig.write(`etc/containers/certs.d/${thief.host}/ca.crt`, ca);
  await rig.write(".config/containers/auth.json", login(registry.host));
  thief.hook = () => ({ status: 401, headers: { "WWW-Authenticate": 'Basic realm="give"' } });
  registry.hook = () => ({ status: 307, headers: { Location: `${thief.url}/x` } });
  await rejects(rig.pull(name), /answers with status 401$/);
  assertEquals(thief.requests.map((request) => request.headers.authorization), [undefined]);
  registry.hook = (request) => ({ status: 302, headers: { Location: request.path } });
  await rejects(
    rig.pull(name),
    new RegistryError(`follow redirect of ${registry.host}: there are more than 5`, 0),
  );
});

Deno.test("19: look-alike hosts do not get the login of the host they look like", async () => {
  await using scene = await makeScene();
  const { registry, rig, name } = scene;
  await registry.addImage("test/app:1");
  registry.hook = (request) =>
    request.headers.authorization === BASIC
      ? undefined
      : { status: 401, headers: { "WWW-Authenticate": 'Basic realm="r"' } };
  const { host, port } = registry;
  const lookAlikes = [
    `127.0.0.1`,
    `127.0.0.1:${String(port).slice(0, -1)}`,
    `${host}0`,
    `x${host}`,
    `${host}.evil`,
    `https://${host}@evil/`,
    `https://evil/${host}`,
    `${host}/test/ap`,
    `${host}/test/app2`,
    `${host}/other`,
  ];
  for (const key of lookAlikes) {
    await rig.write(".config/containers/auth.json", login(key));
    await rejects(rig.pull(name), /there is no login for it$/, key);
  }
  // Control: the host itself, in each of its spellings.
  for (const key of [host, `https://${host}`, `https://${host}/v2/`, `${host}/test`, `${host}/test/app`]) {
    await rig.write(".config/containers/auth.json", login(key));
    await rig.pull(name);
  }
});

Deno.test("19: a credential helper is a name, not a path, and gets a cleaned environment", async () => {
  await using scene = await makeScene();
  const { registry, rig, name } = scene;
  await registry.addImage("test/app:1");
  registry.hook = (request) =>
    request.headers.authorization === BASIC
      ? undefined
      : { status: 401, headers: { "WWW-Authenticate": 'Basic realm="r"' } };
  await rig.write(
    "bin/docker-credential-test",
    `#!/bin/sh\nenv > ${rig.root}/seen\nread server\necho "$server" >> ${rig.root}/seen\n` +
      `echo '{"ServerURL":"x","Username":"me","Secret":"secret"}'\n`,
  );
  await Deno.chmod(`${rig.root}/bin/docker-credential-test`, 0o755);
  await rig.write(
    ".config/containers/auth.json",
    JSON.stringify({ credHelpers: { [registry.host]: "../bin/docker-credential-test" } }),
  );
  await rejects(
    rig.pull(name),
    new InvalidArgumentError(
      'ask credential helper "../bin/docker-credential-test": this is no name of a helper',
    ),
  );
  await rig.write(
    ".config/containers/auth.json",
    JSON.stringify({ credHelpers: { [registry.host]: "test" } }),
  );
  const env = { PATH: `${rig.root}/bin:relative:/usr/bin:/bin`, LD_PRELOAD: "/evil.so", USER: "me" };
  // Root looks in the fixed folders only.
  await rejects(
    rig.pull(name, { sources: { ...rig.sources, env, isRoot: true } }),
    /docker-credential-test is not in \/usr/,
  );
  await rig.pull(name, { sources: { ...rig.sources, env } });
  const seen = (await Deno.readTextFile(`${rig.root}/seen`)).trim().split("\n").filter((line) =>
    !/^(PWD|SHLVL|_)=/.test(line)
  );
  assertEquals(
    seen.sort(),
    [registry.host, `HOME=${rig.root}`, `PATH=${rig.root}/bin:/usr/bin:/bin`, "USER=me"].sort(),
  );
});

Deno.test("20: malformed digests are refused before a path or a request is made of them", async () => {
  await using scene = await makeScene();
  const { registry, rig, name } = scene;
  const honest = await registry.addImage("test/app:1");
  const good = honest.layers[0]!;
  const bad = [
    "sha256:../../../../../../tmp/x",
    `sha256:${"../".repeat(20)}abcd`,
    "sha256:abc",
    good.digest.toUpperCase(),
    good.digest.replace("sha256", "SHA256"),
    `md5:${"a".repeat(32)}`,
    `sha256:${"g".repeat(64)}`,
    `${good.digest}/../x`,
    `${good.digest}\u0000`,
    "",
  ];
  for (const digest of bad) {
    const layers = [{ mediaType: MEDIA_TYPE.ociLayerGzip, digest, size: good.bytes.length }];
    await registry.addImage("test/app:1", undefined, { manifest: { layers } });
    registry.requests.length = 0;
    await rejects(
      rig.pull(name),
      (e: Error) => e instanceof VerificationError && e.message.includes("malformed digest"),
    );
    await registry.addImage("test/app:1", undefined, { diffIds: [digest as Digest] });
    await rejects(
      rig.pull(name),
      (e: Error) => e instanceof VerificationError && e.message.includes("malformed digest"),
    );
    if (digest !== "") await rejects(rig.pull(`${registry.host}/test/app@${digest}`), InvalidArgumentError);
    ok(registry.asked(good.digest).length === 0);
    const entry = {
      mediaType: MEDIA_TYPE.ociManifest,
      digest,
      size: 1,
      platform: { os: "linux", architecture: "amd64" },
    };
    await registry.addManifest(
      "test/app:1",
      encode({ schemaVersion: 2, manifests: [entry] }),
      MEDIA_TYPE.ociIndex,
    );
    await rejects(
      rig.pull(name),
      (e: Error) => e instanceof VerificationError && e.message.includes("malformed digest"),
    );
  }
  await assertNothingKept(rig);
  // Control: a path made of such a digest does leave the folder.
  assertEquals(new URL(`file:///store/blobs/sha256/${bad[0]!.slice(7)}`).pathname, "/tmp/x");
  await registry.addImage("test/app:1");
  await rig.pull(name);
});

Deno.test("21: a document that is manifest and index at once, or sent as the other, is refused", async () => {
  await using scene = await makeScene();
  const { registry, rig, name } = scene;
  const image = await registry.addImage("test/app:1");
  const document = JSON.parse(new TextDecoder().decode(image.manifest.bytes));
  const { bytes, digest } = image.manifest;
  const platform = { os: "linux", architecture: Deno.build.arch === "aarch64" ? "arm64" : "amd64" };
  const entry = { mediaType: MEDIA_TYPE.ociManifest, digest, size: bytes.length, platform };
  const { mediaType: _said, ...silent } = document;
  const cases: [unknown, string, string][] = [
    [{ ...document, manifests: [entry] }, MEDIA_TYPE.ociManifest, "it has both manifests and layers"],
    [{ ...silent, manifests: [entry] }, MEDIA_TYPE.ociIndex, "it has both manifests and layers"],
    [
      document,
      MEDIA_TYPE.ociIndex,
      `it was sent as ${MEDIA_TYPE.ociIndex} but says it is ${MEDIA_TYPE.ociManifest}`,
    ],
    [silent, MEDIA_TYPE.ociIndex, "it is sent as an index but has no manifests"],
    [
      { schemaVersion: 2, manifests: [entry] },
      MEDIA_TYPE.ociManifest,
      "it is sent as a manifest but has no layers",
    ],
  ];
  for (const [json, type, why] of cases) {
    await registry.addManifest("test/app:1", encode(json), type);
    await rejects(rig.pull(name), new VerificationError(`read manifest of ${name}: ${why}`));
  }
  await registry.addManifest("test/app:1", bytes, MEDIA_TYPE.ociManifest);
  // An index that says docker manifest of what is an OCI manifest.
  const swapped = { schemaVersion: 2, manifests: [{ ...entry, mediaType: MEDIA_TYPE.dockerManifest }] };
  await registry.addManifest("test/app:1", encode(swapped), MEDIA_TYPE.ociIndex);
  await rejects(rig.pull(name), /its index says application\/vnd\.docker\.distribution\.manifest\.v2\+json$/);
  await assertNothingKept(rig);
  // Control: the honest index is followed.
  await registry.addManifest(
    "test/app:1",
    encode({ schemaVersion: 2, manifests: [entry] }),
    MEDIA_TYPE.ociIndex,
  );
  assertEquals((await rig.pull(name)).digest, digest);
});

Deno.test("22: a pinned pull answered with another body is refused, whatever the header says", async () => {
  await using scene = await makeScene();
  const { registry, rig, name } = scene;
  const wanted = await registry.addImage("test/app:1");
  const other = await registry.addImage("test/evil:1", [{ "evil": "" }]);
  const pinned = `${registry.host}/test/app@${wanted.manifest.digest}`;
  registry.hook = (request) =>
    request.path.includes("/manifests/")
      ? {
        status: 200,
        headers: { "Content-Type": MEDIA_TYPE.ociManifest, "Docker-Content-Digest": wanted.manifest.digest },
        body: other.manifest.bytes,
      }
      : undefined;
  const lie = `its digest is ${other.manifest.digest}`;
  await rejects(
    rig.pull(pinned),
    new VerificationError(`verify manifest of ${pinned}: ${lie}, not ${wanted.manifest.digest}`),
  );
  await rejects(
    rig.pull(name),
    new VerificationError(`verify manifest of ${name}: ${lie}, the registry says ${wanted.manifest.digest}`),
  );
  await assertNothingKept(rig);
  // Control: without the lying header the tag may point anywhere; this is the image that would have come.
  registry.hook = (request) =>
    request.path.includes("/manifests/")
      ? { status: 200, headers: { "Content-Type": MEDIA_TYPE.ociManifest }, body: other.manifest.bytes }
      : undefined;
  assertEquals((await rig.pull(name)).digest, other.manifest.digest);
});

Deno.test("22: substituted, cut and lengthened blobs are refused", async () => {
  await using scene = await makeScene();
  const { registry, rig, name } = scene;
  const image = await registry.addImage("test/app:1", [{ "a": "aaaa" }]);
  const twin = await registry.addImage("test/evil:1", [{ "a": "bbbb" }]);
  const blob = image.layers[0]!;
  const evil = gzipped(tarOf({ "a": "evil" }));
  const sameSize = new Uint8Array(blob.bytes.length);
  sameSize.set(evil.subarray(0, sameSize.length));
  const flipped = blob.bytes.slice();
  flipped[12]! ^= 1;
  const longer = new Uint8Array([...blob.bytes, 0]);
  const lies: [what: string, reply: { body: Uint8Array<ArrayBuffer>; isUnframed?: boolean }][] = [
    ["another layer", { body: twin.layers[0]!.bytes }],
    ["another layer of the same size", { body: sameSize }],
    ["one bit", { body: flipped }],
    ["longer", { body: longer }],
    ["longer, without a length", { body: longer, isUnframed: true }],
    ["shorter", { body: blob.bytes.slice(0, -1) }],
    ["empty", { body: new Uint8Array() }],
  ];
  for (const [what, reply] of lies) {
    registry.hook = (request) => request.path.endsWith(blob.digest) ? { status: 200, ...reply } : undefined;
    await rejects(rig.pull(name), VerificationError, what);
    await assertNothingKept(rig);
  }
  // A config of the same size.
  const config = new TextDecoder().decode(image.config.bytes).replace("/bin/sh", "/bin/no");
  registry.hook = (request) =>
    request.path.endsWith(image.config.digest) ? { status: 200, body: config } : undefined;
  await rejects(
    rig.pull(name),
    new VerificationError(
      `verify config of ${name}: its digest is ${await digestOf(encode(config))}, not ${image.config.digest}`,
    ),
  );
  await assertNothingKept(rig);
  registry.hook = () => undefined;
  await rig.pull(name);
});

Deno.test("22: false sizes and false diff ids are refused", async () => {
  await using scene = await makeScene();
  const { registry, rig, name } = scene;
  const honest = await registry.addImage("test/other:1", [{ "a": "aaaa" }]);
  const real = honest.layers[0]!;
  const stranger = await digestOf(encode("somebody else's layer"));
  await registry.addImage("test/app:1", [{ "a": "aaaa" }], { diffIds: [stranger] });
  await rejects(
    rig.pull(name),
    new VerificationError(
      `unpack layer ${
        real.digest.slice(0, 19)
      }: its content has diff id ${real.diffId} instead of ${stranger}`,
    ),
  );
  await assertNothingKept(rig);
  for (const size of [real.bytes.length - 1, real.bytes.length + 1, 0, 2 ** 40]) {
    const layers = [{ mediaType: MEDIA_TYPE.ociLayerGzip, digest: real.digest, size }];
    await registry.addImage("test/app:1", [{ "a": "aaaa" }], { manifest: { layers } });
    await rejects(rig.pull(name), VerificationError, String(size));
    await assertNothingKept(rig);
  }
  for (const diffIds of [[], [real.diffId, real.diffId]]) {
    await registry.addImage("test/app:1", [{ "a": "aaaa" }], { diffIds });
    await rejects(rig.pull(name), /^VerificationError: use .* but its config names \d$/);
  }
  // A false diff id must not take the sound blob of another image along.
  await rig.pull(`${registry.host}/test/other:1`);
  await registry.addImage("test/app:1", [{ "a": "aaaa" }], { diffIds: [stranger] });
  await rejects(rig.pull(name), VerificationError);
  registry.requests.length = 0;
  await rig.pull(`${registry.host}/test/other:1`);
  assertEquals(registry.asked("/blobs/"), []);
});

Deno.test("23: a layer that unpacks beyond the limit is stopped there", async () => {
  await using scene = await makeScene();
  const { registry, rig, name } = scene;
  const limit = rig.context.layerLimitBytes = 8 << 20;
  const size = 64 << 20;
  const header = tarHeader("zeros", size, "0");
  const tar = new Uint8Array(512 + size + 1024);
  tar.set(header);
  const bombs: [string, Uint8Array<ArrayBuffer>][] = [
    [MEDIA_TYPE.ociLayerGzip, gzipped(tar)],
    [MEDIA_TYPE.ociLayerZstd, new Uint8Array(zstdCompressSync(tar))],
  ];
  for (const [mediaType, bytes] of bombs) {
    ok(bytes.length * 500 < size, "the bomb is small");
    const layers = [await registry.addBlob(bytes, mediaType)];
    await registry.addImage("test/app:1", undefined, {
      manifest: { layers },
      diffIds: [await digestOf(tar)],
    });
    await rejects(
      rig.pull(name),
      new VerificationError(
        `unpack layer ${layers[0]!.digest.slice(0, 19)}: it unpacks to more than the limit of ${limit} bytes`,
      ),
    );
    await assertNothingKept(rig);
  }
  // Control: the same layer is nothing but large.
  rig.context.layerLimitBytes = 1 << 30;
  await rig.pull(name);
});

Deno.test("23: a zstd frame that wants a window of two gigabytes gets none", async () => {
  await using scene = await makeScene();
  const { registry, rig, name } = scene;
  const tar = tarOf({ "a": "a" });
  /** Magic, a descriptor without content size, the window's exponent, and one raw block. */
  const frame = (exponent: number) => {
    const block = (tar.length << 3) | 1;
    const head = [
      0x28,
      0xb5,
      0x2f,
      0xfd,
      0,
      (exponent - 10) << 3,
      block & 255,
      block >> 8 & 255,
      block >> 16,
    ];
    return new Uint8Array([...head, ...tar]);
  };
  const pull = async (exponent: number) => {
    const layers = [await registry.addBlob(frame(exponent), MEDIA_TYPE.ociLayerZstd)];
    await registry.addImage("test/app:1", undefined, {
      manifest: { layers },
      diffIds: [await digestOf(tar)],
    });
    return await rig.pull(name);
  };
  await rejects(pull(31), VerificationError);
  await assertNothingKept(rig);
  await pull(20); // Control: the same frame with a modest window.
});

Deno.test("23: documents, answers and indexes without end are cut off", async () => {
  await using scene = await makeScene();
  const { registry, rig, name } = scene;
  const image = await registry.addImage("test/app:1");
  const mib = " ".repeat(1 << 20);
  const manifests: [string, Parameters<typeof encode>[0], string][] = [
    [
      "5 MiB of blanks",
      new TextDecoder().decode(image.manifest.bytes) + mib.repeat(5),
      "it is larger than 4194304 bytes",
    ],
    ["deep nesting", "[".repeat(1 << 20) + "]".repeat(1 << 20), "it is no JSON object"],
    ["a wide index", {
      schemaVersion: 2,
      manifests: Array(5000).fill({ mediaType: "x", digest: image.config.digest, size: 1 }),
    }, "manifests: too many manifests"],
    ["many layers", { schemaVersion: 2, config: {}, layers: Array(5000).fill({}) }, ""],
  ];
  for (const [what, body, why] of manifests) {
    registry.hook = (request) =>
      request.path.includes("/manifests/")
        ? {
          status: 200,
          headers: { "Content-Type": "application/json" },
          body: encode(body),
          isUnframed: true,
        }
        : undefined;
    await rejects(rig.pull(name, { retry: { attempts: 1 } }), (e: Error) => e.message.includes(why), what);
  }
  // Indexes in indexes: each level is honest, the depth is not.
  let { digest, bytes } = image.manifest as { digest: Digest; bytes: Uint8Array<ArrayBuffer> };
  let mediaType: string = MEDIA_TYPE.ociManifest;
  registry.hook = () => undefined;
  for (let depth = 1; depth <= 4; depth++) {
    bytes = encode({ schemaVersion: 2, manifests: [{ mediaType, digest, size: bytes.length }] });
    mediaType = MEDIA_TYPE.ociIndex;
    digest = await registry.addManifest("test/app:1", bytes, mediaType);
    if (depth <= 3) continue;
    await rejects(
      rig.pull(name),
      new VerificationError(`use ${name}: its indexes are nested more than 3 deep`),
    );
  }
  // Heads and token answers.
  registry.hook = () => ({ status: 0, raw: "HTTP/1.1 200 OK\r\n" + "X: y\r\n".repeat(100_000) });
  await rejects(rig.pull(name), /the head of its answer is too large$/);
  registry.hook = () => ({ status: 0, raw: "HTTP/1.1 200 OK\r\nX: " + "y".repeat(1 << 20) });
  await rejects(rig.pull(name), /a line of its answer is too long$/);
  registry.hook = (request) =>
    request.path.startsWith("/token")
      ? { status: 200, body: `{"token":"${"t".repeat(2 << 20)}"}` }
      : { status: 401, headers: challengeOf(`${registry.url}/token`) };
  await rejects(rig.pull(name), new RegistryError("read token answer: it is larger than 1048576 bytes", 200));
  await assertNothingKept(rig);
  registry.hook = () => undefined;
  await registry.addImage("test/app:1");
  await rig.pull(name);
});

Deno.test("32: a self-signed server is refused on every path of a download", async () => {
  await using scene = await makeScene();
  const { registry, rig, name } = scene;
  await using impostor = FakeRegistry.start((await testCerts()).selfSigned);
  const image = await registry.addImage("test/app:1");
  await impostor.addImage("test/app:1");
  const redirect = (part: string) => {
    registry.hook = (request) =>
      request.path.includes(part)
        ? { status: 307, headers: { Location: impostor.url + request.path } }
        : undefined;
  };
  const paths: Record<string, () => void | Promise<void>> = {
    "manifest": () => redirect("/manifests/"),
    "config": () => redirect(image.config.digest),
    "layer": () => redirect(image.layers[0]!.digest),
    "token realm": () => {
      registry.hook = (request) =>
        request.headers.authorization === undefined
          ? { status: 401, headers: challengeOf(`${impostor.url}/t`) }
          : undefined;
    },
    "mirror": () => {
      registry.hook = () => ({ status: 404 });
      return rig.write(
        ".config/containers/registries.conf",
        `[[registry]]\nlocation = "${registry.host}"\n[[registry.mirror]]\nlocation = "${impostor.host}"`,
      );
    },
  };
  for (const [path, prepare] of Object.entries(paths)) {
    await prepare();
    await rejects(rig.pull(name), (error: RegistryError) => {
      return `${error.message} ${error.hint}`.includes(
        "certificate is self-signed and this machine does not trust it",
      );
    }, path);
    assertEquals(impostor.requests.length, 0, path);
  }
  await rejects(rig.pull(`${impostor.host}/test/app:1`), /does not trust it$/);
  assertEquals(impostor.requests.length, 0);
  await assertNothingKept(rig);
  // Control: without verification the impostor is believed on each of them.
  impostor.hook = (request) =>
    request.path.startsWith("/t?") ? { status: 200, body: '{"token":"t"}' } : undefined;
  await rig.pull(name, INSECURE);
  for (const part of ["/manifests/", image.config.digest, image.layers[0]!.digest, "token"] as const) {
    if (part === "token") await paths["token realm"]!();
    else redirect(part);
    await using fresh = await makePullRig();
    await fresh.pull(name, INSECURE);
    ok(impostor.asked(part === "token" ? "/t?" : part).length > 0, part);
  }
});
