import { assertEquals } from "../../tests/assertions.ts";
import { foreignSyntax } from "./builtin_args.ts";

Deno.test("docker's own frontends are this builder, of whatever version; others are told of", () => {
  const told = (directive?: string, argument?: string) =>
    foreignSyntax({ buildArgs: argument === undefined ? {} : { BUILDKIT_SYNTAX: argument } }, directive);
  for (
    const syntax of [
      "docker/dockerfile:1",
      "docker/dockerfile",
      "docker.io/docker/dockerfile:1.7-labs",
      "docker/dockerfile-upstream:master",
      "docker/dockerfile:1@sha256:ab",
      "dockerfile.v0",
      "",
    ]
  ) assertEquals(told(syntax), undefined);
  assertEquals(told(undefined), undefined);
  assertEquals(told("ghcr.io/team/frontend:2"), "ghcr.io/team/frontend:2");
  assertEquals(told("docker/dockerfilex"), "docker/dockerfilex");
  assertEquals(told("ghcr.io/team/frontend:2", "dockerfile.v0"), undefined);
  assertEquals(told("docker/dockerfile:1", "other/frontend"), "other/frontend");
});
