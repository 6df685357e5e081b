/** policy.json: what may come into the store. @see containers-policy.json(5) */
import { assertEquals, assertIncludes, hostTest } from "./harness.ts";

const ACCEPT = [{ type: "insecureAcceptAnything" }], REJECT = [{ type: "reject" }];

hostTest("what policy.json rejects is neither pulled nor loaded", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image();
  const registry = image.split("/")[0]!;
  const path = `${host.home}/.config/containers/policy.json`;
  await host.sh("mkdir -p .config/containers");
  const setPolicy = async (policy: unknown) => {
    await Deno.writeTextFile(path, typeof policy === "string" ? policy : JSON.stringify(policy));
    await host.own(path);
  };
  const attempt = async (...words: string[]) => {
    const { code, stderr } = await host.skiff(words);
    return [code, stderr.split("\n").filter((line) => line.startsWith("Error"))[0]];
  };
  const rejected = (name: string) => [
    125,
    `Error: Source image rejected: Running image ${name} is rejected by policy`,
  ];
  await setPolicy({ default: ACCEPT, transports: { docker: { [registry]: REJECT } } });
  assertEquals(await attempt("pull", image), rejected(`docker://${image}`));
  assertEquals(
    await attempt("run", "--rm", "--network", "none", image, "true"),
    rejected(`docker://${image}`),
  );
  assertEquals(await host.ok("images", "-q"), "");
  const repository = image.slice(0, image.lastIndexOf(":"));
  const signed = { type: "signedBy", keyType: "GPGKeys", keyPath: "/key.gpg" };
  await setPolicy({
    default: REJECT,
    transports: { docker: { [registry]: REJECT, [repository]: [signed] } },
  });
  assertEquals(await attempt("pull", image), [
    125,
    "Error: Source image rejected: A signature was required, but no signature exists",
  ]);
  await setPolicy("{");
  assertIncludes(String(await attempt("pull", image)), `125,Error: invalid policy in "${path}": `);
  // the control: only the policy kept it away
  await setPolicy({ default: REJECT, transports: { docker: { [registry]: REJECT, [image]: ACCEPT } } });
  await host.ok("pull", "-q", image);
  await host.ok("save", "-q", "-o", "image.tar", image);
  await host.ok("save", "-q", "--format", "oci-dir", "-o", "folder", image);
  await host.ok("rmi", image);
  assertEquals(await attempt("load", "-i", "image.tar"), rejected("docker-archive:image.tar"));
  assertEquals(await attempt("load", "-i", "folder"), rejected("oci:folder"));
  // no archive has signatures
  await setPolicy({ default: [{ type: "sigstoreSigned", keyPath: "/key.pub" }] });
  for (const input of ["image.tar", "folder"]) {
    assertEquals(await attempt("load", "-i", input), [
      125,
      "Error: Source image rejected: A signature was required, but no signature exists",
    ]);
  }
  await setPolicy({
    default: REJECT,
    transports: { "docker-archive": { "": ACCEPT }, oci: { [host.home]: ACCEPT } },
  });
  await host.ok("load", "-q", "-i", "image.tar");
  await host.ok("load", "-q", "-i", "folder");
});

hostTest("policy.json is asked for archives by their path, for layouts of builds and for tarballs", {
  needs: ["busybox"],
}, async (host) => {
  await host.sh(
    "mkdir -p .config/containers root/bin in ctx && cp /bin/busybox root/bin && tar -cf root.tar -C root .",
  );
  await host.ok("import", "-q", "root.tar", "one");
  await host.ok("save", "-q", "--format", "oci-archive", "-o", "in/image.tar", "one");
  await host.ok("save", "-q", "--format", "oci-dir", "-o", "layout", "one");
  await host.ok("rmi", "one");
  await host.sh("ln -s in/image.tar link.tar");
  const path = `${host.home}/.config/containers/policy.json`;
  const setPolicy = async (policy: unknown) => {
    await Deno.writeTextFile(path, JSON.stringify(policy));
    await host.own(path);
  };
  const refused = async (name: string, ...words: string[]) => {
    const { code, stderr } = await host.skiff(words);
    assertEquals(code, words[0] === "build" ? 1 : 125, stderr);
    assertIncludes(stderr, `Source image rejected: Running image ${name} is rejected by policy`);
    assertEquals(await host.ok("images", "-aq"), "");
  };
  const build = ["build", "-q", "--build-context", "base=oci-layout://layout", "-f", "ctx/Dockerfile", "ctx"];
  await host.sh("echo FROM base > ctx/Dockerfile");
  await setPolicy({ default: ACCEPT, transports: { "oci-archive": { [`${host.home}/in`]: REJECT } } });
  await refused("oci-archive:in/image.tar", "load", "-q", "-i", "in/image.tar");
  // where it really is counts
  await refused("oci-archive:link.tar", "load", "-q", "-i", "link.tar");
  await setPolicy({ default: ACCEPT, transports: { oci: { [`${host.home}/layout`]: REJECT } } });
  await refused("oci:layout", ...build);
  await setPolicy({ default: ACCEPT, transports: { tarball: { "": REJECT } } });
  await refused("tarball:root.tar", "import", "-q", "root.tar");
  await setPolicy({ default: [{ type: "sigstoreSigned", keyPath: "/key.pub" }] });
  const { code, stderr } = await host.skiff(["import", "-q", "root.tar"]);
  assertEquals(code, 125);
  assertIncludes(stderr, "A signature was required, but no signature exists");
  // the control: nothing but the policy kept them away
  await setPolicy({
    default: REJECT,
    transports: {
      "oci-archive": { [`${host.home}/in`]: ACCEPT },
      oci: { [`${host.home}/layout`]: ACCEPT },
      tarball: { "": ACCEPT },
    },
  });
  await host.ok("load", "-q", "-i", "link.tar");
  await host.ok(...build);
  await host.ok("import", "-q", "root.tar");

  // a cache in a folder is no image, and brings layers all the same; one that is kept away fails no build
  await host.sh("echo text > ctx/file && printf 'FROM scratch\\nCOPY file /\\n' > ctx/Dockerfile");
  const cached = (...words: string[]) =>
    host.skiff(["build", "--progress", "plain", "--network", "none", ...words, "ctx"]);
  assertEquals((await cached("--cache-to", "type=local,dest=cache")).code, 0);
  const fromCache = async () => {
    await host.ok("builder", "prune", "--all", "--force");
    await host.ok("image", "prune", "--all", "--force");
    const answer = await cached("--cache-from", "type=local,src=cache");
    assertEquals(answer.code, 0, answer.stderr);
    return answer.stderr;
  };
  await setPolicy({ default: ACCEPT, transports: { oci: { [`${host.home}/cache`]: REJECT } } });
  const rejected = await fromCache();
  assertIncludes(rejected, "Source image rejected: Running image oci:");
  assertEquals(rejected.includes("CACHED"), false, rejected);
  await setPolicy({ default: [{ type: "sigstoreSigned", keyPath: "/key.pub" }] });
  assertIncludes(await fromCache(), "A signature was required, but no signature exists");
  await setPolicy({ default: REJECT, transports: { oci: { [`${host.home}/cache`]: ACCEPT } } });
  assertIncludes(await fromCache(), "CACHED");
});
