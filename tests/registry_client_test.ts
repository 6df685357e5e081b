/** The client and pull against a registry in this process: what is fetched, how often, and what breaks. */
import { deepStrictEqual as assertEquals, ok, rejects } from "node:assert";
import { NotFoundError, RegistryError, UnauthorizedError } from "../runtime/errors.ts";
import { MEDIA_TYPE } from "../runtime/spec/image.ts";
import { layerPath } from "../runtime/storage/layers.ts";
import { blobReply, encode, FakeRegistry } from "./fake_registry.ts";
import { makeCerts, type TestCerts } from "./fake_layer.ts";
import { makePullRig, type PullRig } from "./pull_rig.ts";

const INSECURE = { tlsVerify: false };

/** Random content does not compress, so that its blob is as large. */
function noise(bytes: number): Uint8Array<ArrayBuffer> {
  const content = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i += 65536) {
    crypto.getRandomValues(content.subarray(i, Math.min(bytes, i + 65536)));
  }
  return content;
}

async function withRegistry(
  fn: (registry: FakeRegistry, rig: PullRig) => Promise<void>,
  options: Parameters<typeof FakeRegistry.start>[0] = {},
): Promise<void> {
  await using registry = FakeRegistry.start(options);
  await using rig = await makePullRig();
  await fn(registry, rig);
}

let certs: Promise<TestCerts> | undefined;
const testCerts = () => certs ??= makeCerts();

Deno.test("an image is pulled, unpacked, and not fetched twice", () =>
  withRegistry(async (registry, rig) => {
    const image = await registry.addImage("test/app:1", [{ "a": "one" }, { "b": "two" }]);
    const pulled = await rig.pull(`${registry.host}/test/app:1`, INSECURE);
    assertEquals(pulled.name, `${registry.host}/test/app:1`);
    assertEquals(pulled.digest, image.manifest.digest);
    assertEquals(pulled.imageId, image.config.digest);
    assertEquals(pulled.config.config?.Cmd, ["/bin/sh"]);
    assertEquals(pulled.layers.map((l) => l.diffId), image.layers.map((l) => l.diffId));
    const path = layerPath(rig.folders, image.layers[1]!.diffId, rig.context.form);
    assertEquals(await Deno.readTextFile(`${path}/b`), "two");
    const blobs = registry.asked("/blobs/").length;
    assertEquals(blobs, 3);
    await rig.pull(`${registry.host}/test/app:1`, INSECURE);
    assertEquals(registry.asked("/blobs/").length, blobs);
    assertEquals(rig.events.filter((e) => e.kind === "layer" && e.status === "exists").length, 2);
    // Pinned and here: the registry is not asked at all.
    registry.requests.length = 0;
    await rig.pull(`${registry.host}/test/app@${image.manifest.digest}`, INSECURE);
    assertEquals(registry.asked("/v2/test").length, 0);
    assertEquals((await rig.leftovers()).filter((path) => /partial|locks|tmp/.test(path)), []);
  }));

Deno.test("an index gives the image of the platform", () =>
  withRegistry(async (registry, rig) => {
    const entries = [];
    for (const architecture of ["amd64", "arm64"]) {
      const platform = { os: "linux", architecture };
      const image = await registry.addImage(`test/app:${architecture}`, [{ [architecture]: "" }], {
        platform,
      });
      const { bytes, digest } = image.manifest;
      entries.push({ mediaType: MEDIA_TYPE.ociManifest, digest, size: bytes.length, platform });
    }
    const index = encode({ schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests: entries });
    const indexDigest = await registry.addManifest("test/app:1", index, MEDIA_TYPE.ociIndex);
    for (const [i, platform] of ["linux/amd64", "linux/arm64/v8"].entries()) {
      const pulled = await rig.pull(`${registry.host}/test/app:1`, { ...INSECURE, platform });
      assertEquals(pulled.digest, entries[i]!.digest);
      assertEquals(pulled.indexDigest, indexDigest);
    }
    await rejects(
      rig.pull(`${registry.host}/test/app:1`, { ...INSECURE, platform: "linux/s390x" }),
      new NotFoundError("image", `${registry.host}/test/app:1`, {
        message: `choose an image of ${registry.host}/test/app:1: there is none for linux/s390x`,
        hint: "it has linux/amd64, linux/arm64; choose one with --platform",
      }),
    );
  }));

