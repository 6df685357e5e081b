/** What the reference of Dockerfiles and of `buildx build` says in passing, tried word by word. */
import { assertEquals, assertIncludes, hostTest } from "./harness.ts";
import { makeContext } from "./build_context.ts";

hostTest("a hexadecimal name is a name first, then an id, and never a part of one", {}, async (host) => {
  const make = async (text: string, ...words: string[]) => {
    const context = await makeContext(host, { Dockerfile: `FROM ${text}\nLABEL more=1\n` });
    const { code, stdout, stderr } = await host.skiff(["build", "-q", "--pull=never", ...words, context]);
    return code === 0 ? stdout.trim().slice("sha256:".length) : stderr;
  };
  const labels = async (id: string) => await host.ok("inspect", "--format", "{{json .Config.Labels}}", id);
  const id = await make("scratch", "--label", "first=1");
  for (const text of [id, `sha256:${id}`, id.slice(0, 12), id.slice(0, 30)]) {
    assertEquals(await labels(await make(text)), `{"first":"1","more":"1"}`);
  }
  for (const text of [id.slice(0, 3), id.slice(0, 11)]) {
    assertIncludes(await make(text), `${text}:latest: image not known`);
  }
  await make("scratch", "--label", "second=1", "-t", id.slice(0, 12), "-t", id.slice(0, 3));
  for (const text of [id.slice(0, 3), id.slice(0, 12)]) {
    assertEquals(await labels(await make(text)), `{"more":"1","second":"1"}`);
  }
  assertEquals(await labels(await make(id)), `{"first":"1","more":"1"}`);
});

hostTest("FROM names an image, and no file or folder of this machine", {}, async (host) => {
  const from = async (text: string, ...words: string[]) => {
    const context = await makeContext(host, { Dockerfile: `FROM ${text}\n` });
    return await host.skiff(["build", "-q", "--pull=never", ...words, context]);
  };
  const layout = `${host.home}/layout`;
  const made = await from("scratch\nLABEL a=b", "-t", "dir", "-o", `type=oci,tar=false,dest=${layout}`);
  assertEquals(made.code, 0, made.stderr);
  // there is an image to be had
  const id = await host.ok("pull", "-q", `oci:${layout}`);
  const refused = await from(`oci:${layout}`);
  assertEquals(refused.code, 1);
  assertIncludes(refused.stderr, `parse image reference "oci:${layout}": the registry's name is malformed`);
  await host.ok("tag", id, "dir:latest");
  assertEquals((await from("dir:latest")).code, 0);
});

hostTest(
  "what an image is written to is what --metadata-file and --iidfile tell of, a tar or a folder",
  {},
  async (host) => {
    const context = await makeContext(host, {
      Dockerfile: "FROM scratch\nARG TARGETARCH\nCOPY f /$TARGETARCH/f\n",
      f: "f",
    });
    const metadata = `${host.home}/metadata.json`, iid = `${host.home}/iid`;
    const build = async (...words: string[]) => {
      await host.ok("build", "-q", "--metadata-file", metadata, "--iidfile", iid, ...words, context);
      return JSON.parse(await Deno.readTextFile(metadata));
    };
    const layout = `${host.home}/layout`;
    const written = await build(
      "--annotation",
      "manifest-descriptor:of=it",
      "-t",
      "first",
      "--platform",
      "linux/amd64",
      "-o",
      `type=oci,tar=false,dest=${layout}`,
    );
    assertEquals(written["containerimage.config.digest"], await Deno.readTextFile(iid));
    assertEquals(written["image.name"], "localhost/first:latest");
    const { manifests } = JSON.parse(await Deno.readTextFile(`${layout}/index.json`));
    assertEquals([written["containerimage.descriptor"]], manifests);
    assertEquals(manifests[0].annotations.of, "it");
    const archive = await build(
      "-t",
      "first",
      "--platform",
      "linux/amd64",
      "-o",
      `type=oci,dest=${host.home}/first.tar`,
    );
    assertEquals(archive["containerimage.digest"], manifests[0].digest);
    // one more image goes beside it, and either can be built on
    const both = await build(
      "-t",
      "both",
      "--platform",
      "linux/amd64,linux/arm64",
      "-o",
      `type=oci,tar=false,dest=${layout}`,
    );
    const names = JSON.parse(await Deno.readTextFile(`${layout}/index.json`)).manifests;
    assertEquals([names.length, names[1].digest], [2, both["containerimage.digest"]]);
    const more = await makeContext(host, { Dockerfile: "FROM base\nCOPY --from=other /amd64/f /other\n" });
    await host.ok(
      ...["build", "-q", "-o", `${host.home}/files`, "--platform", "linux/amd64"],
      ...["--build-context", `base=oci-layout://${layout}:localhost/first:latest`],
      ...["--build-context", `other=oci-layout://${layout}@${both["containerimage.digest"]}`, more],
    );
  },
);
