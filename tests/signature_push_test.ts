/** Signatures that a push makes: read by skopeo, openssl and skiff itself. @see podman-push(1) */
import { assertEquals, assertIncludes, assertMatch, hostTest } from "./harness.ts";
import { digestAt } from "./sigstore_attachment.ts";
import { GpgHome, SignatureRig } from "./signature_rig.ts";

interface Layer {
  mediaType: string;
  digest: string;
  annotations: Record<string, string>;
}

hostTest("push signs by a sigstore key as cosign lays it out", {
  needs: ["registry", "busybox", "skopeo", "openssl"],
}, async (host) => {
  const rig = await SignatureRig.make(host);
  const image = await host.image();
  await host.ok("pull", "-q", image);
  const name = `push-signed-${crypto.randomUUID()}`, target = `${rig.registry}/${name}:1`;
  await rig.sigstorePair("a");
  await rig.sigstorePair("b", { kind: "ed25519" });
  const sign = (key: string, ...more: string[]) =>
    host.skiff([
      ...["push", "-q", `--sign-by-sigstore-private-key=keys/${key}.key`],
      ...["--sign-passphrase-file=keys/passphrase", ...more, image, target],
    ]);
  const failure = async (answer: ReturnType<typeof sign>) => {
    const { code, stderr } = await answer;
    assertEquals(code, 125);
    return stderr.split("\n")[0]!;
  };
  // what cannot be signed is not pushed
  await rig.write("keys/wrong", "another");
  assertEquals(
    await failure(sign("a", "--sign-passphrase-file=keys/wrong")),
    `Error: read private key "keys/a.key": decryption failed: it is another passphrase's`,
  );
  assertEquals(
    await failure(host.skiff(["push", "-q", "--sign-by-sigstore-private-key=keys/a.key", image, target])),
    'Error: open private key "keys/a.key": stdin is no terminal',
  );
  await rig.write(
    ".config/containers/registries.d/own.yaml",
    `docker:\n  ${rig.registry}/${name}:\n    use-sigstore-attachments: false\n`,
  );
  assertEquals(
    await failure(sign("a")),
    `Error: sign ${target}: writing sigstore attachments is disabled by configuration`,
  );
  await host.sh("rm .config/containers/registries.d/own.yaml");
  for (const place of ["dir:folder", "oci:folder", "docker-archive:a.tar"]) {
    const words = ["push", "-q", "--sign-by=me", image, place];
    assertEquals(
      await failure(host.skiff(words)),
      `Error: push to "${place}": what is signed is a name at a registry, and there is none`,
    );
  }
  const repository = await fetch(`http://${rig.registry}/v2/${name}/tags/list`);
  await repository.body?.cancel();
  assertEquals(repository.status, 404);

  assertEquals((await sign("a", "--digestfile=digest")).code, 0);
  const digest = await Deno.readTextFile(`${host.home}/digest`);
  assertEquals(await digestAt(rig.local, name, "1"), digest);
  const layers = async (): Promise<Layer[]> => {
    const tag = digest.replace(":", "-") + ".sig";
    const answer = await fetch(`http://${rig.registry}/v2/${name}/manifests/${tag}`, {
      headers: { Accept: "application/vnd.oci.image.manifest.v1+json" },
    });
    return (await answer.json()).layers;
  };
  const [layer, ...others] = await layers();
  assertEquals([others.length, layer!.mediaType], [0, "application/vnd.dev.cosign.simplesigning.v1+json"]);
  const payload = await (await fetch(`http://${rig.registry}/v2/${name}/blobs/${layer!.digest}`)).text();
  const { critical, optional } = JSON.parse(payload);
  assertEquals(critical, {
    identity: { "docker-reference": target },
    image: { "docker-manifest-digest": digest },
    type: "cosign container image signature",
  });
  assertEquals(Object.keys(optional), ["creator", "timestamp"]);
  await rig.write("payload", payload);
  const signature = Uint8Array.fromBase64(layer!.annotations["dev.cosignproject.cosign/signature"]!);
  await Deno.writeFile(`${host.home}/signature`, signature);
  const openssl = "openssl dgst -sha256 -verify keys/a.pub -signature signature payload";
  assertEquals((await host.sh(openssl)).stdout, "Verified OK\n");

  // a second key's stands beside it; the same one again adds nothing
  assertEquals((await sign("b")).code, 0);
  assertEquals((await sign("a")).code, 0);
  assertEquals((await layers()).length, 2);
  await rig.write(
    "parameters.yaml",
    `privateKeyFile: ${host.home}/keys/b.key\nprivateKeyPassphraseFile: keys/passphrase\n`,
  );
  await host.ok("push", "-q", "--sign-by-sigstore=parameters.yaml", image, target);
  assertEquals((await layers()).length, 2);
  await rig.write("parameters.yaml", "privateKeyFile: a\nrekorURL: https://rekor.example.com\n");
  assertEquals(
    await failure(host.skiff(["push", "-q", "--sign-by-sigstore=parameters.yaml", image, target])),
    "Error: --sign-by-sigstore: rekorURL: skiff asks no signing service",
  );
  // an artifact is signed as an image is
  const artifact = `${name}-artifact`;
  await host.ok("artifact", "add", `${rig.registry}/${artifact}:1`, `${host.home}/payload`);
  await host.ok(
    ...["artifact", "push", "-q", "--sign-by-sigstore-private-key=keys/a.key", "--digestfile=digest"],
    ...["--sign-passphrase-file=keys/passphrase", `${rig.registry}/${artifact}:1`],
  );
  const signed = (await Deno.readTextFile(`${host.home}/digest`)).replace(":", "-");
  const ofArtifact = await fetch(`http://${rig.registry}/v2/${artifact}/manifests/${signed}.sig`, {
    headers: { Accept: "application/vnd.oci.image.manifest.v1+json" },
  });
  assertEquals((await ofArtifact.json()).layers?.length, 1);
  // a list is signed, and each image of it
  const list = `${rig.registry}/${name}-list:1`;
  await host.ok("manifest", "create", "list", image);
  await host.ok(
    ...["manifest", "push", "-q", "--sign-by-sigstore-private-key=keys/a.key"],
    ...["--sign-passphrase-file=keys/passphrase", "list", list],
  );
  const listDigest = await digestAt(
    rig.local,
    `${name}-list`,
    "1",
    "application/vnd.oci.image.index.v1+json",
  );
  const tags = await (await fetch(`http://${rig.registry}/v2/${name}-list/tags/list`)).json();
  assertEquals(tags.tags.filter((tag: string) => tag.endsWith(".sig")).length, 2);
  assertIncludes(tags.tags.join(" "), listDigest.replace(":", "-") + ".sig");
  assertEquals(
    await failure(host.skiff(["manifest", "push", "-q", "--sign-by=me", "list", "oci:folder"])),
    'Error: push to "oci:folder": what is signed is a name at a registry, and there is none',
  );
  const require = (key: string) => ({ type: "sigstoreSigned", keyPath: `${host.home}/keys/${key}.pub` });
  await rig.policy([require("a"), require("b")]);
  await host.ok("rmi", "-af");
  await rig.accepted(target);
  await rig.policy([require("a")]);
  await rig.accepted(list);
  await rig.sigstorePair("c");
  await rig.policy([require("a"), require("c")]);
  assertIncludes(await rig.refused("pull", target), "None of the signatures were accepted, reasons: ");
});

