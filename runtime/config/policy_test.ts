import { deepStrictEqual as assertEquals, rejects } from "node:assert";
import { checkPolicy, dockerScopes, parsePolicy, pathScopes, requirementsFor } from "./policy.ts";

const ACCEPT = [{ type: "insecureAcceptAnything" }], REJECT = [{ type: "reject" }];

Deno.test("the most specific scope decides", async () => {
  const policy = await parsePolicy(
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

Deno.test("a policy that is not understood lets nothing in", async () => {
  const by = (fields: object) => ({ default: [{ type: "signedBy", keyType: "GPGKeys", ...fields }] });
  const sigstore = (fields: object) => ({ default: [{ type: "sigstoreSigned", ...fields }] });
  const identity = (signedIdentity: unknown) => sigstore({ keyPath: "/k", signedIdentity });
  const oneKey = "exactly one of keyPath, keyPaths, keyData, keyDatas, fulcio, and pki must be specified";
  const cases: [unknown, string][] = [
    [{}, "Default policy is missing"],
    [{ default: [] }, "default is no list of requirements"],
    [{ default: ACCEPT, more: 1 }, 'Unknown key "more"'],
    [{ default: [{ type: "trustMe" }] }, 'Unknown policy requirement type "trustMe"'],
    [{ default: [{ type: "constructor" }] }, 'Unknown policy requirement type "constructor"'],
    [{ default: [{ type: "reject", keyPath: "/x" }] }, 'Unknown key "keyPath"'],
    [{ default: ACCEPT, transports: { docker: { "": [] } } }, "docker is no list of requirements"],
    [{ default: ACCEPT, transports: { docker: [] } }, "docker is no object"],
    [
      { default: ACCEPT, transports: { dir: { "tmp": ACCEPT } } },
      "Invalid scope tmp: Must be an absolute path",
    ],
    [
      { default: ACCEPT, transports: { oci: { "/": ACCEPT } } },
      'Invalid scope "/": Use the generic default scope ""',
    ],
    [
      { default: ACCEPT, transports: { dir: { "/a/../b": ACCEPT } } },
      "Invalid scope /a/../b: Uses non-canonical format",
    ],
    [
      { default: ACCEPT, transports: { "docker-archive": { "/a": ACCEPT } } },
      'docker-archive: does not support any scopes except the default "" one',
    ],
    [by({ keyPath: "/a", keyType: "PGP" }), 'Unrecognized keyType value "PGP"'],
    [by({}), "exactly one of keyPath, keyPaths and keyData must be specified"],
    [by({ keyPath: "/a", keyData: "" }), "exactly one of keyPath, keyPaths and keyData must be specified"],
    [by({ keyPath: 1 }), "keyPath is no text"],
    [by({ keyPaths: [] }), "keyPaths contains no entries"],
    [by({ keyData: "*" }), "keyData is not base64"],
    [by({ keyPath: "/a", keyDatas: ["YQ=="] }), 'Unknown key "keyDatas"'],
    [sigstore({}), oneKey],
    [sigstore({ keyPath: "/a", fulcio: {} }), oneKey],
    [sigstore({ keyPath: "/a", keyType: "GPGKeys" }), 'Unknown key "keyType"'],
    [identity({ type: "matchAll" }), 'Unknown policy reference match type "matchAll"'],
    [identity({ type: "matchExact", prefix: "a" }), 'Unknown key "prefix"'],
    [identity({ type: "remapIdentity", prefix: "a" }), "signedPrefix of remapIdentity is no text"],
    [
      identity({ type: "exactReference", dockerReference: "localhost:5000/a" }),
      'dockerReference "localhost:5000/a" contains neither a tag nor digest',
    ],
    [[], "the policy is no object"],
  ];
  for (const [value, cause] of cases) {
    await rejects(parsePolicy("p", JSON.stringify(value)), { message: `invalid policy in "p": ${cause}` });
  }
  await rejects(parsePolicy("p", "{"), /^InvalidArgumentError: invalid policy in "p": /);
  await rejects(parsePolicy("p", '{"default":[{"type":"reject"}],"default":[]}'), {
    message: 'invalid policy in "p": Duplicate key "default"',
  });
});

Deno.test("signature requirements say whose keys and which name", async () => {
  const policy = await parsePolicy(
    "p",
    JSON.stringify({
      default: [
        { type: "signedBy", keyType: "GPGKeys", keyPaths: ["/a", "/b"] },
        {
          type: "sigstoreSigned",
          keyDatas: ["YQ=="],
          rekorPublicKeyPath: "/r",
          signedIdentity: { type: "remapIdentity", prefix: "a", signedPrefix: "b" },
        },
      ],
    }),
  );
  assertEquals(policy.default, [
    {
      type: "signedBy",
      keys: [{ path: "/a" }, { path: "/b" }],
      identity: { type: "matchRepoDigestOrExact" },
    },
    {
      type: "sigstoreSigned",
      keys: [{ data: new Uint8Array([97]) }],
      rekorKeys: [{ path: "/r" }],
      identity: { type: "remapIdentity", prefix: "a", signedPrefix: "b" },
    },
  ]);
});

Deno.test("what cannot be verified lets nothing in, but only in its own scope", async () => {
  const kinds = [
    { type: "signedBy", keyType: "X509Certificates", keyPath: "/a" },
    { type: "signedBaseLayer", baseLayerIdentity: { type: "matchExact" } },
    { type: "sigstoreSigned", fulcio: { caPath: "/ca" }, rekorPublicKeyPath: "/r" },
    { type: "sigstoreSigned", pki: {} },
  ];
  for (const kind of kinds) {
    const folder = await Deno.makeTempDir();
    try {
      const path = `${folder}/.config/containers/policy.json`;
      await Deno.mkdir(`${folder}/.config/containers`, { recursive: true });
      await Deno.writeTextFile(
        path,
        JSON.stringify({ default: [kind], transports: { docker: { "quay.io": ACCEPT } } }),
      );
      const sources = {
        home: folder,
        configHome: "/elsewhere",
        cacheHome: "/",
        systemDir: "/none",
        isRoot: false,
        env: {},
      };
      const subject = { transport: "docker" as const, name: "docker://x" };
      await rejects(checkPolicy(sources, { ...subject, scopes: ["x.io"] }), { name: "UnsupportedError" });
      assertEquals(await checkPolicy(sources, { ...subject, scopes: ["quay.io"] }), {
        path,
        requirements: [],
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }
});
