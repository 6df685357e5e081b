/** Registries that lie to a push, stall, or send it elsewhere. Each attack has a control that shows it to be live. */
import { deepStrictEqual as assertEquals, match, ok, rejects } from "node:assert";
import { RegistryError } from "../runtime/errors.ts";
import type { SavedImage } from "../runtime/image/archive/saved_files.ts";
import { pushImages, type PushOptions } from "../runtime/registry/push.ts";
import { digestOf } from "../runtime/spec/digest.ts";
import { type Manifest, MEDIA_TYPE } from "../runtime/spec/image.ts";
import { FakeRegistry, type RecordedRequest, type Reply } from "./fake_registry.ts";
import { makePullRig, type PullRig } from "./pull_rig.ts";

const BASIC = `Basic ${btoa("me:secret")}`;
const CHALLENGE = { "WWW-Authenticate": 'Basic realm="tests"' };

/** Takes every upload, and wants a login. `said` are the answers that differ. */
function taking(
  registry: FakeRegistry,
  said: (request: RecordedRequest) => Reply | undefined = () => undefined,
) {
  registry.hook = (request) => {
    const { method, path, headers } = request;
    if (headers.authorization !== BASIC) return { status: 401, headers: CHALLENGE };
    const own = said(request);
    if (own !== undefined) return own;
    if (path === "/v2/") return { status: 200 };
    if (method === "HEAD") return { status: 404 };
    if (method === "POST") return { status: 202, headers: { Location: "/v2/test/app/blobs/uploads/1" } };
    if (method === "PATCH") return { status: 202, headers: { Location: "/v2/test/app/blobs/uploads/1" } };
    return { status: 201 };
  };
}

interface Scene extends AsyncDisposable {
  registry: FakeRegistry;
  rig: PullRig;
  pauses: number[];
  push(options?: PushOptions): Promise<unknown>;
}

async function makeScene(said?: (request: RecordedRequest) => Reply | undefined): Promise<Scene> {
  const registry = FakeRegistry.start();
  taking(registry, said);
  const rig = await makePullRig();
  const image = await savedImage(rig);
  const pauses: number[] = [];
  return {
    registry,
    rig,
    pauses,
    push: (options = {}) =>
      pushImages(rig.folders, `${registry.host}/test/app:1`, [image], {
        tlsVerify: false,
        sources: rig.sources,
        credentials: { username: "me", password: "secret" },
        retry: { pause: (ms) => (pauses.push(ms), Promise.resolve()), attempts: 3 },
        ...options,
      }),
    async [Symbol.asyncDispose]() {
      await registry[Symbol.asyncDispose]();
      await rig[Symbol.asyncDispose]();
    },
  };
}

