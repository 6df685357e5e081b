/** Encrypted images: what skopeo encrypted runs here, it decrypts what was encrypted here, and nothing else opens it. */
import { createHash } from "node:crypto";
import { assertEquals, assertIncludes, type Host, hostTest, type Result } from "./harness.ts";
import { busyboxEntries, makeImage, pushImage } from "./images.ts";
import { GpgHome } from "./signature_rig.ts";

const NO_KEY = "no suitable key unwrapper found or none of the private keys could be used for decryption";

interface Layout {
  layers: { mediaType: string; digest: string; size: number; annotations?: Record<string, string> }[];
}

/** Keys in the home of the test's user: `rsa.pem` with `rsa.pub` and `rsa.crt`, `ec.pem` with `ec.pub`, `shut.pem`. */
async function makeKeys(host: Host): Promise<(name: string) => string> {
  const { code, stderr } = await host.sh(`
    set -e
    openssl genrsa -out rsa.pem 2048
    openssl rsa -in rsa.pem -pubout -out rsa.pub
    openssl req -x509 -key rsa.pem -subj '/CN=a test' -days 3650 -out rsa.crt
    openssl pkcs8 -topk8 -in rsa.pem -passout pass:pass-of-key -out shut.pem
    openssl ecparam -genkey -noout -name prime256v1 | openssl pkcs8 -topk8 -nocrypt -out ec.pem
    openssl ec -in ec.pem -pubout -out ec.pub
  `);
  assertEquals(code, 0, stderr);
  return (name) => `${host.home}/${name}`;
}

/** Two layers, the second with a file of its own. */
async function twoLayers(host: Host): Promise<{ name: string }> {
  const registry = await host.registry();
  const image = await makeImage({
    layers: [{ entries: busyboxEntries() }, { entries: [{ path: "secret", content: "what was sealed\n" }] }],
    config: { Cmd: ["/bin/cat", "/secret"] },
  });
  const repository = `crypt/${crypto.randomUUID()}`;
  await pushImage(registry, repository, "plain", image);
  return { name: `${registry.address}/${repository}` };
}

async function skopeo(host: Host, ...args: string[]): Promise<void> {
  const insecure = ["--src-tls-verify=false", "--dest-tls-verify=false", "--src-no-creds", "--dest-no-creds"];
  const { code, stderr } = await host.program(["skopeo", "copy", "-q", ...insecure, ...args]);
  assertEquals(code, 0, stderr);
}

function refused(result: Result, message: string): void {
  assertEquals([result.code, result.stdout, result.stderr.split("\n")[0]], [125, "", `Error: ${message}`]);
}

/** Neither an image nor a byte of a blob. */
async function assertNothingLeft(host: Host): Promise<void> {
  assertEquals(await host.ok("images", "-q"), "");
  const { stdout } = await host.program(["find", `${host.data}/blobs`, "-type", "f"]);
  assertEquals(stdout, "");
}