hostTest("push signs by gpg, and skopeo verifies it", {
  needs: ["registry", "busybox", "skopeo", "gpg"],
}, async (host) => {
  const rig = await SignatureRig.make(host);
  const image = await host.image();
  await host.ok("pull", "-q", image);
  const target = `${rig.registry}/push-gpg-${crypto.randomUUID()}:1`;
  await using gpg = await GpgHome.make(host);
  const fingerprint = await gpg.makeKey("alice");
  const { code, stderr } = await host.skiff(["push", "-q", "--sign-by=nobody@example.com", image, target]);
  assertEquals(code, 125);
  assertIncludes(stderr, 'Error: sign by "nobody@example.com": gpg: ');
  const unpushed = await fetch(`http://${target.replace("/", "/v2/").replace(/:1$/, "/tags/list")}`);
  await unpushed.body?.cancel();
  assertEquals(unpushed.status, 404);
  await host.ok("push", "-q", `--sign-by=${fingerprint}`, image, target);
  const requirement = { type: "signedBy", keyType: "GPGKeys", keyPath: `${host.home}/keys/alice.asc` };
  const policy = await rig.write("policy.json", {
    default: [{ type: "reject" }],
    transports: { docker: { [rig.registry]: [requirement] } },
  });
  const verified = (from: string, to: string) =>
    host.program([
      ...["skopeo", "--policy", policy, "--registries.d", rig.registriesD, "copy", "-q"],
      ...["--src-tls-verify=false", "--remove-signatures", `docker://${from}`, `dir:${host.home}/${to}`],
    ], { env: { REGISTRY_AUTH_FILE: `${host.home}/no-logins.json` } });
  assertEquals((await verified(target, "copied")).code, 0);
  // the control: unsigned, skopeo refuses it with that policy
  const plain = `${rig.registry}/push-plain-${crypto.randomUUID()}:1`;
  await host.ok("push", "-q", image, plain);
  assertIncludes(
    (await verified(plain, "refused")).stderr,
    "A signature was required, but no signature exists",
  );
  // what is there already is signed afterwards, into the lookaside or another folder
  const unsigned = `${rig.registry}/later-${crypto.randomUUID()}:1`;
  await host.ok("push", "-q", image, unsigned);
  assertIncludes((await verified(unsigned, "refused")).stderr, "no signature exists");
  const sign = ["image", "sign", "--sign-by", fingerprint, `docker://${unsigned}`];
  // as gpg itself takes it: from the folder that one is in
  const signed = await host.skiff(sign, { env: { GNUPGHOME: ".gnupg" } });
  assertEquals(signed.code, 0, signed.stderr);
  assertEquals((await verified(unsigned, "later")).code, 0);
  await host.ok("image", "sign", "--sign-by", fingerprint, "-d", "elsewhere", `docker://${unsigned}`);
  assertMatch(
    (await host.sh("cd elsewhere && find . -type f")).stdout,
    /^\.\/later-.*@sha256=[0-9a-f]{64}\/signature-1\n$/,
  );
  for (
    const [words, message] of [
      [["docker://a"], "Error: please provide an identity"],
      [["--sign-by=a", "b"], 'Error: sign "b": only images at registries are signed'],
      [["--sign-by=nobody@x", `docker://${plain}`], 'Error: sign by "nobody@x": gpg: '],
    ] as const
  ) assertIncludes((await host.skiff(["image", "sign", ...words])).stderr, message);
  await rig.policy([requirement]);
  await host.ok("rmi", "-af");
  await rig.accepted(target);
  assertIncludes(await rig.refused("pull", plain), "A signature was required, but no signature exists");
});
