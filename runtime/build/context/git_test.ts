import { namespaceContext } from "../../namespaces/context.ts";
import { openFolders } from "../../state/folders.ts";
import { cloneContext, parseGitAddress, splitCredentials } from "./git.ts";
import { assertEquals, assertIncludes, messageOf } from "../../../tests/assertions.ts";

Deno.test("an address says the branch, tag or commit and the folder, in its fragment or its query", () => {
  const cases: [text: string, address: ReturnType<typeof parseGitAddress>][] = [
    ["https://h/r.git", { remote: "https://h/r.git" }],
    ["https://h/r.git#v1", { remote: "https://h/r.git", ref: "v1" }],
    ["https://h/r.git#v1:a/b", { remote: "https://h/r.git", ref: "v1", subdir: "a/b" }],
    ["https://h/r.git#:a", { remote: "https://h/r.git", subdir: "a" }],
    ["https://h/r.git#", { remote: "https://h/r.git" }],
    ["git@h:o/r.git#refs/pull/1/head", { remote: "git@h:o/r.git", ref: "refs/pull/1/head" }],
    ["ssh://git@h:22/r.git#x", { remote: "ssh://git@h:22/r.git", ref: "x" }],
    ["github.com/o/r#main", { remote: "https://github.com/o/r", ref: "main" }],
    ["https://h/r.git?branch=b&subdir=s", { remote: "https://h/r.git", ref: "refs/heads/b", subdir: "s" }],
    ["https://h/r.git?tag=t&commit=abcdef0", {
      remote: "https://h/r.git",
      ref: "refs/tags/t",
      checksum: "abcdef0",
    }],
  ];
  for (const [text, address] of cases) assertEquals(parseGitAddress(text), address);
});

Deno.test("an address that would be an option, a refspec or something else again is refused", async () => {
  for (
    const text of [
      "--upload-pack=x",
      "https://h/r.git#-f",
      "https://h/r.git#a b",
      "https://h/r.git?ref=a:b",
      "https://h/r.git?ref=+refs/*",
      "https://h/r.git?commit=zz",
      "https://h/r.git?other=1",
    ]
  ) {
    assertIncludes(await messageOf(() => parseGitAddress(text)), "use git address");
  }
});

Deno.test("a password of an address is in no argument and no message, and reaches the server that it is for", async () => {
  assertEquals(splitCredentials("https://h/r.git"), { remote: "https://h/r.git", config: [] });
  assertEquals(splitCredentials("git@h:r.git"), { remote: "git@h:r.git", config: [] });
  assertEquals(splitCredentials("ssh://git@h/r.git"), { remote: "ssh://git@h/r.git", config: [] });
  const header = `Authorization: Basic ${btoa("me:s3/cret")}`;
  assertEquals(splitCredentials("https://me:s3%2Fcret@h:444/o/r.git"), {
    remote: "https://h:444/o/r.git",
    config: [["http.https://h:444/.extraHeader", header]],
  });

  const asked: (string | null)[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, ({ headers }) => {
    asked.push(headers.get("authorization"));
    return new Response("no", { status: 404 });
  });
  const dir = await Deno.makeTempDir({ prefix: "skiff-git-" });
  await Deno.mkdir(`${dir}/data`, { mode: 0o700 });
  const folders = openFolders({ data: `${dir}/data`, run: `${dir}/data/run` });
  const services = { folders, namespaces: namespaceContext(folders.run) };
  const before = Deno.env.get("no_proxy");
  Deno.env.set("no_proxy", "127.0.0.1"); // git gets the caller's
  const url = `http://me:s3%2Fcret@127.0.0.1:${server.addr.port}/r.git`;
  const message = await messageOf(() => cloneContext(services, url));
  assertEquals(new Set(asked), new Set([header.slice("Authorization: ".length)]));
  assertEquals(/cret/.test(message), false, message);
  if (before === undefined) Deno.env.delete("no_proxy");
  else Deno.env.set("no_proxy", before);
  await server.shutdown();
  await Deno.remove(dir, { recursive: true });
});
