import { rejects } from "node:assert";
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import type { IdentityMatch } from "../config/policy_requirements.ts";
import { parseReference } from "../image/reference.ts";
import { digestOf } from "../spec/digest.ts";
import { checkSignatures } from "./check.ts";
import { makeClaim } from "./claim.ts";
import type { ImageSignature } from "./image_signature.ts";

const MANIFEST = new TextEncoder().encode('{"schemaVersion":2}');
const REFERENCE = parseReference("quay.io/a:1");
const NAME = "quay.io/a:1";

const PAIRS = {
  "P-256": generateKeyPairSync("ec", { namedCurve: "P-256" }),
  "P-384": generateKeyPairSync("ec", { namedCurve: "P-384" }),
  ed25519: generateKeyPairSync("ed25519"),
  rsa: generateKeyPairSync("rsa", { modulusLength: 2048 }),
};

const pem = (key: KeyObject) => key.export({ type: "spki", format: "pem" }) as string;
const keyData = (text: string) => ({ data: new TextEncoder().encode(text) });

async function signature(key: KeyObject, reference = NAME, manifest = MANIFEST): Promise<ImageSignature> {
  const digest = await digestOf(manifest);
  const payload = makeClaim("sigstore", { digest, reference }, { creator: "test", timestamp: 1 });
  const bytes = new Uint8Array(sign(key.asymmetricKeyType === "ed25519" ? null : "sha256", payload, key));
  return {
    kind: "sigstore",
    mediaType: "application/vnd.dev.cosign.simplesigning.v1+json",
    payload,
    annotations: { "dev.cosignproject.cosign/signature": bytes.toBase64() },
  };
}

function check(
  signatures: ImageSignature[],
  keys: string[] = [pem(PAIRS["P-256"].publicKey)],
  { rekorKeys = [] as string[], identity = { type: "matchRepoDigestOrExact" } as IdentityMatch } = {},
): Promise<void> {
  const requirement = {
    type: "sigstoreSigned" as const,
    keys: keys.map(keyData),
    rekorKeys: rekorKeys.map(keyData),
    identity,
  };
  const demands = { path: "/etc/containers/policy.json", requirements: [requirement] };
  return checkSignatures(demands, { manifest: MANIFEST, reference: REFERENCE }, signatures);
}

const because = (message: string) => ({ name: "SkiffError", message: `Source image rejected: ${message}` });
const CRYPTO = because("cryptographic signature verification failed");

Deno.test("signatures of every kind of key are told from all others", async () => {
  const kinds = Object.keys(PAIRS) as (keyof typeof PAIRS)[];
  for (const kind of kinds) {
    const one = await signature(PAIRS[kind].privateKey);
    for (const other of kinds) {
      const answer = check([one], [pem(PAIRS[other].publicKey)]);
      if (other === kind) await answer;
      else await rejects(answer, CRYPTO);
    }
  }
});

Deno.test("what was changed, is about something else or has another name is no signature", async () => {
  const good = await signature(PAIRS["P-256"].privateKey) as ImageSignature & { kind: "sigstore" };
  await check([good]); // the control
  await rejects(check([]), because("A signature was required, but no signature exists"));
  const annotation = "dev.cosignproject.cosign/signature";
  const text = good.annotations[annotation]!;
  const with_ = (change: object): ImageSignature => ({ ...good, ...change });
  const changed = new Uint8Array(good.payload);
  changed[changed.length - 2]! ^= 1;
  await rejects(check([with_({ payload: changed })]), CRYPTO);
  await rejects(check([with_({ annotations: {} })]), because(`missing ${annotation} annotation`));
  await rejects(
    check([with_({ annotations: { [annotation]: `${text}*` } })]),
    because("the signature is not base64"),
  );
  for (const other of ["", "AAAA", text.slice(0, 40)]) {
    await rejects(check([with_({ annotations: { [annotation]: other } })]), CRYPTO);
  }
  await rejects(
    check([with_({ mediaType: "application/vnd.dsse.envelope.v1+json" })]),
    because("A signature was required, but no signature exists"),
  );
  const manifest = new TextEncoder().encode("{}");
  // before: what fails while something else is awaited would be nobody's
  const otherDigest = because(`Signature for digest ${await digestOf(manifest)} does not match`);
  await rejects(check([await signature(PAIRS["P-256"].privateKey, NAME, manifest)]), otherDigest);
  await rejects(
    check([await signature(PAIRS["P-256"].privateKey, "quay.io/b:1\u001b[2J")]),
    because("Signature for identity quay.io/b:1\\x1b[2J is not accepted"),
  );
  // a genuine signature of something that is no claim
  const payload = new TextEncoder().encode("{}");
  const bytes = new Uint8Array(sign("sha256", payload, PAIRS["P-256"].privateKey)).toBase64();
  await rejects(
    check([with_({ payload, annotations: { [annotation]: bytes } })]),
    because('the signed text is malformed: Key "critical" missing'),
  );
  // one that counts is enough, wherever it stands
  await check([with_({ payload: changed }), with_({ annotations: {} }), good]);
});