async function savedImage(rig: PullRig): Promise<SavedImage> {
  const put = async (text: string) => {
    const bytes = new TextEncoder().encode(text);
    const digest = await digestOf(bytes);
    await Deno.writeFile(`${rig.folders.blobs}/sha256/${digest.slice(7)}`, bytes);
    return { digest, size: bytes.length };
  };
  const [layer, config] = [await put("a layer"), await put("{}")];
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.ociManifest,
    config: { mediaType: MEDIA_TYPE.ociConfig, ...config },
    layers: [{ mediaType: MEDIA_TYPE.ociLayerGzip, ...layer }],
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

const isManifest = ({ method, path }: RecordedRequest) => method === "PUT" && path.includes("/manifests/");

Deno.test("19: an upload address at another host gets the bytes, and no login whatever it asks for", async () => {
  await using thief = FakeRegistry.start();
  let wantsLogin = false;
  thief.hook = ({ method }) =>
    wantsLogin
      ? { status: 401, headers: CHALLENGE }
      : { status: method === "PATCH" ? 202 : 201, headers: { Location: `${thief.url}/up` } };
  await using scene = await makeScene(({ method }) =>
    method === "POST" ? { status: 202, headers: { Location: `${thief.url}/up` } } : undefined
  );
  await scene.push();
  ok(thief.requests.some(({ body }) => body === "a layer"));
  wantsLogin = true;
  await rejects(
    scene.push(),
    (error: Error) => error instanceof RegistryError && /^push blob /.test(error.message),
  );
  assertEquals(thief.requests.filter(({ headers }) => headers.authorization !== undefined), []);
  // control: an address at the registry itself gets the login
  taking(scene.registry);
  await scene.push();
  const sent = scene.registry.requests.filter(({ method }) => method === "PATCH");
  assertEquals(sent.map(({ headers }) => headers.authorization), sent.map(() => BASIC));
  ok(sent.length > 0);
});

Deno.test("18, 19: upload addresses that are no place for bytes are refused before they are asked", async () => {
  for (const location of ["file:///etc/passwd", "http://me:secret@127.0.0.1:9/up", "http://[", undefined]) {
    await using scene = await makeScene(({ method }) =>
      method === "POST" ? { status: 202, headers: { Location: location } } : undefined
    );
    await rejects(scene.push(), (error: Error) => {
      match(error.message, /names no address for the upload|it carries a login/);
      return !error.message.includes("secret");
    });
    assertEquals(scene.registry.requests.filter(({ method }) => method === "PATCH"), []);
    // control
    taking(scene.registry);
    await scene.push();
  }
});

Deno.test("22: a registry that has taken another manifest, or that says it has what it has not", async () => {
  const other = `sha256:${"0".repeat(64)}`;
  await using scene = await makeScene((request) =>
    isManifest(request) ? { status: 201, headers: { "Docker-Content-Digest": other } } : undefined
  );
  await rejects(
    scene.push(),
    (error: Error) => error.message.includes(`the registry has taken ${other} instead of`),
  );
  const body =
    '{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown \\u001b[2J to registry"}]}';
  taking(
    scene.registry,
    (request) =>
      request.method === "HEAD" ? { status: 200 } : isManifest(request) ? { status: 400, body } : undefined,
  );
  await rejects(scene.push(), (error: Error) => {
    match(error.message, /^push 127\.0\.0\.1:\d+\/test\/app:1: .*blob unknown/);
    return !error.message.includes("\x1b");
  });
  // control
  taking(scene.registry);
  await scene.push();
});

Deno.test("a registry that limits, fails, breaks off or says nothing is asked so often, and then told of", async () => {
  let left = 2;
  await using scene = await makeScene(({ method }) =>
    method === "PATCH" && left-- > 0 ? { status: 429, headers: { "Retry-After": "7" } } : undefined
  );
  // an upload is asked how much has arrived: nothing here, so it begins anew
  await scene.push();
  assertEquals(scene.pauses.length, 2);
  ok(scene.pauses.every((ms) => ms >= 7000), String(scene.pauses));

  const cases: [string, Reply, RegExp][] = [
    ["POST", { status: 503 }, /503/],
    ["PATCH", { status: 500 }, /500/],
    ["PUT", { status: 502 }, /502/],
    ["HEAD", { status: 200, raw: "" }, /connection/],
    ["PATCH", { status: 202, raw: "" }, /connection/],
    ["POST", { status: 202, raw: "HTTP/1.1 202 Acc" }, /connection|head|answer/],
  ];
  for (const [method, reply, words] of cases) {
    scene.pauses.length = 0;
    taking(scene.registry, (request) => request.method === method ? reply : undefined);
    await rejects(scene.push(), (error: Error) => {
      match(error.message, words);
      return error instanceof RegistryError;
    });
    ok(scene.pauses.length >= 2, `${method}: ${scene.pauses}`);
  }

  const never = Promise.withResolvers<void>();
  taking(
    scene.registry,
    ({ method }) => method === "PATCH" ? { status: 202, after: never.promise } : undefined,
  );
  await rejects(scene.push({ idleTimeoutMs: 300 }), /nothing came for/);
  never.resolve();
  // control
  taking(scene.registry);
  await scene.push();
});
