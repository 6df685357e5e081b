/** `search`: Docker's search of version 1, the catalogue of a registry that has none, and tags page by page. */
import { assert, assertEquals, assertIncludes, type Host, hostTest } from "./harness.ts";
import { FakeRegistry, type RecordedRequest, type Reply } from "./fake_registry.ts";
import { busyboxImage, pushImage } from "./images.ts";

const RESULTS = [
  {
    name: "debian",
    description: "The universal\noperating system, ".repeat(3),
    star_count: 50,
    is_official: true,
  },
  { name: "team/debian", description: "\x1b[31mred", star_count: 3, is_automated: true },
  { name: "other/debian-slim", description: "", star_count: 0 },
];

/** A registry with the search, as Docker Hub's index has it. */
function searchable({ path }: RecordedRequest): Reply | undefined {
  const url = new URL(path, "http://registry");
  if (url.pathname !== "/v1/search") return undefined;
  const [term, count] = [url.searchParams.get("q")!, Number(url.searchParams.get("n"))];
  const results = RESULTS.filter(({ name }) => name.includes(term)).slice(0, count);
  return { status: 200, headers: { "content-type": "application/json" }, body: JSON.stringify({ results }) };
}

async function registries(host: Host, ...addresses: string[]): Promise<void> {
  const file = `${host.home}/.config/containers/registries.conf`;
  const tables = addresses.map((one) => `[[registry]]\nlocation = "${one}"\ninsecure = true\n`).join("");
  const list = addresses.map((one) => JSON.stringify(one)).join(", ");
  await Deno.writeTextFile(file, `unqualified-search-registries = [${list}]\n${tables}`);
  await host.own(file);
}

hostTest("search asks registries for names, with filters and every format", {}, async (host) => {
  await using one = await FakeRegistry.start();
  await using other = await FakeRegistry.start();
  one.hook = searchable;
  other.hook = (request) => request.path.startsWith("/v1/") ? { status: 404 } : undefined;
  await registries(host, one.host);
  const name = (path: string) => `${one.host}/${path}`;
  const table = (await host.ok("search", "debian")).split("\n");
  assertEquals(table.map((line) => line.split(/ {2,}/)[0]!.trimEnd()), [
    "NAME",
    name("debian"),
    name("team/debian"),
    name("other/debian-slim"),
  ]);
  assertIncludes(table[1]!, "The universal operating system, The universa...");
  // what a registry says moves no cursor
  assertIncludes(table[2]!, "\\x1b[31mred");
  assertEquals(one.requests.map(({ path }) => path).filter((path) => path.startsWith("/v1")), [
    "/v1/search?q=debian&n=25",
  ]);
  const template = "{{.Index}} {{.Name}} {{.Stars}} {{.Official}}{{.Automated}}";
  const shown = (...words: string[]) => host.ok("search", "--format", template, ...words, name("debian"));
  const [debian, team, slim] = [
    `${one.host} ${name("debian")} 50 [OK]`,
    `${one.host} ${name("team/debian")} 3 [OK]`,
    `${one.host} ${name("other/debian-slim")} 0 `,
  ];
  assertEquals(await shown(), [debian, team, slim].join("\n"));
  assertEquals(await shown("--limit", "2"), [debian, team].join("\n"));
  assertEquals(await shown("--filter", "stars=3"), [debian, team].join("\n"));
  assertEquals(await shown("--filter", "is-official"), debian);
  assertEquals(await shown("--filter", "is-official=false", "--filter", "stars=1"), team);
  assertEquals(await shown("--filter", "is-automated=true"), team);
  const compatible = await host.ok("search", "--compatible", "--no-trunc", name("debian"));
  assertEquals(compatible.split("\n")[0]!.split(/ {2,}/), [
    "NAME",
    "DESCRIPTION",
    "STARS",
    "OFFICIAL",
    "AUTOMATED",
  ]);
  assertIncludes(compatible, RESULTS[0]!.description.replaceAll("\n", " ").trimEnd());
  const [json] = JSON.parse(await host.ok("search", "--format", "json", "--limit", "1", name("debian")));
  assertEquals(Object.keys(json), ["Index", "Name", "Description", "Stars", "Official", "Automated", "Tag"]);
  // of several registries one may fail
  await registries(host, other.host, one.host);
  const { code, stdout, stderr } = await host.skiff([
    "search",
    "--format",
    "{{.Index}}",
    "--limit",
    "1",
    "debian",
  ]);
  assertEquals([code, stdout], [0, `${one.host}\n`], stderr);
  assertIncludes(stderr, `couldn't search registry "${other.host}"`);
  for (
    const [words, message] of [
      [["--filter", "bogus=1", "x/y"], 'invalid filter type "bogus=1"'],
      [
        ["--filter", "stars=x", "x/y"],
        'incorrect value type for stars filter: strconv.Atoi: parsing "x": invalid syntax',
      ],
      [["--list-tags", "--filter", "stars=1", "x/y"], "filters are not applicable to list tags result"],
      [[`${other.host}/x`], `couldn't search registry "${other.host}"`],
    ] as [string[], string][]
  ) {
    const failed = await host.skiff(["search", ...words]);
    assertEquals(failed.code, 125);
    assertIncludes(failed.stderr, `Error: ${message}`);
  }
  // an answer that is none, and one that is too much
  for (
    const body of [
      "<html>",
      '{"results": 7}',
      `{"results": [{"name": ${JSON.stringify("x".repeat(5 << 20))}}]}`,
    ]
  ) {
    one.hook = ({ path }) => path.startsWith("/v1/") ? { status: 200, body } : undefined;
    assertEquals((await host.skiff(["search", name("debian")])).code, 125);
  }
});

