/** Verbs that look at images or take names and images away. */
import { busyboxEntries, makeImage } from "./images.ts";
import {
  assert,
  assertEquals,
  assertIncludes,
  assertMatch,
  driverTest,
  type Host,
  hostTest,
} from "./harness.ts";
import { writeLayout } from "./oci_layout.ts";

interface Layered {
  /** Contents of a file for each layer above busybox's. */
  above: string[];
  labels?: Record<string, string>;
}

/** Makes an image and loads it under a name, or under none. */
async function load(host: Host, name: string | null, { above, labels }: Layered): Promise<string> {
  const folder = `${host.folder}/${name ?? "unnamed"}`;
  const image = await makeImage({
    layers: [
      { entries: busyboxEntries() },
      ...above.map((content) => ({ entries: [{ path: "text", content }] })),
    ],
    config: { Labels: labels ?? {} },
  });
  await writeLayout(folder, image);
  const tarred = await host.sh(`tar -C ${folder} -cf - . | $SKIFF load -q`);
  assertEquals(tarred.code, 0, tarred.stderr);
  const id = image.configDigest.slice("sha256:".length);
  if (name !== null) await host.ok("tag", id, name);
  await host.ok("untag", id, "localhost/latest:latest");
  return id;
}

hostTest("history, untag, image tree and image prune", { needs: ["busybox"] }, async (host) => {
  const base = await load(host, "base:1", { above: [] });
  const web = await load(host, "web:1", { above: ["web\n"], labels: { kind: "web" } });
  const db = await load(host, "db:1", { above: ["web\n", "db\n"] });

  const steps = (await host.ok("history", "db:1")).split("\n");
  assertMatch(steps[0]!, /^ID +CREATED +CREATED BY +SIZE +COMMENT$/);
  assertEquals(steps.slice(1).map((line) => line.replace(/ {2,}/g, "|")), [
    `${db.slice(0, 12)}|292 years ago|test|2.05 kB|`,
    "<missing>|292 years ago|test|2.05 kB|",
    "<missing>|292 years ago|test|2.13 MB|",
  ]);
  assertEquals(await host.ok("history", "-q", "--no-trunc", "db:1"), `${db}\n<missing>\n<missing>`);
  assertEquals(
    await host.ok("history", "-H=false", "--format", "{{.Created}} {{.Size}} {{.Tags}}", "web:1"),
    [
      "0001-01-01T00:00:00Z 2048 [localhost/web:1]",
      "0001-01-01T00:00:00Z 2129920 []",
    ].join("\n"),
  );
  assertEquals(JSON.parse(await host.ok("image", "history", "--format", "json", "base:1")), [{
    id: base,
    created: "0001-01-01T00:00:00Z",
    CreatedBy: "test",
    size: 2129920,
    tags: ["localhost/base:1"],
    Created: "0001-01-01T00:00:00Z",
  }]);
  assertEquals(
    await host.ok("history", "--format", "{{json .}}", "base:1"),
    await host.ok("history", "--format", "json", "base:1"),
  );
  const nope = await host.skiff(["history", "nope"]);
  assertEquals([nope.code, nope.stderr], [125, "Error: nope: image not known\n"]);

  const tree = (await host.ok("image", "tree", "db:1")).split("\n");
  assertEquals(tree.slice(0, 4), [
    `Image ID: ${db.slice(0, 12)}`,
    "Tags:     [localhost/db:1]",
    "Size:     2.134MB",
    "Image Layers",
  ]);
  assertMatch(tree[4]!, /^├── ID: [0-9a-f]{12} Size: {2}2.13MB Top Layer of: \[localhost\/base:1\]$/);
  assertMatch(tree[5]!, /^├── ID: [0-9a-f]{12} Size: 2.048kB Top Layer of: \[localhost\/web:1\]$/);
  assertMatch(tree[6]!, /^└── ID: [0-9a-f]{12} Size: 2.048kB Top Layer of: \[localhost\/db:1\]$/);
  const requiring = (await host.ok("image", "tree", "--whatrequires", "base:1")).split("\n").slice(4);
  assertEquals(
    requiring.map((line) => line.slice(0, line.indexOf("ID:"))),
    ["└── ", "    └── ", "        └── ", ""]
      .slice(0, 3).concat(requiring.length > 3 ? [requiring[3]!.slice(0, -1)] : []),
  );

  await host.ok("tag", "web:1", "two:2", "docker.io/library/three:3");
  const wrong = await host.skiff(["untag", "web:1", "two:2", "foo"]);
  assertEquals([wrong.code, wrong.stderr], [125, "Error: localhost/foo:latest: tag not known\n"]);
  assertEquals(await host.ok("untag", "web:1", "three:3"), "");
  assertEquals(
    await host.ok("images", "--filter", `id=${web}`, "--format", "{{.Repository}}"),
    "localhost/two\nlocalhost/web",
  );
  await host.ok("image", "untag", web);
  // what it was called is still known
  const history = await host.ok("images", "--history", "--filter", `id=${web}`);
  assertMatch(
    history,
    /^REPOSITORY .* HISTORY\nlocalhost\/latest +<none> .* docker\.io\/library\/three:3, localhost\/two:2, localhost\/web:1, localhost\/latest:latest$/,
  );
  assertEquals((await host.skiff(["untag", "nope"])).code, 125);

  // dangling by now; the label keeps it once, a container twice
  const prune = (...words: string[]) => host.ok("image", "prune", "--force", ...words);
  assertEquals(await prune("--filter", "label!=kind"), "");
  assertEquals(await prune("--filter", "until=1000h"), web, "made long ago");
  const left = (await host.ok("images", "-q", "--no-trunc")).split("\n").toSorted();
  assertEquals(left, [base, db].map((id) => `sha256:${id}`).toSorted());
  await host.ok("create", "--name", "user", "--network", "none", "base:1", "sh");
  assertEquals(await prune(), "");
  const asked = async (answer: string) => {
    const { code, stdout } = await host.skiff(["image", "prune", "-a"], { stdin: answer });
    assertEquals(code, 0);
    return stdout;
  };
  const question =
    "WARNING! This command removes all images without at least one container associated with them.\n" +
    "Are you sure you want to continue? [y/N] ";
  assertEquals(await asked("n\n"), question);
  const unasked = await host.skiff(["image", "prune", "-a"], { stdin: "" });
  assertEquals([unasked.code, unasked.stdout], [125, `${question}\n`]);
  assertIncludes(unasked.stderr, "Error: ask whether to continue: stdin has no answer\n");
  assertEquals(await asked("y\n"), `${question}${db}\n`);
  assertEquals(await host.ok("images", "-q", "--no-trunc"), `sha256:${base}`);
  const filter = await host.skiff(["image", "prune", "-f", "--filter", "foo=bar"]);
  assertEquals(filter.code, 125);
  assertIncludes(filter.stderr, "foo is an invalid filter");
});

