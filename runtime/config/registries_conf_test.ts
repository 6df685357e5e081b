import { deepStrictEqual as assertEquals, throws } from "node:assert";
import fc from "fast-check";
import { InvalidArgumentError } from "../errors.ts";
import {
  emptyRegistriesConf,
  findRegistry,
  loadRegistriesConf,
  mergeRegistriesConf,
  pullSources,
  type RegistriesConf,
} from "./registries_conf.ts";
import { resolveShortName } from "./short_names.ts";

function confOf(...texts: string[]): RegistriesConf {
  const conf = emptyRegistriesConf();
  texts.forEach((text, i) => mergeRegistriesConf(conf, `file${i}`, text));
  return conf;
}

const places = (conf: RegistriesConf, name: string, by: "tag" | "digest" = "tag") =>
  pullSources(conf, name, by).map((s) => `${s.insecure ? "insecure " : ""}${s.host}/${s.path}`);

Deno.test("without a file an image comes from where its name says", () => {
  assertEquals(places(emptyRegistriesConf(), "quay.io/a/b"), ["quay.io/a/b"]);
});

Deno.test("mirrors come first and the location replaces the prefix", () => {
  const conf = confOf(`
    [[registry]]
    prefix = "example.com/foo"
    location = "internal.example.com:5000/bar"
    insecure = true
    [[registry.mirror]]
    location = "mirror.one/foo"
    [[registry.mirror]]
    location = "mirror.two"
    insecure = true
    pull-from-mirror = "digest-only"`);
  assertEquals(places(conf, "example.com/foo/app"), [
    "mirror.one/foo/app",
    "insecure internal.example.com:5000/bar/app",
  ]);
  assertEquals(places(conf, "example.com/foo/app", "digest"), [
    "mirror.one/foo/app",
    "insecure mirror.two/app",
    "insecure internal.example.com:5000/bar/app",
  ]);
  assertEquals(places(conf, "example.com/foobar"), ["example.com/foobar"]);
});

Deno.test("the longest prefix wins and ends at a boundary", () => {
  const conf = confOf(`
    [[registry]]
    location = "quay.io"
    [[registry]]
    prefix = "quay.io/team"
    location = "quay.io/team"
    blocked = true
    [[registry]]
    prefix = "*.example.com"
    insecure = true`);
  assertEquals(findRegistry(conf, "quay.io/team/app")?.prefix, "quay.io/team");
  assertEquals(findRegistry(conf, "quay.io/teams/app")?.prefix, "quay.io");
  assertEquals(findRegistry(conf, "quay.io.evil/app"), undefined);
  assertEquals(places(conf, "a.example.com:5000/x"), ["insecure a.example.com:5000/x"]);
  assertEquals(places(conf, "example.com/x"), ["example.com/x"]);
  assertEquals(places(conf, "evilexample.com/x"), ["evilexample.com/x"]);
  throws(
    () => places(conf, "quay.io/team/app"),
    new InvalidArgumentError("pull from quay.io/team: registries.conf blocks this registry"),
  );
});

Deno.test("an insecure port does not make another port insecure", () => {
  const conf = confOf(`[[registry]]\nlocation = "localhost:5000"\ninsecure = true`);
  assertEquals(places(conf, "localhost:5000/a"), ["insecure localhost:5000/a"]);
  assertEquals(places(conf, "localhost:50001/a"), ["localhost:50001/a"]);
  assertEquals(places(conf, "localhost/a"), ["localhost/a"]);
});

Deno.test("a later file replaces lists and merges aliases and registries", () => {
  const conf = confOf(
    `unqualified-search-registries = ["a.example", "b.example"]
     [aliases]
     "x" = "a.example/x"
     "y" = "a.example/y"
     [[registry]]
     location = "a.example"
     insecure = true`,
    `unqualified-search-registries = ["c.example"]
     [aliases]
     "x" = ""
     "y" = "c.example/y"
     [[registry]]
     location = "a.example"`,
  );
  assertEquals(conf.unqualifiedSearch, ["c.example"]);
  assertEquals(conf.aliases, { y: "c.example/y" });
  assertEquals(conf.registries.map((r) => r.insecure), [false]);
});

