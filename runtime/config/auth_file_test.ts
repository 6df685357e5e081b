import { deepStrictEqual as assertEquals, throws } from "node:assert";
import fc from "fast-check";
import { InvalidArgumentError } from "../errors.ts";
import { authFilePaths, findInAuths, lookupKeys, parseAuthFile } from "./auth_file.ts";
import type { ConfigSources } from "./sources.ts";

const login = (name: string) => ({ auth: btoa(`${name}:secret`) });
const nameFor = (auths: Record<string, unknown>, repository: string) => {
  const found = findInAuths({ path: "auth.json", auths }, repository);
  return found === null ? null : "username" in found ? found.username : `token ${found.identityToken}`;
};

Deno.test("the most specific entry wins, down to the host", () => {
  const auths = { "r.example": login("host"), "r.example/a": login("a"), "r.example/a/b": login("b") };
  assertEquals(nameFor(auths, "r.example/a/b"), "b");
  assertEquals(nameFor(auths, "r.example/a/c/d"), "a");
  assertEquals(nameFor(auths, "r.example/x"), "host");
  assertEquals(nameFor(auths, "r.example/ab"), "host");
  assertEquals(nameFor(auths, "other.example/a"), null);
});

Deno.test("Docker's urls name the host, and Docker Hub has three names", () => {
  assertEquals(nameFor({ "https://index.docker.io/v1/": login("hub") }, "docker.io/library/busybox"), "hub");
  assertEquals(nameFor({ "docker.io": login("hub") }, "docker.io/a/b"), "hub");
  assertEquals(nameFor({ "https://r.example": login("x") }, "r.example/a"), "x");
  assertEquals(nameFor({ "http://r.example:5000/v2/": login("x") }, "r.example:5000/a"), "x");
  assertEquals(lookupKeys("docker.io/library/busybox"), [
    "docker.io/library/busybox",
    "docker.io/library",
    "docker.io",
    "index.docker.io",
    "registry-1.docker.io",
  ]);
});

Deno.test("no key that only looks like the host is taken", () => {
  const keys = ["r.example.evil", "xr.example", "r.exampl", "r.example:5000", "https://evil/r.example"];
  keys.push("https://r.example@evil", "evil/r.example", "https://r.example/path", "R.example");
  for (const key of keys) assertEquals(nameFor({ [key]: login("x") }, "r.example/a"), null, key);
  fc.assert(fc.property(fc.webAuthority(), fc.webAuthority(), (one, two) => {
    return one === two || nameFor({ [one]: login("x") }, `${two}/a`) === null;
  }));
});

Deno.test("logins come as auth, as user and password, or as an identity token", () => {
  assertEquals(nameFor({ "r": { username: "me", password: "" } }, "r/a"), "me");
  assertEquals(nameFor({ "r": { identitytoken: "t", auth: btoa("me:x") } }, "r/a"), "token t");
  assertEquals(nameFor({ "r": {} }, "r/a"), null);
  assertEquals(findInAuths({ path: "p", auths: { r: { auth: btoa("me:a:b") } } }, "r/a"), {
    username: "me",
    password: "a:b",
  });
});

Deno.test("a broken file is named, its content is not shown", () => {
  const cases: [string, string][] = [
    ["{secret", "read p: it is no JSON document"],
    ["[]", "read p: it is no JSON object"],
    ['{"auths":[]}', "read p: auths is no JSON object"],
    ['{"credHelpers":"x"}', "read p: credHelpers is no JSON object"],
  ];
  for (const [text, message] of cases) {
    throws(() => parseAuthFile("p", text), new InvalidArgumentError(message));
  }
  throws(
    () => nameFor({ "r": { auth: "%%%" } }, "r/a"),
    new InvalidArgumentError("read auth.json: the login of r is malformed"),
  );
  assertEquals(parseAuthFile("p", '{"auths":null}').auths, {});
});

Deno.test("files are asked in podman's order, a named one alone", () => {
  const sources: ConfigSources = {
    home: "/h",
    isRoot: false,
    configHome: "/h/.config",
    cacheHome: "/h/.cache",
    runtimeDir: "/run/user/1000",
    systemDir: "/etc",
    env: {},
  };
  assertEquals(authFilePaths(sources), [
    "/run/user/1000/containers/auth.json",
    "/h/.config/containers/auth.json",
    "/h/.docker/config.json",
  ]);
  assertEquals(authFilePaths({ ...sources, env: { REGISTRY_AUTH_FILE: "/x" } }), ["/x"]);
  assertEquals(authFilePaths(sources, "/y"), ["/y"]);
});