driverTest("image diff", { needs: ["busybox"] }, async (host) => {
  const layout = `${host.folder}/layout`;
  const layers = [
    { entries: busyboxEntries() },
    {
      entries: [
        { path: "etc/" },
        { path: "etc/.wh.group" },
        { path: "etc/passwd", content: "root:x:0:0::/:/bin/sh\n" },
        { path: "new/" },
        { path: "new/file", content: "x" },
        { path: "home/" },
        { path: "home/.wh..wh..opq" },
      ],
    },
  ];
  await writeLayout(layout, await makeImage({ layers }));
  await host.ok("load", "-q", "-i", layout);
  await host.ok("tag", `localhost${layout}`, "two");
  await load(host, "one", { above: [] });
  const changes = ["C /etc", "D /etc/group", "C /etc/passwd", "C /home", "A /new", "A /new/file"];
  const ownDeleted = ["D /home/alice"];
  const listed = async (...words: string[]) =>
    (await host.ok(...words)).split("\n").filter((line) => line !== "");
  const top = await listed("image", "diff", "two");
  for (const change of changes.filter((line) => line !== "C /home")) {
    assert(top.includes(change), `${change}: ${top}`);
  }
  assertEquals(await listed("diff", "two"), top);
  const between = await listed("image", "diff", "two", "one");
  assertEquals(between, [
    "C /etc",
    "D /etc/group",
    "C /etc/passwd",
    "C /home",
    ...ownDeleted,
    "A /new",
    "A /new/file",
  ]);
  assertEquals(await listed("image", "diff", "one", "two"), [
    "C /etc",
    "A /etc/group",
    "C /etc/passwd",
    "C /home",
    "A /home/alice",
    "D /new",
  ]);
  assertEquals(await listed("image", "diff", "two", "two"), []);
  assertEquals(Object.keys(JSON.parse(await host.ok("image", "diff", "--format", "json", "two"))), [
    "changed",
    "added",
    "deleted",
  ]);
  const nope = await host.skiff(["image", "diff", "nope"]);
  assertEquals([nope.code, nope.stderr], [125, "Error: nope: image not known\n"]);
  const neither = await host.skiff(["diff", "nope"]);
  assertEquals([neither.code, neither.stderr], [125, "Error: nope not found: layer not known\n"]);
  const format = await host.skiff(["image", "diff", "--format", "x", "two"]);
  assertEquals(format.stderr, "Error: only supported value for '--format' is 'json'\n");
  assertEquals([...Deno.readDirSync(`${host.data}/tmp`)], []);
});