hostTest("what skopeo encrypted runs with a key, and skopeo decrypts what is pushed encrypted", {
  needs: ["registry", "busybox", "skopeo", "openssl", "gpg"],
}, async (host) => {
  const at = await makeKeys(host);
  await using gpg = await GpgHome.make(host);
  await gpg.gpg("--passphrase", "", "--quick-generate-key", "opener@example.com", "rsa2048", "encr", "never");
  await gpg.gpg("--output", at("ring.gpg"), "--export-secret-keys", "opener@example.com");
  await gpg.gpg("--armor", "--output", at("ring.asc"), "--export-secret-keys", "opener@example.com");
  const { name } = await twoLayers(host);
  const plain = await host.ok("pull", "-q", `${name}:plain`);
  const ways: [to: string, key: string, ofSkopeo: string[]][] = [
    [`jwe:${at("rsa.pub")}`, at("rsa.pem"), [at("rsa.pem")]],
    [`jwe:${at("ec.pub")}`, at("ec.pem"), [at("ec.pem")]],
    // skopeo finds the recipient by the certificate, and reads no armor
    [`pkcs7:${at("rsa.crt")}`, at("rsa.pem"), [at("rsa.pem"), at("rsa.crt")]],
    [`pgp:opener@example.com`, at("ring.asc"), [at("ring.gpg")]],
  ];
  for (const [i, [to, , keys]] of ways.entries()) {
    const env = { GNUPGHOME: gpg.folder };
    const pushed = await host.skiff(
      ["push", "-q", "--encryption-key", to, `${name}:plain`, `${name}:ours-${i}`],
      { env },
    );
    assertEquals([pushed.code, pushed.stderr], [0, ""]);
    const manifest = JSON.parse(
      (await host.program(
        ["skopeo", "inspect", "--raw", "--no-creds", "--tls-verify=false", `docker://${name}:ours-${i}`],
      )).stdout,
    ) as Layout;
    assertEquals(
      manifest.layers.map(({ mediaType, annotations }) => [mediaType, Object.keys(annotations!).sort()]),
      Array(2).fill([
        "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
        [`org.opencontainers.image.enc.keys.${to.split(":")[0]}`, "org.opencontainers.image.enc.pubopts"],
      ]),
    );
    await skopeo(
      host,
      ...keys.flatMap((file) => ["--decryption-key", file]),
      `docker://${name}:ours-${i}`,
      `oci:${at(`ours-${i}`)}:x`,
    );
    // gpg's ring of public keys is the one of skopeo's caller, in its old form
    if (!to.startsWith("pgp:")) {
      await skopeo(host, "--encryption-key", to, `docker://${name}:plain`, `docker://${name}:theirs-${i}`);
    }
  }
  await host.ok("rmi", "-fa");
  for (const [i, [to, key]] of ways.entries()) {
    for (const whose of to.startsWith("pgp:") ? ["ours"] : ["ours", "theirs"]) {
      const reference = `${name}:${whose}-${i}`;
      await assertNothingLeft(host);
      const ran = await host.run("-q", "--rm", "--decryption-key", key, reference);
      assertEquals([ran.code, ran.stdout], [0, "what was sealed\n"], `${reference} ${ran.stderr}`);
      assertEquals(await host.ok("images", "-q", "--no-trunc"), `sha256:${plain}`);
      await host.ok("rmi", "-fa");
    }
    assertEquals(await host.ok("pull", "-q", `oci:${at(`ours-${i}`)}:x`), plain);
    await host.ok("rmi", "-fa");
  }
  // a ring's private keys are in the folder of the user's session for that moment, and no longer
  const session = `${host.home}/session`;
  await Deno.mkdir(session, { mode: 0o700 });
  await host.own(session);
  const opened = await host.skiff(
    ["pull", "-q", "--decryption-key", at("ring.asc"), `${name}:ours-3`],
    { env: { XDG_RUNTIME_DIR: session, TMPDIR: "/nowhere" } },
  );
  assertEquals([opened.code, opened.stderr], [0, ""]);
  assertEquals([...Deno.readDirSync(session)].map((entry) => entry.name), []);
  await host.ok("rmi", "-fa");
  // what was decrypted is an image like others: it is pushed as it was before
  await host.ok("pull", "-q", "--decryption-key", at("rsa.pem"), `${name}:theirs-0`);
  await host.ok("push", "-q", `${name}:theirs-0`, `${name}:again`);
  await host.ok("rmi", "-fa");
  assertEquals(await host.ok("pull", "-q", `${name}:again`), plain);
});

