import { assertEquals, assertIncludes, messageOf } from "../../tests/assertions.ts";
import type { BuildOptions } from "../../runtime/engine/build_options.ts";
import { parseLine } from "../parser.ts";
import { fillDefaults } from "../values.ts";
import { BUILD_FLAGS } from "./build.ts";
import { type BuildFacts, type BuildValues, toBuildOptions } from "./build_options.ts";

const FACTS: BuildFacts = {
  env: { VERSION: "7", TOKEN: "t", SSH_AUTH_SOCK: "/agent" },
  readFile: (path) => path === "args" ? "# comment\nA=1\n\nVERSION\n" : "",
  isFile: (path) => path === "here" || path === "ctx/there",
  commandLine: [],
};

function options(...words: string[]): BuildOptions {
  const parsed = parseLine(words, BUILD_FLAGS, "skiff build");
  const values = fillDefaults(BUILD_FLAGS, parsed) as unknown as BuildValues;
  return toBuildOptions(values, new Set(parsed.values.keys()), parsed.args, FACTS);
}

async function refused(action: () => unknown, why: string): Promise<void> {
  assertIncludes(await messageOf(action), why);
}

Deno.test("the context is a folder, stdin, an address or a git repository", () => {
  assertEquals(options().context, { kind: "folder", path: "." });
  assertEquals(options("ctx").context, { kind: "folder", path: "ctx" });
  assertEquals(options("-").context, { kind: "stdin", fd: 0 });
  assertEquals(options("https://h/a.tar.gz").context, { kind: "url", url: "https://h/a.tar.gz" });
  for (
    const url of [
      "https://h/a.git#v1:sub",
      "git://h/a",
      "git@h.org:a/b",
      "ssh://git@h/a",
      "github.com/a/b",
    ]
  ) {
    assertEquals(options(url).context, { kind: "git", url });
  }
  assertEquals(options("./github.com/a").context.kind, "folder");
});

Deno.test("the Dockerfile is sought here, then in the context", async () => {
  assertEquals(options("-f", "here", "ctx").dockerfile, { kind: "path", path: "here" });
  assertEquals(options("-f", "there", "ctx").dockerfile, { kind: "path", path: "ctx/there" });
  assertEquals(options("-f", "nowhere", "ctx").dockerfile, { kind: "path", path: "nowhere" });
  assertEquals(options("-f-", "ctx").dockerfile, { kind: "stdin", fd: 0 });
  await refused(() => options("-f", "-", "-"), "can't use stdin for both");
  const several = options("-f", "here", "-f", "https://example.com/x/Dockerfile", "-f", "-", "ctx");
  assertEquals(several.dockerfile, { kind: "path", path: "here" });
  assertEquals(several.moreDockerfiles, [
    { kind: "url", url: "https://example.com/x/Dockerfile" },
    { kind: "stdin", fd: 0 },
  ]);
  await refused(() => options("-f", "-", "-f", "-", "."), "only one Dockerfile");
});

Deno.test("build arguments come from the line, the caller and files", () => {
  const { buildArgs } = options(
    "--build-arg",
    "A=2",
    "--build-arg=TOKEN",
    "--build-arg=NONE",
    "--build-arg-file",
    "args",
  );
  assertEquals(buildArgs, { A: "2", VERSION: "7", TOKEN: "t" });
});

Deno.test("secrets are files or variables", async () => {
  const secret = (text: string) => options("--secret", text).secrets[0];
  assertEquals(secret("id=a,src=f"), { id: "a", from: { kind: "file", path: "f" } });
  assertEquals(secret("id=a,env=TOKEN"), { id: "a", from: { kind: "env", name: "TOKEN" } });
  assertEquals(secret("id=TOKEN"), { id: "TOKEN", from: { kind: "env", name: "TOKEN" } });
  assertEquals(secret("id=name"), { id: "name", from: { kind: "file", path: "name" } });
  assertEquals(secret("type=env,id=name"), { id: "name", from: { kind: "env", name: "name" } });
  await refused(() => secret("src=f"), "it needs id=");
  await refused(() => secret("id=a,srk=f"), 'unknown key "srk"');
});

