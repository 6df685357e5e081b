import { deepStrictEqual as assertEquals, ok, throws } from "node:assert";
import { parseFamiliarName } from "@swimlane/docker-reference";
import fc from "fast-check";
import { InvalidArgumentError } from "../errors.ts";
import {
  familiarName,
  formatReference,
  isShortName,
  isStoreReference,
  parseName,
  parseReference,
  qualify,
  withDefaultTag,
} from "./reference.ts";

const D = `sha256:${"d".repeat(64)}`;

Deno.test("names are normalised as docker does", () => {
  const cases: [string, string][] = [
    ["busybox", "docker.io/library/busybox:latest"],
    ["busybox:1.36", "docker.io/library/busybox:1.36"],
    ["user/app", "docker.io/user/app:latest"],
    ["docker.io/busybox", "docker.io/library/busybox:latest"],
    ["index.docker.io/busybox", "docker.io/library/busybox:latest"],
    ["quay.io/team/app:v1", "quay.io/team/app:v1"],
    ["localhost/app", "localhost/app:latest"],
    ["localhost:5000/app", "localhost:5000/app:latest"],
    ["127.0.0.1:5000/a/b/c__d-e.f:T.a-g", "127.0.0.1:5000/a/b/c__d-e.f:T.a-g"],
    ["[::1]:5000/app", "[::1]:5000/app:latest"],
    ["Registry/app", "Registry/app:latest"],
    [`busybox@${D}`, `docker.io/library/busybox@${D}`],
    [`busybox:1@${D}`, `docker.io/library/busybox:1@${D}`],
    ["docker://quay.io/a", "quay.io/a:latest"],
  ];
  for (const [text, full] of cases) {
    assertEquals(formatReference(withDefaultTag(parseReference(text))), full, text);
  }
});

Deno.test("familiar names leave docker.io and library away", () => {
  for (const text of ["busybox:1", "user/app:1", "quay.io/a/b:1", `busybox@${D}`, "library/a/b:1"]) {
    assertEquals(familiarName(parseReference(text)), text);
  }
});

Deno.test("malformed references are refused with the rule", () => {
  const cases: [string, string, string?][] = [
    ["", "it is empty"],
    ["Busybox", "the name must be lower case"],
    ["quay.io/Team/app", "the name must be lower case"],
    ["a//b", "the name is malformed"],
    ["/a", "the name is malformed"],
    ["a/", "the name is malformed"],
    ["-a", "the name is malformed"],
    ["a..b", "the name is malformed"],
    ["a___b", "the name is malformed"],
    ["quay.io/../etc", "the name is malformed"],
    ["../../etc/passwd", "the registry's name is malformed"],
    ["a:", "the tag is malformed"],
    ["a:.b", "the tag is malformed"],
    [`a:${"t".repeat(129)}`, "the tag is malformed"],
    ["quay.io:0/a", "the registry's name is malformed"],
    ["quay.io:70000/a", "the registry's name is malformed"],
    ["-quay.io/a", "the registry's name is malformed"],
    ["localhost:5000/", "it has no name"],
    ["http://quay.io/a", "it names no image", "leave out http://"],
    ["f".repeat(64), "64 hexadecimal digits are an id, not a name"],
    ["a".repeat(256), "the name is longer than 255 characters"],
  ];
  for (const [text, why, hint] of cases) {
    const shown = text.length > 100 ? text.slice(0, 100) + "…" : text;
    throws(
      () => parseReference(text),
      new InvalidArgumentError(`parse image reference "${shown}": ${why}`, { hint }),
    );
  }
  throws(() => parseReference("a@sha256:x"), /^InvalidArgumentError: parse digest "sha256:x"/);
});

Deno.test("control characters of a name are shown escaped", () => {
  throws(() => parseName("a\x1b[2J"), /^InvalidArgumentError: parse image reference "a\\x1b\[2J"/);
});

Deno.test("what leads into another program's store is no name", () => {
  for (const text of ["docker-daemon:app:1", `docker-daemon:${D}`, "containers-storage:quay.io/app:1"]) {
    assertEquals([text, isStoreReference(text)], [text, true]);
    throws(() => parseName(text), InvalidArgumentError);
  }
  for (const text of ["docker-daemon:1", "docker-daemon", "quay.io/docker-daemon:1"]) {
    assertEquals([text, isStoreReference(text)], [text, false]);
    parseName(text);
  }
});

Deno.test("a short name takes the registry it is given, with its path", () => {
  assertEquals(isShortName("app:1"), true);
  assertEquals(isShortName("quay.io/app"), false);
  assertEquals(formatReference(qualify(parseName("app:1"), "quay.io/team")), "quay.io/team/app:1");
  assertEquals(formatReference(qualify(parseName("quay.io/app"), "docker.io")), "quay.io/app");
});

const component = fc.stringMatching(/^[a-z0-9]{1,6}(?:(?:\.|_|__|-{1,2})[a-z0-9]{1,4}){0,2}$/);
const domain = fc.stringMatching(/^[a-z0-9]{1,5}(?:-[a-z0-9]{1,3})?\.[a-z]{2,3}(?::[1-9][0-9]{0,3})?$/);
const valid = fc.tuple(
  fc.option(domain, { nil: undefined }),
  fc.array(component, { minLength: 1, maxLength: 3 }),
  fc.option(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,10}$/), { nil: undefined }),
  fc.boolean(),
).filter(([host, path]) => host !== undefined || path.length === 1 || !path[0]!.includes("."))
  .map(([host, path, tag, pinned]) =>
    (host === undefined ? "" : host + "/") + path.join("/") + (tag === undefined ? "" : `:${tag}`) +
    (pinned ? `@${D}` : "")
  );

Deno.test("valid references read as @swimlane/docker-reference reads them", () => {
  fc.assert(
    fc.property(valid, (text) => {
      const theirs = parseFamiliarName(text);
      const ours = parseReference(text);
      assertEquals(
        [ours.domain, ours.path, ours.tag, ours.digest as string | undefined],
        [theirs.domain, theirs.repository, theirs.tag, theirs.digest],
      );
    }),
    { numRuns: 300 },
  );
});

Deno.test("a formatted reference reads back the same", () => {
  fc.assert(fc.property(valid, (text) => {
    const once = parseReference(text);
    assertEquals(parseReference(formatReference(once)), once);
    assertEquals(parseReference(familiarName(once)), once);
  }));
});

Deno.test("any text is read or refused, in linear time", () => {
  fc.assert(fc.property(fc.string({ maxLength: 80 }), (text) => {
    try {
      ok(!parseReference(text).path.includes(".."));
    } catch (error) {
      if (!(error instanceof InvalidArgumentError)) throw error;
    }
  }));
  const before = performance.now();
  for (
    const evil of [
      "a".repeat(250) + "!",
      "a-".repeat(120) + "!",
      "a/".repeat(120) + "!",
      "a.".repeat(120) + "/",
    ]
  ) {
    throws(() => parseReference(evil), InvalidArgumentError);
  }
  ok(performance.now() - before < 60_000);
});