hostTest("without that search the catalogue is asked, and tags come page by page", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const registry = await host.registry();
  const image = await busyboxImage();
  const repository = `search/${crypto.randomUUID()}`;
  for (const tag of ["one", "two", "three"]) await pushImage(registry, repository, tag, image);
  const name = `${registry.address}/${repository}`;
  assertEquals(await host.ok("search", "--format", "{{.Name}}", name), name);
  assertEquals(await host.ok("search", `${registry.address}/nothing-like-it`), "");
  const tags = (await host.ok("search", "--list-tags", "--format", "{{.Tag}}", name)).split("\n");
  assertEquals(tags.toSorted(), ["one", "three", "two"]);
  const lines = (await host.ok("image", "search", "--list-tags", "--limit", "2", `${name}:one`)).split("\n");
  assertEquals([lines.length, lines[0]!.split(/ +/)], [3, ["NAME", "TAG"]]);
  const [json] = JSON.parse(await host.ok("search", "--list-tags", "--format", "json", name));
  assertEquals([json.Name, json.Tags.toSorted()], [name, ["one", "three", "two"]]);
  const unknown = await host.skiff(["search", "--list-tags", `${name}-not`]);
  assertEquals(unknown.code, 125);

  await using fake = await FakeRegistry.start();
  await registries(host, fake.host);
  const pages = [["a", "b"], ["c"], ["d"]];
  fake.hook = ({ path }) => {
    const url = new URL(path, "http://registry");
    if (!/^\/v2\/(app\/tags\/list|_catalog)$/.test(url.pathname)) return undefined;
    const at = Number(url.searchParams.get("last") ?? 0);
    const body = JSON.stringify({ tags: pages[at], repositories: pages[at] });
    // another host is not followed
    const link = at + 1 < pages.length
      ? `<http://elsewhere.invalid${url.pathname}?last=${at + 1}>; rel="next"`
      : undefined;
    return { status: 200, headers: { link }, body };
  };
  const all = await host.ok("search", "--list-tags", "--format", "{{.Tag}}", `${fake.host}/app`);
  assertEquals(all, "a\nb\nc\nd");
  // pages that nobody sees are not asked for
  fake.requests.splice(0);
  const few = ["search", "--list-tags", "--limit", "2", "--format", "{{.Tag}}", `${fake.host}/app`];
  assertEquals(await host.ok(...few), "a\nb");
  assertEquals(fake.requests.filter(({ path }) => path.includes("tags/list")).length, 1);
  assertEquals(await host.ok("search", "--format", "{{.Name}}", `${fake.host}/c`), `${fake.host}/c`);
  assertEquals(
    await host.ok("search", "--limit", "3", "--format", "{{.Name}}", `${fake.host}/`).then((text) =>
      text.split("\n").length
    ),
    3,
  );
  assert(fake.requests.every(({ headers }) => headers.authorization === undefined));
});
