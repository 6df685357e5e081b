import { deepStrictEqual as assertEquals, throws } from "node:assert";
import type { Digest } from "../spec/digest.ts";
import { makeClaim, parseClaim } from "./claim.ts";

const DIGEST = `sha256:${"a".repeat(64)}` as Digest;
const CRITICAL = {
  type: "cosign container image signature",
  image: { "docker-manifest-digest": DIGEST },
  identity: { "docker-reference": "quay.io/a:1" },
};

const parse = (value: unknown, kind: "simple" | "sigstore" = "sigstore") =>
  parseClaim(kind, new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value)));

Deno.test("a claim that is made is read back, and is of its own kind only", () => {
  const claim = { digest: DIGEST, reference: "quay.io/a:1" };
  const at = { creator: "skiff", timestamp: 1 };
  assertEquals(parseClaim("simple", makeClaim("simple", claim, at)), claim);
  assertEquals(parseClaim("sigstore", makeClaim("sigstore", claim, at)), claim);
  throws(() => parseClaim("simple", makeClaim("sigstore", claim, at)), /Unrecognized signature type/);
  assertEquals(parse({ critical: CRITICAL, optional: null }), claim);
  throws(() =>
    parse({ critical: { ...CRITICAL, type: "atomic container signature" }, optional: null }, "simple")
  );
});

Deno.test("a claim that could be read in two ways is none", () => {
  const image = CRITICAL.image;
  const cases: unknown[] = [
    {},
    [],
    null,
    "{",
    { critical: CRITICAL },
    { critical: CRITICAL, optional: [] },
    { critical: CRITICAL, optional: {}, more: 1 },
    { critical: { ...CRITICAL, more: 1 }, optional: {} },
    { critical: { ...CRITICAL, image: { ...image, more: 1 } }, optional: {} },
    { critical: { ...CRITICAL, image: { "docker-manifest-digest": "sha256:../../x" } }, optional: {} },
    { critical: { ...CRITICAL, image: { "docker-manifest-digest": DIGEST.toUpperCase() } }, optional: {} },
    { critical: { ...CRITICAL, identity: { "docker-reference": 1 } }, optional: {} },
    { critical: CRITICAL, optional: { timestamp: 1.5 } },
    { critical: CRITICAL, optional: { creator: 1 } },
    `{"critical":${JSON.stringify(CRITICAL)},"optional":null,"optional":null}`,
    JSON.stringify({ critical: CRITICAL, optional: null }).replace(
      '"docker-reference":',
      '"docker-reference":"quay.io/b:1","docker-reference":',
    ),
  ];
  for (const one of cases) throws(() => parse(one), SyntaxError, JSON.stringify(one));
  throws(() => parseClaim("sigstore", new Uint8Array([0x22, 0xff, 0x22])), SyntaxError);
});
