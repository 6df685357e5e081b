import { deepStrictEqual as assertEquals, notStrictEqual, rejects } from "node:assert";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { type Digest, digestOf } from "../spec/digest.ts";
import { ANNOTATION } from "./descriptor.ts";
import { decryptBytes, encryptBytes, type LayerKey } from "./layer_cipher.ts";
import { unwrapLayerKey, wrapLayerKey } from "./layer_keys.ts";
import { readDecryptionKeys, readRecipients } from "./keys.ts";

type Pair = { publicKey: KeyObject; privateKey: KeyObject };

const DIGEST = `sha256:${"a".repeat(64)}` as Digest;
const curve = (namedCurve: string): Pair => generateKeyPairSync("ec", { namedCurve });
const rsa: Pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
const NO_KEY = "no suitable key unwrapper found or none of the private keys could be used for decryption";

function someKey(): LayerKey {
  const bytes = (count: number) => crypto.getRandomValues(new Uint8Array(count));
  return { key: bytes(32), nonce: bytes(16), hmac: bytes(32) };
}

const wrapped = (key: LayerKey, pairs: Pair[]) =>
  wrapLayerKey(key, DIGEST, { jwe: pairs.map(({ publicKey }) => publicKey), pkcs7: [], pgp: [] });
const unwrapped = (annotations: Record<string, string>, { privateKey }: Pair) =>
  unwrapLayerKey("layer", annotations, { keys: [privateKey], rings: [] });
const plain = ({ key, nonce, hmac }: LayerKey) => [key, nonce, hmac].map((bytes) => bytes.toBase64());

Deno.test("each who a layer is encrypted for opens its key, and nobody else", async () => {
  const pairs = [rsa, curve("P-256"), curve("P-384"), curve("P-521")];
  const key = someKey();
  const together = await wrapped(key, pairs);
  assertEquals(Object.keys(together), [ANNOTATION.jwe, ANNOTATION.options]);
  for (const pair of pairs) {
    assertEquals(plain(await unwrapped(together, pair)), plain(key));
    assertEquals(plain(await unwrapped(await wrapped(key, [pair]), pair)), plain(key));
    // one message after another, as who adds recipients writes them
    const both = (await wrapped(someKey(), [curve("P-256")]))[ANNOTATION.jwe] + "," +
      together[ANNOTATION.jwe];
    assertEquals(plain(await unwrapped({ ...together, [ANNOTATION.jwe]: both }, pair)), plain(key));
  }
  for (const other of [generateKeyPairSync("rsa", { modulusLength: 2048 }), curve("P-256"), curve("P-384")]) {
    await rejects(unwrapped(together, other), { message: `decrypt layer: ${NO_KEY}` });
  }
});

Deno.test("what was changed in the annotations is refused, without a word of the key", async () => {
  const key = someKey();
  const annotations = await wrapped(key, [rsa]);
  const jwe = JSON.parse(atob(annotations[ANNOTATION.jwe]!));
  const changed = (fields: object) => ({
    ...annotations,
    [ANNOTATION.jwe]: btoa(JSON.stringify({ ...jwe, ...fields })),
  });
  const other = (text: string) => (text[5] === "A" ? "B" : "A");
  const flip = (text: string) => text.slice(0, 5) + other(text) + text.slice(6);
  for (const field of ["encrypted_key", "iv", "ciphertext", "tag"]) {
    await rejects(unwrapped(changed({ [field]: flip(jwe[field]) }), rsa), {
      message: `decrypt layer: ${NO_KEY}`,
    });
  }
  // a tag that is cut is easy to guess
  await rejects(unwrapped(changed({ tag: jwe.tag.slice(0, 6) }), rsa), {
    message: `decrypt layer: ${NO_KEY}`,
  });
  await rejects(unwrapped({ ...annotations, [ANNOTATION.jwe]: "%" }, rsa), {
    message: "decrypt layer: could not base64 decode the annotation",
  });
  // a nonce among the options that everybody can change is not the one that the key came with
  const open = JSON.parse(atob(annotations[ANNOTATION.options]!));
  const renonced = btoa(JSON.stringify({ ...open, cipheroptions: { nonce: new Uint8Array(16).toBase64() } }));
  assertEquals(
    plain(await unwrapped({ ...annotations, [ANNOTATION.options]: renonced }, rsa)),
    plain(key),
  );
  for (
    const [options, why] of [
      ["", "they are malformed"],
      [btoa("{"), "they are malformed"],
      [btoa(JSON.stringify({ hmac: "AAAA" })), "unsupported cipher type: "],
      [btoa(JSON.stringify({ cipher: "ROT13" })), "unsupported cipher type: ROT13"],
      [btoa(JSON.stringify({ cipher: "AES_256_CTR_HMAC_SHA256" })), "nonce or HMAC are missing"],
    ]
  ) {
    await rejects(unwrapped({ ...annotations, [ANNOTATION.options]: options! }, rsa), {
      message: `decrypt layer: the options in its annotations: ${why}`,
    });
  }
});