Deno.test("keys that are none, or too weak, stop everything", async () => {
  const good = await signature(PAIRS["P-256"].privateKey);
  const text = pem(PAIRS["P-256"].publicKey);
  const weak = generateKeyPairSync("rsa", { modulusLength: 1024 });
  const cases: [string, string][] = [
    ["", "it is not PEM"],
    [text.replace(/\n.{40}/, "\n"), "it is malformed"],
    [text.replaceAll("PUBLIC KEY", "CERTIFICATE"), "it is a certificate, not a public key"],
    [
      PAIRS["P-256"].privateKey.export({ type: "pkcs8", format: "pem" }) as string,
      "it is a private key, not a public key",
    ],
    [
      pem(generateKeyPairSync("ec", { namedCurve: "P-521" }).publicKey),
      "its curve is neither P-256 nor P-384",
    ],
    [pem(weak.publicKey), "it has less than 2048 bits"],
    [pem(generateKeyPairSync("x25519").publicKey), "it is neither ECDSA nor RSA nor Ed25519"],
  ];
  for (const [key, why] of cases) {
    await rejects(check([good], [key]), { message: `read public key in the policy: ${why}` });
  }
});

Deno.test("where the policy names a transparency log, the log must have seen the very signature", async () => {
  const { privateKey, publicKey } = PAIRS["P-256"], log = PAIRS["P-384"];
  const good = await signature(privateKey) as ImageSignature & { kind: "sigstore" };
  const content = good.annotations["dev.cosignproject.cosign/signature"]!;
  const base64 = (text: string) => new TextEncoder().encode(text).toBase64();
  const record = async (change: { content?: string; key?: string; value?: string; kind?: string } = {}) => ({
    kind: change.kind ?? "hashedrekord",
    apiVersion: "0.0.1",
    spec: {
      signature: {
        content: change.content ?? content,
        publicKey: { content: base64(change.key ?? pem(publicKey)) },
      },
      data: { hash: { algorithm: "sha256", value: change.value ?? (await digestOf(good.payload)).slice(7) } },
    },
  });
  const stamped = (entry: object, key = log.privateKey): ImageSignature => {
    const payload = { body: base64(JSON.stringify(entry)), integratedTime: 7, logID: "ab", logIndex: 1 };
    const stamp = new Uint8Array(sign("sha256", new TextEncoder().encode(JSON.stringify(payload)), key));
    const { logIndex, body, ...rest } = payload;
    // the keys in another order than they are signed in
    const bundle = JSON.stringify({
      SignedEntryTimestamp: stamp.toBase64(),
      Payload: { ...rest, logIndex, body },
    });
    return { ...good, annotations: { ...good.annotations, "dev.sigstore.cosign/bundle": bundle } };
  };
  const rekorKeys = [pem(log.publicKey)];
  const checkLogged = (one: ImageSignature) => check([one], undefined, { rekorKeys });
  await checkLogged(stamped(await record()));
  await rejects(checkLogged(good), because("missing dev.sigstore.cosign/bundle annotation"));
  await rejects(
    checkLogged(stamped(await record(), privateKey)),
    because("cryptographic signature verification of Rekor SET failed"),
  );
  const cases: [Parameters<typeof record>[0], string][] = [
    [
      { content: "AAAA" },
      "signature in Rekor SET does not match",
    ],
    [{ key: pem(log.publicKey) }, "publicKey in Rekor SET does not match"],
    [{ value: "0".repeat(64) }, "payload in Rekor SET does not match"],
    [
      { kind: "intoto" },
      "the entry of the transparency log is malformed: it is no hashedrekord of version 0.0.1",
    ],
  ];
  for (const [change, why] of cases) {
    await rejects(checkLogged(stamped(await record(change))), because(why));
  }
});

Deno.test("a message names some of many reasons", async () => {
  const bad = await signature(PAIRS.rsa.privateKey);
  await rejects(
    check(Array.from({ length: 9 }, () => bad)),
    because(
      `None of the signatures were accepted, reasons: ${
        Array.from({ length: 4 }, () => "cryptographic signature verification failed").join("; ")
      } and 5 more`,
    ),
  );
});