Deno.test("an index is believed where the config names no variant or a wrong one", () =>
  withRegistry(async (registry, rig) => {
    const entries = [];
    for (const variant of ["v6", "v7"]) {
      const platform = { os: "linux", architecture: "arm", variant };
      const config = variant === "v6" ? {} : { variant: "v8" };
      const image = await registry.addImage(`test/app:${variant}`, [{ [variant]: "" }], { platform, config });
      const { bytes, digest } = image.manifest;
      entries.push({ mediaType: MEDIA_TYPE.ociManifest, digest, size: bytes.length, platform });
    }
    const index = encode({ schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests: entries });
    await registry.addManifest("test/app:1", index, MEDIA_TYPE.ociIndex);
    for (const [i, variant] of ["v6", "v7"].entries()) {
      const options = { ...INSECURE, platform: `linux/arm/${variant}` };
      assertEquals((await rig.pull(`${registry.host}/test/app:1`, options)).digest, entries[i]!.digest);
    }
    // without an index the config is all there is
    await rig.pull(`${registry.host}/test/app:v6`, { ...INSECURE, platform: "linux/arm/v6" });
    await rejects(
      rig.pull(`${registry.host}/test/app:v7`, { ...INSECURE, platform: "linux/arm/v7" }),
      new NotFoundError("image", `${registry.host}/test/app:v7`, {
        message:
          `choose an image of ${registry.host}/test/app:v7: it is for linux/arm/v8, not for linux/arm/v7`,
      }),
    );
  }));

Deno.test("a broken download goes on where it ended", () =>
  withRegistry(async (registry, rig) => {
    const image = await registry.addImage("test/app:1", [{ "big": noise(3 << 20) }]);
    const blob = image.layers[0]!;
    let breaks = 0;
    registry.hook = (request) => {
      if (!request.path.endsWith(blob.digest) || breaks === 3) return undefined;
      breaks++;
      return { ...blobReply(blob.bytes, request.headers.range), breakAfter: 700_000 };
    };
    await rig.pull(`${registry.host}/test/app:1`, INSECURE);
    const ranges = registry.asked(blob.digest).map((r) => r.headers.range);
    assertEquals(ranges, [undefined, "bytes=700000-", "bytes=1400000-", "bytes=2100000-"]);
    assertEquals(rig.pauses.length, 3);
  }));

Deno.test("a server that ignores Range is read again from the start", () =>
  withRegistry(async (registry, rig) => {
    const image = await registry.addImage("test/app:1", [{ "big": noise(3 << 20) }]);
    const blob = image.layers[0]!;
    registry.hook = (request) => {
      if (!request.path.endsWith(blob.digest)) return undefined;
      const isFirst = registry.asked(blob.digest).length === 1;
      return { status: 200, body: blob.bytes, ...(isFirst ? { breakAfter: 700_000 } : {}) };
    };
    const pulled = await rig.pull(`${registry.host}/test/app:1`, INSECURE);
    assertEquals(
      await Deno.readFile(`${rig.folders.blobs}/sha256/${pulled.layers[0]!.digest.slice(7)}`),
      blob.bytes,
    );
  }));

Deno.test("a download that was given up is continued by the next pull, and restarted when it was rotten", () =>
  withRegistry(async (registry, rig) => {
    const image = await registry.addImage("test/app:1", [{ "big": noise(3 << 20) }]);
    const blob = image.layers[0]!;
    registry.hook = (request) =>
      request.path.endsWith(blob.digest)
        ? { ...blobReply(blob.bytes, request.headers.range), breakAfter: 100_000 }
        : undefined;
    await rejects(
      rig.pull(`${registry.host}/test/app:1`, INSECURE),
      (error: RegistryError) => /the connection ended \d+ bytes early$/.test(error.message),
    );
    const [partial] = (await rig.leftovers()).filter((path) => path.includes("partial"));
    assertEquals(partial, `blobs/partial/${blob.digest.slice(7)}`);
    const path = `${rig.folders.data}/${partial}`;
    assertEquals((await Deno.stat(path)).size, 500_000);

    using file = await Deno.open(path, { write: true });
    await file.write(new Uint8Array(1000));
    registry.hook = () => undefined;
    registry.requests.length = 0;
    await rig.pull(`${registry.host}/test/app:1`, INSECURE);
    assertEquals(registry.asked(blob.digest).map((r) => r.headers.range), ["bytes=500000-", undefined]);
  }));