hostTest("without its key an image does not come, and of one that was changed nothing is left", {
  needs: ["registry", "busybox", "skopeo", "openssl"],
}, async (host) => {
  const at = await makeKeys(host);
  const { name } = await twoLayers(host);
  await host.ok("pull", "-q", `${name}:plain`);
  const [to, key] = [`jwe:${at("rsa.pub")}`, at("rsa.pem")];
  await host.ok("push", "-q", "--encryption-key", to, `${name}:plain`, `${name}:sealed`);
  await host.ok("push", "-q", "--encryption-key", to, `${name}:plain`, `oci:${at("layout")}:x`);
  await host.ok("push", "-q", "--encryption-key", to, "--encrypt-layer=-1", `${name}:plain`, `${name}:half`);
  const missing = (reference: string) =>
    `use ${reference}: its layers are encrypted: missing private key needed for decryption`;
  // that its layers are here does not make it readable
  refused(await host.skiff(["pull", `${name}:sealed`]), missing(`${name}:sealed`));
  refused(await host.skiff(["run", "--rm", `${name}:half`]), missing(`${name}:half`));
  await host.ok("rmi", "-fa");
  refused(await host.skiff(["create", `${name}:half`]), missing(`${name}:half`));
  refused(await host.skiff(["pull", `oci:${at("layout")}:x`]), missing("x"));
  refused(await host.skiff(["load", "-i", at("layout")]), missing("x"));
  const sealed = await host.skiff(["pull", "-q", "--decryption-key", at("ec.pem"), `${name}:sealed`]);
  assertEquals([sealed.code, sealed.stdout], [125, ""]);
  assertIncludes(sealed.stderr, NO_KEY);
  await assertNothingLeft(host);

  // each as a layout whose digests are right, so that nothing but the encryption can tell
  const blob = (digest: string) => at(`layout/blobs/sha256/${digest.slice(7)}`);
  const original = await Deno.readTextFile(at("layout/index.json"));
  const index = JSON.parse(original);
  const manifest = JSON.parse(await Deno.readTextFile(blob(index.manifests[0].digest))) as Layout;
  const put = async (bytes: Uint8Array<ArrayBuffer>) => {
    const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    await Deno.writeFile(blob(digest), bytes);
    await host.own(blob(digest));
    return { digest, size: bytes.length };
  };
  const putImage = async (changed: Layout) => {
    const place = await put(new TextEncoder().encode(JSON.stringify(changed)));
    index.manifests[0] = { ...index.manifests[0], ...place };
    await Deno.writeTextFile(at("layout/index.json"), JSON.stringify(index));
  };
  const last = manifest.layers[1]!;
  const content = await Deno.readFile(blob(last.digest));
  const withLayer = (layer: object): Layout => ({
    ...manifest,
    layers: [manifest.layers[0]!, { ...last, ...layer }],
  });
  const annotated = (change: Record<string, string>) =>
    withLayer({ annotations: { ...last.annotations, ...change } });
  const JWE = "org.opencontainers.image.enc.keys.jwe", OPTIONS = "org.opencontainers.image.enc.pubopts";
  const options = JSON.parse(atob(last.annotations![OPTIONS]!));
  const flipped = content.slice();
  flipped[20]! ^= 1;
  const HMAC = /decrypt layer .*: its HMAC does not match, it is not what was encrypted/;
  const cases: [string, Layout, RegExp][] = [
    ["changed", withLayer(await put(flipped)), HMAC],
    ["truncated", withLayer(await put(content.slice(0, -9))), HMAC],
    ["lengthened", withLayer(await put(new Uint8Array([...content, 0]))), HMAC],
    // the key of the layer before, which opens that one alone
    ["another's key", annotated({ [JWE]: manifest.layers[0]!.annotations![JWE]! }), HMAC],
    ["another HMAC", annotated({ [OPTIONS]: btoa(JSON.stringify({ ...options, hmac: "AAAA" })) }), HMAC],
    ["no options", annotated({ [OPTIONS]: "" }), /the options in its annotations: they are malformed/],
    ["no message", annotated({ [JWE]: btoa("{}") }), new RegExp(NO_KEY)],
    ["no base64", annotated({ [JWE]: "%%%" }), /could not base64 decode the annotation/],
    ["of no type", withLayer({ mediaType: "text/plain+encrypted" }), /is of the unknown type text\/plain/],
    ["not encrypted", withLayer({ mediaType: last.mediaType.replace("+encrypted", "") }), /layer/],
  ];
  const ALSO_AT_REGISTRY = ["changed", "truncated", "no message", "not encrypted"];
  for (const [what, changed, expected] of cases) {
    await putImage(changed);
    for (const isAtRegistry of ALSO_AT_REGISTRY.includes(what) ? [true, false] : [false]) {
      const reference = isAtRegistry ? `${name}:changed` : `oci:${at("layout")}:x`;
      if (isAtRegistry) await skopeo(host, `oci:${at("layout")}:x`, `docker://${reference}`);
      const result = await host.skiff(["pull", "-q", "--decryption-key", key, reference]);
      assertEquals([result.code, result.stdout], [125, ""], what);
      assertEquals(expected.test(result.stderr), true, `${what}: ${result.stderr}`);
      assertEquals(await host.ok("images", "-q"), "");
      // a layer that is sound by itself may be left of one that says it is not encrypted
      if (what !== "not encrypted") await assertNothingLeft(host);
    }
  }
  await host.ok("system", "prune", "-af");

  // the control: the same as it was comes, from both
  await Deno.writeTextFile(at("layout/index.json"), original);
  for (const reference of [`${name}:sealed`, `oci:${at("layout")}:x`, `${name}:half`]) {
    const id = await host.ok("pull", "-q", "--decryption-key", key, reference);
    assertEquals((await host.run("--rm", id)).stdout, "what was sealed\n");
    await host.ok("rmi", "-fa");
    await assertNothingLeft(host);
  }
});

