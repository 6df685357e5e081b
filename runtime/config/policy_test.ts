import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { dockerScopes, parsePolicy, pathScopes, requirementsFor } from "./policy.ts";

const ACCEPT = [{ type: "insecureAcceptAnything" }], REJECT = [{ type: "reject" }];

Deno.test("the most specific scope decides", () => {
  const policy = parsePolicy(
    "p",
    JSON.stringify({
      default: REJECT,
      transports: {
        docker: {
          "": ACCEPT,
          "*.example.com": REJECT,
          "quay.io": REJECT,
          "quay.io/a": ACCEPT,
          "quay.io/a/b:bad": REJECT,
        },
        oci: { "/srv/images": ACCEPT },
      },
    }),
  );
  const docker = (repository: string, tag: string) =>
    requirementsFor(policy, { transport: "docker", name: "", scopes: dockerScopes(repository, tag) })[0]!
      .type;
  const found = [
    docker("quay.io/x", ":1"),
    docker("quay.io/a/b", ":1"),
    docker("quay.io/a/b", ":bad"),
    docker("quay.io/ab", ":1"),
    docker("one.example.com/x", ":1"),
    docker("example.com/x", ":1"),
    docker("constructor", ":1"),
  ];
  const [reject, accept] = ["reject", "insecureAcceptAnything"];
  assertEquals(found, [reject, accept, reject, reject, reject, accept, accept]);
  const folder = (path: string) =>
    requirementsFor(policy, { transport: "oci", name: "", scopes: pathScopes(path) })[0]!.type;
  assertEquals([folder("/srv/images/a"), folder("/srv/images"), folder("/srv/imagesx"), folder("/")], [
    accept,
    accept,
    reject,
    reject,
  ]);
});

Deno.test("scopes go from the whole name to its registry's domain", () => {
  assertEquals(dockerScopes("one.example.com:5000/a/b", "@sha256:x"), [
    "one.example.com:5000/a/b@sha256:x",
    "one.example.com:5000/a/b",
    "one.example.com:5000/a",
    "one.example.com:5000",
    "*.example.com:5000",
    "*.com:5000",
  ]);
  assertEquals(pathScopes("/a/b"), ["/a/b", "/a"]);
});

Deno.test("a policy that is not understood lets nothing in", () => {
  const cases: [unknown, string][] = [
    [{}, "Default policy is missing"],
    [{ default: [] }, "default is no list of requirements"],
    [{ default: ACCEPT, more: 1 }, 'Unknown key "more"'],
    [{ default: [{ type: "trustMe" }] }, 'Unknown policy requirement type "trustMe"'],
    [{ default: [{ type: "constructor" }] }, 'Unknown policy requirement type "constructor"'],
    [{ default: [{ type: "reject", keyPath: "/x" }] }, 'Unknown key "keyPath"'],
    [{ default: ACCEPT, transports: { docker: { "": [] } } }, "docker is no list of requirements"],
    [{ default: ACCEPT, transports: { docker: [] } }, "docker is no object"],
    [[], "the policy is no object"],
  ];
  for (const [value, cause] of cases) {
    throws(() => parsePolicy("p", JSON.stringify(value)), { message: `invalid policy in "p": ${cause}` });
  }
  throws(() => parsePolicy("p", "{"), /^InvalidArgumentError: invalid policy in "p": /);
});
