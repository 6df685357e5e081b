/** A key, and a signature by it, that skopeo 1.18 has made (containers/image 5.34.2). */

import { strictEqual as assertEquals } from "node:assert";
import { parseReference } from "../image/reference.ts";
import { parseClaim } from "./claim.ts";
import { matchesIdentity } from "./identity.ts";
import { publicPem, readPrivateKey } from "./private_key.ts";
import { isSignedBy, readPublicKey } from "./public_key.ts";

const PRIVATE = `-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----
eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjo2NTUzNiwiciI6
OCwicCI6MX0sInNhbHQiOiI5czVXdkpZNjRuLzgycjZidlBRbitIclVtT0JGZXc3
ck5iaVNkME5JSEpnPSJ9LCJjaXBoZXIiOnsibmFtZSI6Im5hY2wvc2VjcmV0Ym94
Iiwibm9uY2UiOiIwajFrYzJoUEZMV255OVRORUtpSkZseEUyRnNzS1FHRSJ9LCJj
aXBoZXJ0ZXh0IjoiaTRuSWVYYlE5bE9YYkc4cStWUXJoVnlNRXo3dFpSUXI4alR1
aHBGY0VDbWtMVFovYitTWEw4cS90OEp6RVJ1UTdJTy96U1E1M2RGVUtlc01SREkw
T3VsMzVNVktCTXk1aE9wK0dtWkJXTTB0c3ZTaHFmKzFUUjVNaWd5dmNyRmFoZTVX
b1Y4U29UUE1oZk9kVTFYNjAzUHk5WDhSblVBVURsbDJLbnRGNHJCNFVBbXNGeUs5
VDdYQkYza3pLMGRmNGtxakdoS1pZK1djTXc9PSJ9
-----END ENCRYPTED COSIGN PRIVATE KEY-----
`;

const PUBLIC = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEpwEFNxqUr9Ww53WnVZlDYf4uGClE
9fGsSJYsVe/CE4+IoPMwM0yqUmgA7IJ+OvE1xKaHWQq95W9dlZQJ8zkifQ==
-----END PUBLIC KEY-----
`;

const PAYLOAD = '{"critical":{"identity":{"docker-reference":"127.0.0.1:38513/theirs:1"},"image":' +
  '{"docker-manifest-digest":"sha256:4d722f6faec98dde65bbc154664307409e80080a06fd85286a010f110cec324c"},' +
  '"type":"cosign container image signature"},"optional":{"creator":"containers/image 5.34.2",' +
  '"timestamp":1795267408}}';

const SIGNATURE =
  "MEQCIB8SUF/Vlwy/80b8ya8DgHZ6xyH8r9UITyE02MBVW/hzAiAara5cbWffnj7t6NqKkNnWoa1qcYbFogzUV/C77bgFiw==";

Deno.test("a key of skopeo's is opened, and a signature by it is read and verified", () => {
  assertEquals(publicPem(readPrivateKey("k", PRIVATE, new TextEncoder().encode("secret"))), PUBLIC);
  const payload = new TextEncoder().encode(PAYLOAD);
  const key = readPublicKey("k", new TextEncoder().encode(PUBLIC));
  assertEquals(isSignedBy(key, payload, Uint8Array.fromBase64(SIGNATURE)), true);
  const { digest, reference } = parseClaim("sigstore", payload);
  assertEquals(digest, "sha256:4d722f6faec98dde65bbc154664307409e80080a06fd85286a010f110cec324c");
  const wanted = parseReference("127.0.0.1:38513/theirs:1");
  assertEquals(matchesIdentity({ type: "matchRepoDigestOrExact" }, wanted, reference), true);
});
