import { assertEquals, assertIncludes, messageOf } from "../../tests/assertions.ts";
import { parseDockerfile } from "./dockerfile/parse.ts";
import { outlineOf, targetsOf } from "./outline.ts";

const FILE = parseDockerfile(
  new TextEncoder().encode(`# VERSION of the tools
ARG VERSION=1
# base what all stand on
FROM debian:$VERSION AS base
ARG UNUSED
FROM base AS lint
RUN --mount=type=secret,id=other true
# app the program
FROM base AS app
ARG VERSION
# MODE of the build
ARG MODE=$VERSION-fast
RUN --mount=type=secret,id=token,required=true --mount=type=cache,target=/root/.cache true
RUN --mount=type=ssh --mount=type=secret,id=token true
FROM scratch
COPY --from=app /x /x
`),
  "Dockerfile",
);

Deno.test("targets are told with their bases and what is said of them", () => {
  assertEquals(
    targetsOf(FILE).map(({ name, isDefault, description, base }) => [name, isDefault, description, base]),
    [
      ["base", false, "what all stand on", "debian:1"],
      ["lint", false, "", "base"],
      ["app", false, "the program", "base"],
      ["", true, "", "scratch"],
    ],
  );
});

Deno.test("an outline has what a target and all it needs are given", async () => {
  const { args, secrets, ssh, cache } = outlineOf(FILE, undefined, { VERSION: "2" });
  assertEquals(args.map(({ name, value, description }) => [name, value, description]), [
    ["VERSION", "2", "of the tools"],
    ["UNUSED", "", ""],
    ["MODE", "2-fast", "of the build"],
  ]);
  assertEquals(secrets.map(({ name, required }) => [name, required]), [["token", true]]);
  assertEquals([ssh.map(({ name }) => name), cache.map(({ id }) => id)], [["default"], ["/root/.cache"]]);
  assertEquals(outlineOf(FILE, "lint", {}).secrets.map(({ name }) => name), ["other"]);
  assertIncludes(
    await messageOf(() => outlineOf(FILE, "nope", {})),
    'target stage "nope" could not be found',
  );
});

Deno.test("an argument may have any name", () => {
  const file = parseDockerfile(
    new TextEncoder().encode("FROM scratch\nARG constructor\nARG toString=x\n"),
    "D",
  );
  const { args } = outlineOf(file, undefined, {});
  assertEquals(args.map(({ name, value }) => [name, value]), [["constructor", ""], ["toString", "x"]]);
});