Deno.test("a layer comes out as it was, or not at all", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const content = crypto.getRandomValues(new Uint8Array(60_000));
    await Deno.writeFile(`${folder}/plain`, content);
    const seal = async (target: string, digest: Digest) => {
      using source = await Deno.open(`${folder}/plain`);
      return await encryptBytes("layer", { source, target: `${folder}/${target}` }, digest);
    };
    const sealed = await seal("sealed", await digestOf(content));
    await rejects(seal("rotten", DIGEST), { message: "verify layer: its digest is another" });
    assertEquals(sealed.size, content.length);
    const open = async (from: string, digest: Digest, key: LayerKey) => {
      await Deno.remove(`${folder}/out`).catch(() => {});
      using source = await Deno.open(`${folder}/${from}`);
      return await decryptBytes("layer", { source, target: `${folder}/out` }, digest, key);
    };
    await open("sealed", sealed.digest, sealed.layerKey);
    assertEquals(await Deno.readFile(`${folder}/out`), content);
    const bytes = await Deno.readFile(`${folder}/sealed`);
    notStrictEqual(bytes.toBase64(), content.toBase64());
    bytes[100]! ^= 1;
    await Deno.writeFile(`${folder}/changed`, bytes);
    await rejects(open("changed", sealed.digest, sealed.layerKey), {
      message: "verify layer: its digest is another",
    });
    await rejects(open("changed", await digestOf(bytes), sealed.layerKey), {
      message: "decrypt layer: its HMAC does not match, it is not what was encrypted",
    });
    await rejects(open("sealed", sealed.digest, { ...sealed.layerKey, hmac: new Uint8Array(0) }), /its HMAC/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("keys are read in all their forms", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const put = async (name: string, content: string | Uint8Array) => {
      const path = `${folder}/${name}`;
      await (typeof content === "string" ? Deno.writeTextFile(path, content) : Deno.writeFile(path, content));
      return path;
    };
    const { publicKey, privateKey } = rsa;
    const ec = curve("P-256");
    const shut = { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "a:b" } as const;
    const shutFile = await put("shut", privateKey.export(shut) as string);
    const files = [
      await put("pkcs8", privateKey.export({ type: "pkcs8", format: "pem" }) as string),
      await put("pkcs1", privateKey.export({ type: "pkcs1", format: "pem" }) as string),
      await put("der", privateKey.export({ type: "pkcs8", format: "der" }) as Uint8Array),
      await put("jwk", JSON.stringify(privateKey.export({ format: "jwk" }))),
      await put("sec1", ec.privateKey.export({ type: "sec1", format: "pem" }) as string),
      `${shutFile}:a:b`,
      `${shutFile}:pass=a:b`,
      `${shutFile}:file=${await put("passphrase", "a:b")}`,
      `${shutFile}:file=${await put("line", "a:b\n")}`,
    ];
    assertEquals((await readDecryptionKeys(files)).keys.length, files.length);
    const publicPem = await put("public.pem", publicKey.export({ type: "spki", format: "pem" }) as string);
    const publicJwk = await put("public.jwk", JSON.stringify(ec.publicKey.export({ format: "jwk" })));
    const found = await readRecipients([`jwe:${publicPem}`, `jwe:${publicJwk}`, "pgp:me@example.com"]);
    assertEquals([found.jwe.length, found.pgp], [2, ["me@example.com"]]);

    const refused = async (texts: string[], message: string) =>
      await rejects(readDecryptionKeys(texts), { message: `invalid decryption keys: ${message}` });
    await refused([shutFile], `"${shutFile}": missing password for encrypted private key`);
    await refused([`${shutFile}:x`], `"${shutFile}": wrong password: could not decrypt private key`);
    await refused([publicPem], `"${publicPem}": unidentified private key`);
    await refused([`${folder}/none`], `open ${folder}/none: no such file or directory`);
    await refused([folder], `"${folder}": is a directory`);
    await refused([`${shutFile}:fd=x`], "fd=x: it is no descriptor");
    const wrong = async (text: string, why: string) =>
      await rejects(readRecipients([text]), { message: `invalid encryption keys: "${text}": ${why}` });
    await wrong(`jwe:${files[0]}`, "File provided is not a public key");
    await wrong(`jwe:${files[3]}`, "File provided is not a public key");
    await wrong(`pkcs7:${publicPem}`, "File provided is not an x509 cert");
    await wrong("age:x", "Provided protocol not recognized");
    await wrong("x", "Invalid recipient format");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
