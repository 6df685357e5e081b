import { assertEquals, messageOf } from "../../../tests/assertions.ts";
import type { SecretSource } from "../options.ts";
import { gitAuthorization, httpAuthorization } from "./authorization.ts";

Deno.test("a secret is for the server that its name says, and of what is for all only the repository has it", async () => {
  const dir = await Deno.makeTempDir({ prefix: "skiff-auth-" });
  const secret = async (id: string, text: string): Promise<SecretSource> => {
    const path = `${dir}/${id}`;
    await Deno.writeTextFile(path, text);
    return { id, from: { kind: "file", path } };
  };
  const basic = (text: string) => `Authorization: basic ${btoa(`x-access-token:${text}`)}`;
  const token = await secret("HTTP_AUTH_TOKEN_h", "tok\n");
  const header = await secret("HTTP_AUTH_HEADER_h", "Custom x");
  assertEquals(await httpAuthorization([token, header], "https://h:444/f"), "Bearer tok");
  assertEquals(await httpAuthorization([header], "https://h/f"), "Custom x");
  assertEquals(await httpAuthorization([token, header], "https://h.example/f"), undefined);

  const all = [await secret("GIT_AUTH_TOKEN", "t"), await secret("GIT_AUTH_TOKEN.h:444", "own")];
  assertEquals(await gitAuthorization(all, "https://h:444/a.git"), [
    ["http.https://h:444/a.git.extraHeader", basic("own")],
  ]);
  assertEquals(await gitAuthorization(all, "https://i/a.git"), [
    ["http.https://i/a.git.extraHeader", basic("t")],
  ]);
  assertEquals(await gitAuthorization(all, "https://github.com/a/b.git"), [
    ["http.https://github.com/.extraHeader", basic("t")],
  ]);
  const plain = await secret("GIT_AUTH_HEADER", "bearer x");
  assertEquals(await gitAuthorization([...all, plain], "https://i/a.git"), [
    ["http.https://i/a.git.extraHeader", "Authorization: bearer x"],
  ]);
  for (const remote of ["https://me:pw@i/a.git", "git@i:a.git", "ssh://git@i/a.git", "git://i/a.git"]) {
    assertEquals(await gitAuthorization(all, remote), []);
  }
  const two = await secret("HTTP_AUTH_HEADER_i", "one\nX-More: two");
  assertEquals(
    await messageOf(() => httpAuthorization([two], "https://i/")),
    "use secret HTTP_AUTH_HEADER_i: it is more than one line",
  );
  await Deno.remove(dir, { recursive: true });
});
