/** `pull` with the built executable: against docker-registry, and against a registry of ours that misbehaves. */
import { encode, FakeRegistry } from "./fake_registry.ts";
import { makeCerts } from "./fake_layer.ts";
import { assert, assertEquals, assertIncludes, assertMatch, type Host, hostTest } from "./harness.ts";

const ID = /^[0-9a-f]{64}\n$/;

/** Random content does not compress, so that its blob is as large. */
function noise(bytes: number): Uint8Array<ArrayBuffer> {
  const content = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i += 65536) {
    crypto.getRandomValues(content.subarray(i, Math.min(bytes, i + 65536)));
  }
  return content;
}

/** Files of blobs, partial ones and locks included; folders of layers. */
async function stored(host: Host): Promise<string[]> {
  const found: string[] = [];
  for (const folder of ["blobs/sha256", "blobs/partial", "layers", "locks"]) {
    const entries = await Array.fromAsync(Deno.readDir(`${host.data}/${folder}`)).catch(() => []);
    found.push(...entries.map((entry) => `${folder}/${entry.name}`));
  }
  return found.filter((path) => !/^locks\/(?!blob-)/.test(path)).sort();
}

async function fakeRegistry(host: Host): Promise<FakeRegistry> {
  const registry = FakeRegistry.start();
  await host.declareInsecure(registry.host);
  return registry;
}

hostTest(
  "pull prints the id on stdout and says the rest on stderr",
  { needs: ["registry", "busybox"] },
  async (host) => {
    const image = await host.image("busybox");
    const { code, stdout, stderr } = await host.skiff(["pull", image]);
    assertEquals(code, 0, stderr);
    assertMatch(stdout, ID);
    assert(stderr.length > 0, "progress is shown");
    const again = await host.skiff(["pull", "-q", image]);
    assertEquals(again, { code: 0, signal: null, stdout, stderr: "" });
    const { code: ran, stdout: said } = await host.run("--rm", image, "echo", "it runs");
    assertEquals([ran, said], [0, "it runs\n"]);
  },
);

hostTest("pull takes short names, tags, digests and platforms", {}, async (host) => {
  await using registry = await fakeRegistry(host);
  const image = await registry.addImage("test/app:1");
  const file = `${host.home}/.config/containers/registries.conf`;
  const search = `unqualified-search-registries = ["${registry.host}"]\n`;
  await Deno.writeTextFile(file, search + await Deno.readTextFile(file));
  const id = image.config.digest.slice(7);
  for (const name of ["test/app:1", `${registry.host}/test/app:1`, `test/app@${image.manifest.digest}`]) {
    assertEquals(await host.ok("pull", "-q", name), id);
  }
  const missing = await host.skiff(["pull", "-q", "test/app:2"]);
  assertEquals(missing.code, 125);
  assertEquals(
    missing.stderr,
    `Error: pull ${registry.host}/test/app:2: ${registry.host} has no such image\n`,
  );
  const bad = await host.skiff(["pull", "-q", "test/App"]);
  assertEquals([bad.code, bad.stderr.split("\n")[0]], [
    125,
    'Error: parse image reference "test/App": the name must be lower case',
  ]);
});

hostTest(
  "pull refuses plain http and unknown certificates until told otherwise",
  { needs: ["openssl"] },
  async (host) => {
    await using plain = FakeRegistry.start();
    const { selfSigned } = await makeCerts();
    await using impostor = FakeRegistry.start(selfSigned);
    for (const registry of [plain, impostor]) {
      const image = await registry.addImage("test/app:1");
      const name = `${registry.host}/test/app:1`;
      for (const options of [[], ["--tls-verify=true"]]) {
        const { code, stderr } = await host.skiff(["pull", "-q", ...options, name]);
        assertEquals(code, 125);
        assertIncludes(stderr, `Error: connect to ${registry.host}: it`);
        assertIncludes(stderr, "--tls-verify=false");
        assertEquals(registry.requests.length, 0);
      }
      assertEquals(await host.ok("pull", "-q", "--tls-verify=false", name), image.config.digest.slice(7));
    }
    const { code } = await host.skiff([
      "run",
      "--rm",
      "--pull=always",
      `${impostor.host}/test/app:1`,
      "true",
    ]);
    assertEquals(code, 125);
  },
);

hostTest("pull uses the login in auth.json and shows it nowhere", {}, async (host) => {
  await using registry = await fakeRegistry(host);
  await registry.addImage("test/app:1");
  const basic = `Basic ${btoa("me:top-secret")}`;
  registry.hook = (request) =>
    request.headers.authorization === basic
      ? undefined
      : { status: 401, headers: { "WWW-Authenticate": 'Basic realm="x"' } };
  const name = `${registry.host}/test/app:1`;
  const refused = await host.skiff(["pull", name]);
  assertEquals(refused.code, 125);
  assertIncludes(refused.stderr, `log in at ${registry.host}: there is no login for it`);
  const file = `${host.home}/.config/containers/auth.json`;
  const auths = { [registry.host]: { auth: btoa("me:top-secret") } };
  await Deno.writeTextFile(file, JSON.stringify({ auths }), { mode: 0o600 });
  await host.own(file);
  const { code, stdout, stderr } = await host.skiff(["--log-level", "debug", "pull", name]);
  assertEquals(code, 0, stderr);
  for (const secret of ["top-secret", btoa("me:top-secret")]) assert(!(stdout + stderr).includes(secret));
});

