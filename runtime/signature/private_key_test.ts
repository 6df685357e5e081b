import { deepStrictEqual as assertEquals, ok, throws } from "node:assert";
import { makeSigstorePair } from "../../tests/sigstore_keys.ts";
import { publicPem, readPrivateKey, signWith } from "./private_key.ts";
import { isSignedBy, readPublicKey } from "./public_key.ts";

const PASS = new TextEncoder().encode("secret");

Deno.test("a key is opened by its passphrase, and signs", () => {
  for (const kind of ["P-256", "ed25519"] as const) {
    const pair = makeSigstorePair("secret", { kind });
    const key = readPrivateKey("k", pair.privatePem, PASS);
    assertEquals(publicPem(key), pair.publicPem);
    const message = new TextEncoder().encode("hello");
    const verifier = readPublicKey("k", new TextEncoder().encode(pair.publicPem));
    ok(isSignedBy(verifier, message, signWith(key, message)));
  }
});

Deno.test("what is no such key, or opens not, says so", () => {
  const { privatePem } = makeSigstorePair("secret");
  const body = (change: (json: string) => string) => {
    const [head, ...lines] = privatePem.trim().split("\n");
    const end = lines.pop();
    const json = new TextDecoder().decode(Uint8Array.fromBase64(lines.join("")));
    return [head, new TextEncoder().encode(change(json)).toBase64(), end].join("\n");
  };
  const cases: [string, string][] = [
    ["", "invalid pem block"],
    [privatePem.replaceAll("ENCRYPTED SIGSTORE ", ""), "unsupported pem type: PRIVATE KEY"],
    [body(() => "{}"), 'it is malformed: Key "kdf" missing'],
    // more work than anybody asks for
    [
      body((json) => json.replace('"N":32768', '"N":1073741824')),
      "it is malformed: unexpected kdf parameters",
    ],
    [body((json) => json.replace("scrypt", "md5")), 'it is malformed: unknown kdf name "md5"'],
    [
      body((json) => json.replace(/"nonce":"[^"]*"/, '"nonce":"AAAA"')),
      "it is malformed: incorrect nonce size",
    ],
    [
      body((json) => json.replace(/"ciphertext":"(.)/, (_, c) => `"ciphertext":"${c === "A" ? "B" : "A"}`)),
      "decryption failed: it is another passphrase's",
    ],
  ];
  for (const [pem, why] of cases) {
    throws(() => readPrivateKey('"k"', pem, PASS), { message: `read private key "k": ${why}` });
  }
  throws(() => readPrivateKey('"k"', privatePem, new TextEncoder().encode("other")), {
    message: `read private key "k": decryption failed: it is another passphrase's`,
  });
});
