import { deepStrictEqual as assertEquals, ok } from "node:assert";
import fc from "fast-check";
import { parseChallenges } from "./challenge.ts";

Deno.test("a token challenge is read with its quoted commas", () => {
  assertEquals(
    parseChallenges(
      'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="a:b:pull,push"',
    ),
    [{
      scheme: "bearer",
      parameters: {
        realm: "https://auth.docker.io/token",
        service: "registry.docker.io",
        scope: "a:b:pull,push",
      },
    }],
  );
});

Deno.test("several challenges, odd spaces and escapes are told apart", () => {
  assertEquals(parseChallenges('Negotiate, BASIC realm = "a \\"b\\"" , charset=UTF-8,Bearer realm=x'), [
    { scheme: "negotiate", parameters: {} },
    { scheme: "basic", parameters: { realm: 'a "b"', charset: "UTF-8" } },
    { scheme: "bearer", parameters: { realm: "x" } },
  ]);
});

Deno.test("the first of two realms counts", () => {
  assertEquals(
    parseChallenges('Bearer realm="https://a/",realm="https://evil/"')[0]!.parameters.realm,
    "https://a/",
  );
});

Deno.test("a parameter named __proto__ changes no prototype", () => {
  // The grammar has no leading underscore, so the list ends there.
  assertEquals(parseChallenges('Bearer __proto__="x"'), [{ scheme: "bearer", parameters: {} }]);
});

Deno.test("what was written is read back", () => {
  const token = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
  const value = fc.stringMatching(/^[ -~]{0,20}$/);
  const challenge = fc.tuple(
    token,
    fc.dictionary(token, value, { minKeys: 1, maxKeys: 4, noNullPrototype: true }),
  );
  fc.assert(fc.property(fc.array(challenge, { maxLength: 3 }), (list) => {
    const text = list.map(([scheme, parameters]) =>
      `${scheme} ` +
      Object.entries(parameters).map(([k, v]) => `${k}="${v.replace(/["\\]/g, "\\$&")}"`).join(", ")
    ).join(", ");
    assertEquals(parseChallenges(text), list.map(([scheme, parameters]) => ({ scheme, parameters })));
  }));
});

Deno.test("any header is read in bounded time", () => {
  fc.assert(fc.property(fc.string(), (text) => Array.isArray(parseChallenges(text))));
  const before = performance.now();
  for (
    const evil of [
      'a b="'.repeat(10_000),
      'a b="' + "\\".repeat(60_000),
      "a ".repeat(30_000),
      "a".repeat(60_000),
    ]
  ) {
    parseChallenges(evil);
  }
  // milliseconds, or much more on a busy machine; what is not linear takes minutes
  ok(performance.now() - before < 60_000);
});
