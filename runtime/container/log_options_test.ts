import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { parseLogOptions } from "./log_options.ts";

const subject = {
  id: "ab".repeat(32),
  name: "web",
  imageName: "docker.io/library/debian:12",
  imageId: "cd".repeat(32),
  labels: { app: "shop", tier: "front" },
  env: ["STAGE=test=1", "PATH=/bin"],
};

Deno.test("tag, labels and variables stand beside each line of a json-file log", () => {
  const words = ["path=/x", "tag={{.Name}}/{{ .ID }}", "labels=app,none", "env-regex=^ST", "max-file=2"];
  const { rest, attributes } = parseLogOptions(words, "json-file");
  assertEquals(rest, ["path=/x"]);
  assertEquals(attributes!(subject), { tag: "web/abababababab", app: "shop", STAGE: "test=1" });
  assertEquals(parseLogOptions(["path=/x"], "k8s-file"), { rest: ["path=/x"] });
});

Deno.test("journald's tag stays a template for the start, and those that log nothing need none", () => {
  assertEquals(parseLogOptions(["tag={{.Name}}"], "journald"), { rest: [], tag: "{{.Name}}" });
  assertEquals(parseLogOptions(["tag=x"], "none"), { rest: [] });
  assertEquals(parseLogOptions(["labels=app"], "journald").attributes!(subject), { app: "shop" });
});

Deno.test("what cannot be kept is refused", () => {
  throws(() => parseLogOptions(["tag=x"], "k8s-file"), {
    message: 'set log option "tag=x": only the log drivers journald and json-file have a place for it',
  });
  throws(() => parseLogOptions(["tag={{.Nope}}"], "json-file"), /unknown field Nope/);
  throws(() => parseLogOptions(["tag={{upper .Name}}"], "json-file"), /only fields such as/);
  throws(() => parseLogOptions(["max-file=5"], "json-file"), /which is 2/);
  throws(() => parseLogOptions(["env-regex=("], "json-file"), /no regular expression/);
});
