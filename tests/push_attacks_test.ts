/** Registries that lie to a push, stall, or send it elsewhere. Each attack has a control that shows it to be live. */
import { deepStrictEqual as assertEquals, match, ok, rejects } from "node:assert";
import { RegistryError } from "../runtime/errors.ts";
import type { SavedImage } from "../runtime/image/archive/saved_files.ts";
import { pushImages, type PushOptions } from "../runtime/registry/push.ts";
import type { Signer } from "../runtime/signature/signers.ts";
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
  push(options?: PushOptions, wasPushed?: boolean): Promise<unknown>;
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
    push: (options = {}, wasPushed = false) =>
      pushImages(rig.folders, `${registry.host}/test/app:1`, { images: [image], wasPushed }, {
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

Deno.test("what cannot be signed is never there unsigned", async () => {
  const puts = ({ requests }: FakeRegistry) =>
    requests.filter(isManifest).map(({ path }) => path.slice(path.lastIndexOf("/") + 1));
  const fresh: Parameters<typeof taking>[1] = ({ method, path }) =>
    method === "GET" && path.includes("/manifests/") ? { status: 404 } : undefined;
  await using scene = await makeScene(fresh);
  await scene.rig.write(
    ".config/containers/registries.d/all.yaml",
    "default-docker:\n  use-sigstore-attachments: true\n",
  );
  const signer = (sign: Signer["sign"]): Signer[] => [{ kind: "sigstore", sign }];
  const signers = signer((claim) => {
    const payload = new TextEncoder().encode(JSON.stringify(claim));
    return Promise.resolve({ kind: "sigstore", mediaType: "application/test", payload, annotations: {} });
  });
  const gone = signer(() => Promise.reject(new Error("the agent is gone")));
  await rejects(scene.push({ signers: gone }), { message: "the agent is gone" });
  assertEquals(puts(scene.registry), []);
  // the registry does not take the signature
  taking(
    scene.registry,
    (request) => isManifest(request) && request.path.endsWith(".sig") ? { status: 403 } : fresh(request),
  );
  await rejects(scene.push({ signers }), RegistryError);
  assertEquals(puts(scene.registry).filter((place) => !place.endsWith(".sig")), []);
  // control: the image comes behind its signature
  taking(scene.registry, fresh);
  scene.registry.requests.length = 0;
  const { digest } = await scene.push({ signers }) as { digest: string };
  assertEquals(puts(scene.registry), [`${digest.replace(":", "-")}.sig`, "1"]);
});

Deno.test("of an image that the name leads to already nothing is sent, whatever else a registry says of it", async () => {
  for (
    const [said, puts] of [
      [(own: string) => ({ status: 200, headers: { "Docker-Content-Digest": own } }), 0],
      [() => ({ status: 200, headers: { "Docker-Content-Digest": `sha256:${"0".repeat(64)}` } }), 1],
      [() => ({ status: 200 }), 1],
      [() => ({ status: 404 }), 1],
      [() => ({ status: 503 }), 1],
    ] as [(own: string) => Reply, number][]
  ) {
    let own = "";
    await using scene = await makeScene(({ method, path }) => {
      if (method !== "HEAD") return undefined;
      return path.includes("/manifests/") ? said(own) : { status: 200 };
    });
    const count = () => scene.registry.requests.filter(isManifest).length;
    // the control: for what was not pushed there before, nobody asks
    own = (await scene.push() as { digest: string }).digest;
    assertEquals(count(), 1);
    const before = scene.registry.requests.length;
    const told: string[] = [];
    await scene.push({ progress: ({ status }) => told.push(status) }, true);
    assertEquals([count(), scene.pauses], [1 + puts, []], said(own).headers?.["Docker-Content-Digest"]);
    const asked = scene.registry.requests.slice(before).map(({ method, path }) => `${method} ${path}`);
    assertEquals([told, asked.some((line) => line.includes("/blobs/"))], [["exists", "exists"], puts === 1]);
    // its first answer tells that it is a registry, where it is one that can be had
    if (puts === 0) assertEquals(new Set(asked), new Set(["HEAD /v2/test/app/manifests/1"]));
  }
});

Deno.test("a server at a port of this machine is a registry by what it says, not by what it does not have", async () => {
  for (
    const [header, pings] of [[{}, 1], [{ "Docker-Distribution-Api-Version": "registry/2.0" }, 0]] as const
  ) {
    await using scene = await makeScene();
    const take = scene.registry.hook!;
    scene.registry.hook = (request) =>
      request.method === "HEAD" && request.path.includes("/manifests/")
        ? { status: 404, headers: header }
        : take(request);
    await scene.push();
    assertEquals(scene.registry.requests.filter(({ path }) => path === "/v2/").length, pings);
    // nothing else answers in plain words: no manifest is put
    scene.registry.hook = () => ({ status: 404 });
    scene.registry.requests.length = 0;
    await rejects(scene.push(), RegistryError);
    assertEquals(scene.registry.requests.filter(isManifest), []);
  }
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