Deno.test("short names go to the alias, the searched registries, or Docker Hub", () => {
  const none = emptyRegistriesConf();
  assertEquals(resolveShortName(none, "busybox"), { candidates: ["docker.io/busybox"], origin: "default" });
  const conf = confOf(`unqualified-search-registries = ["a.example", "b.example/team"]
    [aliases]
    "busybox" = "quay.io/busybox"`);
  assertEquals(resolveShortName(conf, "busybox"), { candidates: ["quay.io/busybox"], origin: "alias" });
  assertEquals(resolveShortName(conf, "app").candidates, ["a.example/app", "b.example/team/app"]);
  assertEquals(resolveShortName(conf, "constructor").candidates[0], "a.example/constructor");
  throws(
    () => resolveShortName({ ...conf, shortNameMode: "enforcing" }, "app"),
    new InvalidArgumentError('resolve short name "app": registries.conf names several registries', {
      hint: "write one of a.example/app, b.example/team/app",
    }),
  );
  assertEquals(resolveShortName({ ...conf, shortNameMode: "disabled" }, "busybox").origin, "search");
});

Deno.test("mistakes are named with file and key", () => {
  const cases: [string, string][] = [
    [`[[registry]]\nblocked = true`, "read file0: registry: it has neither prefix nor location"],
    [`[[registry]]\nprefix = "a.example"`, 'read file0: registry "a.example": it has no location'],
    [`[[registry]]\nlocation = "https://a"`, 'read file0: location: "https://a" is not host[:port][/path]'],
    [`[[registry]]\nlocation = "a/../b"`, 'read file0: location: "a/../b" is not host[:port][/path]'],
    [`[[registry]]\nlocation = "a"\ninsecure = "yes"`, "read file0: insecure: it is neither true nor false"],
    [`[registry]\nlocation = "a"`, "read file0: registry: it is no list of tables, write [[registry]]"],
    [
      `short-name-mode = "maybe"`,
      'read file0: short-name-mode: "maybe" is none of enforcing, permissive, disabled',
    ],
    [
      `unqualified-search-registries = "a"`,
      "read file0: unqualified-search-registries: it is no list of texts",
    ],
  ];
  for (const [text, message] of cases) throws(() => confOf(text), new InvalidArgumentError(message));
  throws(() => confOf("[registries.search]\nregistries = []"), /old version 1 format/);
  throws(() => confOf("a = "), /^InvalidArgumentError: read file0: /);
});

Deno.test("any text is a configuration or an InvalidArgumentError", () => {
  const line = fc.constantFrom(
    "[[registry]]",
    "[aliases]",
    'location = "a:5000/b"',
    'prefix = "*.a"',
    "insecure = 1",
    '"x" = "y"',
    "[[registry.mirror]]",
  );
  fc.assert(fc.property(fc.oneof(fc.string(), fc.array(line).map((l) => l.join("\n"))), (text) => {
    try {
      confOf(text);
    } catch (error) {
      if (!(error instanceof InvalidArgumentError)) throw error;
    }
  }));
});

Deno.test("the user's file hides the system's, drop-ins of both are laid over it", async () => {
  const root = await Deno.makeTempDir();
  const write = async (path: string, text: string) => {
    await Deno.mkdir(`${root}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.writeTextFile(`${root}/${path}`, text);
  };
  const sources = {
    home: root,
    isRoot: false,
    configHome: `${root}/config`,
    cacheHome: `${root}/cache`,
    systemDir: `${root}/etc`,
    env: {},
  };
  try {
    assertEquals(await loadRegistriesConf(sources), emptyRegistriesConf());
    await write("etc/containers/registries.conf", `unqualified-search-registries = ["system.example"]`);
    await write(
      "etc/containers/registries.conf.d/a.conf",
      `[aliases]\n"a" = "x.example/a"\n"b" = "x.example/b"`,
    );
    assertEquals((await loadRegistriesConf(sources)).unqualifiedSearch, ["system.example"]);
    await write("config/containers/registries.conf", `short-name-mode = "enforcing"`);
    await write("config/containers/registries.conf.d/z.conf", `[aliases]\n"b" = "y.example/b"`);
    await write("cache/containers/short-name-aliases.conf", `[aliases]\n"c" = "y.example/c"`);
    const conf = await loadRegistriesConf(sources);
    assertEquals(conf.unqualifiedSearch, undefined);
    assertEquals(conf.shortNameMode, "enforcing");
    assertEquals(conf.aliases, { a: "x.example/a", b: "y.example/b", c: "y.example/c" });
    await write(
      "etc/containers/registries.conf.d/b.conf",
      `[aliases]\n"d" = "z.example/d"\n[[registry]]\nlocation = "blocked.example"\nblocked = true`,
    );
    // a list of names is passed over, a file that has more than one is not
    const { aliases, registries } = await loadRegistriesConf(sources, false);
    assertEquals(aliases, { d: "z.example/d" });
    assertEquals(registries.map(({ prefix, blocked }) => [prefix, blocked]), [["blocked.example", true]]);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