Deno.test("pulls of base images are tried again as asked", async () => {
  const { retries, retryDelayMs } = options("--retry", "2", "--retry-delay", "3s");
  assertEquals([retries, retryDelayMs], [2, 3000]);
  await refused(() => options("--retry-delay", "soon"), "soon");
});

Deno.test("outputs: an image, files, archives, a registry", async () => {
  const outputs = (...words: string[]) => options("-t", "web", ...words).outputs;
  const image = { type: "image" as const, names: ["localhost/web:latest"] };
  assertEquals(outputs(), []);
  assertEquals(outputs("-o", "out"), [{ type: "local", dest: "out" }]);
  assertEquals(outputs("-o", "-"), [{ type: "tar", dest: "-" }]);
  assertEquals(outputs("-o", "type=docker"), [{ ...image, push: false }]);
  assertEquals(outputs("--push"), [{ ...image, push: true }]);
  assertEquals(outputs("--load", "-o", "type=oci,dest=x.tar"), [
    { type: "oci", dest: "x.tar", names: undefined },
    { ...image, push: false },
  ]);
  assertEquals(outputs("-o", "type=registry,name=h:1/a"), [
    { type: "image", names: ["h:1/a:latest"], push: true },
  ]);
  assertEquals(outputs("-o", '"type=image","name=a,b"'), [
    { type: "image", names: ["localhost/a:latest", "localhost/b:latest"], push: false },
  ]);
  assertEquals(outputs("-o", "type=oci,dest=d,tar=false", "-o", "type=local,dest=e,platform-split=false"), [
    { type: "oci", dest: "d", asFolder: true, names: undefined },
    { type: "local", dest: "e", merge: true },
  ]);
  const told = options(
    ...["-o", "type=image,annotation.a=1,annotation-index[linux/arm64].b=2,oci-mediatypes=true"],
    ...["--annotation", "c=3"],
  );
  assertEquals([told.annotations, told.format], [
    { "manifest:a": "1", "index[linux/arm64]:b": "2", c: "3" },
    "oci",
  ]);
  assertEquals(options("-o", "type=image,oci-mediatypes=false").format, "docker");
  assertEquals(options("-o", "type=local,dest=oci-mediatypes").format, "oci");
  await refused(() => options("-o", "type=oci,oci-mediatypes=false"), "has OCI's media types");
  await refused(() => outputs("-o", "type=local,dest=a,annotation.b=c"), 'unknown key "annotation.b"');
  await refused(() => outputs("-o", "type=oci,tar=false"), "a folder needs dest=");
  await refused(() => outputs("-o", "type=local"), "it needs dest=");
  await refused(() => outputs("-o", ""), "neither a path nor type=");
  await refused(() => outputs("-o", "type=wim,dest=a"), 'type "wim" is none of');
  await refused(() => outputs("-o", "type=tar,dest=-", "-o", "type=oci"), "only one output");
  await refused(() => options("--push"), "it has no name");
});