hostTest("what a registry says cannot move the cursor", {}, async (host) => {
  await using registry = await fakeRegistry(host);
  registry.hook = (request) =>
    request.path === "/v2/"
      ? undefined
      : { status: 403, body: '{"errors":[{"message":"\\u001b[2J\\u009b31mhello\\r\\n"}]}' };
  const { stderr } = await host.skiff(["pull", `${registry.host}/test/app:1`]);
  assertIncludes(stderr, "\\x1b[2J\\x9b31mhello\\x0d\\x0a (status 403)");
  // deno-lint-ignore no-control-regex -- what is looked for are control characters
  assert(!/[\x00-\x09\x0b-\x1f\x7f-\x9f]/.test(stderr), JSON.stringify(stderr));
});

hostTest("two commands that pull one image download it once", {}, async (host) => {
  await using registry = await fakeRegistry(host);
  const image = await registry.addImage("test/app:1", [{ "big": noise(1 << 20) }]);
  const blob = image.layers[0]!;
  const bothAsked = Promise.withResolvers<void>();
  registry.hook = (request) => {
    if (registry.asked("/manifests/").length === 2) bothAsked.resolve();
    return request.path.endsWith(blob.digest)
      ? { status: 200, body: blob.bytes, after: bothAsked.promise }
      : undefined;
  };
  const name = `${registry.host}/test/app:1`;
  const [one, two] = await Promise.all([host.skiff(["pull", "-q", name]), host.skiff(["pull", "-q", name])]);
  assertEquals([one.code, two.code], [0, 0], one.stderr + two.stderr);
  assertEquals(one.stdout, two.stdout);
  assertEquals(registry.asked(blob.digest).length, 1);
});

hostTest("a pull that is killed is continued by the next", {}, async (host) => {
  await using registry = await fakeRegistry(host);
  const image = await registry.addImage("test/app:1", [{ "big": noise(4 << 20) }]);
  const blob = image.layers[0]!;
  const half = blob.bytes.length >> 1;
  const head = `HTTP/1.1 200 OK\r\nContent-Length: ${blob.bytes.length}\r\n\r\n`;
  const never = Promise.withResolvers<void>();
  registry.hook = (request) => {
    if (!request.path.endsWith(blob.digest) || request.headers.range !== undefined) return undefined;
    return { status: 200, prefix: [encode(head), blob.bytes.slice(0, half)], after: never.promise };
  };
  const name = `${registry.host}/test/app:1`;
  const running = host.spawn(["pull", "-q", name]);
  const partial = `${host.data}/blobs/partial/${blob.digest.slice(7)}`;
  const end = Date.now() + 120_000;
  for (;;) {
    const size = await Deno.stat(partial).then((info) => info.size, () => 0);
    if (size === half) break;
    assert(Date.now() < end, `the partial blob has ${size} bytes`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  running.child.kill("SIGKILL");
  await running.result;
  never.resolve();
  assertEquals(await host.ok("pull", "-q", name), image.config.digest.slice(7));
  assertEquals(registry.asked(blob.digest).map((request) => request.headers.range), [
    undefined,
    `bytes=${half}-`,
  ]);
  assertEquals((await stored(host)).filter((path) => /partial|locks/.test(path)), []);
  const layer = await Array.fromAsync(Deno.readDir(`${host.data}/layers/${blob.diffId.slice(7)}`));
  assertEquals(layer.filter((entry) => entry.name.includes("tmp")), []);
});

hostTest("an image that is not what it says is refused and nothing of it is kept", {}, async (host) => {
  await using registry = await fakeRegistry(host);
  const image = await registry.addImage("test/app:1");
  const blob = image.layers[0]!;
  const flipped = blob.bytes.slice();
  flipped[20]! ^= 1;
  registry.hook = (request) =>
    request.path.endsWith(blob.digest) ? { status: 200, body: flipped } : undefined;
  const { code, stderr } = await host.skiff(["pull", "-q", `${registry.host}/test/app:1`]);
  assertEquals(code, 125);
  assertMatch(stderr, /^Error: unpack layer sha256:[0-9a-f]{12}: its digest is sha256:/);
  assertEquals(await stored(host), []);
  assertEquals(await host.ok("images", "-q"), "");
  registry.hook = () => undefined;
  await host.ok("pull", "-q", `${registry.host}/test/app:1`);
});

hostTest("pull --policy asks the registry, or is content with what is here", {}, async (host) => {
  const registry = await fakeRegistry(host);
  const name = `${registry.host}/test/app:1`;
  const first = (await registry.addImage("test/app:1")).config.digest.slice(7);
  const never = await host.skiff(["pull", "-q", "--policy", "never", name]);
  assertEquals([never.code, never.stderr], [125, `Error: ${name}: image not known\n`]);
  assertEquals(await host.ok("pull", "-q", "--policy", "missing", name), first);
  const second = (await registry.addImage("test/app:1", [{ "new": "" }])).config.digest.slice(7);
  assertEquals(await host.ok("pull", "-q", "--policy", "missing", name), first);
  assertEquals(await host.ok("pull", "-q", "--policy", "never", name), first);
  assertEquals(await host.ok("pull", "-q", "--policy", "newer", name), second);
  await registry[Symbol.asyncDispose]();
  assertEquals(await host.ok("pull", "-q", "--policy", "newer", name), second);
  assertEquals((await host.skiff(["pull", "-q", name])).code, 125);
});
