import { deepStrictEqual, strictEqual as assertEquals, throws } from "node:assert";
import { editPolicy, type TrustChange } from "./policy_edit.ts";

const change = (scope: string, type: TrustChange["type"], ...keyPaths: string[]) => ({
  scope,
  type,
  keyPaths,
});

Deno.test("one scope is changed, and the rest stays, written as podman writes it", () => {
  const first = editPolicy(undefined, change("default", "reject"));
  assertEquals(first, '{\n    "default": [\n        {\n            "type": "reject"\n        }\n    ]\n}');
  const before = JSON.stringify({
    transports: { docker: { b: [{ type: "reject" }] }, atomic: { a: [{ keyPath: "/x", type: "signedBy" }] } },
    default: [{ type: "reject" }],
  });
  assertEquals(
    JSON.stringify(JSON.parse(editPolicy(before, change("a", "sigstoreSigned", "/1", "/2")))),
    '{"default":[{"type":"reject"}],"transports":{"atomic":{"a":[{"type":"sigstoreSigned","keyPath":"/1"},' +
      '{"type":"sigstoreSigned","keyPath":"/2"}]},"docker":{"b":[{"type":"reject"}]}}}',
  );
  assertEquals(
    JSON.stringify(JSON.parse(editPolicy(before, change("c", "signedBy", "/1"))).transports.docker),
    '{"b":[{"type":"reject"}],"c":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/1"}]}',
  );
});

Deno.test("transports that are null are none", () => {
  const text = '{"default":[{"type":"reject"}],"transports":null}';
  deepStrictEqual(JSON.parse(editPolicy(text, change("quay.io", "accept"))).transports, {
    docker: { "quay.io": [{ type: "insecureAcceptAnything" }] },
  });
});

Deno.test("what would make no policy is refused", () => {
  const cases: [TrustChange, string][] = [
    [change("quay.io", "accept"), "default trust policy must be set"],
    [change("default", "accept", "/k"), "1 public keys unexpectedly provided for trust type accept"],
    [change("default", "signedBy"), "at least one public key must be defined for type 'signedBy'"],
  ];
  for (const [one, message] of cases) throws(() => editPolicy(undefined, one), { message });
  throws(() => editPolicy('{"default":[],"default":[]}', change("default", "accept")), {
    message: 'Duplicate key "default"',
  });
});
