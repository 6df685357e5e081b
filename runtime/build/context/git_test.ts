import { namespaceContext } from "../../namespaces/context.ts";
import { openFolders } from "../../state/folders.ts";
import { cloneContext, gitEnvironment, splitCredentials } from "./git.ts";
import { assertEquals, messageOf } from "../../../tests/assertions.ts";

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
  await withServices(async (services) => {
    const url = `http://me:s3%2Fcret@127.0.0.1:${server.addr.port}/r.git`;
    const message = await messageOf(() => cloneContext(services, url));
    assertEquals(new Set(asked), new Set([header.slice("Authorization: ".length)]));
    assertEquals(/cret/.test(message), false, message);
  });
  await server.shutdown();
});

Deno.test("a login follows a redirect within its server, and to no other", async () => {
  const header = `Basic ${btoa("me:secret")}`;
  /** By server and path: what came of the login. */
  const asked = new Map<string, Set<string | null>>();
  const started: Deno.HttpServer<Deno.NetAddr>[] = [];
  const listen = (name: string, moved: (path: string) => string | undefined) => {
    const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, ({ headers, url }) => {
      const { pathname, search } = new URL(url);
      const [, repository = "", file = ""] = /^(\/[^/]+)(.*)$/.exec(pathname)!;
      const key = `${name}${repository}`;
      asked.set(key, (asked.get(key) ?? new Set()).add(headers.get("authorization")));
      const to = moved(repository);
      if (to !== undefined) {
        return new Response(null, { status: 302, headers: { location: `${to}${file}${search}` } });
      }
      // the files of a repository, of which objects are missing
      const files: Record<string, string> = {
        "/info/refs": `${"ab".repeat(20)}\trefs/heads/main\n`,
        "/HEAD": "ref: refs/heads/main\n",
      };
      if (file.startsWith("/objects/")) asked.set(`${key} objects`, new Set([headers.get("authorization")]));
      return new Response(files[file] ?? "", { status: files[file] === undefined ? 404 : 200 });
    });
    started.push(server);
    return `127.0.0.1:${server.addr.port}`;
  };
  const other = listen("other", () => undefined);
  const own = listen("own", (repository) => ({ "/away": `http://${other}/r`, "/old": "/new" })[repository]);
  await withServices(async (services) => {
    for (const name of ["away", "old"]) {
      await messageOf(() => cloneContext(services, `http://me:secret@${own}/${name}`));
    }
  });
  assertEquals(
    Object.fromEntries([...asked].map(([place, logins]) => [place, [...logins]])),
    {
      "own/away": [header],
      "other/r": [null],
      "other/r objects": [null],
      "own/old": [header],
      "own/new": [header],
      "own/new objects": [header],
    },
  );
  for (const server of started) await server.shutdown();
});

Deno.test("a login goes to no server that a submodule's address is redirected to", async () => {
  const folder = await Deno.makeTempDir({ prefix: "skiff-git-" });
  /** What came of the login, by server. */
  const asked = { own: new Set<string | null>(), other: new Set<string | null>() };
  const serve = (name: keyof typeof asked, moved: () => string | undefined) =>
    Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async ({ headers, url }) => {
      const { pathname } = new URL(url);
      asked[name].add(headers.get("authorization"));
      const to = pathname.startsWith("/sub.git/") ? moved() : undefined;
      if (to !== undefined) return new Response(null, { status: 302, headers: { location: to + pathname } });
      const body = await Deno.readFile(folder + pathname).catch(() => null);
      return new Response(body, { status: body === null ? 404 : 200 });
    });
  const other = serve("other", () => undefined);
  const own = serve("own", () => `http://127.0.0.1:${other.addr.port}`);
  const address = `127.0.0.1:${own.addr.port}`;
  const script = `set -e; export HOME="$PWD" GIT_CONFIG_NOSYSTEM=1
    git config --global user.email a@b; git config --global user.name a
    git init -q s; (cd s; echo x >f; git add f; git commit -qm x); git clone -q --bare s sub.git
    git init -q m; (cd m; git -c protocol.file.allow=always submodule add -q ../s sub
      git config -f .gitmodules submodule.sub.url http://${address}/sub.git; git add .; git commit -qm m)
    git clone -q --bare m main.git; for name in sub main; do (cd $name.git; git update-server-info); done`;
  const made = await new Deno.Command("sh", { args: ["-c", script], cwd: folder }).output();
  assertEquals(made.success, true, new TextDecoder().decode(made.stderr));
  await withServices(async (services) => {
    // they have no git, but files, which are not fetched in part: what matters has been asked for by then
    await messageOf(() => cloneContext(services, `http://me:secret@${address}/main.git`));
    assertEquals([[...asked.own], [...asked.other]], [[`Basic ${btoa("me:secret")}`], []]);
    // control: without one the address leads there
    await messageOf(() => cloneContext(services, `http://${address}/main.git`));
    assertEquals([...asked.other], [null]);
  });
  for (const server of [own, other]) await server.shutdown();
  await Deno.remove(folder, { recursive: true });
});

type Services = Parameters<typeof cloneContext>[0];

async function withServices(action: (services: Services) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "skiff-git-" });
  await Deno.mkdir(`${dir}/data`, { mode: 0o700 });
  const folders = openFolders({ data: `${dir}/data`, run: `${dir}/data/run` });
  const before = Deno.env.get("no_proxy");
  Deno.env.set("no_proxy", "127.0.0.1"); // git gets the caller's
  await action({ folders, namespaces: namespaceContext(folders.run) });
  if (before === undefined) Deno.env.delete("no_proxy");
  else Deno.env.set("no_proxy", before);
  await Deno.remove(dir, { recursive: true });
}

Deno.test("git gets the build's agent in place of the user's, and nothing else of the environment", () => {
  const before = Deno.env.get("SSH_AUTH_SOCK");
  Deno.env.set("SSH_AUTH_SOCK", "/the/user's");
  Deno.env.set("SKIFF_TEST_SECRET", "s3cret");
  try {
    assertEquals(gitEnvironment("/h", [], {}).SSH_AUTH_SOCK, "/the/user's");
    const env = gitEnvironment("/h", [["http.x.extraHeader", "one"]], {}, "/of/the/build");
    assertEquals([env.SSH_AUTH_SOCK, env.HOME], ["/of/the/build", "/h"]);
    assertEquals(Object.values(env).includes("s3cret"), false);
    const last = Number(env.GIT_CONFIG_COUNT) - 1;
    assertEquals([env[`GIT_CONFIG_KEY_${last}`], env[`GIT_CONFIG_VALUE_${last}`]], [
      "http.x.extraHeader",
      "one",
    ]);
  } finally {
    Deno.env.delete("SKIFF_TEST_SECRET");
    if (before === undefined) Deno.env.delete("SSH_AUTH_SOCK");
    else Deno.env.set("SSH_AUTH_SOCK", before);
  }
});