Deno.test("two pulls of one image download it once", () =>
  withRegistry(async (registry, rig) => {
    const image = await registry.addImage("test/app:1", [{ "big": noise(1 << 20) }]);
    const blob = image.layers[0]!;
    const bothAsked = Promise.withResolvers<void>();
    registry.hook = (request) => {
      if (registry.asked("/manifests/").length === 2) bothAsked.resolve();
      if (!request.path.endsWith(blob.digest)) return undefined;
      return { status: 200, body: blob.bytes, after: bothAsked.promise };
    };
    await Promise.all([1, 2].map(() => rig.pull(`${registry.host}/test/app:1`, INSECURE)));
    assertEquals(registry.asked(blob.digest).length, 1);
  }));

Deno.test("429 and 5xx are asked again, no sooner than the server wants", () =>
  withRegistry(async (registry, rig) => {
    await registry.addImage("test/app:1");
    const answers = [{ status: 429, headers: { "Retry-After": "7" } }, { status: 503 }, { status: 500 }];
    registry.hook = (request) => request.path.includes("/manifests/") ? answers.shift() : undefined;
    await rig.pull(`${registry.host}/test/app:1`, INSECURE);
    assertEquals(registry.asked("/manifests/").length, 4);
    assertEquals(rig.pauses[0], 7000);
    ok(rig.pauses[1]! >= 500 && rig.pauses[1]! <= 1000, `${rig.pauses[1]}`);
    ok(rig.pauses[2]! >= 1000 && rig.pauses[2]! <= 2000, `${rig.pauses[2]}`);
  }));

Deno.test("a server that stays busy, and one that wants too much patience, are given up", () =>
  withRegistry(async (registry, rig) => {
    registry.hook = (request) =>
      request.path === "/v2/" ? undefined : { status: 503, headers: { "Retry-After": "1" } };
    await rejects(
      rig.pull(`${registry.host}/test/app:1`, INSECURE),
      new RegistryError(`pull ${registry.host}/test/app:1: the registry answers with status 503`, 503),
    );
    assertEquals(registry.asked("/manifests/").length, 5);
    registry.hook = (request) =>
      request.path === "/v2/" ? undefined : { status: 429, headers: { "Retry-After": "3600" } };
    await rejects(
      rig.pull(`${registry.host}/test/app:1`, INSECURE),
      new RegistryError(`pull ${registry.host}/test/app:1: the registry answers with status 429`, 429, {
        hint: "the registry limits requests; try again later",
      }),
    );
    assertEquals(registry.asked("/manifests/").length, 6);
  }));

Deno.test("a registry that falls silent is given up after the time limit", () =>
  withRegistry(async (registry, rig) => {
    const never = Promise.withResolvers<void>();
    registry.hook = (request) => request.path === "/v2/" ? undefined : { status: 200, after: never.promise };
    const toldAfter = async (idleTimeoutMs: number) => {
      const options = { ...INSECURE, idleTimeoutMs, retry: { attempts: 1 } };
      const error = await rig.pull(`${registry.host}/test/app:1`, options).catch((error) => error);
      ok(error instanceof RegistryError, String(error));
      return error.message;
    };
    // where the machine slept for so long, even the answer that did come was late
    let told = "";
    for (const limit of [100, 1000, 10_000]) {
      told = await toldAfter(limit);
      if (told.endsWith(`/manifests/1: nothing came for ${Math.round(limit / 1000)} s`)) break;
      ok(/\/v2\/: nothing came for \d+ s$/.test(told) && limit < 10_000, told);
    }
    never.resolve();
  }));

Deno.test("an abort ends a pull with its reason and keeps what came", () =>
  withRegistry(async (registry, rig) => {
    const image = await registry.addImage("test/app:1", [{ "big": noise(2 << 20) }]);
    const stop = new AbortController();
    const never = Promise.withResolvers<void>();
    registry.hook = (request) => {
      if (!request.path.endsWith(image.layers[0]!.digest)) return undefined;
      queueMicrotask(() => stop.abort(new Error("enough")));
      return { status: 200, after: never.promise };
    };
    await rejects(
      rig.pull(`${registry.host}/test/app:1`, { ...INSECURE, signal: stop.signal }),
      new Error("enough"),
    );
    never.resolve();
    assertEquals((await rig.leftovers()).filter((path) => !path.includes("partial")), []);
  }));