driverTest("image mount and unmount within unshare", { needs: ["busybox", "uidmap"] }, async (host) => {
  const id = await load(host, "web:1", { above: ["web\n"] });
  await load(host, "base:1", { above: [] });
  const outside = await host.skiff(["image", "mount", "web:1"]);
  assertEquals([outside.code, outside.stderr], [
    125,
    'Error: cannot run command "skiff image mount" in rootless mode, must execute `skiff unshare` first\n',
  ]);
  const skiff = `"$SKIFF" ${host.driverArgs.join(" ")}`;
  const session = await host.sh(`${skiff} unshare sh -ec '
    at=$(${skiff} image mount web:1)
    echo "$at"; cat $at/text; ls $at | wc -l
    touch $at/new 2>/dev/null || echo read-only
    [ "$(${skiff} image mount ${id})" = "$at" ] && echo the same
    ${skiff} image mount base:1 >/dev/null
    ${skiff} image mount | wc -l
    ${skiff} image mount --format json
    ${skiff} image unmount web:1
    ${skiff} image mount
    ${skiff} image umount --all
    ${skiff} image unmount web:1
    [ -z "$(${skiff} image mount)" ] && echo none'`);
  assertEquals(session.code, 0, session.stderr);
  const lines = session.stdout.split("\n");
  const at = lines[0]!;
  assert(at.startsWith(`${host.data}/mounts/${id}/`), at);
  assertEquals(lines.slice(1, 6), ["web", "12", "read-only", "the same", "2"]);
  const json = JSON.parse(
    session.stdout.slice(session.stdout.indexOf("["), session.stdout.indexOf("]\n") + 1),
  );
  assertEquals(json.length, 2);
  const mine = json.find((one: { id: string }) => one.id === id);
  assertEquals([mine.Repositories, mine.mountpoint], [["localhost/web:1"], at]);
  const rest = session.stdout.slice(session.stdout.indexOf("]\n") + 2).trimEnd().split("\n");
  assertEquals([rest[0], rest.at(-2), rest.at(-1)], [id, id, "none"]);
  assertMatch(rest[1]!, /^localhost\/base:1 {2}\/.*\/mounts\/[0-9a-f]{64}\//);
  // a session's mounts go with it
  const left = await host.sh(
    `${skiff} unshare sh -c '${skiff} image mount web:1 base:1'; ${skiff} image mount`,
  );
  assertEquals([left.code, left.stdout.trimEnd().split("\n").length], [0, 2], left.stderr);
  await host.ok("rmi", "-a");
});