hostTest("keys and passphrases are written down nowhere; a build decrypts its base", {
  needs: ["registry", "busybox", "openssl"],
}, async (host) => {
  const at = await makeKeys(host);
  const { name } = await twoLayers(host);
  await host.ok("pull", "-q", `${name}:plain`);
  await host.ok(
    "push",
    "-q",
    "--encryption-key",
    `jwe:${at("rsa.pub")}`,
    "--encryption-key",
    `jwe:${at("ec.pub")}`,
    `${name}:plain`,
    `${name}:sealed`,
  );
  const toFile = async (...args: string[]) =>
    await host.skiff(["push", "--encryption-key", `jwe:${at("rsa.pub")}`, ...args]);
  refused(
    await toFile(`${name}:plain`, `docker-archive:${at("d.tar")}`),
    `push to "docker-archive:${at("d.tar")}": encrypted layers are only in OCI manifests`,
  );
  refused(
    await toFile("--format=v2s2", `${name}:plain`, `${name}:v2`),
    `push to "${name}:v2": encrypted layers are only in OCI manifests`,
  );
  refused(
    await toFile("--encrypt-layer=2", `${name}:plain`, `${name}:v2`),
    "encrypt layer 2: the image has 2 layers",
  );
  refused(
    await host.skiff(["push", "--encrypt-layer=0", `${name}:plain`]),
    "--encrypt-layer: there is no --encryption-key to encrypt for",
  );
  refused(
    await host.skiff(["push", "--encryption-key", `jwe:${at("rsa.pem")}`, `${name}:plain`, `${name}:v2`]),
    `invalid encryption keys: "jwe:${at("rsa.pem")}": File provided is not a public key`,
  );
  await host.ok("rmi", "-fa");
  refused(
    await host.skiff(["pull", "--decryption-key", `${at("shut.pem")}:wrong-pass`, `${name}:sealed`]),
    `invalid decryption keys: "${at("shut.pem")}": wrong password: could not decrypt private key`,
  );
  await assertNothingLeft(host);

  const id = await host.ok(
    "create",
    "-q",
    "--decryption-key",
    `${at("shut.pem")}:pass-of-key`,
    `${name}:sealed`,
  );
  const command = JSON.parse(
    await host.ok("inspect", "--format", "{{json .Config.CreateCommand}}", id),
  ) as string[];
  assertEquals(command.slice(1, 5), ["create", "-q", "--decryption-key", at("shut.pem")]);
  await host.ok("rm", id);
  await host.ok("rmi", "-fa");
  await Deno.writeTextFile(at("Containerfile"), `FROM ${name}:sealed\nRUN cat /secret > /copy\n`);
  await host.own(at("Containerfile"));
  const build = (...args: string[]) =>
    host.skiff(["build", ...args, "-f", at("Containerfile"), "-t", "built", at("empty")]);
  await Deno.mkdir(at("empty"));
  const without = await build("-q");
  assertEquals(without.code === 0, false);
  assertIncludes(without.stderr, "its layers are encrypted: missing private key needed for decryption");
  const built = await build("-q", `--decryption-key=${at("shut.pem")}:pass=pass-of-key`);
  assertEquals(built.code, 0, built.stderr);
  assertEquals((await host.run("--rm", "built", "cat", "/copy")).stdout, "what was sealed\n");

  // the lines of the key, and what shuts it
  const pem = await Deno.readTextFile(at("rsa.pem"));
  const words = ["pass-of-key", ...pem.split("\n").filter((line) => line.length === 64).slice(0, 3)];
  for (const word of words) {
    const { code, stdout } = await host.program(["grep", "-rlaF", "-e", word, host.data]);
    assertEquals([code, stdout], [1, ""], word);
  }
  // the control: what is in the store is found so
  assertEquals((await host.program(["grep", "-rlaF", "-e", "what was sealed", host.data])).code, 0);
});

hostTest("an encrypted artifact stays so without a key, and is opened by it", {
  needs: ["registry", "busybox", "skopeo", "openssl"],
}, async (host) => {
  const at = await makeKeys(host);
  const { address } = await host.registry();
  const name = `${address}/crypt/${crypto.randomUUID()}`;
  await Deno.writeTextFile(at("note"), "what was sealed\n");
  await host.own(at("note"));
  // nothing else is encrypted by skopeo
  const type = "--file-type=application/vnd.oci.image.layer.v1.tar";
  await host.ok("artifact", "add", type, `${name}:plain`, at("note"));
  await host.ok("artifact", "push", "-q", `${name}:plain`);
  const to = `jwe:${at("ec.pub")}`;
  await skopeo(host, "--encryption-key", to, `docker://${name}:plain`, `docker://${name}:sealed`);
  const layer = async (tag: string) =>
    (JSON.parse(await host.ok("artifact", "inspect", `${name}:${tag}`)).Manifest as Layout).layers[0]!;
  const plain = await layer("plain");
  await host.ok("artifact", "rm", `${name}:plain`);

  await host.ok("artifact", "pull", "-q", `${name}:sealed`);
  assertEquals((await layer("sealed")).mediaType, `${plain.mediaType}+encrypted`);
  const wrong = await host.skiff(["artifact", "pull", "--decryption-key", at("rsa.pem"), `${name}:sealed`]);
  assertEquals([wrong.code, wrong.stdout], [125, ""]);
  assertIncludes(wrong.stderr, NO_KEY);
  await host.ok("artifact", "pull", "-q", "--decryption-key", at("ec.pem"), `${name}:sealed`);
  const { mediaType, digest } = await layer("sealed");
  assertEquals([mediaType, digest], [plain.mediaType, plain.digest]);
  await host.ok("artifact", "extract", `${name}:sealed`, at("out"));
  assertEquals(await Deno.readTextFile(at("out")), "what was sealed\n");
});