Deno.test("plain http is spoken only where it is declared", () =>
  withRegistry(async (registry, rig) => {
    await registry.addImage("test/app:1");
    const name = `${registry.host}/test/app:1`;
    const refusal = new RegistryError(`connect to ${registry.host}: it answers in plain http, not https`, 0, {
      hint: "declare it insecure in registries.conf, or use --tls-verify=false",
    });
    const told = (error: RegistryError) => error.message === refusal.message && error.hint === refusal.hint;
    await rejects(rig.pull(name), told);
    assertEquals(registry.requests, []);
    await rig.write(
      ".config/containers/registries.conf",
      `[[registry]]\nlocation = "${registry.host}"\ninsecure = true`,
    );
    await rig.pull(name);
    // The command line has the last word.
    await rejects(rig.pull(name, { tlsVerify: true }), told);
  }));

Deno.test("a certificate counts when certs.d knows its authority, or itself", async () => {
  const { ca, server, selfSigned } = await testCerts();
  await withRegistry(async (registry, rig) => {
    await registry.addImage("test/app:1");
    const name = `${registry.host}/test/app:1`;
    await rejects(rig.pull(name), (error: RegistryError) => {
      assertEquals(
        error.hint,
        `put its authority into /etc/containers/certs.d/${registry.host}/ca.crt, or use --tls-verify=false`,
      );
      return error.message.endsWith(
        "its certificate is signed by an authority that this machine does not trust",
      );
    });
    await rig.write(`etc/containers/certs.d/${registry.host}/ca.crt`, ca);
    await rig.pull(name);
  }, server);
  await withRegistry(async (registry, rig) => {
    await registry.addImage("test/app:1");
    const name = `${registry.host}/test/app:1`;
    await rejects(rig.pull(name), (error: RegistryError) => error.message.endsWith("does not trust it"));
    await rig.write(`.config/containers/certs.d/${registry.host}/ca.crt`, selfSigned.cert);
    await rig.pull(name);
    await rig.write(`.config/containers/certs.d/${registry.host}/ca.crt`, ca);
    await rejects(rig.pull(name), RegistryError);
    await rig.pull(name, INSECURE);
    // among the machine's own
    await rig.write("machine.pem", `${ca}\n${selfSigned.cert}`);
    const trusting = { sources: { ...rig.sources, env: { SSL_CERT_FILE: `${rig.root}/machine.pem` } } };
    await rig.pull(name, trusting);
    await rig.write("machine.pem", ca);
    await rejects(
      rig.pull(name, trusting),
      (error: RegistryError) => error.message.endsWith("does not trust it"),
    );
  }, selfSigned);
});