Deno.test("caches are registries, folders, or the image itself", async () => {
  const from = (text: string) => options("--cache-from", text).cacheFrom[0];
  assertEquals(from("quay.io/a"), { type: "registry", reference: "quay.io/a", mode: "min" });
  assertEquals(from("type=registry,ref=a,mode=max"), { type: "registry", reference: "a", mode: "max" });
  assertEquals(from("type=local,src=dir"), { type: "local", path: "dir", mode: "min" });
  assertEquals(options("--cache-to", "type=inline").cacheTo, [{ type: "inline" }]);
  assertEquals(options("--cache-to", "type=registry,ref=r/x,ignore-error=true,oci-mediatypes=true").cacheTo, [
    { type: "registry", reference: "r/x", mode: "min", ignoreError: true },
  ]);
  for (
    const [option, text, message] of [
      ["--cache-to", "type=registry,ref=r/x,compression=zstd", "compression is always uncompressed"],
      ["--cache-to", "type=local,dest=d,odd=1", 'unknown key "odd"'],
      ["--cache-from", "type=local,src=d,tag=t", 'unknown key "tag"'],
      ["-o", "type=image,push=true,push-by-digest=true,name=r/x:1", "can't push tagged ref r/x:1 by digest"],
      ["-o", "type=image,push-by-digest=true,name=r/x", "push-by-digest needs push=true"],
      ["-o", "type=registry,push-by-digest=true", "push-by-digest needs name="],
      ["-o", "type=image,store=false", "an image is always recorded"],
    ] as const
  ) await refused(() => options(option, text), message);
  assertEquals(
    options("-o", "type=image,push=true,name=r.io/x,push-by-digest=true,registry.insecure=true").outputs,
    [
      { type: "image", names: ["r.io/x"], push: true, byDigest: true, insecure: true },
    ],
  );
  await refused(() => from("type=gha"), "cannot be reached");
});

Deno.test("named contexts", () => {
  const { contexts } = options(
    ...["a=dir", "b=docker-image://debian:12", "c=oci-layout://l:tag", "d=oci-layout://l@sha256:ab"].flatMap((
      text,
    ) => ["--build-context", text]),
  );
  assertEquals(contexts, {
    a: { kind: "folder", path: "dir" },
    b: { kind: "image", name: "debian:12" },
    c: { kind: "oci-layout", path: "l", reference: "tag" },
    d: { kind: "oci-layout", path: "l", reference: "sha256:ab" },
  });
});

Deno.test("what is so in any case may be asked for, and not refused", async () => {
  options("--rm", "--force-rm=true", "--identity-label=false", "--provenance=false", "--isolation=oci", ".");
  await refused(() => options("--rm=false"), "containers of steps are always removed");
  await refused(() => options("--identity-label"), "no label of the engine");
  options("--attest", "type=provenance,disabled=true", ".");
  for (const word of ["--provenance", "--provenance=mode=max", "--sbom=true", "--attest=type=sbom"]) {
    await refused(() => options(word), "an attestation says who built an image of what");
  }
});

Deno.test("policies, layers, times, platforms", async () => {
  assertEquals(options("--pull").pull, "always");
  assertEquals(options("--pull=newer").pull, "newer");
  assertEquals(options().pull, "missing");
  const { squash, noCache } = options("--layers=false");
  assertEquals([squash, noCache], ["new", true]);
  assertEquals(options("--squash-all").squash, "all");
  assertEquals(options("--build-arg", "SOURCE_DATE_EPOCH=12").sourceDateEpoch, 12);
  assertEquals(options("--timestamp", "0").timestamp, 0);
  assertEquals(options("--platform", "linux/amd64,linux/arm64").platforms, ["linux/amd64", "linux/arm64"]);
  assertEquals(options("--arch", "arm64").platforms, ["linux/arm64"]);
  assertEquals(options("--shm-size", "1g").shmSize, 1 << 30);
  const { pid, ipc, uts, cgroupns } = options(
    "--pid=host",
    "--ipc=container",
    "--uts=/proc/1/ns/uts",
    "--cgroupns=",
  );
  assertEquals({ pid, ipc, uts, cgroupns }, {
    pid: "host",
    ipc: undefined,
    uts: "ns:/proc/1/ns/uts",
    cgroupns: undefined,
  });
  assertEquals(options("--cache-ttl", "1h30m").cacheTtlMs, 5_400_000);
  await refused(() => options("--cache-ttl", "-1s"), 'invalid argument "-1s" for --cache-ttl');
  options("--allow", "device", "--allow", "device=vendor1.com/device", ".");
  await refused(() => options("--allow", "all"), "only network.host, security.insecure, device");
});
