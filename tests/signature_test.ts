/** Signatures that policy.json asks for, made by skopeo. @see containers-policy.json(5) */
import { assertEquals, assertIncludes, hostTest } from "./harness.ts";
import { ACCEPT, GpgHome, SignatureRig } from "./signature_rig.ts";

hostTest("a sigstore signature lets an image in, and nothing else does", {
  needs: ["registry", "busybox", "skopeo"],
}, async (host) => {
  const image = await host.image();
  const rig = await SignatureRig.make(host);
  const own = `${rig.registry}/signed-${crypto.randomUUID()}`;
  const a = await rig.sigstorePair("a"), other = await rig.sigstorePair("other");
  await rig.copy(image, `${own}/app:1`);
  const digest = await rig.sign(`${own}/app:1`, [a]);
  await rig.copy(image, `${own}/plain:1`);
  const require = (name: string, more: object = {}) => ({
    type: "sigstoreSigned",
    keyPath: `${host.home}/keys/${name}.pub`,
    ...more,
  });
  const missing = "Error: Source image rejected: A signature was required, but no signature exists";
  const wrongKey = "Error: Source image rejected: cryptographic signature verification failed";
  await rig.policy([require("a")]);
  await rig.accepted(`${own}/app:1`);
  assertEquals(await rig.refused("pull", `${own}/plain:1`), missing);
  await rig.policy([require("other")]);
  for (const words of [["pull"], ["create"], ["run", "--rm", "--network", "none"]]) {
    assertEquals(await rig.refused(...words, `${own}/app:1`), wrongKey);
  }
  await rig.write("Dockerfile", `FROM ${own}/app:1\nRUN true\n`);
  assertIncludes(await rig.refused("build", "-q", "-f", "Dockerfile", "."), wrongKey.slice("Error: ".length));
  // every requirement has to hold; of several keys one is enough
  await rig.policy([require("a"), require("other")]);
  assertEquals(await rig.refused("pull", `${own}/app:1`), wrongKey);
  const keyPaths = ["other", "a"].map((name) => `${host.home}/keys/${name}.pub`);
  await rig.policy([{ type: "sigstoreSigned", keyPaths }]);
  await rig.accepted(`${own}/app:1`);
  await rig.copy(image, `${own}/both:1`);
  await rig.sign(`${own}/both:1`, [a, other]);
  await rig.policy([require("a"), require("other")]);
  await rig.accepted(`${own}/both:1`);
  // a signature of another tag, or of another repository that has the same image
  await rig.copy(image, `${own}/app:2`);
  await rig.copy(image, `${own}/replayed:1`);
  await rig.sign(`${own}/replayed:1`, [a], `${own}/app:1`);
  const foreign = (name: string) =>
    `Error: Source image rejected: Signature for identity ${name} is not accepted`;
  await rig.policy([require("a")]);
  assertEquals(await rig.refused("pull", `${own}/app:2`), foreign(`${own}/app:1`));
  assertEquals(await rig.refused("pull", `${own}/replayed:1`), foreign(`${own}/app:1`));
  await rig.policy([require("a", { signedIdentity: { type: "matchRepository" } })]);
  await rig.accepted(`${own}/app:2`);
  assertEquals(await rig.refused("pull", `${own}/replayed:1`), foreign(`${own}/app:1`));
  const remap = { type: "remapIdentity", prefix: `${own}/replayed`, signedPrefix: `${own}/app` };
  await rig.policy([require("a", { signedIdentity: remap })]);
  await rig.accepted(`${own}/replayed:1`);
  // by digest the tag does not count, unless it has to match exactly
  await rig.policy([require("a")]);
  await rig.accepted(`${own}/app@${digest}`);
  await rig.policy([require("a", { signedIdentity: { type: "matchExact" } })]);
  assertEquals(await rig.refused("pull", `${own}/app@${digest}`), foreign(`${own}/app:1`));
  // attachments are only looked at where registries.d says so
  await rig.policy([require("a")]);
  await rig.write(".config/containers/registries.d/default.yaml", "default-docker: {}\n");
  assertEquals(await rig.refused("pull", `${own}/app:1`), missing);
  await rig.write(
    ".config/containers/registries.d/own.yaml",
    `docker:\n  ${own}:\n    use-sigstore-attachments: true\n`,
  );
  await rig.accepted(`${own}/app:1`);
});