Deno.test("a client certificate of certs.d is shown to the registry that wants one", async () => {
  const { ca, server, client } = await testCerts();
  await using rig = await makePullRig();
  await using source = FakeRegistry.start();
  const image = await source.addImage("test/app:1");
  // Python as the registry: Deno's own listener cannot ask for certificates.
  const www = `${rig.root}/www`;
  const folder = `${www}/v2/test/app`;
  await Deno.mkdir(`${folder}/manifests`, { recursive: true });
  await Deno.mkdir(`${folder}/blobs`);
  await Deno.writeFile(`${folder}/manifests/1`, image.manifest.bytes);
  for (const [digest, bytes] of source.blobs) await Deno.writeFile(`${folder}/blobs/${digest}`, bytes);
  for (const [name, text] of Object.entries({ ca, cert: server.cert, key: server.key })) {
    await Deno.writeTextFile(`${www}/${name}.pem`, text);
  }
  const program = `
import http.server, ssl
server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile="ca.pem")
context.verify_mode = ssl.CERT_REQUIRED
context.load_cert_chain("cert.pem", "key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()`;
  const process = new Deno.Command("python3", {
    args: ["-c", program],
    cwd: www,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  try {
    const host = `127.0.0.1:${(await reader.read()).value!.trim()}`;
    await rig.write(`etc/containers/certs.d/${host}/ca.crt`, ca);
    const once = { retry: { attempts: 1 } };
    await rejects(rig.pull(`${host}/test/app:1`, once), RegistryError);
    await rig.write(`etc/containers/certs.d/${host}/client.cert`, client.cert);
    await rejects(rig.pull(`${host}/test/app:1`, once), /client\.cert: client\.key is missing$/);
    await rig.write(`etc/containers/certs.d/${host}/client.key`, client.key);
    assertEquals((await rig.pull(`${host}/test/app:1`, once)).imageId, image.config.digest);
  } finally {
    process.kill("SIGKILL");
    await reader.cancel();
    await process.status;
  }
});

Deno.test("mirrors are asked first and fall back", () =>
  withRegistry(async (registry, rig) => {
    await registry.addImage("test/app:1");
    await using mirror = FakeRegistry.start();
    await rig.write(
      ".config/containers/registries.conf",
      `[[registry]]
       prefix = "registry.example/test"
       location = "${registry.host}/test"
       insecure = true
       [[registry.mirror]]
       location = "${mirror.host}/copy"
       insecure = true`,
    );
    const pulled = await rig.pull("registry.example/test/app:1");
    assertEquals(pulled.name, "registry.example/test/app:1");
    assertEquals(mirror.asked("/manifests/").map((r) => r.path), ["/v2/copy/app/manifests/1"]);
    await mirror.addImage("copy/app:1");
    registry.requests.length = 0;
    await rig.pull("registry.example/test/app:1");
    assertEquals(registry.requests, []);
  }));

Deno.test("a short name is looked for in the registries that are configured", () =>
  withRegistry(async (registry, rig) => {
    await using other = FakeRegistry.start();
    await other.addImage("library/app:2");
    const declare = (host: string) => `[[registry]]\nlocation = "${host}"\ninsecure = true\n`;
    await rig.write(
      ".config/containers/registries.conf",
      `unqualified-search-registries = ["${registry.host}", "${other.host}/library"]\n` +
        declare(registry.host) +
        declare(other.host),
    );
    assertEquals((await rig.pull("app:2")).name, `${other.host}/library/app:2`);
    await rejects(rig.pull("none"), (error: NotFoundError) => {
      assertEquals(error.message, `pull ${other.host}/library/none:latest: ${other.host} has no such image`);
      return error.hint ===
        `tried before: pull ${registry.host}/none:latest: ${registry.host} has no such image`;
    });
  }));

Deno.test("a token is fetched with the login and the scope of this pull, and renewed when it expires", () =>
  withRegistry(async (registry, rig) => {
    await registry.addImage("test/app:1");
    let tokens = 0;
    registry.hook = (request) => {
      if (request.path.startsWith("/token")) {
        return { status: 200, body: JSON.stringify({ token: `t${++tokens}` }) };
      }
      const given = request.headers.authorization;
      const isManifest = request.path.includes("/manifests/");
      if (given === "Bearer t1" && isManifest || given === "Bearer t2") return undefined;
      const challenge = `Bearer realm="${registry.url}/token",service="the registry",scope="everything"`;
      return { status: 401, headers: { "WWW-Authenticate": challenge }, body: "{}" };
    };
    const auth = { auths: { [registry.host]: { auth: btoa("me:secret") } } };
    await rig.write(".config/containers/auth.json", JSON.stringify(auth));
    await rig.pull(`${registry.host}/test/app:1`, INSECURE);
    assertEquals(tokens, 2);
    const asked = registry.asked("/token")[0]!;
    assertEquals(asked.headers.authorization, `Basic ${btoa("me:secret")}`);
    assertEquals(asked.path, "/token?service=the+registry&scope=repository%3Atest%2Fapp%3Apull&account=me");
  }));

Deno.test("an identity token is exchanged, not shown", () =>
  withRegistry(async (registry, rig) => {
    await registry.addImage("test/app:1");
    registry.hook = (request) => {
      if (request.path === "/token") return { status: 200, body: JSON.stringify({ access_token: "good" }) };
      if (request.headers.authorization === "Bearer good") return undefined;
      return {
        status: 401,
        headers: { "WWW-Authenticate": `Bearer realm="${registry.url}/token",service="s"` },
      };
    };
    const auth = { auths: { [registry.host]: { identitytoken: "refresh-me" } } };
    await rig.write(".config/containers/auth.json", JSON.stringify(auth));
    await rig.pull(`${registry.host}/test/app:1`, INSECURE);
    assertEquals(registry.asked("/token").map((r) => [r.method, r.body]), [[
      "POST",
      "grant_type=refresh_token&client_id=skiff&service=s&scope=repository%3Atest%2Fapp%3Apull&refresh_token=refresh-me",
    ]]);
  }));

Deno.test("basic logins work, and their absence or refusal is told apart", () =>
  withRegistry(async (registry, rig) => {
    await registry.addImage("test/app:1");
    registry.hook = (request) =>
      request.headers.authorization === `Basic ${btoa("me:secret")}` ? undefined : {
        status: 401,
        headers: { "WWW-Authenticate": 'Basic realm="x"' },
        body: '{"errors":[{"message":"bad\\u001b[2J login"}]}',
      };
    const name = `${registry.host}/test/app:1`;
    const hint = "the image may not exist, or needs a login in auth.json";
    await rejects(rig.pull(name, INSECURE), (error: UnauthorizedError) => {
      assertEquals(error.hint, hint);
      return error.message === `pull ${name}: log in at ${registry.host}: there is no login for it`;
    });
    await rig.write("wrong.json", JSON.stringify({ auths: { [registry.host]: { auth: btoa("me:wrong") } } }));
    await rejects(
      rig.pull(name, { ...INSECURE, authFile: `${rig.root}/wrong.json` }),
      new UnauthorizedError(`pull ${name}: bad\\x1b[2J login (status 401)`, 401, { hint }),
    );
    await rig.write(
      "right.json",
      JSON.stringify({ auths: { [registry.host]: { auth: btoa("me:secret") } } }),
    );
    await rig.pull(name, { ...INSECURE, authFile: `${rig.root}/right.json` });
  }));

Deno.test("a proxy is used for http and for https, but not for loopback", async () => {
  const { ca, server } = await testCerts();
  await using target = FakeRegistry.start(server);
  await target.addImage("test/app:1");
  await using proxy = startProxy(target.port);
  await using rig = await makePullRig();
  const name = `registry.invalid:${target.port}/test/app:1`;
  const env = { HTTPS_PROXY: `http://user:pass@127.0.0.1:${proxy.port}` };
  rig.sources = { ...rig.sources, env };
  await rig.write(`etc/containers/certs.d/registry.invalid:${target.port}/ca.crt`, ca);
  // The certificate is for another name: the tunnel hides nothing from the check.
  await rejects(rig.pull(name, { sources: rig.sources }), /its certificate is for another name$/);
  await rig.pull(name, { sources: rig.sources, tlsVerify: false });
  ok(proxy.heads.every((head) => head.startsWith(`CONNECT registry.invalid:${target.port} HTTP/1.1\r\n`)));
  ok(proxy.heads[0]!.includes(`Proxy-Authorization: Basic ${btoa("user:pass")}\r\n`));
  ok(target.requests.every((request) => request.headers["proxy-authorization"] === undefined));
});

/** Answers every CONNECT with a tunnel to one port. */
function startProxy(targetPort: number): AsyncDisposable & { port: number; heads: string[] } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const heads: string[] = [];
  const open: Deno.Conn[] = [];
  const served = (async () => {
    for await (const conn of listener) {
      open.push(conn);
      const one = new Uint8Array(1);
      let head = "";
      while (!head.endsWith("\r\n\r\n") && (await conn.read(one)) !== null) {
        head += String.fromCharCode(one[0]!);
      }
      heads.push(head);
      const target = await Deno.connect({ hostname: "127.0.0.1", port: targetPort });
      open.push(target);
      await conn.write(encode("HTTP/1.1 200 OK\r\n\r\n"));
      conn.readable.pipeTo(target.writable).catch(() => {});
      target.readable.pipeTo(conn.writable).catch(() => {});
    }
  })();
  return {
    port: (listener.addr as Deno.NetAddr).port,
    heads,
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const conn of open) {
        try {
          conn.close();
        } catch {
          // Ended by the other side.
        }
      }
      await served;
    },
  };
}