hostTest("a GPG signature of skopeo's lets an image in, and nothing else does", {
  needs: ["registry", "busybox", "skopeo", "gpg"],
}, async (host) => {
  const image = await host.image();
  const rig = await SignatureRig.make(host);
  const own = `${rig.registry}/gpg-${crypto.randomUUID()}`;
  await using gpg = await GpgHome.make(host);
  const fingerprint = await gpg.makeKey("alice");
  await gpg.makeKey("bob");
  await rig.copy(image, `${own}/app:1`, `--sign-by=${fingerprint}`);
  const require = (name: string, more: object = {}) => ({
    type: "signedBy",
    keyType: "GPGKeys",
    keyPath: `${host.home}/keys/${name}.asc`,
    ...more,
  });
  await rig.policy([require("alice")]);
  await rig.accepted(`${own}/app:1`);
  await rig.policy([require("bob")]);
  const wrongKey = "Error: Source image rejected: Invalid GPG signature: it was made by another key";
  assertEquals(await rig.refused("pull", `${own}/app:1`), wrongKey);
  const keyPaths = ["bob", "alice"].map((name) => `${host.home}/keys/${name}.asc`);
  await rig.policy([{ type: "signedBy", keyType: "GPGKeys", keyPaths }]);
  await rig.accepted(`${own}/app:1`);
  const ring = await Deno.readFile(`${host.home}/keys/alice.asc`);
  await rig.policy([{ type: "signedBy", keyType: "GPGKeys", keyData: ring.toBase64() }]);
  await rig.accepted(`${own}/app:1`);
  // a signature without its image, an image without its signature, other words in the signature
  await rig.policy([require("alice")]);
  await rig.copy(image, `${own}/plain:1`);
  const missing = "Error: Source image rejected: A signature was required, but no signature exists";
  assertEquals(await rig.refused("pull", `${own}/plain:1`), missing);
  const stored = (await host.sh("find lookaside -name signature-1")).stdout.trim();
  const plain = stored.replace("/app@", "/plain@");
  await host.sh(`mkdir -p "$(dirname ${plain})" && cp ${stored} ${plain}`);
  assertEquals(
    await rig.refused("pull", `${own}/plain:1`),
    `Error: Source image rejected: Signature for identity ${own}/app:1 is not accepted`,
  );
  const changed = await Deno.readFile(`${host.home}/${stored}`);
  changed[changed.length - 3]! ^= 1;
  await Deno.writeFile(`${host.home}/${plain}`, changed);
  assertIncludes(await rig.refused("pull", `${own}/plain:1`), "Invalid GPG signature: ");
  await Deno.writeTextFile(`${host.home}/${plain}`, "nothing signed");
  assertIncludes(await rig.refused("pull", `${own}/plain:1`), "it is no signature");
  // a folder has its signatures beside it; what it is called the policy has to say
  await rig.skopeo(
    "copy",
    "-q",
    "--src-tls-verify=false",
    `docker://${own}/app:1`,
    `dir:${host.home}/folder`,
  );
  const setFolders = async (more: object) =>
    await rig.write(".config/containers/policy.json", {
      default: [{ type: "reject" }],
      transports: { dir: { [host.home]: [require("alice", more)] } },
    });
  const exact = (name: string) => ({ signedIdentity: { type: "exactRepository", dockerRepository: name } });
  await setFolders(exact(`${own}/app`));
  await host.ok("load", "-q", "-i", "folder");
  await host.ok("rmi", "-af");
  const notNamed = `Error: Source image rejected: Signature for identity ${own}/app:1 is not accepted`;
  await setFolders(exact(`${own}/other`));
  assertEquals(await rig.refused("load", "-q", "-i", "folder"), notNamed);
  await setFolders({});
  assertEquals(await rig.refused("load", "-q", "-i", "folder"), notNamed);
  await setFolders(exact(`${own}/app`));
  await host.sh("rm folder/signature-1");
  assertEquals(await rig.refused("load", "-q", "-i", "folder"), missing);
  await rig.policy([require("alice")]);
  // what is not rejected as well is accepted
  await rig.policy([require("alice"), ...ACCEPT]);
  await rig.accepted(`${own}/app:1`);
});
